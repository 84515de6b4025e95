//! The outcome of a load run in the shape of a record.

use std::collections::BTreeMap;

use syncbench_reports::record::{
    Convergence, Counts, Distribution, Kind, Record, Resources, Run, SCHEMA, Series, Status,
    Verdict,
};

use syncbench_reports::validity::marked;

use super::verdict::{JUDGED, verdict};
use crate::metrics::{Latency, Metrics};
use crate::outcome::{Layout, Outcome, Row};

/// What a run of this `layout` has measured so far, and in its last second, as a
/// record without a verdict of its own: for those who watch.
pub fn so_far(layout: &Layout, total: &Metrics, last: &Row, run: Run) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        kind: Kind::Load,
        run,
        verdict: unjudged(),
        convergence: Some(Convergence {
            duplicated: total.duplicated,
            corrupt: total.corrupt,
            unexpected_frames: total.unexpected_frames,
            leaked: total.leaked,
            foreign: total.foreign,
            ..Convergence::default()
        }),
        counts: Some(Counts {
            clients: layout.clients,
            full_replicas: layout.full_replicas,
            rooms: layout.rooms,
            scheduled: total.sent + total.skipped,
            // What is owed and not visible yet is how far the replicas are behind.
            expected: total.visible + last.gauges.staleness.edits,
            ..counted(total)
        }),
        cell: None,
        latency: latency(total),
        groups: BTreeMap::new(),
        attribution: attribution(total),
        attribution_ns: attribution_ns(total),
        errors: total.errors.clone(),
        course: None,
        resources: None,
        series: Some(series(std::slice::from_ref(last))),
        marked: Vec::new(),
        thresholds: Vec::new(),
        artifacts: Vec::new(),
    }
}

impl Outcome {
    /// Returns the record of this run, made under the conditions of `run`.
    pub fn record(&self, run: Run) -> Record {
        let mut record = Record {
            latency: latency(&self.total),
            groups: self.groups(),
            series: Some(series(&self.rows)),
            ..self.without_distributions(run)
        };
        record.marked = marked(&record);
        record.verdict = verdict(&record);
        record
    }

    /// Returns the verdict on this run, which its record has as well. It is
    /// found without the distributions that no verdict looks at, as writing
    /// those takes most of the time of making a record.
    pub fn verdict(&self) -> Verdict {
        let distributions = self.total.distributions().into_iter();
        let judged = distributions.filter(|(name, _)| JUDGED.contains(name));
        let mut record = Record {
            latency: judged
                .map(|(name, latency)| (name.to_owned(), distribution(latency)))
                .collect(),
            ..self.without_distributions(Run::default())
        };
        record.marked = marked(&record);
        verdict(&record)
    }

    /// The record of this run without its verdict, its distributions and its
    /// series.
    fn without_distributions(&self, run: Run) -> Record {
        Record {
            schema: SCHEMA.to_owned(),
            kind: Kind::Load,
            run,
            verdict: unjudged(),
            convergence: Some(self.convergence.clone()),
            counts: Some(self.counts()),
            cell: None,
            latency: BTreeMap::new(),
            groups: BTreeMap::new(),
            attribution: attribution(&self.total),
            attribution_ns: attribution_ns(&self.total),
            errors: self.total.errors.clone(),
            course: Some(self.course.clone()),
            resources: self.resources(),
            series: None,
            marked: Vec::new(),
            thresholds: Vec::new(),
            artifacts: Vec::new(),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            clients: self.layout.clients,
            full_replicas: self.layout.full_replicas,
            rooms: self.layout.rooms,
            scheduled: self.scheduled,
            unsent: self.unsent,
            expected: self.expected,
            presence_expected: self.presence_expected,
            connecting_us: Some(self.connecting.as_micros() as u64),
            schedule: self.fingerprint.map(|print| format!("{print:016x}")),
            ..counted(&self.total)
        }
    }

