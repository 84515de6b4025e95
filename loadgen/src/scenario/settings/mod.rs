//! Settings: what a user wrote of a scenario, in a file or as flags. Whatever is
//! not written has a default.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use syncbench_reports::similar::similar;

use super::{
    Access, Arrivals, Churn, Document, DocumentForm, EditKind, HistoryKind, LinkClass, LinkFault,
    Phase, Presence, ProtocolKind, RelayFault, RelayTarget, ReplicaKind, RoomClass, Scenario,
    ScenarioError, Stage, Verify, parts::optional_duration, parts::required_duration,
};
use crate::net::link::LinkConditions;
use crate::net::target::{UrlError, UrlTemplate};

/// A scenario as it was written. Files are strict: a key that is not here is an
/// error.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What the scenario shows, and what to look at in its result.
    pub analysis: Option<String>,
    /// How long edits are scheduled; not with stages, whose sum it is then.
    #[serde(with = "optional_duration")]
    pub duration: Option<Duration>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// How long, at the end, no delivery may arrive before the run gives up.
    #[serde(with = "optional_duration")]
    pub drain_timeout: Option<Duration>,
    /// Conditions that the run must keep to, such as `propagation.p99 < 100ms`.
    pub thresholds: Vec<String>,
    /// Whether to end the run as soon as one of them cannot be kept any more.
    pub abort: bool,
    /// The relay to load.
    pub relay: RelaySettings,
    /// The rooms, by size; instead of `clients.count` and `clients.rooms`.
    pub rooms: Vec<RoomSettings>,
    /// Who loads it.
    pub clients: ClientSettings,
    /// What the rooms contain before the first edit.
    pub document: DocumentSettings,
    /// What the clients do.
    pub workload: WorkloadSettings,
    /// How often clients say where they are.
    pub presence: Option<PresenceSettings>,
    /// How rate and number of clients change over time.
    pub stages: Vec<StageSettings>,
    /// The networks that clients are behind.
    pub link: Vec<LinkSettings>,
    /// Who leaves and is replaced.
    pub churn: ChurnSettings,
    /// What happens to the relay.
    pub fault: Vec<RelayFaultSettings>,
}

/// Rooms of one size.
pub type RoomSettings = RoomClass;

/// Something that happens to the relay.
pub type RelayFaultSettings = RelayFault;

/// The relay to load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySettings {
    /// How clients and relay speak.
    pub protocol: Option<ProtocolKind>,
    /// The address of a relay that runs already, `{room}` and `{client}` in it;
    /// without one, the embedded relay.
    pub url: Option<String>,
    /// A program that is the relay, with its arguments; `url` says where it
    /// listens.
    pub command: Option<String>,
    /// How long an own relay may take to answer.
    #[serde(with = "optional_duration")]
    pub ready_timeout: Option<Duration>,
    /// What the embedded relay keeps.
    pub history: Option<HistoryKind>,
    /// Header lines of the WebSocket handshake.
    pub headers: BTreeMap<String, String>,
    /// The WebSocket subprotocol asked for.
    pub subprotocol: Option<String>,
    /// Environment variable that holds a bearer token.
    pub token_env: Option<String>,
    /// File that holds a bearer token.
    pub token_file: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure: bool,
}

/// Who loads the relay.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// Simulated clients that are there from the start.
    pub count: Option<u32>,
    /// Rooms that they are spread over.
    pub rooms: Option<u32>,
    /// How many of them write; all, if not said.
    pub writers: Option<u32>,
    /// Clients that come later, evenly over the run.
    pub late: Option<u32>,
    /// What their copies of the document are.
    pub replica: Option<ReplicaKind>,
    /// Which are full replicas, where the others are light.
    pub verify: Option<Verify>,
    /// Time over which the clients of the start come.
    #[serde(with = "optional_duration")]
    pub ramp_up: Option<Duration>,
    /// Addresses of this machine that the clients connect from.
    pub sources: Vec<IpAddr>,
}

/// What the rooms contain before the first edit.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentSettings {
    /// Share of the data set's edits that were made already.
    pub typed: Option<f64>,
    /// How it is stored.
    pub form: Option<DocumentForm>,
    /// A file with one.
    pub file: Option<PathBuf>,
}

/// What the clients do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadSettings {
    /// Catalog name or path of the trace that they type.
    pub dataset: Option<String>,
    /// What an edit is.
    pub edits: Option<EditKind>,
    /// Edits per second, over all clients.
    pub rate: Option<f64>,
    /// How the edits of one client follow each other.
    pub arrivals: Option<Arrivals>,
    /// How the clients' constant rhythms lie to each other.
    pub phase: Option<Phase>,
    /// Bytes that each edit inserts, instead of what the trace says.
    pub payload: Option<u32>,
    /// Edits wait for so long and leave together.
    #[serde(with = "optional_duration")]
    pub batch: Option<Duration>,
}

