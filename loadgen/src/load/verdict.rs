//! The verdict on a run, and the limits it is held to.

use std::fmt;
use std::time::Duration;

use syncbench_reports::quantity;
use syncbench_reports::record::{Convergence, Status, Verdict};

use crate::metrics::{Latency, Metrics};
use crate::outcome::Outcome;
use crate::time::clock::Nanos;

/// Below this share of the schedule sent, the run is invalid.
pub const MIN_SENT: f64 = 0.999;

/// Above this share of the median propagation latency, the generator's own
/// median lag makes the run invalid, if it is also above [`LAG_FLOOR`]. The
/// median, because a generator that cannot keep up is late with every edit,
/// while a machine that pauses for a moment makes a few edits very late.
pub const MAX_LAG_SHARE: f64 = 0.25;

/// A generator lag below this is what waking a thread costs on an ordinary
/// machine. It never makes a run invalid, however fast the relay is.
pub const LAG_FLOOR: Duration = Duration::from_millis(1);

/// Above this share of the 99th percentile of the propagation latency, a
/// generator lag's 99th percentile is worth a warning: the tail is then the
/// machine's rather than the relay's.
pub const TAIL_LAG_SHARE: f64 = 0.5;

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
        reasons.extend(
            self.aborted
                .iter()
                .map(|(at, reason)| format!("given up {} s into the run: {reason}", seconds(*at))),
        );
        reasons.extend(self.interrupted.map(|at| {
            let planned = self.scenario.duration.as_secs_f64();
            format!(
                "ended early by the user, after {} of {planned} s",
                seconds(at)
            )
        }));
        Verdict {
            exit_code: status.exit_code(),
            status,
            reasons,
        }
    }

    fn not_converged(&self) -> Vec<String> {
        let Convergence {
            rooms,
            converged,
            lost,
            lost_by_absence,
            corrupt,
            leaked,
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
        if lost_by_absence > 0 {
            reasons.push(format!(
                "{lost_by_absence} of those by clients that came late or lost their connection: \
                 the relay did not give them what was sent meanwhile"
            ));
        }
        if corrupt > 0 {
            reasons.push(format!(
                "{corrupt} frames were corrupt: not to be read, or not to be imported"
            ));
        }
        if leaked > 0 {
            reasons.push(format!("{leaked} updates leaked from another room"));
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
        if let Some(at) = self.unreachable {
            reasons.push(format!(
                "no client could reach the relay any more: given up {} s into the run",
                seconds(at)
            ));
        }
        if let Some(reason) = &self.rejected {
            reasons.push(format!("the relay refused updates: {reason}"));
        }
        if let Some(first) = self.lost.first()
            && self.scenario.faults.is_empty()
        {
            reasons.push(format!(
                "connections were lost {} times; first that of {}, {} s into the run: {}",
                self.total.disconnects,
                first.client.name(),
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
        let sendable = (self.scheduled - self.total.skipped) as f64;
        if sent < MIN_SENT * sendable {
            reasons.push(format!(
                "the generator sent {} of {sendable} scheduled edits ({:.1} %, at least {:.1} % are \
                 needed)",
                self.total.sent,
                100.0 * sent / sendable,
                100.0 * MIN_SENT,
            ));
        }
        let lag = QuantileRatio::new(&self.total, &self.total.generator_lag, 0.5);
        if lag.exceeds(MAX_LAG_SHARE) {
            reasons.push(format!(
                "the generator itself was late with every other edit by {lag} (at most {:.0} % are \
                 allowed)",
                100.0 * MAX_LAG_SHARE,
            ));
        }
        let queue = QuantileRatio::new(&self.total, &self.total.receive_queue, 0.5);
        if queue.exceeds(MAX_LAG_SHARE) {
            reasons.push(format!(
                "every other update had reached this machine and waited for the generator by {queue} \
                 (at most {:.0} % are allowed)",
                100.0 * MAX_LAG_SHARE,
            ));
        }
        if !reasons.is_empty() {
            reasons.push(self.sustained_rate());
        }
        reasons
    }

    /// Says when the tail of the latency is not the relay's. The run is valid
    /// all the same: the generator kept up, but for moments.
    fn warnings(&self) -> Vec<String> {
        let lag = QuantileRatio::new(&self.total, &self.total.generator_lag, 0.99);
        if !lag.exceeds(TAIL_LAG_SHARE) {
            return Vec::new();
        }
        vec![format!(
            "warning: at the 99th percentile the generator was late by {lag}; this machine was \
             busy with something else, so do not blame the relay for the tail"
        )]
    }

    /// What this machine did manage, in words.
    fn sustained_rate(&self) -> String {
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
}

/// A part of the propagation latency beside the whole, at one quantile.
struct QuantileRatio {
    part: f64,
    propagation: f64,
}

impl QuantileRatio {
    fn new(total: &Metrics, part: &Latency, quantile: f64) -> Self {
        let at = |latency: &Latency| latency.histogram().value_at_quantile(quantile) as f64;
        Self {
            part: at(part),
            propagation: at(&total.propagation),
        }
    }

    fn exceeds(&self, share: f64) -> bool {
        self.part > LAG_FLOOR.as_nanos() as f64 && self.part > share * self.propagation
    }
}

impl fmt::Display for QuantileRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, propagation) = (self.part / 1e3, self.propagation / 1e3);
        write!(
            f,
            "{}, {:.0} % of the propagation latency of {}",
            quantity::duration(part),
            100.0 * part / propagation,
            quantity::duration(propagation),
        )
    }
}

fn seconds(at: Nanos) -> String {
    format!("{:.1}", at as f64 / 1e9)
}
