//! The run second by second. Histograms are only kept until every worker has
//! told of a second: of a long run, the figures remain.

use std::collections::BTreeMap;

use crate::metrics::{Latency, Metrics};

/// One second of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The second, from the schedule's start.
    pub second: u64,
    /// Edits made in it.
    pub sent: u64,
    /// Deliveries in it.
    pub visible: u64,
    /// Median, 99th percentile and maximum of the propagation latency,
    /// microseconds.
    pub propagation: [Option<f64>; 3],
    /// The same of the generator's lag.
    pub generator_lag: [Option<f64>; 3],
    /// Edits owed and not visible at its end, over all replicas.
    pub stale_edits: u64,
    /// Age of the oldest of them, seconds.
    pub stale_s: f64,
    /// Clients that were caught up at its end.
    pub live: u64,
    /// Clients that were not, against the scenario.
    pub unreachable: u64,
    /// Payload bytes received and sent in it.
    pub bytes: (u64, u64),
    /// What went wrong in it.
    pub errors: u64,
    /// What both processes used, by the column's name.
    pub processes: BTreeMap<String, f64>,
}

impl Row {
    fn new(second: u64, metrics: &Metrics) -> Self {
        let figures = |latency: &Latency| [0.5, 0.99, 1.0].map(|q| latency.micros_at(q));
        Self {
            second,
            sent: metrics.sent,
            visible: metrics.visible,
            propagation: figures(&metrics.propagation),
            generator_lag: figures(&metrics.generator_lag),
            stale_edits: metrics.staleness.edits,
            stale_s: metrics.staleness.oldest as f64 / 1e9,
            live: metrics.live,
            unreachable: metrics.unreachable,
            bytes: (metrics.bytes_in, metrics.bytes_out),
            errors: metrics.errors.values().sum(),
            processes: BTreeMap::new(),
        }
    }

    /// Its figures, by the names of their columns in the record.
    pub fn columns(&self) -> Vec<(String, Option<f64>)> {
        let count = |value: u64| Some(value as f64);
        let mut columns = vec![
            ("sent".to_owned(), count(self.sent)),
            ("visible".to_owned(), count(self.visible)),
            ("staleness_edits".to_owned(), count(self.stale_edits)),
            ("staleness_s".to_owned(), Some(self.stale_s)),
            ("live".to_owned(), count(self.live)),
            ("bytes_in".to_owned(), count(self.bytes.0)),
            ("bytes_out".to_owned(), count(self.bytes.1)),
            ("errors".to_owned(), count(self.errors)),
        ];
        let latencies = [
            ("propagation", self.propagation),
            ("generator_lag", self.generator_lag),
        ];
        for (name, figures) in latencies {
            let named = ["p50", "p99", "max"].into_iter().zip(figures);
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
    /// Seconds of which some worker has not told yet.
    open: BTreeMap<u64, (usize, Metrics)>,
    done: Vec<Row>,
    /// What the processes use now.
    processes: BTreeMap<String, f64>,
}

impl Rows {
    /// Rows of a run with so many workers.
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

    /// Adds what one worker measured; the row, when it was the last to tell.
    pub fn add(&mut self, second: u64, metrics: Metrics) -> Option<&Row> {
        let (told, sum) = self.open.entry(second).or_default();
        *told += 1;
        sum.add_parallel(&metrics);
        if *told < self.workers {
            return None;
        }
        let (_, metrics) = self.open.remove(&second)?;
        self.complete(second, &metrics);
        self.done.last()
    }

    fn complete(&mut self, second: u64, metrics: &Metrics) {
        let mut row = Row::new(second, metrics);
        row.processes = self.processes.clone();
        self.done.push(row);
    }

    /// All rows, ascending.
    pub fn finish(mut self) -> Vec<Row> {
        for (second, (_, metrics)) in std::mem::take(&mut self.open) {
            self.complete(second, &metrics);
        }
        self.done.sort_by_key(|row| row.second);
        self.done
    }
}
