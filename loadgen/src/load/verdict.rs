//! The verdict on a run, and the limits it is held to.

use std::fmt;
use std::time::Duration;

use syncbench_reports::quantity;
use syncbench_reports::record::{
    Convergence, Counts, Course, Distribution, Incident, MarkedFigure, Record, Signal, Status,
    Verdict,
};
use syncbench_reports::validity::advice;

use crate::time::clock::Nanos;

/// Below this share of the schedule sent, the run is invalid.
pub const MIN_SENT: f64 = 0.999;

/// Above this share of the schedule, edits whose clients did not have the document
/// yet make the run invalid. Some are expected where clients arrive during the run:
/// a user who waits for the document does not type.
pub const MAX_JOINING: f64 = 0.05;

/// Above this share of the median propagation latency, the generator's own
/// median lag makes the run invalid, if it is also above [`LAG_FLOOR`]. The
/// median, because a generator that cannot keep up is late with every edit,
/// while a machine that pauses for a moment makes a few edits very late.
pub const MAX_LAG_SHARE: f64 = 0.25;

/// A generator lag below this is what waking a thread costs on an ordinary
/// machine. It never makes a run invalid, however fast the relay is.
pub const LAG_FLOOR: Duration = Duration::from_millis(1);

/// The codes with which relays close the connection of a client that does not
/// speak their protocol.
const NOT_UNDERSTOOD: [(u16, &str); 4] = [
    (1002, "protocol error"),
    (1003, "unsupported data"),
    (1007, "invalid payload"),
    (
        4401,
        "unauthorized; so does Hocuspocus with clients that do not speak its protocol",
    ),
];

/// The share of their time from which workers have too much to do. The CPU time of a
/// saturated thread is less than all of its time, because others take turns with it.
const BUSY: f64 = 0.5;

/// The distributions that a verdict looks at.
pub(super) const JUDGED: [&str; 4] = [
    "propagation",
    "propagation_at_least",
    "propagation_in_generator",
    "generator_lag",
];

/// Judges the record of a load run. An interrupted run is not judged by what it
/// measured until then, unless the user allows it. Otherwise a wrong document
/// outweighs a wrong measurement, and both outweigh a failure that did no harm. Only the record is
/// read, so that the sum of several processes is judged like a run of one. A
/// record from before records had a course is judged by its figures alone.
pub fn verdict(record: &Record) -> Verdict {
    let case = Case::new(record);
    let failure = case.failure();
    if let Some(mismatch) = case.mismatch() {
        return Verdict {
            exit_code: Status::Usage.exit_code(),
            status: Status::Usage,
            reasons: [vec![mismatch], failure].concat(),
        };
    }
    let not_converged = case.not_converged();
    let invalid = [case.shortfall(), case.invalid()].concat();
    let status = if case.is_interrupted() {
        Status::Interrupted
    } else if !not_converged.is_empty() {
        Status::NotConverged
    } else if !invalid.is_empty() {
        Status::Invalid
    } else if !failure.is_empty() {
        Status::Failure
    } else {
        Status::Ok
    };
    let mut reasons = failure;
    reasons.extend(case.refusals());
    reasons.extend(not_converged);
    reasons.extend(invalid);
    if status == Status::Ok {
        reasons.extend(case.warnings());
    }
    reasons.extend(case.unexpected_frames());
    reasons.extend(case.early_end());
    let signal = case.course.interrupted_by;
    let by_signal = signal.filter(|_| status == Status::Interrupted);
    Verdict {
        exit_code: by_signal.map_or(status.exit_code(), Signal::exit_code),
        status,
        reasons,
    }
}

/// The facts on which a verdict is based.
struct Case<'a> {
    record: &'a Record,
    convergence: Convergence,
    counts: Counts,
    course: Course,
}

impl<'a> Case<'a> {
    fn new(record: &'a Record) -> Self {
        Self {
            record,
            convergence: record.convergence.clone().unwrap_or_default(),
            counts: record.counts.clone().unwrap_or_default(),
            course: record.course.clone().unwrap_or_default(),
        }
    }

    /// Whether a signal ended the run, and the user did not allow a partial one.
    fn is_interrupted(&self) -> bool {
        self.course.interrupted_ns.is_some() && !self.course.partial_allowed
    }