/// How often clients say where they are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresenceSettings {
    /// Time between two of one client.
    #[serde(with = "required_duration")]
    pub every: Duration,
    /// Size of each, bytes.
    pub bytes: Option<u32>,
}

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSettings {
    /// What it is called in the result.
    pub name: Option<String>,
    /// How long it lasts.
    #[serde(with = "required_duration")]
    pub duration: Duration,
    /// Edits per second at its end; that of the stage before, if not said.
    pub rate: Option<f64>,
    /// Whether the rate goes there in a straight line.
    #[serde(default)]
    pub ramp: bool,
    /// Clients at its end.
    pub clients: Option<u32>,
}

/// A network that a share of the clients is behind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    /// What it is called in the result.
    pub name: Option<String>,
    /// Share of the clients; all, if not said.
    pub share: Option<f64>,
    /// One way.
    #[serde(default, with = "optional_duration")]
    pub delay: Option<Duration>,
    /// At most so much more.
    #[serde(default, with = "optional_duration")]
    pub jitter: Option<Duration>,
    /// Kilobits per second, each way.
    pub kbit: Option<u64>,
    /// What goes wrong on it.
    #[serde(default)]
    pub fault: Vec<LinkFault>,
}

/// Who leaves and is replaced.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChurnSettings {
    /// Clients that leave per second.
    pub per_second: Option<f64>,
}

/// Why settings make no scenario.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not TOML, or has keys or values that do not belong there.
    #[error("{0}")]
    File(String),
    /// The address of the relay is not usable.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The parts do not fit together.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// There is no token where it should be.
    #[error("no bearer token: {0}")]
    Token(String),
}

impl Settings {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// Where the file is wrong, and what could stand there.
    pub fn parse(toml: &str) -> Result<Self, SettingsError> {
        toml::from_str(toml).map_err(|error| SettingsError::File(explained(&error)))
    }

    /// Reads a scenario file, and puts `flags`, which are settings too, in the
    /// place of what it says. Thresholds of both are kept.
    ///
    /// # Errors
    /// As [`Settings::parse`], also for the flags.
    pub fn parse_with(toml: &str, flags: toml::Table) -> Result<Self, SettingsError> {
        let file = Self::parse(toml)?;
        let mut table: toml::Table =
            toml::from_str(toml).map_err(|error| SettingsError::File(explained(&error)))?;
        replace(&mut table, flags);
        let merged = Settings::deserialize(table);
        let mut merged = merged.map_err(|error| SettingsError::File(explained(&error)))?;
        if file.thresholds != merged.thresholds {
            merged.thresholds = [file.thresholds, merged.thresholds].concat();
        }
        Ok(merged)
    }

    /// The scenario, defaults filled in.
    ///
    /// # Errors
    /// The first contradiction, and the mend.
    pub fn scenario(self) -> Result<Scenario, SettingsError> {
        let default = Scenario::default();
        let rate = self.workload.rate.unwrap_or(default.rate);
        let rooms = self.room_classes()?;
        let clients = match self.rooms.is_empty() {
            true => self.clients.count.unwrap_or(default.clients),
            false => rooms.iter().map(|class| class.count * class.size).sum(),
        };
        let stages = stages(self.stages, rate);
        if !stages.is_empty() && self.duration.is_some() {
            let message = "[[stages]] say how long the run is: drop `duration` (--duration)";
            return Err(ScenarioError::Contradiction(message.to_owned()).into());
        }
        let duration = match stages.is_empty() {
            true => self.duration.unwrap_or(default.duration),
            false => stages.iter().map(|stage| stage.duration).sum(),
        };
        let scenario = Scenario {
            relay: self.relay.target()?,
            protocol: self.relay.protocol.unwrap_or(default.protocol),
            history: self.relay.history.unwrap_or(default.history),
            ready_timeout: self.relay.ready_timeout.unwrap_or(default.ready_timeout),
            access: self.relay.access()?,
            rooms,
            clients,
            writers: self.clients.writers.unwrap_or(clients),
            late: self.clients.late.unwrap_or(default.late),
            replica: self.clients.replica.unwrap_or(default.replica),
            verify: self.clients.verify.unwrap_or(default.verify),
            ramp_up: self.clients.ramp_up.unwrap_or(default.ramp_up),
            sources: self.clients.sources,
            document: Document {
                typed: self.document.typed.unwrap_or(0.0),
                form: self.document.form.unwrap_or_default(),
                file: self.document.file,
            },
            rate,
            duration,
            stages,
            arrivals: self.workload.arrivals.unwrap_or(default.arrivals),
            phase: self.workload.phase.unwrap_or(default.phase),
            edits: self.workload.edits.unwrap_or(default.edits),
            payload: self.workload.payload,
            batch: self.workload.batch.unwrap_or(default.batch),
            presence: self.presence.map(|presence| Presence {
                every: presence.every,
                bytes: presence.bytes.unwrap_or(64),
            }),
            dataset: self.workload.dataset.unwrap_or(default.dataset),
            links: self.link.into_iter().map(LinkSettings::class).collect(),
            churn: Churn {
                per_second: self.churn.per_second.unwrap_or(0.0),
            },
            faults: self.fault,
            seed: self.seed.unwrap_or(default.seed),
            drain_timeout: self.drain_timeout.unwrap_or(default.drain_timeout),
            thresholds: self.thresholds,
            abort: self.abort,
            analysis: self.analysis.unwrap_or_default(),
            workers: default.workers,
        };
        scenario.validate()?;
        Ok(scenario)
    }

