//! What a run came to: the sum of its workers' reports.

mod rows;

use std::ops::ControlFlow;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use syncbench_reports::record::Convergence;

use crate::client::disconnect::LostConnection;
use crate::load::{Progress, Usage};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::room::convergence;
use crate::scenario::Scenario;
use crate::time::clock::Nanos;
use crate::worker::{Finished, WorkerEvent};

pub use rows::{Row, Rows};

/// So many seconds in a row nobody could be connected to the relay, against
/// the scenario: nothing more will come of it.
const UNREACHABLE_FOR: u64 = 5;

/// Adds up what the workers report.
pub struct Tally {
    scenario: Arc<Scenario>,
    plan: Arc<Plan>,
    live: Vec<usize>,
    finished: Vec<Finished>,
    rows: Rows,
    so_far: Metrics,
    unreachable_for: u64,
    /// How long the clients of the start took to come.
    pub connecting: Duration,
    /// When the user ended the run early.
    pub interrupted: Option<Nanos>,
    /// When the watcher ended the run early, and why.
    pub aborted: Option<(Nanos, String)>,
    /// When, and how, the own relay ended by itself.
    pub relay_ended: Option<(Nanos, ExitStatus)>,
    /// When the run was given up because no client could reach the relay.
    pub unreachable: Option<Nanos>,
    /// What happened to the relay, and when.
    pub faults: Vec<(Nanos, String)>,
}

impl Tally {
    /// The tally of a run with so many workers.
    pub fn new(scenario: Arc<Scenario>, plan: Arc<Plan>, workers: usize) -> Self {
        Self {
            scenario,
            plan,
            live: vec![0; workers],
            finished: Vec::new(),
            rows: Rows::new(workers),
            so_far: Metrics::default(),
            unreachable_for: 0,
            connecting: Duration::ZERO,
            interrupted: None,
            aborted: None,
            relay_ended: None,
            unreachable: None,
            faults: Vec::new(),
        }
    }

    /// Whether every worker is done.
    pub fn is_finished(&self) -> bool {
        self.finished.len() == self.live.len()
    }

    /// Whether every client of the start is live.
    pub fn is_connected(&self) -> bool {
        self.live.iter().sum::<usize>() == self.plan.initial_clients()
    }

    /// Whether the own relay has ended by itself.
    pub fn relay_is_gone(&self) -> bool {
        self.relay_ended.is_some()
    }

    /// Whether nobody has reached the relay for too long, against the scenario.
    pub fn cannot_recover(&self) -> bool {
        self.unreachable_for >= UNREACHABLE_FOR
    }

    /// The rows so far, to note what the relay uses.
    pub fn rows(&mut self) -> &mut Rows {
        &mut self.rows
    }

