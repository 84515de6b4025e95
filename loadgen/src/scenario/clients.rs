//! Settings of the clients: their number, their rooms and their replicas.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounds::Within;
use super::time::Time;

/// The clients that load the relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clients {
    /// Simulated clients at the start.
    #[serde(with = "Within::<u32, 1, 1_000_000>")]
    pub count: u32,
    /// Rooms that the clients are spread over evenly; a room is one shared
    /// document.
    #[serde(with = "Within::<u32, 1, 1_000_000>")]
    pub rooms: u32,
    /// Clients that write; the others only read. All, if absent.
    #[serde(
        with = "Within::<u32, 1, 1_000_000>",
        skip_serializing_if = "Option::is_none"
    )]
    pub writers: Option<u32>,
    /// Clients that arrive later, evenly over the run, with an empty replica.
    #[serde(with = "Within::<u32, 0, 1_000_000>")]
    pub late: u32,
    /// The kind of replica that each client keeps.
    pub replica: ReplicaKind,
    /// What is compared at the end where replicas are light.
    pub verify: Verify,
    /// The time over which the initial clients connect one after the other,
    /// before the schedule begins.
    #[serde(with = "Time")]
    pub ramp_up: Duration,
    /// Addresses of this machine that the clients connect from, in turn; any,
    /// if empty.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Vec<String>", inner(regex(pattern = r"^[0-9A-Fa-f.:]+$")))
    )]
    pub sources: Vec<IpAddr>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            count: 200,
            rooms: 40,
            writers: None,
            late: 0,
            replica: ReplicaKind::Auto,
            verify: Verify::Sample,
            ramp_up: Duration::ZERO,
            sources: Vec::new(),
        }
    }
}

impl Clients {
    /// The given number of clients, with default settings.
    pub fn new(count: u32) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// The number of initial clients that write.
    pub fn writer_count(&self) -> u32 {
        self.writers.unwrap_or(self.count)
    }

    /// The rooms that `count` and `rooms` stand for, by size: as even as whole
    /// clients allow.
    pub(super) fn spread(&self) -> Vec<RoomClass> {
        let Some(larger) = self.count.checked_rem(self.rooms) else {
            return Vec::new();
        };
        let size = self.count / self.rooms;
        let classes = [(larger, size + 1), (self.rooms - larger, size)];
        let classes = classes.map(|(count, size)| RoomClass { count, size });
        let used = classes.into_iter().filter(|class| class.count > 0);
        used.collect()
    }
}

/// Rooms of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RoomClass {
    /// Rooms of this size.
    #[serde(with = "Within::<u32, 1, 1_000_000>")]
    pub count: u32,
    /// Initial clients in each of these rooms.
    #[serde(with = "Within::<u32, 1, 1_000_000>")]
    pub size: u32,
}

/// The kind of copy that a client keeps of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ReplicaKind {
    /// Full while all of them together import little, otherwise light
    Auto,
    /// A document that imports what it receives
    Full,
    /// The version of a document: the operations that it has received
    Light,
}

/// What is compared at the end where replicas are light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verify {
    /// The documents of two in each room, made after the run, and the versions of all
    Sample,
    /// Versions alone
    Versions,
}

/// Clients that leave for good, each replaced by a new one with an empty
/// replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Churn {
    /// Clients that leave per second, at random times.
    #[serde(with = "Within::<f64, 0, 1_000_000>")]
    pub per_second: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_spread_evenly_over_rooms() {
        for (count, rooms, expected) in [
            (200, 40, vec![(40, 5)]),
            (7, 3, vec![(1, 3), (2, 2)]),
            (3, 4, vec![(3, 1), (1, 0)]),
            (0, 2, vec![(2, 0)]),
            (5, 0, vec![]),
        ] {
            let clients = Clients {
                rooms,
                ..Clients::new(count)
            };
            let classes = clients.spread().into_iter();
            let classes: Vec<_> = classes.map(|class| (class.count, class.size)).collect();
            assert_eq!(classes, expected, "{count} in {rooms}");
        }
    }
}