    /// The rooms by size: as written, or evenly from the numbers of clients
    /// and rooms.
    fn room_classes(&self) -> Result<Vec<RoomClass>, ScenarioError> {
        if !self.rooms.is_empty() {
            if self.clients.count.is_some() || self.clients.rooms.is_some() {
                let message = "[[rooms]] say how many clients and rooms there are: drop \
                               `count` and `rooms` of [clients] (--clients, --rooms)";
                return Err(ScenarioError::Contradiction(message.to_owned()));
            }
            return Ok(self.rooms.clone());
        }
        let default = Scenario::default();
        let clients = self.clients.count.unwrap_or(default.clients);
        let rooms = self.clients.rooms.unwrap_or(40);
        if rooms == 0 {
            return Err(ScenarioError::NoRooms);
        }
        if rooms > clients && clients > 0 {
            return Err(ScenarioError::MoreRoomsThanClients { rooms, clients });
        }
        let larger = clients % rooms;
        let classes = [
            (larger, clients / rooms + 1),
            (rooms - larger, clients / rooms),
        ];
        let classes = classes.map(|(count, size)| RoomClass { count, size });
        Ok(classes
            .into_iter()
            .filter(|class| class.count > 0)
            .collect())
    }
}

impl RelaySettings {
    fn target(&self) -> Result<RelayTarget, SettingsError> {
        let url = self.url.as_deref().map(str::parse::<UrlTemplate>);
        match (self.command.clone(), url.transpose()?) {
            (None, None) => Ok(RelayTarget::Embedded),
            (None, Some(url)) => Ok(RelayTarget::Url(url)),
            (Some(command), Some(url)) => Ok(RelayTarget::Command { command, url }),
            (Some(_), None) => {
                let message = "`command` starts a relay, and `url` must say where it listens \
                               (--relay)";
                Err(ScenarioError::Contradiction(message.to_owned()).into())
            }
        }
    }

    fn access(&self) -> Result<Access, SettingsError> {
        Ok(Access {
            headers: self.headers.clone(),
            subprotocol: self.subprotocol.clone(),
            token: self.token()?,
            insecure: self.insecure,
        })
    }

    /// The bearer token, without the line end that files have.
    fn token(&self) -> Result<Option<String>, SettingsError> {
        let token = match (&self.token_env, &self.token_file) {
            (None, None) => return Ok(None),
            (Some(name), None) => {
                std::env::var(name).map_err(|_| format!("the environment has no variable `{name}`"))
            }
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display())),
            (Some(_), Some(_)) => Err("use either token_env or token_file".to_owned()),
        };
        let token = token.map_err(SettingsError::Token)?;
        Ok(Some(token.trim().to_owned()))
    }
}

impl LinkSettings {
    fn class(self) -> LinkClass {
        let nanos = |time: Option<Duration>| time.unwrap_or_default().as_nanos() as u64;
        let share = self.share.unwrap_or(1.0);
        LinkClass {
            name: self.name.unwrap_or_else(|| "link".to_owned()),
            share,
            quality: LinkConditions {
                delay: nanos(self.delay),
                jitter: nanos(self.jitter),
                bandwidth: self.kbit.map(|kbit| kbit * 1_000 / 8),
            },
            faults: self.fault,
        }
    }
}

/// The stages, each with a name and a rate.
fn stages(written: Vec<StageSettings>, rate: f64) -> Vec<Stage> {
    let mut before = rate;
    let named = (1..).zip(written);
    named
        .map(|(number, stage)| {
            before = stage.rate.unwrap_or(before);
            Stage {
                name: stage.name.unwrap_or_else(|| format!("stage-{number}")),
                duration: stage.duration,
                rate: before,
                ramp: stage.ramp,
                clients: stage.clients,
            }
        })
        .collect()
}

/// Puts the values of `with` in the place of those of `table`, key by key.
fn replace(table: &mut toml::Table, with: toml::Table) {
    for (key, value) in with {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => replace(old, new),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// The message of the parser, which shows the place, and what was probably
/// meant.
fn explained(error: &toml::de::Error) -> String {
    let message = error.to_string();
    let text = error.message();
    let Some(rest) = text.strip_prefix("unknown field `") else {
        return message.trim_end().to_owned();
    };
    let mut names = rest.split('`').step_by(2);
    let written = names.next().unwrap_or_default();
    match similar(written, names) {
        Some(name) => format!("{}\ndid you mean `{name}`?", message.trim_end()),
        None => message.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests;
