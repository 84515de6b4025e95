//! What a load run does: clients, rooms, rate, relay.

mod settings;
mod shipped;

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::target::UrlTemplate;

pub use settings::{ClientSettings, RelaySettings, Settings, SettingsError, WorkloadSettings};
pub use shipped::{SHIPPED, Shipped};

/// A complete description of one load run, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// The relay to load.
    pub relay: RelayTarget,
    /// How clients and relay speak.
    pub protocol: ProtocolKind,
    /// Simulated clients, each with a full replica; every client writes.
    pub clients: u32,
    /// Rooms; client `c` is in room `c % rooms`.
    pub rooms: u32,
    /// Edits per second, over all clients.
    pub rate: f64,
    /// How long edits are scheduled.
    #[serde(serialize_with = "seconds", rename = "duration_s")]
    pub duration: Duration,
    /// How the edits of one client follow each other.
    pub arrivals: Arrivals,
    /// How the clients' constant rhythms lie to each other.
    pub phase: Phase,
    /// Catalog name or path of the trace that the writers replay.
    pub dataset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads that simulate clients. A room lives in one of them.
    pub workers: usize,
    /// How long, at the end, no delivery may arrive before the run gives up
    /// waiting for the edits that are still missing.
    #[serde(serialize_with = "seconds", rename = "drain_timeout_s")]
    pub drain_timeout: Duration,
    /// Conditions that the run must keep to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<String>,
    /// What the scenario shows, and what to look at in its result.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub analysis: String,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// The relay to load.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayTarget {
    /// The embedded relay, started for the run as a process of its own.
    Embedded,
    /// A relay that is already running.
    Url(UrlTemplate),
}

/// How clients and relay speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolKind {
    /// Raw updates in binary frames, forwarded to everyone else in the room.
    Broadcast,
    /// loro-protocol version 1: joins, acknowledged updates, presence.
    Loro,
}

/// How the edits of one client follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// At random, with independent exponential distances.
    Poisson,
}

/// How the constant rhythms of the clients lie to each other. This alone
/// changes the cost per delivery about twofold, so it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Evenly over the period: the load is smooth.
    Spread,
    /// All at once: the load comes in bursts.
    Locked,
}

impl Default for Scenario {
    /// The default run: 200 clients in 40 rooms, 1,000 edits/s for 10 s.
    fn default() -> Self {
        Self {
            relay: RelayTarget::Embedded,
            protocol: ProtocolKind::Broadcast,
            clients: 200,
            rooms: 40,
            rate: 1_000.0,
            duration: Duration::from_secs(10),
            arrivals: Arrivals::Constant,
            phase: Phase::Spread,
            dataset: "automerge-paper".to_owned(),
            seed: 1,
            workers: default_workers(),
            drain_timeout: Duration::from_secs(10),
            thresholds: Vec::new(),
            analysis: String::new(),
        }
    }
}

/// All CPUs but one, which the relay needs.
fn default_workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, |cpus| cpus.get() - 1)
        .max(1)
}

/// Why a scenario cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// There is nobody to simulate.
    #[error("0 clients: a run needs at least one (--clients)")]
    NoClients,
    /// There is no room to be in.
    #[error("0 rooms: a run needs at least one (--rooms)")]
    NoRooms,
    /// Some rooms would be empty.
    #[error("{rooms} rooms for {clients} clients: use at most {clients} rooms, or more clients")]
    MoreRoomsThanClients {
        /// Rooms asked for.
        rooms: u32,
        /// Clients asked for.
        clients: u32,
    },
    /// Not a usable rate.
    #[error("rate {0}: edits per second must be above 0 and at most 100,000,000 (--rate)")]
    Rate(String),
    /// Not a usable duration.
    #[error("duration {0:?}: must be above 0 and at most 24 h (--duration)")]
    Duration(Duration),
    /// Poisson arrivals cannot be locked.
    #[error("poisson arrivals have no phase: drop --phase locked, or use --arrivals constant")]
    LockedPoisson,
}

impl Scenario {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// Names the first contradiction, and the mend.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        if self.clients == 0 {
            return Err(ScenarioError::NoClients);
        }
        if self.rooms == 0 {
            return Err(ScenarioError::NoRooms);
        }
        if self.rooms > self.clients {
            let (rooms, clients) = (self.rooms, self.clients);
            return Err(ScenarioError::MoreRoomsThanClients { rooms, clients });
        }
        // Written so that NaN is refused as well.
        if !(self.rate > 0.0 && self.rate <= 1e8) {
            return Err(ScenarioError::Rate(self.rate.to_string()));
        }
        if self.duration.is_zero() || self.duration > Duration::from_secs(24 * 3600) {
            return Err(ScenarioError::Duration(self.duration));
        }
        if self.arrivals == Arrivals::Poisson && self.phase == Phase::Locked {
            return Err(ScenarioError::LockedPoisson);
        }
        Ok(())
    }

    /// The clients of a room, ascending.
    pub fn clients_of(&self, room: u32) -> impl Iterator<Item = u32> + use<> {
        (room..self.clients).step_by(self.rooms as usize)
    }

    /// Edits per second of one client.
    pub fn rate_per_client(&self) -> f64 {
        self.rate / f64::from(self.clients)
    }
}

/// The name of a room, as in its URL.
pub fn room_name(room: u32) -> String {
    format!("room-{room}")
}

/// The name of a client, as in messages and URLs.
pub fn client_name(client: u32) -> String {
    format!("client-{client}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_in_exactly_one_room() {
        let scenario = Scenario {
            clients: 17,
            rooms: 5,
            ..Scenario::default()
        };
        let mut seen: Vec<u32> = (0..5).flat_map(|room| scenario.clients_of(room)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..17).collect::<Vec<_>>());
    }

    #[test]
    fn contradictions_are_named() {
        let default = Scenario::default;
        let check = |scenario: Scenario| scenario.validate().unwrap_err();
        assert_eq!(
            check(Scenario {
                clients: 0,
                ..default()
            }),
            ScenarioError::NoClients
        );
        assert_eq!(
            check(Scenario {
                rooms: 0,
                ..default()
            }),
            ScenarioError::NoRooms
        );
        assert!(
            check(Scenario {
                rooms: 201,
                ..default()
            })
            .to_string()
            .contains("at most 200 rooms")
        );
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                check(Scenario { rate, ..default() }),
                ScenarioError::Rate(_)
            ));
        }
        let duration = Duration::ZERO;
        assert_eq!(
            check(Scenario {
                duration,
                ..default()
            }),
            ScenarioError::Duration(duration)
        );
    }
}
