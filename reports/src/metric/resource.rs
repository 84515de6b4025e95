//! What a relay uses that belongs to the run: one number for the whole run.

use super::{Metric, Unit, Worse};
use crate::record::{ProcessUse, Record};

/// A figure of the processes of a relay that the run owns.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    /// Its name and meaning.
    pub metric: Metric,
    /// The column of the series that it is read from, if it has one.
    column: Option<&'static str>,
    /// Reads it off the use of the whole run, where that knows it.
    read: fn(&ProcessUse) -> Option<u64>,
}

impl Resource {
    /// The value in a record: the largest of all seconds, or the one number that
    /// there is; `None` if it was not measured.
    pub fn of(&self, record: &Record) -> Option<f64> {
        let relay = record.resources.as_ref().and_then(|r| r.relay.as_ref());
        let whole = relay.and_then(self.read).map(|value| value as f64);
        let seconds = self.seconds(record).into_iter();
        seconds.chain(whole).reduce(f64::max)
    }

    /// Whether it has a value for each second.
    pub fn has_seconds(&self) -> bool {
        self.column.is_some()
    }

    /// The values of the seconds in which it was measured, in order.
    pub fn seconds(&self, record: &Record) -> Vec<f64> {
        let series = record.series.as_ref();
        let column = series.and_then(|series| series.columns.get(self.column?));
        column.into_iter().flatten().flatten().copied().collect()
    }
}

/// Every such figure.
pub const RESOURCES: [Resource; 6] = [
    Resource {
        metric: metric(
            "relay.cpu",
            "relay's CPU",
            Unit::Cores,
            "CPU cores that the relay's processes used, in the second in which they used most.",
        ),
        column: Some("relay_cpu"),
        read: |_| None,
    },
    Resource {
        metric: metric(
            "relay.rss",
            "relay's memory",
            Unit::Bytes,
            "Peak resident memory of the relay's processes.",
        ),
        column: Some("relay_rss_bytes"),
        read: |relay| Some(relay.rss_peak_bytes),
    },
    Resource {
        metric: metric(
            "relay.rss_after",
            "relay's memory after all",
            Unit::Bytes,
            "Resident memory of the relay's processes after the last client had left and they had \
             settled; what a relay does not let go of shows here.",
        ),
        column: None,
        read: |relay| relay.rss_after_bytes,
    },
    Resource {
        metric: metric(
            "relay.threads",
            "relay's threads",
            Unit::Number,
            "Most threads of the relay's processes.",
        ),
        column: Some("relay_threads"),
        read: |relay| relay.threads,
    },
    Resource {
        metric: metric(
            "relay.descriptors",
            "relay's descriptors",
            Unit::Number,
            "Most open files and sockets of the relay's processes.",
        ),
        column: Some("relay_descriptors"),
        read: |relay| relay.descriptors,
    },
    Resource {
        metric: metric(
            "relay.descriptors_after",
            "relay's descriptors after all",
            Unit::Number,
            "Open files and sockets of the relay's processes after the last client had left and \
             they had settled.",
        ),
        column: None,
        read: |relay| relay.descriptors_after,
    },
];

const fn metric(
    name: &'static str,
    title: &'static str,
    unit: Unit,
    meaning: &'static str,
) -> Metric {
    Metric {
        name,
        title,
        unit,
        worse: Worse::Higher,
        meaning,
    }
}
