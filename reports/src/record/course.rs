//! The course of a load run: what happened to it on the way.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Signal, WorkerUse};

/// The course of a load run. Times are nanoseconds since the schedule's start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Course {
    /// The planned length of the schedule, nanoseconds.
    pub planned_ns: u64,
    /// Faults of the relay that the scenario planned; lost connections are no
    /// failure then.
    pub planned_faults: u64,
    /// The faults that the scenario caused in the relay, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Incident>,
    /// The time at which a signal interrupted the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_ns: Option<u64>,
    /// The signal that interrupted the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_by: Option<Signal>,
    /// The user allowed a partial run: an interrupted one is judged by what it
    /// measured, like one that ended as planned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial_allowed: bool,
    /// The run was stopped because a threshold could no longer be met, or no room
    /// was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<Incident>,
    /// The relay's process ended without the scenario's doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_ended: Option<Incident>,
    /// The time at which the run was stopped because no client could reach the
    /// relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_ns: Option<u64>,
    /// A worker of the generator failed, so that its rooms were not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_failed: Option<Incident>,
    /// Rooms that ended before the run did, because a library or the generator
    /// panicked in them; ascending by time; at most 100 are kept. They were not
    /// checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_rooms: Vec<EndedRoom>,
    /// Connections that were lost without the scenario's doing, ascending by
    /// time; at most 100 are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_connections: Vec<LostConnection>,
    /// The reason that the relay gave when it refused an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The reason that the relay gave when it refused a presence message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_refused: Option<String>,
    /// The first frame from the relay that is neither an update nor a message of
    /// the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexpected_frame: Option<UnexpectedFrame>,
    /// A refusal of the engine to make an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_error: Option<String>,
    /// The work of the generator's worker threads.
    pub workers: WorkerUse,
}

impl Course {
    /// How long edits were scheduled, until the end or an early stop;
    /// nanoseconds.
    pub fn ran_for_ns(&self) -> u64 {
        let incidents = [&self.aborted, &self.relay_ended, &self.worker_failed];
        let incidents = incidents.map(|incident| incident.as_ref().map(|incident| incident.at_ns));
        let stops = [self.interrupted_ns, self.unreachable_ns];
        let stops = stops.into_iter().chain(incidents).flatten();
        stops.fold(self.planned_ns, u64::min)
    }
}

/// Something that happened once in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Incident {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// A description of the incident.
    pub what: String,
}

/// A room that ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndedRoom {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// The room's name, as in its URL.
    pub room: String,
    /// Why it ended, in words.
    pub reason: String,
    /// The file with the update that was being imported, among `artifacts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
}

/// A connection that was lost without the scenario's doing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LostConnection {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// The client, as `client-<n>`.
    pub client: String,
    /// The reason, in words.
    pub reason: String,
}

/// A frame from the relay that is neither an update nor a message of the
/// protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnexpectedFrame {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// The client that received it, as `client-<n>`.
    pub client: String,
    /// Its kind, its size and its first bytes, in words.
    pub frame: String,
    /// What it looks like, in words, if it was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<String>,
}

impl fmt::Display for UnexpectedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.looks_like {
            Some(speaker) => write!(f, "{} ({speaker})", self.frame),
            None => f.write_str(&self.frame),
        }
    }
}
