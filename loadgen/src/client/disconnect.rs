//! The ends of connections: as planned, or against the plan.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::connection::ConnectFailure;
use crate::plan::{ClientId, ClientPlan, Outage};
use crate::time::clock::Nanos;

/// The end of a connection, or of the attempt to open one.
#[derive(Debug)]
pub enum SessionEnd {
    /// The run is over.
    Closing,
    /// The client has left for good.
    Left,
    /// The plan keeps the client away for a time.
    Outage(Outage),
    /// The connection could not be opened.
    Unopened(ConnectFailure),
    /// The connection was lost against the plan.
    Lost(Disconnect),
}

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

/// The part of a client's plan that is yet to happen.
#[derive(Debug)]
pub struct PendingOutages {
    pub(super) outages: VecDeque<Outage>,
    pub(super) leaves: Option<Nanos>,
    /// The outage that has begun and that the client has not noticed.
    pub(super) unnoticed: Option<Outage>,
}

impl PendingOutages {
    /// Creates the whole plan of a client.
    pub fn new(plan: &ClientPlan) -> Self {
        Self {
            outages: plan.outages.iter().copied().collect(),
            leaves: plan.leaves,
            unnoticed: None,
        }
    }

    /// Drops outages that have begun by `now`: a client without a connection
    /// cannot lose it.
    pub fn skip_until(&mut self, now: Nanos) {
        self.outages.retain(|outage| outage.from > now);
        self.unnoticed = None;
    }
}
