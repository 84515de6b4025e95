//! Thresholds: the conditions a run must meet, in the one grammar that
//! scenarios, flags and service level objectives share.
//!
//! ```text
//! propagation.p99 < 100ms      metric.stat op value unit
//! propagation.p(99) < 100ms    the same, as k6 writes it
//! convergence.rate == 1        a share; 99.9% is 0.999
//! lost == 0                    a count
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
            Figure::Count(..) | Figure::Rate(..) => None,
        }
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
            Figure::Count(..) | Figure::Latency(_, Stat::Max)
        );
        let figure = self.figure.of(so_far);
        bounds_from_above
            && only_grows
            && figure.is_some_and(|figure| !self.op.holds(figure, self.limit))
    }

    /// Compares the threshold with a record.
    pub fn evaluate(&self, record: &Record) -> ThresholdResult {
        let figure = self.figure.of(record);
        ThresholdResult {
            threshold: self.text.clone(),
            met: figure.is_some_and(|figure| self.op.holds(figure, self.limit)),
            value: figure.map(|figure| self.figure.recorded(figure)),
            limit: Some(self.figure.recorded(self.limit)),
            unit: self.figure.unit().symbol().to_owned(),
            observed: figure.map(|figure| self.figure.shown(figure)),
        }
    }
}

/// Compares a record with the thresholds and stores the results in it. A missed
/// threshold changes the verdict of a run that is otherwise ok.
pub fn apply_thresholds(record: &mut Record, thresholds: &[Threshold]) {
    record.thresholds = thresholds.iter().map(|t| t.evaluate(record)).collect();
    let missed = record.thresholds.iter().filter(|result| !result.met);
    let reasons: Vec<String> = missed
        .map(|result| match &result.observed {
            Some(observed) => format!("missed: {}; it was {observed}", result.threshold),
            None => format!("missed: {}; there are no samples", result.threshold),
        })
        .collect();
    if !reasons.is_empty() && record.verdict.status == Status::Ok {
        record.verdict.status = Status::Threshold;
        record.verdict.exit_code = Status::Threshold.exit_code();
    }
    record.verdict.reasons.extend(reasons);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::*;
    use crate::metric::{Kind, Unit};
    use crate::record::{Convergence, Counts, Distribution};

    /// 100 samples of 1 to 100 ms, 40 rooms, an edit in 1,000 lost.
    fn record() -> Record {
        let mut histogram = Histogram::new(3).unwrap();
        for ms in 1..=100_u64 {
            histogram.record(ms * 1_000_000).unwrap();
        }
        let mut record: Record = serde_json::from_value(serde_json::json!({
            "schema": crate::record::SCHEMA,
            "kind": "load",
            "run": {
                "id": "run", "started_at": "2026-01-01T00:00:00Z", "seed": 1,
                "command": "syncbench run", "syncbench": "0", "datasets": [],
                "machine": { "os": "", "arch": "", "cpu": "", "cpus": 1, "memory_bytes": 0 },
                "engine": "loro", "scenario": {},
            },
            "verdict": { "exit_code": 0, "status": "ok", "reasons": [] },
        }))
        .unwrap();
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
        record
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
                // A threshold is about the whole run, and not about a second.
                (Kind::Series, _) => continue,
            };
            assert!(text.parse::<Threshold>().is_ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z_.(<>=!0-9 %)µ-]{0,40}") {
            let _ = text.parse::<Threshold>();
        }

        #[test]
        fn opposite_conditions_never_agree(limit in 0..200u32) {
            for (op, opposite) in [("<", ">="), (">", "<="), ("==", "!=")] {
                let one = judged(&format!("propagation.p50 {op} {limit}ms")).met;
                let other = judged(&format!("propagation.p50 {opposite} {limit}ms")).met;
                prop_assert_ne!(one, other);
            }
        }
    }
}
