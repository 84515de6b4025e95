//! What a run came to: the sum of its workers' reports.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use syncbench_reports::record::Convergence;

use crate::clock::Nanos;
use crate::convergence;
use crate::load::{Progress, Usage};
use crate::metrics::Metrics;
use crate::scenario::Scenario;
use crate::worker::{Finished, Lost, Report};

/// Adds up what the workers report.
pub struct Tally {
    scenario: Arc<Scenario>,
    workers: usize,
    finished: Vec<Finished>,
    seconds: BTreeMap<u64, Metrics>,
    so_far: Metrics,
    latest_second: u64,
    /// Clients connected so far.
    pub connected: u32,
    /// Connections that ended before the run did.
    pub lost: Vec<Lost>,
    /// When the user ended the run early.
    pub interrupted: Option<Nanos>,
    /// When, and how, the embedded relay ended by itself.
    pub relay_ended: Option<(Nanos, ExitStatus)>,
}

impl Tally {
    /// The tally of a run with so many workers.
    pub fn new(scenario: Arc<Scenario>, workers: usize) -> Self {
        Self {
            scenario,
            workers,
            finished: Vec::new(),
            seconds: BTreeMap::new(),
            so_far: Metrics::default(),
            latest_second: 0,
            connected: 0,
            lost: Vec::new(),
            interrupted: None,
            relay_ended: None,
        }
    }

    /// Whether every worker is done.
    pub fn is_finished(&self) -> bool {
        self.finished.len() == self.workers
    }

    /// Whether the embedded relay has ended by itself.
    pub fn relay_is_gone(&self) -> bool {
        self.relay_ended.is_some()
    }

    /// Takes a report, and tells `watcher` what it means.
    pub fn take(&mut self, report: Report, watcher: &mut impl FnMut(Progress)) {
        match report {
            Report::Connected => {
                self.connected += 1;
                watcher(Progress::Connecting {
                    connected: self.connected,
                });
            }
            Report::Lost(lost) => self.lost.push(lost),
            Report::Second { second, metrics } => {
                self.so_far.add(&metrics);
                self.seconds.entry(second).or_default().add(&metrics);
                self.latest_second = self.latest_second.max(second);
                watcher(self.running());
            }
            Report::Draining => watcher(Progress::Draining),
            Report::Finished(finished) => self.finished.push(finished),
            // Handled by whoever waits for the connections.
            Report::ConnectFailed(_) => {}
        }
    }

    fn running(&self) -> Progress {
        let p99 = self.so_far.propagation.histogram().value_at_quantile(0.99);
        Progress::Running {
            elapsed: Duration::from_secs(self.latest_second + 1),
            sent: self.so_far.sent,
            visible: self.so_far.visible,
            p99: Duration::from_nanos(p99),
        }
    }

    /// The outcome, once the tally is finished.
    pub fn outcome(self, usage: Usage) -> Outcome {
        let mut convergence = Convergence::default();
        let (mut unsent, mut expected) = (0, 0);
        let (mut busy, mut elapsed) = (0, 0);
        let mut engine_error = None;
        for finished in self.finished {
            convergence::add(&mut convergence, finished.convergence);
            unsent += finished.unsent;
            expected += finished.expected;
            busy += finished.busy;
            elapsed += finished.elapsed;
            engine_error = engine_error.or(finished.engine_error);
        }
        convergence.duplicated = self.so_far.duplicated;
        convergence.corrupt = self.so_far.corrupt;
        Outcome {
            scenario: self.scenario,
            seconds: self.seconds,
            scheduled: self.so_far.sent + self.so_far.unconnected + self.so_far.idle + unsent,
            total: self.so_far,
            unsent,
            expected,
            convergence,
            lost: self.lost,
            interrupted: self.interrupted,
            relay_ended: self.relay_ended,
            workers: self.workers,
            worker_cpu: busy,
            worker_elapsed: elapsed,
            engine_error,
            usage,
        }
    }
}

/// Everything a run measured.
pub struct Outcome {
    /// What was run.
    pub scenario: Arc<Scenario>,
    /// What was measured in each second since the schedule's start.
    pub seconds: BTreeMap<u64, Metrics>,
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
    /// Connections that ended before the run did.
    pub lost: Vec<Lost>,
    /// When the user ended the run early.
    pub interrupted: Option<Nanos>,
    /// When, and how, the embedded relay ended by itself.
    pub relay_ended: Option<(Nanos, ExitStatus)>,
    /// Worker threads.
    pub workers: usize,
    /// CPU time of all worker threads, from the schedule's start until the
    /// last delivery.
    pub worker_cpu: Nanos,
    /// The wall time of that, summed over the workers.
    pub worker_elapsed: Nanos,
    /// The first refusal of an engine to make an edit.
    pub engine_error: Option<String>,
    /// CPU and memory of both sides.
    pub usage: Usage,
}

impl Outcome {
    /// How long edits were scheduled, until the end or an early stop.
    pub fn ran_for(&self) -> Duration {
        let relay_ended = self.relay_ended.map(|(at, _)| at);
        let stopped = [self.interrupted, relay_ended].into_iter().flatten().min();
        stopped.map_or(self.scenario.duration, |at| {
            Duration::from_nanos(at).min(self.scenario.duration)
        })
    }
}
