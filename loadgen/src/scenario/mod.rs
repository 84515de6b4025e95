//! The description of a load run: relay, rooms, clients, edits, links, faults.

mod parts;
mod settings;
mod shipped;

use std::time::Duration;

use serde::{Serialize, Serializer};

pub use crate::protocol::ProtocolKind;
pub use crate::relay::HistoryKind;
pub use parts::*;
pub use settings::{
    ChurnSettings, ClientSettings, DocumentSettings, LinkSettings, PresenceSettings,
    RelayFaultSettings, RelaySettings, RoomSettings, Settings, SettingsError, StageSettings,
    WorkloadSettings,
};
pub use shipped::{SHIPPED, Shipped};

/// A complete description of one load run, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// The relay to load.
    pub relay: RelayTarget,
    /// The protocol between clients and relay.
    pub protocol: ProtocolKind,
    /// The history that the embedded relay keeps, where its protocol keeps any.
    pub history: HistoryKind,
    /// The credentials and headers of a connection.
    pub access: Access,
    /// The rooms, by size.
    pub rooms: Vec<RoomClass>,
    /// The number of initial clients.
    pub clients: u32,
    /// The number of clients that write; the others only read.
    pub writers: u32,
    /// The number of clients that join later with empty replicas, spread evenly
    /// over the run.
    pub late: u32,
    /// The kind of replica that each client keeps.
    pub replica: ReplicaKind,
    /// The clients that are full replicas where the others are light.
    pub verify: Verify,
    /// The time over which the initial clients connect, one after the other, before
    /// the schedule begins.
    #[serde(serialize_with = "seconds", rename = "ramp_up_s")]
    pub ramp_up: Duration,
    /// Addresses that the clients connect from; any if empty.
    pub sources: Vec<std::net::IpAddr>,
    /// The document that rooms contain before the first edit.
    pub document: Document,
    /// Edits per second, over all clients.
    pub rate: f64,
    /// The length of the schedule.
    #[serde(serialize_with = "seconds", rename = "duration_s")]
    pub duration: Duration,
    /// The stages in which rate and number of clients change; one rate if empty.
    pub stages: Vec<Stage>,
    /// The distances between the edits of one client.
    pub arrivals: Arrivals,
    /// The phase of the clients' constant-rate schedules.
    pub phase: Phase,
    /// The kind of edits.
    pub edits: EditKind,
    /// The number of meaningless bytes that each edit inserts instead of the
    /// trace's text.
    pub payload: Option<u32>,
    /// The time that edits wait to leave together; with zero, each edit is an
    /// update.
    #[serde(serialize_with = "seconds", rename = "batch_s")]
    pub batch: Duration,
    /// The presence messages of each client, where the protocol carries them.
    pub presence: Option<Presence>,
    /// Catalog name or path of the trace that the writers replay.
    pub dataset: String,
    /// The simulated networks; the clients left over have none.
    pub links: Vec<LinkClass>,
    /// The clients that leave and are replaced.
    pub churn: Churn,
    /// The faults of the relay.
    pub faults: Vec<RelayFault>,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads that simulate clients. A room lives in one of them.
    pub workers: usize,
    /// The time without any delivery at the end of the run after which missing
    /// edits count as lost.
    #[serde(serialize_with = "seconds", rename = "drain_timeout_s")]
    pub drain_timeout: Duration,
    /// The time within which a relay that the run starts must answer.
    #[serde(serialize_with = "seconds", rename = "ready_timeout_s")]
    pub ready_timeout: Duration,
    /// The conditions that must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<String>,
    /// Whether to stop the run as soon as a condition can no longer be met.
    pub abort: bool,
    /// The purpose of the scenario, and the parts of the result to look at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub analysis: String,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Default for Scenario {
    /// The default run: 200 clients in 40 rooms, 1,000 edits/s for 10 s.
    fn default() -> Self {
        Self {
            relay: RelayTarget::Embedded,
            protocol: ProtocolKind::Broadcast,
            history: HistoryKind::Full,
            access: Access::default(),
            rooms: vec![RoomClass { count: 40, size: 5 }],
            clients: 200,
            writers: 200,
            late: 0,
            replica: ReplicaKind::Full,
            verify: Verify::Sample,
            ramp_up: Duration::ZERO,
            sources: Vec::new(),
            document: Document::default(),
            rate: 1_000.0,
            duration: Duration::from_secs(10),
            stages: Vec::new(),
            arrivals: Arrivals::Constant,
            phase: Phase::Spread,
            edits: EditKind::Trace,
            payload: None,
            batch: Duration::ZERO,
            presence: None,
            dataset: "automerge-paper".to_owned(),
            links: Vec::new(),
            churn: Churn::default(),
            faults: Vec::new(),
            seed: 1,
            workers: default_workers(),
            drain_timeout: Duration::from_secs(10),
            ready_timeout: Duration::from_secs(10),
            thresholds: Vec::new(),
            abort: false,
            analysis: String::new(),
        }
    }
}