    /// Says so if the relay speaks another protocol: nothing of what the clients
    /// sent came back, and the relay showed that it did not understand it. A run
    /// that was cut short does not tell.
    fn mismatch(&self) -> Option<String> {
        let course = &self.course;
        let is_cut_short = course.relay_ended.is_some()
            || course.worker_failed.is_some()
            || course.interrupted_ns.is_some();
        let is_mute = self.counts.expected > 0 && self.counts.visible == 0;
        if is_cut_short
            || !is_mute
            || course.rejected.is_some()
            || course.presence_refused.is_some()
        {
            return None;
        }
        let sign = self.sign_of_another_protocol()?;
        Some(format!(
            "nothing of what the clients sent came back, and the relay {sign}: choose the relay's \
             protocol with --protocol, which is broadcast for bare updates in binary frames, and \
             loro for loro-protocol version 1"
        ))
    }

    fn sign_of_another_protocol(&self) -> Option<String> {
        if let Some(frame) = &self.course.unexpected_frame {
            return Some(format!(
                "sent frames that are not of the scenario's protocol; the first is {frame}"
            ));
        }
        let closed = |code: &&(u16, &str)| {
            let kind = format!("closed {}", code.0);
            self.record.errors.contains_key(&kind)
        };
        let (code, meaning) = NOT_UNDERSTOOD.iter().find(closed)?;
        Some(format!("closed connections with code {code} ({meaning})"))
    }

    /// The frames that are of nobody's concern if every edit arrived.
    fn unexpected_frames(&self) -> Option<String> {
        let number = self.convergence.unexpected_frames;
        let frame = self.course.unexpected_frame.as_ref()?;
        let harm = match self.convergence.lost {
            0 => "no edit was lost by that",
            _ => "edits that are lost may have been damaged to that",
        };
        (number > 0).then(|| {
            format!(
                "frames from the relay that are neither updates nor messages of the protocol: \
                 {number}, the first {frame}; {harm}"
            )
        })
    }

    fn not_converged(&self) -> Vec<String> {
        let Convergence {
            rooms,
            converged,
            lost,
            lost_by_absence,
            pending,
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
            let deliveries = deliveries(lost);
            reasons.push(format!("{deliveries} never arrived: the edits are lost"));
        }
        if lost_by_absence > 0 {
            reasons.push(format!(
                "{lost_by_absence} of those were lost by clients that joined late or lost their \
                 connection: the relay did not send them what they had missed"
            ));
        }
        if pending > 0 {
            let deliveries = deliveries(pending);
            reasons.push(format!(
                "{deliveries} arrived, and wait in the replica for operations that did not"
            ));
        }
        if corrupt > 0 {
            reasons.push(format!(
                "{corrupt} frames were corrupt: they are updates or messages that could not be \
                 read or imported"
            ));
        }
        if leaked > 0 {
            reasons.push(format!("{leaked} updates leaked from another room"));
        }
        reasons
    }

    fn failure(&self) -> Vec<String> {
        let course = &self.course;
        let mut reasons = Vec::new();
        if let Some(Incident { at_ns, what }) = &course.worker_failed {
            reasons.push(format!(
                "a worker of the generator failed after {} s, and its rooms were not checked: \
                 {what}",
                seconds(*at_ns)
            ));
        }
        reasons.extend(course.ended_rooms.first().map(|first| {
            let file = first.artifact.iter();
            let file: String = file
                .map(|file| format!("; the update is in {file}"))
                .collect();
            let others = match course.ended_rooms.len() - 1 {
                0 => String::new(),
                others => format!("; {} too", quantity::things(others as u64, "other room")),
            };
            format!(
                "{} ended after {} s and was not checked: {}{file}{others}",
                first.room,
                seconds(first.at_ns),
                first.reason
            )
        }));
        if let Some(Incident { at_ns, what }) = &course.relay_ended {
            reasons.push(format!(
                "the relay process ended after {} s ({what})",
                seconds(*at_ns)
            ));
        }
        if let Some(at) = course.unreachable_ns {
            reasons.push(format!(
                "no client could reach the relay any more: stopped after {} s",
                seconds(at)
            ));
        }
        if let Some(reason) = &course.rejected {
            reasons.push(format!("the relay refused updates: {reason}"));
        }
        if let Some(reason) = &course.presence_refused {
            let refused = self.counts.presence_refused;
            reasons.push(format!(
                "the relay refused {refused} presence messages: {reason}"
            ));
        }
        let (owed, made) = (self.counts.presence_expected, self.counts.presence_visible);
        if made < owed {
            let missing = owed - made;
            reasons.push(format!(
                "{missing} of {owed} deliveries of presence never arrived"
            ));
        }
        if let Some(first) = course.lost_connections.first()
            && course.planned_faults == 0
        {
            reasons.push(format!(
                "connections were lost {} times, first by {} after {} s: {}",
                self.counts.disconnects,
                first.client,
                seconds(first.at_ns),
                first.reason,
            ));
        }
        let engine_error = course.engine_error.iter();
        reasons.extend(engine_error.map(|error| format!("an edit failed: {error}")));
        reasons
    }

