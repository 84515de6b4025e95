//! Whether the replicas of a run converged, and what they lack if not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of the convergence check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Convergence {
    /// Rooms checked.
    pub rooms: u64,
    /// Rooms in which all replicas contain every edit sent and nothing pending,
    /// and those with equal version vectors have equal deep-value hashes. Without
    /// strangers in the room, all version vectors are equal.
    pub converged: u64,
    /// Edits sent that never arrived at some replica of the room, counted once
    /// per replica. Records without `pending` also count here the edits that
    /// arrived and wait for these.
    pub lost: u64,
    /// The part of `lost` at replicas of clients that came late or had lost their
    /// connection.
    #[serde(default)]
    pub lost_by_absence: u64,
    /// Edits that arrived at a replica and wait there for operations that did not,
    /// counted once per replica.
    #[serde(default)]
    pub pending: u64,
    /// Replicas whose documents were compared by value; the others were compared
    /// by version alone.
    #[serde(default)]
    pub compared: u64,
    /// Updates that reached a replica which already had all of them.
    pub duplicated: u64,
    /// Updates and messages of the protocol that could not be read or imported.
    pub corrupt: u64,
    /// Frames that are neither updates nor messages of the protocol: greetings,
    /// heartbeats, another protocol.
    #[serde(default)]
    pub unexpected_frames: u64,
    /// Updates with operations of a client of another room of the run.
    #[serde(default)]
    pub leaked: u64,
    /// Updates with operations of strangers: peers that are neither clients of
    /// the run nor in its initial document, such as a person's or another run's.
    #[serde(default)]
    pub foreign: u64,
    /// Operations of strangers in the rooms, each counted once.
    #[serde(default)]
    pub foreign_operations: u64,
    /// The strangers, by room and peer (at most 20 are kept).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = 20)))]
    pub strangers: Vec<Stranger>,
    /// One entry per room that did not converge (at most 100 are kept).
    #[cfg_attr(feature = "schema", schemars(length(max = 100)))]
    pub failures: Vec<ConvergenceFailure>,
}

/// A peer whose operations were in a room, though it is no client of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stranger {
    /// The room's name, as in its URL.
    pub room: String,
    /// The peer id, in decimal.
    pub peer: String,
    /// Its operations in the room.
    pub operations: u64,
}

/// A room that did not converge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConvergenceFailure {
    /// The room's name, as in its URL.
    pub room: String,
    /// The clients whose replicas are at fault, as `client-<n>`.
    pub replicas: Vec<String>,
    /// The operations that never arrived, as `peer:from..to` operation counters.
    pub missing: Vec<String>,
    /// The first edit that never arrived at some replica, by its intended time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_lost: Option<LostEdit>,
    /// The finding in words.
    pub reason: String,
}

/// An edit that never arrived at a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LostEdit {
    /// The operations that did not arrive, as `peer:from..to` operation counters.
    pub operations: String,
    /// The client that made it, as `client-<n>`.
    pub writer: String,
    /// The client that did not receive it, as `client-<n>`.
    pub receiver: String,
    /// The time that the schedule intended for it, nanoseconds since the
    /// schedule's start; absent if every client that was owed the edit received
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended_ns: Option<u64>,
}

impl fmt::Display for LostEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.operations, self.writer)?;
        if let Some(intended) = self.intended_ns {
            write!(f, ", made at {:.3} s,", intended as f64 / 1e9)?;
        }
        write!(f, " at {}", self.receiver)
    }
}
