//! The messages between a run and its workers. They are plain data, so that a
//! worker may be a thread, a task or another machine.

use serde::{Deserialize, Serialize};
use syncbench_reports::record::{Convergence, UnexpectedFrame};

use crate::client::disconnect::{Disconnect, LostConnection};
use crate::metrics::{Gauges, Metrics};
use crate::room::EndedRoom;
use crate::time::clock::Nanos;

/// The phase of the whole run, which all workers follow. The start is a time
/// of the fleet's time source; whoever carries the message to another machine
/// translates it to the source there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// Connect, then wait.
    Connect,
    /// Edit until the schedule ends.
    Run {
        /// When the schedule starts.
        start: Nanos,
    },
    /// Intend nothing from `at` on, and finish.
    Stop {
        /// When the schedule started.
        start: Nanos,
        /// The new end of the schedule, from its start.
        at: Nanos,
        /// Whether to finish promptly, without waiting for deliveries that are
        /// long in coming.
        is_urgent: bool,
    },
}

impl RunPhase {
    /// Whether the run is to end promptly.
    pub fn is_urgent(self) -> bool {
        matches!(
            self,
            Self::Stop {
                is_urgent: true,
                ..
            }
        )
    }
}

/// A message of a worker to its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerEvent {
    /// More of the worker's initial clients are live.
    Connected {
        /// The worker's number.
        worker: usize,
        /// The initial clients that are live.
        live: usize,
    },
    /// An initial client could not connect, and the worker has stopped.
    ConnectFailed(Disconnect),
    /// One second since the schedule's start is over.
    Second {
        /// The second; what came before the start counts in second 0.
        second: u64,
        /// The measurements of that second.
        metrics: Box<Metrics>,
        /// The state of the clients at its end.
        gauges: Gauges,
    },
    /// The schedule is over, and the worker waits for deliveries.
    Draining,
    /// All rooms of the worker have ended before the run: there is nothing left
    /// to do.
    NoRoomLeft,
    /// The worker has checked its rooms and is done.
    Finished(Box<Finished>),
    /// The worker failed, and its rooms will never be checked.
    Failed(String),
}

/// The last message of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Edits that were due but came too late to be sent.
    pub unsent: u64,
    /// Deliveries that were due.
    pub expected: u64,
    /// Deliveries of presence messages that were due.
    pub presence_expected: u64,
    /// The check of its rooms.
    pub convergence: Convergence,
    /// CPU time of the thread from the schedule's start until the end of the
    /// deliveries.
    pub busy: Nanos,
    /// The wall time of that.
    pub elapsed: Nanos,
    /// The first refusal of an engine to make an edit, if any.
    pub engine_error: Option<String>,
    /// The reason that the relay gave when it first refused an update.
    pub rejected: Option<String>,
    /// The reason that the relay gave when it first refused a presence message.
    pub presence_refused: Option<String>,
    /// The rooms that ended before the run did.
    pub ended_rooms: Vec<EndedRoom>,
    /// The first frame from the relay that is not of the protocol.
    pub unexpected_frame: Option<UnexpectedFrame>,
    /// The first connections that ended without the scenario's doing.
    pub lost: Vec<LostConnection>,
    /// Sum of the fingerprints of its scheduled edits; `None` if the schedule
    /// was not played to its end.
    pub fingerprint: Option<u64>,
}
