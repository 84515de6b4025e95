//! The outcome of a run: what it measured and what happened in it, as plain
//! data. The outcomes of processes that played different rooms of one run add
//! up to the outcome that a single process would have had.

mod layout;
mod rows;
#[cfg(test)]
mod tests;
mod usage;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use syncbench_reports::record::{Convergence, Course};

use crate::metrics::Metrics;
use crate::room::convergence;

pub use layout::Layout;
pub use rows::{Row, Rows};
pub use usage::Usage;

/// Lost connections that are kept with their reasons.
const KEPT_LOSSES: usize = 100;

/// Rooms that ended early and are kept with their reasons and files.
const KEPT_ROOMS: usize = 100;

/// Everything that a run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The size of the run, and the names of its parts.
    pub layout: Layout,
    /// The measurements of each second since the schedule's start.
    pub rows: Vec<Row>,
    /// The measurements of the whole run.
    pub total: Metrics,
    /// Edits that the schedule intended until the run ended.
    pub scheduled: u64,
    /// Of those, the edits that came too late to be sent.
    pub unsent: u64,
    /// Deliveries that were due.
    pub expected: u64,
    /// Deliveries of presence messages that were due.
    pub presence_expected: u64,
    /// The check of all rooms.
    pub convergence: Convergence,
    /// The time that it took to connect the initial clients.
    pub connecting: Duration,
    /// The incidents of the run.
    pub course: Course,
    /// Sum of the fingerprints of all scheduled edits, wrapping; `None` if the
    /// schedule was not played to its end.
    pub fingerprint: Option<u64>,
    /// CPU time and memory of both sides.
    pub usage: Usage,
    /// The files that the course names.
    pub attachments: Vec<Attachment>,
}

/// A file that belongs beside the record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attachment {
    /// The name of the file.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// Two outcomes that do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are outcomes of different runs: their clients, rooms or stages differ")]
pub struct DifferentRuns;

impl Outcome {
    /// The outcome of a run without any worker: what merging begins with.
    pub fn empty(layout: Layout) -> Self {
        Self {
            course: Course {
                planned_ns: layout.duration,
                planned_faults: layout.relay_faults,
                ..Course::default()
            },
            layout,
            rows: Vec::new(),
            total: Metrics::default(),
            scheduled: 0,
            unsent: 0,
            expected: 0,
            presence_expected: 0,
            convergence: Convergence::default(),
            connecting: Duration::ZERO,
            fingerprint: Some(0),
            usage: Usage::default(),
            attachments: Vec::new(),
        }
    }

    /// Adds the outcome of another process that played other rooms of the same
    /// run. In which order outcomes are added makes no difference.
    ///
    /// # Errors
    /// When the outcomes are of different runs; nothing is added then.
    pub fn merge(&mut self, other: Self) -> Result<(), DifferentRuns> {
        if self.layout != other.layout {
            return Err(DifferentRuns);
        }
        self.add(other);
        Ok(())
    }

    /// Adds what other rooms of the same run came to.
    pub(crate) fn add(&mut self, other: Self) {
        self.rows = merge_rows(std::mem::take(&mut self.rows), other.rows);
        self.total.add(&other.total);
        self.unsent += other.unsent;
        self.expected += other.expected;
        self.presence_expected += other.presence_expected;
        convergence::add(&mut self.convergence, other.convergence);
        self.connecting = self.connecting.max(other.connecting);
        merge_courses(&mut self.course, other.course);
        self.attachments.extend(other.attachments);
        self.keep_named_attachments();
        let both = self.fingerprint.zip(other.fingerprint);
        self.fingerprint = both.map(|(one, other)| one.wrapping_add(other));
        self.usage.merge(other.usage);
        self.count_from_total();
    }

    /// Keeps the files of those rooms that the course keeps.
    fn keep_named_attachments(&mut self) {
        let rooms = &self.course.ended_rooms;
        let is_named = |file: &Attachment| {
            rooms
                .iter()
                .any(|room| room.artifact.as_ref() == Some(&file.name))
        };
        self.attachments.retain(is_named);
        self.attachments.sort();
    }

    /// Sets the counts that follow from the total.
    pub(crate) fn count_from_total(&mut self) {
        let total = &self.total;
        self.convergence.duplicated = total.duplicated;
        self.convergence.corrupt = total.corrupt;
        self.convergence.unexpected_frames = total.unexpected_frames;
        self.convergence.leaked = total.leaked;
        self.convergence.foreign = total.foreign;
        self.scheduled = total.sent + total.skipped + self.unsent;
        self.course.workers.edit_cpu_ns = total.edit_cpu;
        self.course.workers.import_cpu_ns = total.import_cpu;
    }

    /// Returns how long edits were scheduled, until the end or an early stop.
    pub fn ran_for(&self) -> Duration {
        Duration::from_nanos(self.course.ran_for_ns())
    }
}

fn merge_rows(rows: Vec<Row>, others: Vec<Row>) -> Vec<Row> {
    let mut all = rows;
    all.extend(others);
    // Stable: of one second, the row that was there comes first.
    all.sort_by_key(|row| row.second);
    let mut merged: Vec<Row> = Vec::new();
    for row in all {
        match merged.last_mut().filter(|last| last.second == row.second) {
            Some(last) => last.merge(&row),
            None => merged.push(row),
        }
    }
    merged
}

/// Adds what another process noted. Of things that happen once to the whole
/// run, the first is kept; of messages without a time, the one that sorts
/// first, so that the order of the processes makes no difference.
fn merge_courses(course: &mut Course, other: Course) {
    course.faults.extend(other.faults);
    course.faults.sort();
    course.ended_rooms.extend(other.ended_rooms);
    course.ended_rooms.sort();
    course.ended_rooms.truncate(KEPT_ROOMS);
    course.lost_connections.extend(other.lost_connections);
    course.lost_connections.sort();
    course.lost_connections.truncate(KEPT_LOSSES);
    keep_first(&mut course.interrupted_ns, other.interrupted_ns);
    keep_first(&mut course.interrupted_by, other.interrupted_by);
    course.partial_allowed |= other.partial_allowed;
    keep_first(&mut course.aborted, other.aborted);
    keep_first(&mut course.relay_ended, other.relay_ended);
    keep_first(&mut course.unreachable_ns, other.unreachable_ns);
    keep_first(&mut course.worker_failed, other.worker_failed);
    keep_first(&mut course.rejected, other.rejected);
    keep_first(&mut course.presence_refused, other.presence_refused);
    keep_first(&mut course.unexpected_frame, other.unexpected_frame);
    keep_first(&mut course.engine_error, other.engine_error);
    let (workers, others) = (&mut course.workers, other.workers);
    workers.threads += others.threads;
    workers.cpu_ns += others.cpu_ns;
    workers.elapsed_ns += others.elapsed_ns;
}

fn keep_first<T: Ord>(kept: &mut Option<T>, other: Option<T>) {
    *kept = kept.take().into_iter().chain(other).min();
}
