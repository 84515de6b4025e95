//! What a run came to: the sum of its workers' reports, and the verdict on it.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use syncbench_reports::quantity;
use syncbench_reports::record::{Convergence, Status, Verdict};

use crate::clock::Nanos;
use crate::convergence;
use crate::load::{Progress, Usage};
use crate::metrics::{Latency, Metrics};
use crate::scenario::{Scenario, client_name};
use crate::worker::{Finished, Lost, Report};

/// Below this share of the schedule sent, the run is invalid.
pub const LEAST_SENT: f64 = 0.999;

/// Above this share of the median propagation latency, the generator's own
/// median lag makes the run invalid, if it is also above [`LAG_FLOOR`]. The
/// median, because a generator that cannot keep up is late with every edit,
/// while a machine that pauses for a moment makes a few edits very late.
pub const MOST_LAG_SHARE: f64 = 0.25;

/// A generator lag below this is what waking a thread costs on an ordinary
/// machine. It never makes a run invalid, however fast the relay is.
pub const LAG_FLOOR: Duration = Duration::from_millis(1);

/// Above this share of the 99th percentile of the propagation latency, a
/// generator lag's 99th percentile is worth a warning: the tail is then the
/// machine's rather than the relay's.
pub const TAIL_LAG_SHARE: f64 = 0.5;

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
    /// The verdict. A wrong document outweighs a wrong measurement, and both
    /// outweigh a failure that did no harm.
    pub fn verdict(&self) -> Verdict {
        let not_converged = self.not_converged();
        let invalid = self.invalid();
        let failure = self.failure();
        let status = if !not_converged.is_empty() {
            Status::NotConverged
        } else if !invalid.is_empty() {
            Status::Invalid
        } else if !failure.is_empty() {
            Status::Failure
        } else {
            Status::Ok
        };
        let mut reasons = failure;
        reasons.extend(not_converged);
        reasons.extend(invalid);
        if status == Status::Ok {
            reasons.extend(self.warnings());
        }
        reasons.extend(self.interrupted.map(|at| {
            let planned = self.scenario.duration.as_secs_f64();
            format!(
                "ended early by the user, after {} of {planned} s",
                seconds(at)
            )
        }));
        Verdict {
            exit_code: status.exit_code(false),
            status,
            reasons,
        }
    }

    fn not_converged(&self) -> Vec<String> {
        let Convergence {
            rooms,
            converged,
            lost,
            corrupt,
            ..
        } = self.convergence;
        let mut reasons = Vec::new();
        if converged < rooms {
            let first = self.convergence.failures.first();
            let first = first.map_or(String::new(), |f| format!("; {}: {}", f.room, f.reason));
            reasons.push(format!(
                "{} of {rooms} rooms did not converge{first}",
                rooms - converged
            ));
        }
        if lost > 0 {
            reasons.push(format!("{lost} deliveries of edits were lost"));
        }
        if corrupt > 0 {
            reasons.push(format!(
                "{corrupt} frames could not be imported, or belong to another room"
            ));
        }
        reasons
    }

    fn failure(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some((at, status)) = &self.relay_ended {
            reasons.push(format!(
                "the relay process ended {} s into the run ({status})",
                seconds(*at)
            ));
        }
        if let Some(first) = self.lost.first() {
            reasons.push(format!(
                "{} of {} clients lost their connection; first {}, {} s into the run: {}",
                self.lost.len(),
                self.scenario.clients,
                client_name(first.client),
                seconds(first.at),
                first.reason,
            ));
        }
        reasons.extend(
            self.engine_error
                .as_ref()
                .map(|error| format!("an edit failed: {error}")),
        );
        reasons
    }

    /// Why the generator, not the relay, was the limit.
    fn invalid(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let sent = self.total.sent as f64;
        // Edits of clients that lost their connection are not the generator's
        // fault.
        let sendable = (self.scheduled - self.total.unconnected) as f64;
        if sent < LEAST_SENT * sendable {
            reasons.push(format!(
                "the generator sent {} of {sendable} scheduled edits ({:.1} %, at least {:.1} % are \
                 needed)",
                self.total.sent,
                100.0 * sent / sendable,
                100.0 * LEAST_SENT,
            ));
        }
        let lag = LagShare::at(&self.total, 0.5);
        if lag.exceeds(MOST_LAG_SHARE) {
            reasons.push(format!(
                "the generator itself was late with every other edit by {lag} (at most {:.0} % are \
                 allowed)",
                100.0 * MOST_LAG_SHARE,
            ));
        }
        if !reasons.is_empty() {
            reasons.push(self.held());
        }
        reasons
    }

    /// Says when the tail of the latency is not the relay's. The run is valid
    /// all the same: the generator kept up, but for moments.
    fn warnings(&self) -> Vec<String> {
        let lag = LagShare::at(&self.total, 0.99);
        if !lag.exceeds(TAIL_LAG_SHARE) {
            return Vec::new();
        }
        vec![format!(
            "warning: at the 99th percentile the generator was late by {lag}; this machine was \
             busy with something else, so do not blame the relay for the tail"
        )]
    }

    /// What this machine did manage, in words.
    fn held(&self) -> String {
        let held = self.total.sent as f64 / self.ran_for().as_secs_f64();
        let busy = 100.0 * self.worker_cpu as f64 / self.worker_elapsed.max(1) as f64;
        let imports = 100.0 * self.total.import_cpu as f64 / self.worker_cpu.max(1) as f64;
        format!(
            "the largest rate the generator held was {held:.0} edits/s: its worker threads (--workers \
             {}) used {busy:.0} % of their time, {imports:.0} % of that for importing into the \
             replicas; use fewer edits per second, or more cores",
            self.workers,
        )
    }

    /// How long edits were scheduled, until the end or an early stop.
    pub fn ran_for(&self) -> Duration {
        let relay_ended = self.relay_ended.map(|(at, _)| at);
        let stopped = [self.interrupted, relay_ended].into_iter().flatten().min();
        stopped.map_or(self.scenario.duration, |at| {
            Duration::from_nanos(at).min(self.scenario.duration)
        })
    }
}

/// The generator's lag beside the propagation latency, at one quantile.
struct LagShare {
    lag: f64,
    propagation: f64,
}

impl LagShare {
    fn at(total: &Metrics, quantile: f64) -> Self {
        let at = |latency: &Latency| latency.histogram().value_at_quantile(quantile) as f64;
        Self {
            lag: at(&total.generator_lag),
            propagation: at(&total.propagation),
        }
    }

    fn exceeds(&self, share: f64) -> bool {
        self.lag > LAG_FLOOR.as_nanos() as f64 && self.lag > share * self.propagation
    }
}

impl fmt::Display for LagShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lag, propagation) = (self.lag / 1e3, self.propagation / 1e3);
        write!(
            f,
            "{}, {:.0} % of the propagation latency of {}",
            quantity::duration(lag),
            100.0 * lag / propagation,
            quantity::duration(propagation),
        )
    }
}

fn seconds(at: Nanos) -> String {
    format!("{:.1}", at as f64 / 1e9)
}