/// The number of CPUs less one, which the relay needs.
fn default_workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, |cpus| cpus.get() - 1)
        .max(1)
}

/// Why a scenario cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// There are no clients to simulate.
    #[error("0 clients: a run needs at least one (--clients)")]
    NoClients,
    /// There are no rooms.
    #[error("0 rooms: a run needs at least one (--rooms)")]
    NoRooms,
    /// Some rooms would be empty.
    #[error("{rooms} rooms for {clients} clients: use at most {clients} rooms, or more clients")]
    MoreRoomsThanClients {
        /// The number of rooms.
        rooms: u32,
        /// The number of clients.
        clients: u32,
    },
    /// There are more writers than clients.
    #[error("{writers} writers of {clients} clients: use at most {clients} writers")]
    MoreWritersThanClients {
        /// The number of writers.
        writers: u32,
        /// The number of clients.
        clients: u32,
    },
    /// Not a usable rate.
    #[error("rate {0}: edits per second must be above 0 and at most 100,000,000 (--rate)")]
    Rate(String),
    /// Not a usable duration.
    #[error("{what} {value:?}: must be above 0 and at most 24 h")]
    Duration {
        /// The setting.
        what: String,
        /// The value.
        value: Duration,
    },
    /// Poisson arrivals cannot be locked.
    #[error("{0} arrivals have no phase: drop phase locked, or use constant arrivals")]
    LockedArrivals(Arrivals),
    /// A share outside 0 to 1, or shares of more than all.
    #[error("{0}")]
    Share(String),
    /// Settings that exclude each other, or cannot be done.
    #[error("{0}")]
    Contradiction(String),
}

