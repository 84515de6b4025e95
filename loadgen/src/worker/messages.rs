//! What a run tells its workers, and what they report back.

use syncbench_reports::record::Convergence;

use crate::client::connection::ConnectFailure;
use crate::client::disconnect::LostConnection;
use crate::metrics::Metrics;
use crate::time::clock::{Clock, Nanos};

/// Where the whole run stands; the workers follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPhase {
    /// Connect, then wait.
    Connect,
    /// Edit by this clock until the schedule ends.
    Run(Clock),
    /// Intend nothing any more from this time of the clock on; finish.
    Stop(Clock, Nanos),
}

/// What a worker tells while it works.
pub enum WorkerEvent {
    /// So many of its clients of the start are live.
    Connected {
        /// Which worker.
        worker: usize,
        /// How many.
        live: usize,
    },
    /// A client could not connect; the worker has given up.
    ConnectFailed(ConnectFailure),
    /// What was measured in one second since the schedule's start.
    Second {
        /// The second; what came before the start counts in 0.
        second: u64,
        /// The measurements.
        metrics: Box<Metrics>,
    },
    /// The schedule is over and this worker waits for deliveries.
    Draining,
    /// The worker has checked its rooms and is done.
    Finished(Box<Finished>),
}

/// What a worker leaves behind.
#[derive(Debug)]
pub struct Finished {
    /// Arrivals that were due but came too late to be sent.
    pub unsent: u64,
    /// Deliveries that were due.
    pub expected: u64,
    /// The check of its rooms.
    pub convergence: Convergence,
    /// CPU time of the thread from the schedule's start until the end of the
    /// deliveries, and the wall time of that.
    pub busy: Nanos,
    /// See `busy`.
    pub elapsed: Nanos,
    /// The first refusal of an engine to make an edit, if any.
    pub engine_error: Option<String>,
    /// Why the relay refused an update, the first time it did.
    pub rejected: Option<String>,
    /// Connections that ended against the plan; the first of them.
    pub lost: Vec<LostConnection>,
    /// Sum of the fingerprints of its arrivals, if all of them were due.
    pub fingerprint: Option<u64>,
}