    /// Returns how many connections the relay refused for the time being. That is
    /// no failure by itself: what the clients missed meanwhile is judged.
    fn refusals(&self) -> Option<String> {
        let refused = self.counts.refused;
        (refused > 0).then(|| {
            format!(
                "the relay refused {refused} connections for the time being (HTTP 429 or 503), and \
                 the clients tried again"
            )
        })
    }

    /// Returns the reasons why the load was not the one that the scenario asked for, or nothing was
    /// measured at all.
    fn shortfall(&self) -> Vec<String> {
        let Counts {
            scheduled,
            skipped,
            skipped_joining,
            expected,
            ..
        } = self.counts;
        let mut reasons = Vec::new();
        let idle = skipped.saturating_sub(skipped_joining);
        // The clients of a room that ended skip the rest of their edits.
        let is_idle = self.course.ended_rooms.is_empty();
        if is_idle && idle as f64 > (1.0 - MIN_SENT) * scheduled as f64 {
            reasons.push(format!(
                "{idle} of {scheduled} scheduled edits were skipped, because the trace had nothing \
                 to type there: use another data set, or --payload"
            ));
        }
        if skipped_joining as f64 > MAX_JOINING * scheduled as f64 {
            reasons.push(format!(
                "{skipped_joining} of {scheduled} scheduled edits were skipped, because their \
                 clients did not have the document yet (at most {:.0} % are allowed): let fewer \
                 clients arrive during the run, or find out why joining takes so long",
                100.0 * MAX_JOINING,
            ));
        }
        if expected == 0 && self.failure().is_empty() {
            reasons.push(
                "no delivery was due, so nothing was measured: no client made an edit while \
                 another one was in its room"
                    .to_owned(),
            );
        }
        reasons
    }

    /// Returns the reasons why the generator, not the relay, was the limit.
    fn invalid(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let sent = self.counts.sent as f64;
        let sendable = self.counts.scheduled.saturating_sub(self.counts.skipped) as f64;
        if sent < MIN_SENT * sendable {
            reasons.push(format!(
                "the generator sent {sent} of {sendable} scheduled edits ({:.1} %; at least \
                 {:.1} % is required)",
                100.0 * sent / sendable,
                100.0 * MIN_SENT,
            ));
        }
        let lag = self.ratio("generator_lag", |latency| latency.p50);
        let is_late = lag.exceeds(MAX_LAG_SHARE);
        if is_late {
            reasons.push(format!(
                "the generator's own median lag was {lag} (at most {:.0} % is allowed)",
                100.0 * MAX_LAG_SHARE,
            ));
        }
        // Without a course, nothing is known about the workers.
        if !reasons.is_empty() && self.record.course.is_some() {
            reasons.push(self.cause(is_late));
        }
        reasons
    }

    /// Says which figures of the propagation are not the relay's. The run is
    /// valid all the same: the generator kept up, except for moments.
    fn warnings(&self) -> Option<String> {
        let marked = self.record.marked.iter();
        let figures = marked.filter(|figure| figure.metric == "propagation");
        let figures: Vec<String> = figures.map(own_part).collect();
        (!figures.is_empty()).then(|| {
            format!(
                "warning: figures of the propagation latency that are the generator's rather than \
                 the relay's: {}; {}",
                figures.join(", "),
                advice(self.record)
            )
        })
    }

