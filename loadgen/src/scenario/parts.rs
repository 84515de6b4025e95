//! The parts of a scenario.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ScenarioError, seconds};
use crate::net::link::LinkConditions;
use crate::net::target::UrlTemplate;

/// The relay to load.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayTarget {
    /// The embedded relay, started for the run as a process of its own.
    Embedded,
    /// A relay that is already running.
    Url(UrlTemplate),
    /// A relay that the run starts and ends.
    Command {
        /// The program and its arguments, split as in a shell.
        command: String,
        /// The address at which it listens once it is ready.
        url: UrlTemplate,
    },
}

/// The credentials and headers of a connection. Secrets are never written into a
/// record.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Access {
    /// Header lines of the WebSocket handshake; values are not recorded.
    #[serde(serialize_with = "names_only")]
    pub headers: BTreeMap<String, String>,
    /// The WebSocket subprotocol that clients request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subprotocol: Option<String>,
    /// Sent as `Authorization: Bearer`; whether there is one is recorded.
    #[serde(serialize_with = "presence_only")]
    pub token: Option<String>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
}

fn names_only<S: serde::Serializer>(
    headers: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(headers.keys())
}

fn presence_only<S: serde::Serializer>(
    token: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(token.is_some())
}

/// Rooms of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomClass {
    /// The number of rooms.
    pub count: u32,
    /// The number of initial clients in each.
    pub size: u32,
}

/// The kind of copy that a client keeps of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum ReplicaKind {
    /// A document that imports what it receives
    Full,
    /// The version of a document: the operations that it has received
    Light,
}

/// The clients that are full replicas where the others are light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Two per room, so that documents are compared, and not versions alone.
    Sample,
    /// None: versions alone are compared.
    Versions,
}

/// The document that rooms contain before the first edit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Document {
    /// The share of the data set's edits that have been made already.
    pub typed: f64,
    /// The form in which a relay that remembers gets it.
    pub form: DocumentForm,
    /// A file with an exported document, instead of a typed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// The form in which a document is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentForm {
    /// History and state.
    #[default]
    Snapshot,
    /// State alone.
    Shallow,
    /// History alone.
    Updates,
}

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// The name in the result.
    pub name: String,
    /// The length.
    #[serde(serialize_with = "seconds", rename = "duration_s")]
    pub duration: Duration,
    /// Edits per second, over all clients, at its end.
    pub rate: f64,
    /// Whether the rate changes linearly from that of the stage before.
    pub ramp: bool,
    /// The number of clients at its end; it changes linearly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<u32>,
}

/// The distances between the edits of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
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
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
            Self::Trace => "trace",
        })
    }
}

/// The phase of the clients' constant-rate schedules. It alone changes the cost
/// per delivery about twofold, so the record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Phase {
    /// Evenly over the period: the load is smooth
    Spread,
    /// All at once: the load comes in bursts
    Locked,
}

/// The kinds of edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EditKind {
    /// The keystrokes of a recorded trace, in a text.
    Trace,
    /// Typing in a text, and making words bold.
    RichText,
    /// Inserting into a list, and deleting from it.
    List,
    /// Setting the keys of a map.
    Map,
    /// Inserting, setting and moving the elements of a movable list.
    MovableList,
    /// Making and moving the nodes of a tree.
    Tree,
    /// The anti-pattern of a text field without an editor: on each keystroke
    /// the whole text is deleted and inserted again, and the whole document is
    /// sent.
    ReplaceAll,
}

/// Presence traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Presence {
    /// The time between two messages of one client.
    #[serde(serialize_with = "seconds", rename = "every_s")]
    pub every: Duration,
    /// The size of a message, bytes.
    pub bytes: u32,
}

/// A simulated network that a share of the clients is behind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkClass {
    /// The name in the result.
    pub name: String,
    /// Share of the clients, above 0 and at most 1.
    pub share: f64,
    /// Its delay, jitter and bandwidth.
    pub quality: LinkConditions,
    /// The faults of the link.
    pub faults: Vec<LinkFault>,
}

/// A fault of a link, and its times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkFault {
    /// What.
    pub kind: LinkFaultKind,
    /// The time of a fault that happens once, to all clients of the link.
    #[serde(
        default,
        with = "optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub at: Option<Duration>,
    /// The time between two faults; each client begins at a random time.
    #[serde(
        default,
        with = "optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub every: Option<Duration>,
    /// The time until the link, or the client, is back.
    #[serde(rename = "for", with = "required_duration")]
    pub lasting: Duration,
}

/// The kinds of faults of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkFaultKind {
    /// Nothing gets through for the time, then everything does.
    Stall,
    /// The connection is closed.
    Cut,
    /// The connection ends in the middle of the next frame that is sent.
    CutMidFrame,
    /// The connection is reset.
    Reset,
    /// Nothing gets through any more, and neither end notices.
    HalfOpen,
    /// The client closes the connection, keeps editing, and comes back.
    Offline,
}

impl LinkFault {
    pub(super) fn validate(&self, link: &str, run: Duration) -> Result<(), ScenarioError> {
        let contradiction = |message: String| {
            let message = format!("link `{link}`: {message}");
            Err(ScenarioError::Contradiction(message))
        };
        super::lasts(&format!("link `{link}`: a fault's `for`"), self.lasting)?;
        match (self.at, self.every) {
            (None, None) | (Some(_), Some(_)) => {
                contradiction("a fault has either `at` or `every`".to_owned())
            }
            (Some(at), None) if at >= run => {
                contradiction(format!("a fault at {at:?} is after the run's {run:?}"))
            }
            (None, Some(every)) if every <= self.lasting => contradiction(format!(
                "a fault of {:?} every {every:?} leaves nothing in between",
                self.lasting
            )),
            _ => Ok(()),
        }
    }
}

/// Clients that leave, each replaced by one with an empty replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Churn {
    /// Clients that leave per second, at random times.
    pub per_second: f64,
}

/// A fault of a relay that the run owns, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayFault {
    /// What.
    pub kind: RelayFaultKind,
    /// When.
    #[serde(with = "required_duration")]
    pub at: Duration,
    /// The time until the relay continues, or is started again.
    #[serde(rename = "for", with = "required_duration")]
    pub lasting: Duration,
}

/// The kinds of faults of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayFaultKind {
    /// The relay is frozen, and continues after the time.
    Pause,
    /// The relay is killed, and started again after the time. It forgets what it
    /// kept in memory.
    Restart,
    /// The relay is killed for good.
    Kill,
}

/// Durations with their units, such as `1m 30s`.
pub(super) mod required_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            let message =
                format!("`{text}` is no duration ({error}); write it as \"10s\" or \"2m\"");
            serde::de::Error::custom(message)
        })
    }
}

/// Optional durations with their units.
pub(super) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::required_duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::required_duration::deserialize(deserializer).map(Some)
    }
}