const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Scenario {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// When they do not: names the first contradiction, and the fix.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        self.validate_population()?;
        lasts("duration", self.duration)?;
        // Written so that NaN is refused as well.
        if !(self.rate > 0.0 && self.rate <= 1e8) {
            return Err(ScenarioError::Rate(self.rate.to_string()));
        }
        if self.arrivals != Arrivals::Constant && self.phase == Phase::Locked {
            return Err(ScenarioError::LockedArrivals(self.arrivals));
        }
        self.validate_stages()?;
        self.validate_links()?;
        self.validate_relay()
    }

    fn validate_population(&self) -> Result<(), ScenarioError> {
        let (clients, writers, rooms) = (self.clients, self.writers, self.room_count());
        if clients == 0 {
            return Err(ScenarioError::NoClients);
        }
        if rooms == 0 {
            return Err(ScenarioError::NoRooms);
        }
        if rooms > clients {
            return Err(ScenarioError::MoreRoomsThanClients { rooms, clients });
        }
        if writers > clients {
            return Err(ScenarioError::MoreWritersThanClients { writers, clients });
        }
        if clients.saturating_add(self.late) > 1_000_000 {
            let message = "more than 1,000,000 clients: use fewer, or several machines";
            return Err(ScenarioError::Contradiction(message.to_owned()));
        }
        Ok(())
    }

    fn validate_stages(&self) -> Result<(), ScenarioError> {
        for stage in &self.stages {
            lasts(&format!("stage `{}`: duration", stage.name), stage.duration)?;
            if !(0.0..=1e8).contains(&stage.rate) {
                return Err(ScenarioError::Rate(stage.rate.to_string()));
            }
            if stage.clients.is_some_and(|clients| clients > self.clients) {
                let message = format!(
                    "stage `{}` has more clients than [clients] count = {}: that is the most",
                    stage.name, self.clients
                );
                return Err(ScenarioError::Contradiction(message));
            }
        }
        Ok(())
    }

    fn validate_links(&self) -> Result<(), ScenarioError> {
        let mut all = 0.0;
        for link in &self.links {
            if !(link.share > 0.0 && link.share <= 1.0) {
                return Err(ScenarioError::Share(format!(
                    "link `{}`: share {} must be above 0 and at most 1",
                    link.name, link.share
                )));
            }
            all += link.share;
            for fault in &link.faults {
                fault.validate(&link.name, self.duration)?;
            }
        }
        if all > 1.0 + 1e-9 {
            return Err(ScenarioError::Share(format!(
                "the shares of all links add up to {all}: at most 1 is there"
            )));
        }
        if !(0.0..=1e6).contains(&self.churn.per_second) {
            return Err(ScenarioError::Contradiction(format!(
                "churn: {} clients a second that leave must be 0 to 1,000,000",
                self.churn.per_second
            )));
        }
        Ok(())
    }

    fn validate_relay(&self) -> Result<(), ScenarioError> {
        let owned = !matches!(self.relay, RelayTarget::Url(_));
        if !self.faults.is_empty() && !owned {
            let message = "[[fault]] needs a relay that this run owns: embedded, or `command`";
            return Err(ScenarioError::Contradiction(message.to_owned()));
        }
        let late = self.faults.iter().find(|fault| fault.at >= self.duration);
        if let Some(fault) = late {
            return Err(ScenarioError::Contradiction(format!(
                "[[fault]] at {:?} is after the run's {:?}",
                fault.at, self.duration
            )));
        }
        if self.presence.is_some() && !self.protocol.carries_presence() {
            let message = "protocol broadcast carries no presence: drop [presence], or use loro";
            return Err(ScenarioError::Contradiction(message.to_owned()));
        }
        if self.replica == ReplicaKind::Light && self.edits != EditKind::Trace {
            let message = "light replicas have no document but their own text: only trace edits";
            return Err(ScenarioError::Contradiction(message.to_owned()));
        }
        self.validate_document()
    }

    fn validate_document(&self) -> Result<(), ScenarioError> {
        let is_typed = self.document.typed > 0.0 || self.document.form != DocumentForm::default();
        if self.document.file.is_some() && is_typed {
            let message = "[document] is either a `file`, stored as it is, or `typed` in a `form`";
            return Err(ScenarioError::Contradiction(message.to_owned()));
        }
        if self.document.typed == 0.0 || self.document.form != DocumentForm::Shallow {
            return Ok(());
        }
        let message = if self.edits == EditKind::ReplaceAll {
            "edits replace-all send the whole history, which a shallow document does not have: \
             use the form snapshot or updates"
        } else if self.replica == ReplicaKind::Light {
            "light replicas edit without the document, and a shallow one refuses edits that do \
             not build on it: use the form snapshot or updates"
        } else {
            return Ok(());
        };
        Err(ScenarioError::Contradiction(message.to_owned()))
    }

    /// The number of rooms.
    pub fn room_count(&self) -> u32 {
        self.rooms.iter().map(|class| class.count).sum()
    }

    /// Edits per second of one writer, while the rate is that of the scenario.
    pub fn rate_per_writer(&self) -> f64 {
        self.rate / f64::from(self.writers.max(1))
    }
}

/// Refuses a duration of zero, and of more than a day.
fn lasts(what: &str, value: Duration) -> Result<(), ScenarioError> {
    if value.is_zero() || value > LONGEST {
        let what = what.to_owned();
        return Err(ScenarioError::Duration { what, value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_named() {
        let default = Scenario::default;
        let check = |scenario: Scenario| scenario.validate().unwrap_err();
        let none = Scenario {
            clients: 0,
            ..default()
        };
        assert_eq!(check(none), ScenarioError::NoClients);
        let none = Scenario {
            rooms: Vec::new(),
            ..default()
        };
        assert_eq!(check(none), ScenarioError::NoRooms);
        let crowded = Scenario {
            rooms: vec![RoomClass {
                count: 201,
                size: 1,
            }],
            ..default()
        };
        assert!(check(crowded).to_string().contains("at most 200 rooms"));
        let busy = Scenario {
            writers: 201,
            ..default()
        };
        assert!(check(busy).to_string().contains("at most 200 writers"));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let scenario = Scenario { rate, ..default() };
            assert!(matches!(check(scenario), ScenarioError::Rate(_)));
        }
        let scenario = Scenario {
            duration: Duration::ZERO,
            ..default()
        };
        assert!(matches!(check(scenario), ScenarioError::Duration { .. }));
    }
}
