//! What a load run counted.

use serde::{Deserialize, Serialize};

/// The work done in a load run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Simulated clients.
    pub clients: u64,
    /// Clients that kept a document; the others kept the version of one. 0 in
    /// records from before this count.
    pub full_replicas: u64,
    /// Rooms.
    pub rooms: u64,
    /// Edits the schedule asked for within the run.
    pub scheduled: u64,
    /// Edits made and handed to the sockets.
    pub sent: u64,
    /// Deliveries owed: for each edit sent, the other replicas of its room.
    pub expected: u64,
    /// Deliveries made: an edit that became visible at one other replica.
    pub visible: u64,
    /// WebSocket frames with updates received by clients.
    pub frames_in: u64,
    /// WebSocket frames with updates sent by clients.
    pub frames_out: u64,
    /// Payload bytes in those received frames.
    pub bytes_in: u64,
    /// Payload bytes in frames received by clients that had not caught up: documents,
    /// and what was sent meanwhile. Part of `bytes_in`.
    #[serde(default)]
    pub bytes_joining: u64,
    /// Payload bytes in those sent frames.
    pub bytes_out: u64,
    /// Bytes of the updates of the edits made, before any protocol framed them.
    #[serde(default)]
    pub bytes_typed: u64,
    /// Presence messages sent.
    #[serde(default)]
    pub presence_sent: u64,
    /// Presence messages that were due while their client was not live, or for
    /// which the generator was too late.
    #[serde(default)]
    pub presence_skipped: u64,
    /// Deliveries of presence messages owed: for each one sent, the other live
    /// clients of its room.
    #[serde(default)]
    pub presence_expected: u64,
    /// Deliveries of presence messages made: one that arrived at one other
    /// client, or was replaced by a later one that did.
    #[serde(default)]
    pub presence_visible: u64,
    /// Presence messages that the relay refused.
    #[serde(default)]
    pub presence_refused: u64,
    /// Connections that ended or failed although the scenario did not ask for it.
    #[serde(default)]
    pub disconnects: u64,
    /// Connections that the relay refused for the time being, with HTTP 429 or
    /// 503; `disconnects` does not include them.
    #[serde(default)]
    pub refused: u64,
    /// Connections that the scenario ended.
    #[serde(default)]
    pub outages: u64,
    /// Edits of clients that left for good before they could send them.
    #[serde(default)]
    pub withdrawn: u64,
    /// Scheduled edits for which the trace had nothing to type, whose client did
    /// not have the document yet, or whose room had ended.
    #[serde(default)]
    pub skipped: u64,
    /// The part of `skipped` whose client did not have the document yet.
    #[serde(default)]
    pub skipped_joining: u64,
    /// Scheduled edits that came too late to be sent.
    #[serde(default)]
    pub unsent: u64,
    /// Time from the first attempt to connect until every initial client had
    /// everything that the relay had, ramp-up included; microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting_us: Option<u64>,
    /// Hash of the schedule, in hexadecimal; absent if the run was stopped early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}
