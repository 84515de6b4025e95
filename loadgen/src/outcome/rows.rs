//! The run second by second. Every second keeps the distributions of the
//! headline metrics in packed form, so that the seconds of several processes
//! add up exactly; all other histograms are added to the total and dropped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::{Gauges, Metrics, PackedLatency};

/// One second of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The second, from the schedule's start.
    pub second: u64,
    /// Edits made in it.
    pub sent: u64,
    /// Deliveries in it.
    pub visible: u64,
    /// Propagation latency of the deliveries in it.
    pub propagation: PackedLatency,
    /// The generator's lag with the edits in it.
    pub generator_lag: PackedLatency,
    /// The state of the clients at its end.
    pub gauges: Gauges,
    /// Payload bytes received in it.
    pub bytes_in: u64,
    /// Payload bytes sent in it.
    pub bytes_out: u64,
    /// The number of errors in it.
    pub errors: u64,
    /// The use of both processes, by the name of the column.
    pub processes: BTreeMap<String, f64>,
}

impl Row {
    fn new(second: u64) -> Self {
        Self {
            second,
            ..Self::default()
        }
    }

    /// Adds what a worker measured in the same second.
    fn count(&mut self, metrics: &Metrics, gauges: &Gauges) {
        self.merge(&Self {
            second: self.second,
            sent: metrics.sent,
            visible: metrics.visible,
            propagation: (&metrics.propagation).into(),
            generator_lag: (&metrics.generator_lag).into(),
            gauges: *gauges,
            bytes_in: metrics.bytes_in,
            bytes_out: metrics.bytes_out,
            errors: metrics.errors.values().sum(),
            processes: BTreeMap::new(),
        });
    }

    /// Adds the same second of other rooms. Of the processes, the generator's
    /// figures add up, and the relay's are those of whoever looked at it.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.visible += other.visible;
        self.propagation.add(&other.propagation);
        self.generator_lag.add(&other.generator_lag);
        self.gauges.add(&other.gauges);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.errors += other.errors;
        for (name, value) in &other.processes {
            let known = self.processes.entry(name.clone());
            let is_sum = name.starts_with("generator_");
            known
                .and_modify(|known| *known += if is_sum { *value } else { 0.0 })
                .or_insert(*value);
        }
    }

    /// Returns its figures by the names of their columns in the record.
    pub fn columns(&self) -> Vec<(String, Option<f64>)> {
        let count = |value: u64| Some(value as f64);
        let staleness = self.gauges.staleness;
        let stale_s = staleness.oldest as f64 / 1e9;
        let mut columns = vec![
            ("sent".to_owned(), count(self.sent)),
            ("visible".to_owned(), count(self.visible)),
            ("staleness_edits".to_owned(), count(staleness.edits)),
            ("staleness_s".to_owned(), Some(stale_s)),
            ("live".to_owned(), count(self.gauges.live)),
            ("bytes_in".to_owned(), count(self.bytes_in)),
            ("bytes_out".to_owned(), count(self.bytes_out)),
            ("errors".to_owned(), count(self.errors)),
        ];
        let latencies = [
            ("propagation", &self.propagation),
            ("generator_lag", &self.generator_lag),
        ];
        for (name, latency) in latencies {
            let named = ["p50", "p99", "max"].into_iter().zip(latency.figures());
            columns.extend(named.map(|(figure, value)| (format!("{name}_{figure}"), value)));
        }
        let processes = self.processes.iter();
        columns.extend(processes.map(|(name, &value)| (name.clone(), Some(value))));
        columns
    }
}

/// Adds up what the workers report of each second.
#[derive(Debug)]
pub struct Rows {
    workers: usize,
    /// Seconds that some worker has not reported yet, with the number of
    /// workers that have.
    open: BTreeMap<u64, (usize, Row)>,
    done: Vec<Row>,
    /// The resources that the processes use now.
    processes: BTreeMap<String, f64>,
}

impl Rows {
    /// The rows of a run with this number of workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            open: BTreeMap::new(),
            done: Vec::new(),
            processes: BTreeMap::new(),
        }
    }

    /// Notes what a process uses now, for the seconds that follow.
    pub fn note(&mut self, column: &str, value: f64) {
        self.processes.insert(column.to_owned(), value);
    }

    /// Forgets what the processes of a side use, because nothing is known of them
    /// any more.
    pub fn forget(&mut self, side: &str) {
        self.processes.retain(|column, _| !column.starts_with(side));
    }

    /// Adds what one worker measured. Returns the row when every worker has
    /// reported its second.
    pub fn add(&mut self, second: u64, metrics: &Metrics, gauges: &Gauges) -> Option<&Row> {
        let open = self.open.entry(second);
        let (reported, row) = open.or_insert_with(|| (0, Row::new(second)));
        *reported += 1;
        row.count(metrics, gauges);
        if *reported < self.workers {
            return None;
        }
        let (_, row) = self.open.remove(&second)?;
        self.complete(row);
        self.done.last()
    }

    fn complete(&mut self, mut row: Row) {
        row.processes = self.processes.clone();
        self.done.push(row);
    }

    /// Returns all rows, ascending.
    pub fn finish(mut self) -> Vec<Row> {
        for (_, (_, row)) in std::mem::take(&mut self.open) {
            self.complete(row);
        }
        self.done.sort_by_key(|row| row.second);
        self.done
    }
}
