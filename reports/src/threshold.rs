//! Thresholds: the conditions a run must meet, in the one grammar that
//! scenarios, flags and service level objectives share.
//!
//! ```text
//! propagation.p99 < 100ms      metric.stat op value unit
//! propagation.p(99) < 100ms    the same, as k6 writes it
//! convergence.rate == 1        a share; 99.9% is 0.999
//! lost == 0                    a count
//! relay.rss < 200MiB           what a relay uses that the run owns, at its peak
//! relay.cpu.mean < 0.8         the same, over the seconds of the run
//! propagation{stage:spike}.p99 < 1s   a part of the deliveries: a stage, a
//!                              room_size, or the link of the receiver
//! ```
//!
//! The metrics are those of the table in [`metric`](crate::metric). A threshold
//! whose metric has no sample is missed: nothing was shown to hold.

mod figure;

use std::fmt;
use std::str::FromStr;

use figure::{Figure, Stat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::{Record, Status, ThresholdResult};
use crate::validity::advice;

/// A condition on one figure of a record.
#[derive(Debug, Clone)]
pub struct Threshold {
    figure: Figure,
    op: Op,
    /// In the unit of the figure: nanoseconds, or a plain number.
    limit: f64,
    text: String,
}

/// An error in the text of a threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// A part of the threshold is missing.
    #[error(
        "`{0}` is not a threshold: write `metric.stat op value`, such as `propagation.p99 < 100ms`"
    )]
    Form(String),
    /// No metric has that name.
    #[error("unknown metric `{name}`; {}", did_you_mean(.similar.as_deref(), .known))]
    Metric {
        /// The name as written.
        name: String,
        /// The metric that was probably meant.
        similar: Option<String>,
        /// The names of all metrics.
        known: String,
    },
    /// The metric is not divided into such parts.
    #[error(
        "`{0}`: write propagation{{stage:NAME}}, propagation{{room_size:CLIENTS}} or \
         propagation{{link:NAME}}; no other metric is divided into parts"
    )]
    Group(String),
    /// The metric has no such statistic.
    #[error("`{metric}` has no `{stat}`: {help}")]
    Stat {
        /// The metric.
        metric: String,
        /// The statistic as written.
        stat: String,
        /// The statistics it has.
        help: &'static str,
    },
    /// The value does not fit the metric.
    #[error("`{value}` is not a limit for `{figure}`: {help}")]
    Value {
        /// The value as written.
        value: String,
        /// The metric and statistic.
        figure: String,
        /// The form that fits.
        help: &'static str,
    },
}

