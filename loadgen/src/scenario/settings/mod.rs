//! Settings: a scenario as the user wrote it, in a file or as flags. Every setting
//! that is not written has a default.

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
    /// The purpose of the scenario, and the parts of the result to look at.
    pub analysis: Option<String>,
    /// The length of the schedule; with stages it is their sum and must not be
    /// given.
    #[serde(with = "optional_duration")]
    pub duration: Option<Duration>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// The time without any delivery at the end of the run after which missing
    /// edits count as lost.
    #[serde(with = "optional_duration")]
    pub drain_timeout: Option<Duration>,
    /// The conditions that must hold, such as `propagation.p99 < 100ms`.
    pub thresholds: Vec<String>,
    /// Whether to stop the run as soon as one of them can no longer be met.
    pub abort: bool,
    /// The relay to load.
    pub relay: RelaySettings,
    /// The rooms, by size; instead of `clients.count` and `clients.rooms`.
    pub rooms: Vec<RoomSettings>,
    /// The clients.
    pub clients: ClientSettings,
    /// The document that rooms contain before the first edit.
    pub document: DocumentSettings,
    /// The edits.
    pub workload: WorkloadSettings,
    /// The presence messages.
    pub presence: Option<PresenceSettings>,
    /// The stages in which rate and number of clients change.
    pub stages: Vec<StageSettings>,
    /// The simulated networks.
    pub link: Vec<LinkSettings>,
    /// The clients that leave and are replaced.
    pub churn: ChurnSettings,
    /// The faults of the relay.
    pub fault: Vec<RelayFaultSettings>,
}

/// Rooms of one size.
pub type RoomSettings = RoomClass;

/// A fault of the relay.
pub type RelayFaultSettings = RelayFault;

/// The relay to load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySettings {
    /// The protocol between clients and relay.
    pub protocol: Option<ProtocolKind>,
    /// The address of a running relay, with `{room}` and `{client}` in it; without
    /// one, the embedded relay is started.
    pub url: Option<String>,
    /// The command that starts the relay; `url` gives its address.
    pub command: Option<String>,
    /// The time within which a relay that the run starts must answer.
    #[serde(with = "optional_duration")]
    pub ready_timeout: Option<Duration>,
    /// The history that the embedded relay keeps.
    pub history: Option<HistoryKind>,
    /// Header lines of the WebSocket handshake.
    pub headers: BTreeMap<String, String>,
    /// The WebSocket subprotocol that clients request.
    pub subprotocol: Option<String>,
    /// Environment variable that holds a bearer token.
    pub token_env: Option<String>,
    /// File that holds a bearer token.
    pub token_file: Option<PathBuf>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
}

/// The clients that load the relay.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// The number of initial clients.
    pub count: Option<u32>,
    /// The number of rooms that they are spread over.
    pub rooms: Option<u32>,
    /// The number of clients that write; by default, all.
    pub writers: Option<u32>,
    /// The number of clients that join later, spread evenly over the run.
    pub late: Option<u32>,
    /// The kind of replica that each client keeps.
    pub replica: Option<ReplicaKind>,
    /// The clients that are full replicas where the others are light.
    pub verify: Option<Verify>,
    /// The time over which the initial clients connect.
    #[serde(with = "optional_duration")]
    pub ramp_up: Option<Duration>,
    /// The addresses of this machine that the clients connect from.
    pub sources: Vec<IpAddr>,
}

/// The document that rooms contain before the first edit.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentSettings {
    /// The share of the data set's edits that have been made already.
    pub typed: Option<f64>,
    /// The form in which it is stored.
    pub form: Option<DocumentForm>,
    /// A file with an exported document.
    pub file: Option<PathBuf>,
}

/// The edits of the clients.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadSettings {
    /// Catalog name or path of the trace that they type.
    pub dataset: Option<String>,
    /// The kind of edits.
    pub edits: Option<EditKind>,
    /// Edits per second, over all clients.
    pub rate: Option<f64>,
    /// The distances between the edits of one client.
    pub arrivals: Option<Arrivals>,
    /// The phase of the clients' constant-rate schedules.
    pub phase: Option<Phase>,
    /// The number of bytes that each edit inserts instead of the trace's text.
    pub payload: Option<u32>,
    /// The time that edits wait to leave together.
    #[serde(with = "optional_duration")]
    pub batch: Option<Duration>,
}

/// The presence messages of the clients.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresenceSettings {
    /// The time between two messages of one client.
    #[serde(with = "required_duration")]
    pub every: Duration,
    /// The size of a message, bytes.
    pub bytes: Option<u32>,
}

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSettings {
    /// The name in the result.
    pub name: Option<String>,
    /// The length.
    #[serde(with = "required_duration")]
    pub duration: Duration,
    /// Edits per second at its end; by default, those of the stage before.
    pub rate: Option<f64>,
    /// Whether the rate changes linearly.
    #[serde(default)]
    pub ramp: bool,
    /// The number of clients at its end.
    pub clients: Option<u32>,
}

/// A simulated network that a share of the clients is behind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    /// The name in the result.
    pub name: Option<String>,
    /// The share of the clients behind it; by default, all.
    pub share: Option<f64>,
    /// The one-way delay.
    #[serde(default, with = "optional_duration")]
    pub delay: Option<Duration>,
    /// The maximum additional delay.
    #[serde(default, with = "optional_duration")]
    pub jitter: Option<Duration>,
    /// The bandwidth each way, kilobits per second.
    pub kbit: Option<u64>,
    /// The faults of the link.
    #[serde(default)]
    pub fault: Vec<LinkFault>,
}

/// The clients that leave and are replaced.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChurnSettings {
    /// The number of clients that leave per second.
    pub per_second: Option<f64>,
}

/// The reasons why settings are no valid scenario.
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
    /// The bearer token cannot be read.
    #[error("no bearer token: {0}")]
    Token(String),
}

impl Settings {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// When the file is wrong: names the place and the keys that are possible there.
    pub fn parse(toml: &str) -> Result<Self, SettingsError> {
        toml::from_str(toml).map_err(|error| SettingsError::File(explained(&error)))
    }

    /// Reads a scenario file and lets `flags`, which are settings too, override it.
    /// Thresholds of both are kept.
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
    /// When settings contradict each other: names the first contradiction and the
    /// fix.
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

    /// Reads the bearer token, without the line end of a file.
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

/// Overrides the values of `table` by those of `with`, key by key.
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

/// The message of the parser, which shows the place, with the key that was
/// probably meant.
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