    fn groups(&self) -> BTreeMap<String, BTreeMap<String, Distribution>> {
        let mut groups: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (group, latency) in &self.total.groups {
            if let Some((kind, name)) = self.layout.name_of(*group) {
                let of_kind = groups.entry(kind.to_owned()).or_default();
                of_kind.insert(name, distribution(latency));
            }
        }
        groups
    }

    fn resources(&self) -> Option<Resources> {
        let workers = self.course.workers;
        let (edit, import) = (workers.edit_cpu_ns, workers.import_cpu_ns);
        let other = workers.cpu_ns.saturating_sub(edit + import);
        let activities = [("edit", edit), ("import", import), ("other", other)];
        Some(Resources {
            generator: self.usage.generator.clone()?,
            relay: self.usage.relay.clone(),
            generator_cpu_by_activity: activities
                .map(|(name, cpu)| (name.to_owned(), cpu as f64 / 1e9))
                .into(),
        })
    }
}

/// The verdict of a record that has not been judged.
fn unjudged() -> Verdict {
    Verdict {
        exit_code: 0,
        status: Status::Ok,
        reasons: Vec::new(),
    }
}

/// The rows as columns; where one does not have a figure, there is a gap.
fn series(rows: &[Row]) -> Series {
    let mut columns: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        for (name, value) in row.columns() {
            let column = columns.entry(name).or_default();
            column.resize(index, None);
            column.push(value);
        }
    }
    for column in columns.values_mut() {
        column.resize(rows.len(), None);
    }
    Series {
        interval_s: 1.0,
        t: rows.iter().map(|row| row.second as f64).collect(),
        columns,
    }
}

fn distribution(latency: &Latency) -> Distribution {
    Distribution::from_histogram(&latency.trimmed())
}

/// Returns the counts of a run in progress.
fn counted(total: &Metrics) -> Counts {
    Counts {
        sent: total.sent,
        visible: total.visible,
        frames_in: total.frames_in,
        frames_out: total.frames_out,
        bytes_in: total.bytes_in,
        bytes_joining: total.bytes_joining,
        bytes_out: total.bytes_out,
        bytes_typed: total.bytes_typed,
        presence_sent: total.presence_sent,
        presence_skipped: total.presence_skipped,
        presence_visible: total.presence_visible,
        presence_refused: total.presence_refused,
        disconnects: total.disconnects,
        refused: total.refused,
        outages: total.outages,
        withdrawn: total.never_sent,
        skipped: total.skipped,
        skipped_joining: total.skipped_joining,
        ..Counts::default()
    }
}

/// The distributions that have samples, and those that every run has.
fn latency(total: &Metrics) -> BTreeMap<String, Distribution> {
    let always = ["propagation", "propagation_from_send", "generator_lag"];
    let named = total.distributions().into_iter();
    named
        .filter(|(name, latency)| always.contains(name) || !latency.histogram().is_empty())
        .map(|(name, latency)| (name.to_owned(), distribution(latency)))
        .collect()
}

/// The shares of the sum of all propagation latencies, by part.
fn attribution(total: &Metrics) -> BTreeMap<String, f64> {
    let parts = attribution_ns(total);
    let sum: u64 = parts.values().sum();
    let share = |nanos: u64| nanos as f64 / sum as f64;
    parts
        .into_iter()
        .filter(|_| sum > 0)
        .map(|(name, nanos)| (name, share(nanos)))
        .collect()
}

/// The parts of the sum of all propagation latencies, nanoseconds; empty
/// without deliveries.
fn attribution_ns(total: &Metrics) -> BTreeMap<String, u64> {
    let parts = total.breakdown.named();
    let has_any = parts.iter().any(|(_, nanos)| *nanos > 0);
    let named = parts
        .into_iter()
        .map(|(name, nanos)| (name.to_owned(), nanos));
    named.filter(|_| has_any).collect()
}