fn did_you_mean(similar: Option<&str>, known: &str) -> String {
    match similar {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => format!("the metrics are {known}"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
}

/// The longer first: `<` is the beginning of `<=`.
const OPS: [(&str, Op); 6] = [
    ("<=", Op::AtMost),
    (">=", Op::AtLeast),
    ("==", Op::Equal),
    ("!=", Op::Unequal),
    ("<", Op::Less),
    (">", Op::Greater),
];

impl Op {
    fn holds(self, figure: f64, limit: f64) -> bool {
        // 99.9 % is not quite 0.999, and 999 of 1,000 is both.
        let equal = (figure - limit).abs() <= 1e-12 * limit.abs().max(1.0);
        match self {
            Self::Less => figure < limit && !equal,
            Self::AtMost => figure < limit || equal,
            Self::Greater => figure > limit && !equal,
            Self::AtLeast => figure > limit || equal,
            Self::Equal => equal,
            Self::Unequal => !equal,
        }
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let text = text.trim();
        let form = || ThresholdError::Form(text.to_owned());
        let at = text.find(['<', '>', '=', '!']).ok_or_else(form)?;
        let (name, rest) = text.split_at(at);
        let mut ops = OPS.iter();
        let (sign, op) = ops
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(form)?;
        let value = rest[sign.len()..].trim();
        if name.trim().is_empty() || value.is_empty() {
            return Err(form());
        }
        let figure: Figure = name.trim().parse()?;
        Ok(Self {
            limit: figure.limit(value)?,
            figure,
            op: *op,
            text: text.to_owned(),
        })
    }
}

/// Thresholds are equal if their texts are, of which the rest is made.
impl PartialEq for Threshold {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Threshold {
    /// The part of the deliveries that the threshold is restricted to: the kind
    /// of part (`stage`, `room_size`, `link`) and its name. `None` if it covers
    /// all deliveries.
    pub fn group(&self) -> Option<(&str, &str)> {
        match &self.figure {
            Figure::Latency(latency, _) | Figure::Samples(latency) => {
                let (kind, part) = latency.group.as_ref()?;
                Some((kind, part))
            }
            Figure::Count(..) | Figure::Rate(..) | Figure::Resource(..) => None,
        }
    }

    /// Whether it is about the processes of a relay, which are measured only
    /// where the run owns them.
    pub fn needs_owned_relay(&self) -> bool {
        matches!(self.figure, Figure::Resource(..))
    }

    /// Returns true if the threshold is missed already and the rest of the run
    /// cannot change that: an upper limit on a count that only grows, or on the
    /// slowest sample.
    pub fn cannot_recover(&self, so_far: &Record) -> bool {
        let bounds_from_above = match self.op {
            Op::Less | Op::AtMost => true,
            Op::Equal => self.limit == 0.0,
            Op::Greater | Op::AtLeast | Op::Unequal => false,
        };
        let only_grows = matches!(
            self.figure,
            Figure::Count(..)
                | Figure::Latency(_, Stat::Max)
                | Figure::Resource(_, None | Some(Stat::Max))
        );
        let figure = self.figure.of(so_far);
        bounds_from_above
            && only_grows
            && figure.is_some_and(|figure| !self.op.holds(figure, self.limit))
    }

    /// Compares the threshold with a record.
    pub fn evaluate(&self, record: &Record) -> ThresholdResult {
        let figure = self.figure.of(record);
        let not_judged = self.figure.is_generators(record);
        let holds = figure.is_some_and(|figure| self.op.holds(figure, self.limit));
        ThresholdResult {
            threshold: self.text.clone(),
            met: holds && !not_judged,
            not_judged,
            value: figure.map(|figure| self.figure.recorded(figure)),
            limit: Some(self.figure.recorded(self.limit)),
            unit: self.figure.unit().symbol().to_owned(),
            observed: figure.map(|figure| self.figure.shown(figure)),
        }
    }
}

/// Compares a record with the thresholds and stores the results in it. A missed
/// threshold changes the verdict of a run that is otherwise ok; one that could
/// not be judged makes it invalid.
pub fn apply_thresholds(record: &mut Record, thresholds: &[Threshold]) {
    record.thresholds = thresholds.iter().map(|t| t.evaluate(record)).collect();
    let failed = record.thresholds.iter().filter(|result| !result.met);
    let advice = advice(record);
    let reasons: Vec<String> = failed.map(|result| reason(result, advice)).collect();
    let any_not_judged = record.thresholds.iter().any(|result| result.not_judged);
    let status = match any_not_judged {
        true => Status::Invalid,
        false => Status::Threshold,
    };
    if !reasons.is_empty() && record.verdict.status == Status::Ok {
        record.verdict.status = status;
        record.verdict.exit_code = status.exit_code();
    }
    record.verdict.reasons.extend(reasons);
}

/// Why a threshold is not met.
fn reason(result: &ThresholdResult, advice: &str) -> String {
    let threshold = &result.threshold;
    match (&result.observed, result.not_judged) {
        (Some(observed), true) => format!(
            "not judged: {threshold}; it was {observed}, of which too much is the generator's own \
             time: {advice}"
        ),
        (Some(observed), false) => format!("missed: {threshold}; it was {observed}"),
        (None, _) => format!("missed: {threshold}; there are no samples"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::*;
    use crate::metric::{Kind, Unit};
    use crate::record::{Convergence, Counts, Distribution, Resources, Series};

    /// 100 samples of 1 to 100 ms, 40 rooms, an edit in 1,000 lost.
    fn record() -> Record {
        let mut histogram = Histogram::new(3).unwrap();
        for ms in 1..=100_u64 {
            histogram.record(ms * 1_000_000).unwrap();
        }
        let mut record = Record::example();
        let full = Distribution::from_histogram(&histogram);
        let none = Distribution::from_histogram(&Histogram::new(3).unwrap());
        record.latency.insert("propagation".to_owned(), full);
        record.latency.insert("connect".to_owned(), none);
        record.convergence = Some(Convergence {
            rooms: 40,
            converged: 39,
            lost: 4,
            lost_by_absence: 1,
            ..Convergence::default()
        });
        record.counts = Some(Counts {
            scheduled: 1000,
            sent: 999,
            withdrawn: 3,
            connecting_us: Some(2_000_000),
            ..Counts::default()
        });
        record.resources = Some(resources());
        let rss = [10.0, 30.0, 20.0].map(|mib: f64| Some(mib * 1_048_576.0));
        record.series = Some(Series {
            interval_s: 1.0,
            t: vec![0.0, 1.0, 2.0, 3.0],
            columns: [
                ("relay_cpu", vec![None, Some(0.5), Some(0.25), Some(0.75)]),
                ("relay_rss_bytes", rss.to_vec()),
            ]
            .map(|(name, column)| (name.to_owned(), column))
            .into(),
        });
        record
    }

    /// A relay that let go of its sockets, and not of its memory.
    fn resources() -> Resources {
        let used = serde_json::json!({ "pid": 1, "cpu_s": 1.0, "rss_peak_bytes": 41943040 });
        let mut relay = used.clone();
        relay["rss_after_bytes"] = (39 << 20).into();
        relay["descriptors"] = 220.into();
        relay["descriptors_after"] = 20.into();
        serde_json::from_value(serde_json::json!({ "generator": used, "relay": relay })).unwrap()
    }

    fn judged(text: &str) -> ThresholdResult {
        text.parse::<Threshold>().unwrap().evaluate(&record())
    }

    #[test]
    fn figures_are_read_and_compared() {
        for (text, met) in [
            ("propagation.p99 < 100ms", true),
            ("propagation.p(99) < 0.1s", true),
            ("propagation.p99.9<=99ms", false),
            ("propagation.p99_9 > 99 ms", true),
            ("propagation.med >= 49ms", true),
            ("propagation.max < 100_500us", true),
            ("propagation.min > 500us", true),
            ("propagation.avg < 50ms", false),
            ("propagation.count == 100", true),
            ("lost == 0", false),
            ("lost != 0", true),
            ("lost <= 4", true),
            ("convergence.rate == 1", false),
            ("convergence.rate >= 97.5%", true),
            ("sent.rate >= 99.9%", true),
            ("sent.rate > 0.999", false),
            ("connecting <= 2s", true),
            ("connecting < 1999ms", false),
            ("never_sent == 3", true),
            ("lost_by_absence == 1", true),
            ("rooms_converged >= 39", true),
            ("relay.rss <= 40MiB", true),
            ("relay.rss < 41.9MB", false),
            ("relay.rss.max == 30 MiB", true),
            ("relay.rss.mean == 20MiB", true),
            ("relay.rss_after < 39936KiB", false),
            ("relay.cpu < 0.8", true),
            ("relay.cpu.mean == 50%", true),
            ("relay.cpu.p50 == 0.5", true),
            ("relay.cpu.min > 0.25", false),
            ("relay.descriptors == 220", true),
            ("relay.descriptors_after <= 20", true),
        ] {
            assert_eq!(judged(text).met, met, "{text}");
        }
    }

    #[test]
    fn without_samples_nothing_is_met() {
        for text in [
            "connect.p99 < 1m",
            "transit.p99 < 1m",
            "visible.rate > 0",
            "import.count == 0",
            "relay.threads < 100",
            "relay.threads.mean < 100",
        ] {
            let judged = judged(text);
            assert_eq!((judged.met, judged.observed), (false, None), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_mend() {
        for (text, message) in [
            ("propagation", "is not a threshold"),
            ("propagation.p99 = 3ms", "is not a threshold"),
            ("< 3ms", "is not a threshold"),
            ("propagation.p99 <", "is not a threshold"),
            ("propagtion.p99 < 3ms", "did you mean `propagation`?"),
            ("humidity < 3", "the metrics are ack, bytes_in"),
            (
                "propagation{stag:rise}.p99 < 3ms",
                "propagation{stage:NAME}",
            ),
            ("propagation < 3ms", "use min"),
            ("propagation.p101 < 3ms", "use min"),
            ("propagation.p99 < 3", "with its unit"),
            ("propagation.p99 < 3 parsecs", "with its unit"),
            ("propagation.p99 < -3ms", "with its unit"),
            ("convergence < 3", "use its `.rate`"),
            ("convergence.rate == 2", "from 0 to 1"),
            ("lost.p99 == 0", "without a statistic"),
            ("lost == 0.5", "a whole number"),
            ("lost == 0ms", "a whole number"),
            ("sent.p99 == 0", "with `.rate`"),
            ("connecting < 3", "with its unit"),
            ("withdrawn == 0", "unknown metric"),
            ("relay.rs < 3MiB", "did you mean `relay.rss`?"),
            ("relay.humidity < 3", "relay.cpu"),
            ("relay.rss < 3", "a size with its unit"),
            ("relay.rss < 3.5.1MiB", "a size with its unit"),
            ("relay.cpu < 3s", "a number of cores"),
            ("relay.descriptors < 1.5", "a whole number"),
            ("relay.rss.often < 3MiB", "a statistic over the seconds"),
            ("relay.rss_after.mean < 3MiB", "without a statistic"),
        ] {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_missed_threshold_fails_a_run_that_is_well_and_outweighs_nothing() {
        let missed = ["lost == 0".parse().unwrap(), "sent > 1".parse().unwrap()];
        let mut record = record();
        apply_thresholds(&mut record, &missed);
        assert_eq!(record.verdict.status, Status::Threshold);
        assert_eq!(record.verdict.exit_code, 99);
        assert_eq!(record.verdict.reasons, ["missed: lost == 0; it was 4"]);
        assert_eq!(record.thresholds.len(), 2);

        record.verdict.status = Status::Invalid;
        apply_thresholds(&mut record, &missed);
        assert_eq!(record.verdict.status, Status::Invalid);
    }

    #[test]
    fn a_result_holds_numbers_in_the_unit_of_the_record() {
        for (text, value, limit, unit) in [
            ("propagation.max < 200ms", Some(100_000.0), 200_000.0, "us"),
            ("connecting < 3s", Some(2e6), 3e6, "us"),
            ("convergence.rate >= 99%", Some(39.0 / 40.0), 0.99, "share"),
            ("lost == 0", Some(4.0), 0.0, ""),
            ("connect.p50 < 1s", None, 1e6, "us"),
        ] {
            let result = judged(text);
            // Histograms have three significant digits.
            let near = |a: f64, b: f64| (a - b).abs() <= 0.001 * b;
            let is_near = result
                .value
                .zip(value)
                .map(|(found, value)| near(found, value));
            assert_eq!(is_near, value.map(|_| true), "{result:?}");
            assert!(
                result.limit.is_some_and(|found| near(found, limit)),
                "{result:?}"
            );
            assert_eq!(result.unit, unit);
        }
    }

    #[test]
    fn every_metric_of_the_table_is_accepted() {
        for (kind, metric) in crate::metric::all() {
            let text = match (kind, metric.unit) {
                (Kind::Distribution, _) => format!("{}.p99 < 1s", metric.name),
                (Kind::Count, Unit::Micros) => format!("{} < 1s", metric.name),
                (Kind::Count, _) => format!("{} == 0", metric.name),
                (Kind::Ratio, _) => format!("{}.rate == 1", metric.name),
                (Kind::Resource, Unit::Bytes) => format!("{} < 1MiB", metric.name),
                (Kind::Resource, _) => format!("{} < 1", metric.name),
                // A threshold is about the whole run, and not about a second.
                (Kind::Series, _) => continue,
            };
            assert!(text.parse::<Threshold>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_peak_of_the_relay_that_was_exceeded_stays_exceeded() {
        for (text, is_missed) in [
            ("relay.rss < 20MiB", true),
            ("relay.rss.max < 20MiB", true),
            ("relay.rss.mean < 10MiB", false),
            ("relay.cpu < 1", false),
        ] {
            let threshold: Threshold = text.parse().unwrap();
            assert_eq!(threshold.cannot_recover(&record()), is_missed, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z_.(<>=!0-9 %)µ-]{0,40}") {
            let _ = text.parse::<Threshold>();
        }

        #[test]
        fn opposite_conditions_never_agree(limit in 0..200u32) {
            let record = record();
            let met = |op| {
                let text = format!("propagation.p50 {op} {limit}ms");
                text.parse::<Threshold>().unwrap().evaluate(&record).met
            };
            for (op, opposite) in [("<", ">="), (">", "<="), ("==", "!=")] {
                prop_assert_ne!(met(op), met(opposite));
            }
        }
    }
}
