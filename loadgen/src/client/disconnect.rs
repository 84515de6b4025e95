//! Connections that were lost against the plan.

use serde::{Deserialize, Serialize};

use crate::plan::ClientId;
use crate::time::clock::Nanos;

/// The kind of a loss because the relay speaks another protocol.
pub(super) const OTHER_PROTOCOL: &str = "other protocol";

/// The kind of a loss because the relay refused the client.
pub(super) const REFUSED: &str = "refused";

/// The loss of a connection that should have lasted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnect {
    /// The kind of loss in a word or two, to be counted by.
    pub kind: String,
    /// The reason as a sentence.
    pub reason: String,
}

impl Disconnect {
    /// Creates a loss of this kind.
    pub fn new(kind: &str, reason: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            reason: reason.into(),
        }
    }

    /// Whether the relay speaks another protocol than the scenario's.
    pub fn is_other_protocol(&self) -> bool {
        self.kind == OTHER_PROTOCOL
    }
}

/// A connection that ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostConnection {
    /// The client's number in the run.
    pub client: ClientId,
    /// The time of the loss, nanoseconds since the start of the schedule.
    pub at: Nanos,
    /// The reason as a sentence.
    pub reason: String,
}
