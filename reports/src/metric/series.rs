//! The figures over time that are not a count or a distribution by second.

use super::{Metric, Unit, Worse};

/// One number for each second of the run.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// Its name and meaning. A series of a process has a column for each side,
    /// with `relay_` or `generator_` before this name.
    pub metric: Metric,
    /// The Prometheus gauge with its last value; `None` where the record's
    /// `resources` give a better one.
    pub prometheus: Option<&'static str>,
    /// The label of its axis in a chart.
    pub axis: &'static str,
}

/// Every such series.
pub const SERIES: [Series; 7] = [
    Series {
        metric: Metric {
            name: "live",
            title: "live",
            unit: Unit::Number,
            worse: Worse::Lower,
            meaning: "Clients that are connected and caught up.",
        },
        prometheus: Some("syncbench_clients_live"),
        axis: "live",
    },
    Series {
        metric: Metric {
            name: "staleness_edits",
            title: "staleness, in edits",
            unit: Unit::Number,
            worse: Worse::Higher,
            meaning: "Edits owed and not yet visible, over all replicas.",
        },
        prometheus: Some("syncbench_staleness_edits"),
        axis: "edits behind",
    },
    Series {
        metric: Metric {
            name: "staleness_s",
            title: "staleness",
            unit: Unit::Seconds,
            worse: Worse::Higher,
            meaning: "Age of the oldest edit that some replica still lacks.",
        },
        prometheus: Some("syncbench_staleness_seconds"),
        axis: "time behind",
    },
    Series {
        metric: Metric {
            name: "cpu",
            title: "CPU",
            unit: Unit::Cores,
            worse: Worse::Higher,
            meaning: "CPU cores in use; a single-threaded relay that comes near 1 is at its limit.",
        },
        prometheus: None,
        axis: "cores",
    },
    Series {
        metric: Metric {
            name: "rss_bytes",
            title: "memory",
            unit: Unit::Bytes,
            worse: Worse::Higher,
            meaning: "Resident memory of each process.",
        },
        prometheus: None,
        axis: "memory",
    },
    Series {
        metric: Metric {
            name: "threads",
            title: "threads",
            unit: Unit::Number,
            worse: Worse::Neither,
            meaning: "Threads of each process.",
        },
        prometheus: None,
        axis: "threads",
    },
    Series {
        metric: Metric {
            name: "descriptors",
            title: "descriptors",
            unit: Unit::Number,
            worse: Worse::Higher,
            meaning: "Open files and sockets of each process.",
        },
        prometheus: None,
        axis: "descriptors",
    },
];
