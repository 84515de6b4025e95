//! The state of a client's life: how its last connection ended, and what its
//! plan still has for it.

use std::collections::VecDeque;

use super::connection::ConnectFailure;
use super::disconnect::Disconnect;
use crate::plan::{ClientPlan, Outage};
use crate::time::clock::Nanos;

/// The end of a connection, or of the attempt to open one.
#[derive(Debug)]
pub enum SessionEnd {
    /// The run is over, or the client's room.
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