    /// Takes a report, and tells `watcher` what it means.
    /// Breaks when that one breaks.
    pub fn take(
        &mut self,
        report: WorkerEvent,
        watcher: &mut impl FnMut(Progress<'_>) -> ControlFlow<String>,
    ) -> ControlFlow<String> {
        match report {
            WorkerEvent::Connected { worker, live } => {
                self.live[worker] = live;
                return watcher(Progress::Connecting {
                    connected: self.live.iter().sum(),
                    of: self.plan.initial_clients(),
                });
            }
            WorkerEvent::Second { second, metrics } => {
                self.so_far.add_parallel(&metrics);
                if let Some(row) = self.rows.add(second, *metrics) {
                    let cut_off = row.live == 0 && row.unreachable > 0;
                    self.unreachable_for = if cut_off { self.unreachable_for + 1 } else { 0 };
                    let total = &self.so_far;
                    return watcher(Progress::Running { second: row, total });
                }
            }
            WorkerEvent::Draining => return watcher(Progress::Draining),
            WorkerEvent::Finished(finished) => self.finished.push(*finished),
            // Handled by whoever waits for the connections.
            WorkerEvent::ConnectFailed(_) => {}
        }
        ControlFlow::Continue(())
    }

    /// The outcome, once the tally is finished.
    pub fn outcome(self, usage: Usage) -> Outcome {
        let mut convergence = Convergence::default();
        let (mut unsent, mut expected) = (0, 0);
        let (mut busy, mut elapsed) = (0, 0);
        let mut fingerprint = Some(0u64);
        let (mut engine_error, mut rejected, mut lost) = (None, None, Vec::new());
        for finished in self.finished {
            convergence::add(&mut convergence, finished.convergence);
            unsent += finished.unsent;
            expected += finished.expected;
            busy += finished.busy;
            elapsed += finished.elapsed;
            engine_error = engine_error.or(finished.engine_error);
            rejected = rejected.or(finished.rejected);
            lost.extend(finished.lost);
            let sum = fingerprint.zip(finished.fingerprint);
            fingerprint = sum.map(|(sum, part)| sum.wrapping_add(part));
        }
        lost.sort_by_key(|lost: &LostConnection| lost.at);
        convergence.duplicated = self.so_far.duplicated;
        convergence.corrupt = self.so_far.corrupt;
        convergence.leaked = self.so_far.leaked;
        Outcome {
            scenario: self.scenario,
            plan: self.plan,
            rows: self.rows.finish(),
            scheduled: self.so_far.sent + self.so_far.skipped + unsent,
            total: self.so_far,
            unsent,
            expected,
            convergence,
            lost,
            connecting: self.connecting,
            interrupted: self.interrupted,
            aborted: self.aborted,
            relay_ended: self.relay_ended,
            unreachable: self.unreachable,
            faults: self.faults,
            workers: self.live.len(),
            worker_cpu: busy,
            worker_elapsed: elapsed,
            engine_error,
            rejected,
            fingerprint,
            usage,
        }
    }
}

/// Everything a run measured.
pub struct Outcome {
    /// What was run.
    pub scenario: Arc<Scenario>,
    /// Who was where, and when.
    pub plan: Arc<Plan>,
    /// What was measured in each second since the schedule's start.
    pub rows: Vec<Row>,
    /// The sum of that.
    pub total: Metrics,
    /// Edits that the schedule intended until the run ended.
    pub scheduled: u64,
    /// Of those, the edits that came too late to be sent.
    pub unsent: u64,
    /// Deliveries that were due.
    pub expected: u64,
    /// The check of all rooms.
    pub convergence: Convergence,
    /// Connections that ended against the scenario, ascending by time; the
    /// first of each worker.
    pub lost: Vec<LostConnection>,
    /// How long the clients of the start took to come.
    pub connecting: Duration,
    /// When the user ended the run early.
    pub interrupted: Option<Nanos>,
    /// When the watcher ended the run early, and why.
    pub aborted: Option<(Nanos, String)>,
    /// When, and how, the own relay ended by itself.
    pub relay_ended: Option<(Nanos, ExitStatus)>,
    /// When the run was given up because no client could reach the relay.
    pub unreachable: Option<Nanos>,
    /// What happened to the relay, and when.
    pub faults: Vec<(Nanos, String)>,
    /// Worker threads.
    pub workers: usize,
    /// CPU time of all worker threads, from the schedule's start until the
    /// last delivery.
    pub worker_cpu: Nanos,
    /// The wall time of that, summed over the workers.
    pub worker_elapsed: Nanos,
    /// The first refusal of an engine to make an edit.
    pub engine_error: Option<String>,
    /// Why the relay refused an update, the first time it did.
    pub rejected: Option<String>,
    /// Sum of the fingerprints of all arrivals; `None` after an early end.
    pub fingerprint: Option<u64>,
    /// CPU and memory of both sides.
    pub usage: Usage,
}

impl Outcome {
    /// How long edits were scheduled, until the end or an early stop.
    pub fn ran_for(&self) -> Duration {
        let relay_ended = self.relay_ended.map(|(at, _)| at);
        let aborted = self.aborted.as_ref().map(|(at, _)| *at);
        let stopped = [self.interrupted, aborted, relay_ended, self.unreachable];
        let stopped = stopped.into_iter().flatten().min();
        stopped.map_or(self.scenario.duration, |at| {
            Duration::from_nanos(at).min(self.scenario.duration)
        })
    }
}
