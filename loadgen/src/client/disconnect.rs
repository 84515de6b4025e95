//! How connections end: as planned, or against the plan.

use std::collections::VecDeque;

use super::connection::ConnectFailure;
use crate::plan::{ClientPlan, Outage};
use crate::time::clock::Nanos;

/// How a connection ended.
#[derive(Debug)]
pub enum SessionEnd {
    /// The run is over.
    Closing,
    /// The client has left for good.
    Left,
    /// The plan keeps it away for a time.
    Outage(Outage),
    /// The connection could not be opened.
    Unopened(ConnectFailure),
    /// The connection was lost against the plan.
    Lost(Disconnect),
}

/// Why a connection ended that should not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// In a word or two, to be counted.
    pub kind: String,
    /// In words, for people.
    pub reason: String,
}

impl Disconnect {
    /// A loss of this kind.
    pub fn new(kind: &str, reason: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            reason: reason.into(),
        }
    }
}

/// A connection that ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostConnection {
    /// Whose.
    pub client: u32,
    /// When, since the schedule's start.
    pub at: Nanos,
    /// Why.
    pub reason: String,
}

/// What the plan still has for a client.
#[derive(Debug)]
pub struct PendingOutages {
    pub(super) outages: VecDeque<Outage>,
    pub(super) leaves: Option<Nanos>,
    /// The outage that has begun without the client's knowing.
    pub(super) unnoticed: Option<Outage>,
}

impl PendingOutages {
    /// Everything that the plan has for a client.
    pub fn new(plan: &ClientPlan) -> Self {
        Self {
            outages: plan.outages.iter().copied().collect(),
            leaves: plan.leaves,
            unnoticed: None,
        }
    }

    /// Drops what has passed by `now`: who has no connection cannot lose it.
    pub fn skip_until(&mut self, now: Nanos) {
        self.outages.retain(|outage| outage.from > now);
        self.unnoticed = None;
    }
}