    /// Returns the reason why the run ended before its schedule did, if it was stopped.
    fn early_end(&self) -> impl Iterator<Item = String> {
        let aborted = self.course.aborted.as_ref().map(|incident| {
            let at = seconds(incident.at_ns);
            format!("stopped after {at} s: {}", incident.what)
        });
        let interrupted = self.course.interrupted_ns.map(|at| self.interruption(at));
        aborted.into_iter().chain(interrupted)
    }

    /// What interrupted the run at `at`, and what that left open.
    fn interruption(&self, at: Nanos) -> String {
        let by = self.course.interrupted_by;
        let by = by.map_or("the user".to_owned(), |signal| signal.to_string());
        let planned = self.course.planned_ns;
        let when = match at < planned {
            true => format!("after {} of {} s", seconds(at), planned as f64 / 1e9),
            false => "after its schedule, while it waited for the last deliveries".to_owned(),
        };
        let ended = self.course.ended_rooms.len() as u64;
        let checked = self.convergence.rooms + ended;
        let unchecked = self.counts.rooms.saturating_sub(checked);
        let left_open = match unchecked {
            0 => String::new(),
            _ => format!(
                "; {} whose deliveries were still on their way not checked",
                quantity::things(unchecked, "room")
            ),
        };
        format!("interrupted by {by} {when}{left_open}")
    }

    /// What the workers did instead of keeping up, and the remedy. Workers that had time
    /// to spare would be as late at a lower rate.
    fn cause(&self, is_late: bool) -> String {
        let workers = self.course.workers;
        let sustained = self.counts.sent as f64 / (self.course.ran_for_ns() as f64 / 1e9);
        let busy = workers.cpu_ns as f64 / workers.elapsed_ns.max(1) as f64;
        let imports = workers.import_cpu_ns as f64 / workers.cpu_ns.max(1) as f64;
        let used = format!(
            "worker threads (--workers {}) used {:.0} % of their time, {:.0} % of that on imports \
             into the replicas",
            workers.threads,
            100.0 * busy,
            100.0 * imports,
        );
        if busy >= BUSY {
            return format!(
                "the generator sustained {sustained:.0} edits/s: its {used}; lower the rate, or use \
                 more cores"
            );
        }
        let why = match is_late {
            true => {
                "; edits were late because many were due at once (use --phase spread or --replica \
                 light), or because other programs had the cores (`syncbench doctor` tells)"
            }
            false => "",
        };
        format!("the rate of {sustained:.0} edits/s was not the cause: the {used}{why}")
    }

    /// A part of the propagation latency beside the whole, at the quantile that
    /// `at` reads. Both are 0 without samples.
    fn ratio(&self, part: &str, at: impl Fn(&Distribution) -> f64) -> QuantileRatio {
        let figure = |name| self.record.latency.get(name).map_or(0.0, &at);
        QuantileRatio {
            part: figure(part),
            propagation: figure("propagation"),
        }
    }
}

/// A figure with the part of it that is the generator's.
fn own_part(figure: &MarkedFigure) -> String {
    format!(
        "{} ({}, {} of it its own)",
        figure.stat,
        quantity::duration(figure.observed_us),
        quantity::duration(figure.own_us),
    )
}

/// A part of the propagation latency beside the whole, at one quantile,
/// microseconds.
struct QuantileRatio {
    part: f64,
    propagation: f64,
}

impl QuantileRatio {
    fn exceeds(&self, share: f64) -> bool {
        self.part > LAG_FLOOR.as_nanos() as f64 / 1e3 && self.part > share * self.propagation
    }
}

impl fmt::Display for QuantileRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {:.0} % of the propagation latency of {}",
            quantity::duration(self.part),
            100.0 * self.part / self.propagation,
            quantity::duration(self.propagation),
        )
    }
}

fn deliveries(number: u64) -> String {
    match number {
        1 => "1 delivery".to_owned(),
        _ => format!("{number} deliveries"),
    }
}

fn seconds(at: Nanos) -> String {
    format!("{:.1}", at as f64 / 1e9)
}
