//! Which latency figures are the generator's rather than the relay's.
//!
//! A latency that counts from the intended time of an edit contains the
//! generator's own lag, and the imports of a generator that is behind. Its
//! distribution is recorded a second time without them, so that for every figure
//! the two bracket the truth: where they differ by more than a small share, the
//! figure is the generator's. A few long pauses of a
//! busy machine therefore mark the figures that they decide, and no others.

use crate::record::{Distribution, MarkedFigure, Record};

/// The largest share of a figure that may be the generator's own.
pub const MAX_OWN_SHARE: f64 = 0.05;

/// What waking a thread costs on an ordinary machine, microseconds. So much of
/// the generator's own never marks a figure, however fast the relay is.
pub const OWN_FLOOR_US: f64 = 1_000.0;

/// Latencies from which the generator's own time is taken out in another one.
const WITHOUT_OWN: [(&str, &str); 2] = [
    ("propagation", "propagation_at_least"),
    ("propagation_in_generator", "propagation_at_least"),
];

/// Latencies that begin with the generator's lag, which is all that is known
/// about its part in them.
const WITH_LAG: [&str; 3] = ["ack", "delayed", "presence"];

/// A statistic of a distribution, microseconds.
type Stat = fn(&Distribution) -> f64;

/// The statistics that are marked in tables.
const STATS: [(&str, Stat); 6] = [
    ("mean", |latency| latency.mean),
    ("p50", |latency| latency.p50),
    ("p90", |latency| latency.p90),
    ("p99", |latency| latency.p99),
    ("p99.9", |latency| latency.p99_9),
    ("max", |latency| latency.max),
];

/// The generator's own part in a figure of the latency `metric`, which `at`
/// reads off a distribution, in the unit of `at`. 0 without samples, and for
/// latencies that the generator has no part in.
pub fn own_part(record: &Record, metric: &str, at: impl Fn(&Distribution) -> f64) -> f64 {
    let sampled = |name: &str| record.latency.get(name).filter(|d| d.count > 0).map(&at);
    let other = WITHOUT_OWN.iter().find(|(name, _)| *name == metric);
    let part = match other {
        Some((_, without)) => sampled(metric)
            .zip(sampled(without))
            .map(|(with, without)| with - without),
        None if WITH_LAG.contains(&metric) => sampled("generator_lag"),
        None => None,
    };
    part.unwrap_or(0.0).max(0.0)
}

/// The generator's own part in a figure of some of the deliveries, of which its
/// lag is all that is known.
pub fn own_part_of_group(record: &Record, at: impl Fn(&Distribution) -> f64) -> f64 {
    let lag = record.latency.get("generator_lag").filter(|d| d.count > 0);
    lag.map_or(0.0, at)
}

/// What to do about figures that are the generator's.
pub fn advice(record: &Record) -> &'static str {
    let counts = record.counts.as_ref();
    match counts.is_some_and(|counts| counts.full_replicas > 0) {
        true => "use --replica light, more --workers, or a lower rate",
        false => "use more --workers, or a lower rate",
    }
}

/// Whether `own` microseconds of a figure make it the generator's.
pub fn is_generators(figure_us: f64, own_us: f64) -> bool {
    own_us > OWN_FLOOR_US && own_us > MAX_OWN_SHARE * figure_us
}

/// The figures in the tables of a record that are the generator's, by latency
/// and ascending.
pub fn marked(record: &Record) -> Vec<MarkedFigure> {
    let names = WITHOUT_OWN.iter().map(|(name, _)| *name).chain(WITH_LAG);
    let figures = names.flat_map(|name| STATS.iter().map(move |stat| (name, stat)));
    figures
        .filter_map(|(name, (stat, at))| {
            let observed_us = at(record.latency.get(name).filter(|d| d.count > 0)?);
            let own_us = own_part(record, name, at);
            is_generators(observed_us, own_us).then(|| MarkedFigure {
                metric: name.to_owned(),
                stat: (*stat).to_owned(),
                observed_us,
                own_us,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hdrhistogram::Histogram;

    use super::*;

    fn record(deliveries: &[(u64, u64)]) -> Record {
        let of = |samples: &mut dyn Iterator<Item = u64>| {
            let mut histogram = Histogram::<u64>::new(3).unwrap();
            samples.for_each(|micros| histogram.record(micros * 1_000).unwrap());
            Distribution::from_histogram(&histogram)
        };
        let whole = of(&mut deliveries.iter().map(|(lag, rest)| lag + rest));
        let rest = of(&mut deliveries.iter().map(|(_, rest)| *rest));
        let mut record = Record::example();
        record.latency.insert("propagation".to_owned(), whole);
        record
            .latency
            .insert("propagation_at_least".to_owned(), rest);
        record
    }

    fn stats(record: &Record) -> Vec<String> {
        marked(record)
            .into_iter()
            .map(|figure| figure.stat)
            .collect()
    }

    #[test]
    fn a_late_generator_marks_every_figure() {
        let all = ["mean", "p50", "p90", "p99", "p99.9", "max"];
        assert_eq!(stats(&record(&[(50_000, 200_000); 1000])), all);
    }

    #[test]
    fn a_pause_marks_the_figures_that_it_decides() {
        let mut deliveries = vec![(0, 200_000); 995];
        deliveries.extend([(300_000, 200_000); 5]);
        assert_eq!(stats(&record(&deliveries)), ["p99.9", "max"]);
    }

    #[test]
    fn lag_that_decides_nothing_marks_nothing() {
        // Late edits went through a relay that was faster just then.
        let mut deliveries = vec![(0, 200_000); 900];
        deliveries.extend([(100_000, 100_000); 100]);
        assert!(
            stats(&record(&deliveries))
                .iter()
                .all(|stat| stat == "mean")
        );
        // Ordinary wake-ups, beside a relay that takes hardly longer.
        assert!(stats(&record(&[(900, 900); 1000])).is_empty());
        assert!(stats(&record(&[])).is_empty());
    }
}
