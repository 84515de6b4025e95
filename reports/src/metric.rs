//! The table of everything a run reports: name, unit, meaning, and which
//! direction is worse.
//!
//! Thresholds, the terminal summary, HTML, Prometheus, CSV, the help text and
//! the documentation read this one table, so a metric added here appears in
//! all of them. `loadgen` checks that its distributions are those listed.

mod count;
mod distribution;
mod document;
mod ratio;
mod resource;
mod series;

pub use count::{COUNTS, Count};
pub use distribution::{DISTRIBUTIONS, STAGES};
pub use document::{markdown_table, threshold_help};
pub use ratio::{RATIOS, Ratio};
pub use resource::{RESOURCES, Resource};
pub use series::{SERIES, Series};

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name in thresholds, in the record's maps and in CSV files.
    pub name: &'static str,
    /// The name in reports for people.
    pub title: &'static str,
    /// The unit of the value in the record.
    pub unit: Unit,
    /// The direction in which the metric gets worse.
    pub worse: Worse,
    /// One sentence that says what the value is.
    pub meaning: &'static str,
}

/// The shape of a metric's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Many samples, kept as a histogram.
    Distribution,
    /// One number for the whole run.
    Count,
    /// A share of one, computed from two counts.
    Ratio,
    /// One number about the processes of a relay that the run owns.
    Resource,
    /// One number for each second of the run.
    Series,
}

/// The unit of a value in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Micros,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A plain number.
    Number,
    /// A share from 0 to 1.
    Share,
    /// CPU cores in use.
    Cores,
}

/// The direction in which a metric gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// A larger value is worse.
    Higher,
    /// A smaller value is worse.
    Lower,
    /// The value follows from the scenario and is neither good nor bad.
    Neither,
}

impl Kind {
    /// The kind as it is written in tables.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Distribution => "distribution",
            Kind::Count => "count",
            Kind::Ratio => "ratio",
            Kind::Resource => "resource",
            Kind::Series => "series",
        }
    }
}

impl Unit {
    /// The unit's symbol as it is written in tables and CSV files; empty for a
    /// plain number.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Micros => "us",
            Unit::Seconds => "s",
            Unit::Bytes => "bytes",
            Unit::Number => "",
            Unit::Share => "share",
            Unit::Cores => "cores",
        }
    }
}

impl Worse {
    /// The direction as it is written in tables; empty for neither.
    pub fn name(self) -> &'static str {
        match self {
            Worse::Higher => "higher",
            Worse::Lower => "lower",
            Worse::Neither => "",
        }
    }
}

/// Every metric with its kind: distributions, counts, ratios, resources, then
/// series.
pub fn all() -> impl Iterator<Item = (Kind, &'static Metric)> {
    let distributions = DISTRIBUTIONS.iter().map(|m| (Kind::Distribution, m));
    let counts = COUNTS.iter().map(|count| (Kind::Count, &count.metric));
    let ratios = RATIOS.iter().map(|ratio| (Kind::Ratio, &ratio.metric));
    let resources = RESOURCES.iter().map(|one| (Kind::Resource, &one.metric));
    let series = SERIES.iter().map(|series| (Kind::Series, &series.metric));
    let of_run = distributions.chain(counts).chain(ratios);
    of_run.chain(resources).chain(series)
}

/// The distribution called `name`.
pub fn distribution(name: &str) -> Option<&'static Metric> {
    DISTRIBUTIONS.iter().find(|metric| metric.name == name)
}

/// The count called `name`.
pub fn count(name: &str) -> Option<&'static Count> {
    COUNTS.iter().find(|count| count.metric.name == name)
}

/// The ratio called `name`.
pub fn ratio(name: &str) -> Option<&'static Ratio> {
    RATIOS.iter().find(|ratio| ratio.metric.name == name)
}

/// The resource called `name`.
pub fn resource(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|one| one.metric.name == name)
}

/// The series called `name`, without the side of the process (`relay_` or
/// `generator_`).
pub fn series(name: &str) -> Option<&'static Series> {
    SERIES.iter().find(|series| series.metric.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_metrics_of_a_kind_share_a_name() {
        let mut seen = BTreeSet::new();
        for (kind, metric) in all() {
            assert!(seen.insert((kind.name(), metric.name)), "{}", metric.name);
        }
    }

    #[test]
    fn a_name_is_lower_case_and_a_meaning_is_a_sentence() {
        for (_, metric) in all() {
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            // The side of a resource is set apart as a threshold writes it.
            let name = metric.name.replacen("relay.", "", 1);
            assert!(name.chars().all(plain), "{name}");
            let meaning = metric.meaning;
            assert!(
                meaning.ends_with('.') && !meaning.contains('\n'),
                "{meaning}"
            );
            assert!(meaning.starts_with(char::is_uppercase), "{meaning}");
            assert!(!metric.title.is_empty(), "{}", metric.name);
        }
    }

    #[test]
    fn the_stages_are_distributions() {
        assert!(STAGES.iter().all(|stage| distribution(stage).is_some()));
    }

    #[test]
    fn no_two_prometheus_families_share_a_name() {
        let counts = COUNTS.iter().map(|count| count.prometheus);
        let families: Vec<&str> = counts
            .chain(SERIES.iter().filter_map(|series| series.prometheus))
            .collect();
        let distinct: BTreeSet<&&str> = families.iter().collect();
        assert_eq!(distinct.len(), families.len());
    }
}
