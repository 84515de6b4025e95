//! Settings of the workload: the edits of the clients, and what they edit.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounds::{Above, Within};
use super::time::{PositiveTime, Time};

/// The work of the clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Workload {
    /// The trace that the writers type: a name from the catalog, or the path of
    /// a trace file.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub dataset: String,
    /// The kind of edits.
    pub edits: EditKind,
    /// Edits of several kinds, and presence messages among them, instead of
    /// `edits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// Edits per second, over all clients; in a mix, edits and presence messages.
    #[serde(with = "Above::<f64, 0, 100_000_000>")]
    pub rate: f64,
    /// The distances between the edits of one client.
    pub arrivals: Arrivals,
    /// The phase of the clients' constant-rate schedules.
    pub phase: Phase,
    /// Bytes of text that each edit inserts instead of the trace's text.
    #[serde(
        with = "Within::<u32, 1, 16_777_216>",
        skip_serializing_if = "Option::is_none"
    )]
    pub payload: Option<u32>,
    /// The time that edits wait in order to leave together; with 0s, each edit
    /// is an update of its own.
    #[serde(with = "Time")]
    pub batch: Duration,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            dataset: "automerge-paper".to_owned(),
            edits: EditKind::Trace,
            mix: None,
            rate: 1_000.0,
            arrivals: Arrivals::Constant,
            phase: Phase::Spread,
            payload: None,
            batch: Duration::ZERO,
        }
    }
}

impl Workload {
    /// Whether any edit takes its text from the trace.
    pub fn types_trace(&self) -> bool {
        self.edit_shares().iter().any(|(kind, _)| match kind {
            EditKind::Trace | EditKind::RichText => self.payload.is_none(),
            EditKind::ReplaceAll => true,
            EditKind::List | EditKind::Map | EditKind::MovableList | EditKind::Tree => false,
        })
    }

    /// Edits at `rate` per second, with default settings.
    pub fn at_rate(rate: f64) -> Self {
        Self {
            rate,
            ..Self::default()
        }
    }
}

/// The distances between the edits of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Arrivals {
    /// Equal distances
    Constant,
    /// Random, independent, exponentially distributed distances
    Poisson,
    /// The distances of the data set, scaled to the rate
    Trace,
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The phase of the clients' constant-rate schedules. It alone changes the cost
/// per delivery about twofold, so the record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Phase {
    /// Evenly over the period: the load is smooth
    Spread,
    /// All at once: the load comes in bursts
    Locked,
}

/// The kinds of edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EditKind {
    /// The keystrokes of a recorded trace, in a text
    Trace,
    /// Typing in a text, and making words bold
    RichText,
    /// Inserting into a list, and deleting from it
    List,
    /// Setting the keys of a map
    Map,
    /// Inserting, setting and moving the elements of a movable list
    MovableList,
    /// Creating and moving the nodes of a tree
    Tree,
    /// The anti-pattern of a text field without an editor: each keystroke
    /// deletes the whole text, inserts it again, and sends the whole document
    ReplaceAll,
}

impl fmt::Display for EditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The shares of the kinds of edits, and of presence messages, in a mix. They add
/// up to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mix {
    /// Keystrokes in the text, as `edits = "trace"` makes them.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub text: f64,
    /// Typing in the text, and making words bold.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub rich_text: f64,
    /// Inserting into a list, and deleting from it.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub list: f64,
    /// Setting the keys of a map.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub map: f64,
    /// Inserting, setting and moving the elements of a movable list.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub movable_list: f64,
    /// Creating and moving the nodes of a tree.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub tree: f64,
    /// Presence messages of the writers.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub presence: f64,
}

impl Mix {
    /// The share of each kind of edits.
    pub fn edits(&self) -> [(EditKind, f64); 6] {
        [
            (EditKind::Trace, self.text),
            (EditKind::RichText, self.rich_text),
            (EditKind::List, self.list),
            (EditKind::Map, self.map),
            (EditKind::MovableList, self.movable_list),
            (EditKind::Tree, self.tree),
        ]
    }
}

impl Workload {
    /// The kinds of edits that the writers make, each with its share, which are
    /// above 0.
    pub fn edit_shares(&self) -> Vec<(EditKind, f64)> {
        let Some(mix) = &self.mix else {
            return vec![(self.edits, 1.0)];
        };
        let edits = mix.edits().into_iter();
        edits.filter(|(_, share)| *share > 0.0).collect()
    }

    /// The share of presence messages among what the writers do.
    pub fn presence_share(&self) -> f64 {
        self.mix.map_or(0.0, |mix| mix.presence)
    }
}

/// The content of the rooms before the first edit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document {
    /// The share of the data set's edits that was made before the run.
    #[serde(with = "Within::<f64, 0, 1>")]
    pub typed: f64,
    /// The form in which the relay gets the document, where it has a memory.
    pub form: DocumentForm,
    /// A document of the engine in a file, instead of a typed one: a snapshot,
    /// shallow snapshot or updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

impl Document {
    /// Returns true if the rooms begin with a document that lacks its history, as
    /// far as the scenario tells.
    pub fn begins_shallow(&self) -> bool {
        self.typed > 0.0 && self.form == DocumentForm::Shallow
    }
}

/// The forms in which a document is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DocumentForm {
    /// History and state
    #[default]
    Snapshot,
    /// State alone
    Shallow,
    /// History alone
    Updates,
}

/// Presence messages. They need a protocol that carries them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Presence {
    /// The time between two messages of one client.
    #[serde(with = "PositiveTime")]
    pub every: Duration,
    /// The size of each message, bytes.
    #[serde(
        default = "Presence::default_bytes",
        with = "Within::<u32, 1, 250_000>"
    )]
    pub bytes: u32,
}

impl Presence {
    pub(super) fn default_bytes() -> u32 {
        64
    }
}

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stage {
    /// The name of the stage in the result; `stage-1` and so on, if absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The length of the stage.
    #[serde(with = "PositiveTime")]
    pub duration: Duration,
    /// Edits per second at the end of the stage, over all clients; as before,
    /// if absent.
    #[serde(
        default,
        with = "Within::<f64, 0, 100_000_000>",
        skip_serializing_if = "Option::is_none"
    )]
    pub rate: Option<f64>,
    /// The rate changes in a straight line from the stage before.
    #[serde(default)]
    pub ramp: bool,
    /// Clients at the end of the stage, reached in a straight line; as before,
    /// if absent. At most `clients.count`.
    #[serde(
        default,
        with = "Within::<u32, 0, 1_000_000>",
        skip_serializing_if = "Option::is_none"
    )]
    pub clients: Option<u32>,
}
