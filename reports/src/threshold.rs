//! Thresholds: what a run must keep to, in the one grammar that scenarios, flags
//! and service level objectives share.
//!
//! ```text
//! propagation.p99 < 100ms      metric.stat op value unit
//! propagation.p(99) < 100ms    the same, as k6 writes it
//! convergence.rate == 1        a share; 99.9% is 0.999
//! lost == 0                    a count
//! ```
//!
//! A threshold whose metric has no sample is missed: nothing was shown to hold.

use std::fmt;
use std::str::FromStr;

use crate::quantity;
use crate::record::{Judged, Record, Status};

/// A condition on one figure of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    figure: Figure,
    op: Op,
    /// In the unit of the figure: nanoseconds, or a plain number.
    limit: f64,
    text: String,
}

/// Why a text is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// It does not have the parts.
    #[error(
        "`{0}` is no threshold: write `metric.stat op value`, such as `propagation.p99 < 100ms`"
    )]
    Form(String),
    /// Nothing of that name is measured.
    #[error("`{name}` is no metric{}", did_you_mean(.similar.as_deref(), .known))]
    Metric {
        /// What was written.
        name: String,
        /// What may have been meant.
        similar: Option<String>,
        /// What there is.
        known: String,
    },
    /// The metric is no distribution, or the statistic unknown.
    #[error("`{metric}` has no `{stat}`: {mend}")]
    Stat {
        /// The metric.
        metric: String,
        /// What was asked of it.
        stat: String,
        /// What can be asked.
        mend: &'static str,
    },
    /// The value does not suit the metric.
    #[error("`{value}` does not suit `{figure}`: {mend}")]
    Value {
        /// What was written.
        value: String,
        /// The metric and statistic.
        figure: String,
        /// What can be written.
        mend: &'static str,
    },
}

fn did_you_mean(similar: Option<&str>, known: &str) -> String {
    match similar {
        Some(similar) => format!("; did you mean `{similar}`?"),
        None => format!("; there are {known}"),
    }
}

/// What a run records as a distribution.
const LATENCIES: [&str; 7] = [
    "propagation",
    "propagation_from_send",
    "generator_lag",
    "edit",
    "transit",
    "import",
    "connect",
];

/// Reads a figure off a record; none without samples.
type Read = fn(&Record) -> Option<f64>;

/// What a run counts.
const COUNTS: [(&str, Read); 7] = [
    ("lost", |r| Some(r.convergence.as_ref()?.lost as f64)),
    ("duplicated", |r| {
        Some(r.convergence.as_ref()?.duplicated as f64)
    }),
    ("corrupt", |r| Some(r.convergence.as_ref()?.corrupt as f64)),
    ("scheduled", |r| Some(r.counts.as_ref()?.scheduled as f64)),
    ("sent", |r| Some(r.counts.as_ref()?.sent as f64)),
    ("expected", |r| Some(r.counts.as_ref()?.expected as f64)),
    ("visible", |r| Some(r.counts.as_ref()?.visible as f64)),
];

/// Shares, which have the statistic `rate` alone; none without a whole.
const RATES: [(&str, Read); 3] = [
    ("convergence", |r| {
        let convergence = r.convergence.as_ref()?;
        share(convergence.converged, convergence.rooms)
    }),
    ("sent", |r| {
        let counts = r.counts.as_ref()?;
        share(counts.sent, counts.scheduled)
    }),
    ("visible", |r| {
        let counts = r.counts.as_ref()?;
        share(counts.visible, counts.expected)
    }),
];

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What is read off a record.
#[derive(Debug, Clone, PartialEq)]
enum Figure {
    /// Nanoseconds.
    Latency(&'static str, Stat),
    /// The samples of a latency.
    Samples(&'static str),
    Count(&'static str),
    Rate(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stat {
    Min,
    Mean,
    Max,
    /// A quantile, from 0 to 1.
    Quantile(f64),
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

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Threshold {
    /// What the record says to it.
    fn judge(&self, record: &Record) -> Judged {
        let figure = self.figure.of(record);
        Judged {
            threshold: self.text.clone(),
            met: figure.is_some_and(|figure| self.op.holds(figure, self.limit)),
            observed: figure.map(|figure| self.figure.shown(figure)),
        }
    }
}

/// Holds a record to thresholds: they enter it, and a run that is well but for a
/// missed one gets the verdict that says so.
pub fn hold(record: &mut Record, thresholds: &[Threshold]) {
    record.thresholds = thresholds.iter().map(|t| t.judge(record)).collect();
    let missed = record.thresholds.iter().filter(|judged| !judged.met);
    let reasons: Vec<String> = missed
        .map(|judged| match &judged.observed {
            Some(observed) => format!("missed: {}; it was {observed}", judged.threshold),
            None => format!("missed: {}; there are no samples", judged.threshold),
        })
        .collect();
    if !reasons.is_empty() && record.verdict.status == Status::Ok {
        record.verdict.status = Status::Threshold;
        record.verdict.exit_code = Status::Threshold.exit_code(false);
    }
    record.verdict.reasons.extend(reasons);
}

impl FromStr for Figure {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        // The statistic may have a point of its own: p99.9.
        let (metric, stat) = match text.split_once('.') {
            Some((metric, stat)) => (metric.trim(), Some(stat.trim())),
            None => (text, None),
        };
        let no_stat = |mend| ThresholdError::Stat {
            metric: metric.to_owned(),
            stat: stat.unwrap_or("figure without a statistic").to_owned(),
            mend,
        };
        if let Some(latency) = LATENCIES.into_iter().find(|known| *known == metric) {
            return match stat {
                Some("count") => Ok(Self::Samples(latency)),
                Some(stat) => stat
                    .parse()
                    .map(|stat| Self::Latency(latency, stat))
                    .map_err(|()| no_stat(LATENCY_STATS)),
                None => Err(no_stat(LATENCY_STATS)),
            };
        }
        let rate = RATES.iter().find(|(known, _)| *known == metric);
        let count = COUNTS.iter().find(|(known, _)| *known == metric);
        match (stat, rate, count) {
            (Some("rate"), Some((rate, _)), _) => Ok(Self::Rate(rate)),
            (None, _, Some((count, _))) => Ok(Self::Count(count)),
            (_, Some(_), Some(_)) => Err(no_stat("it is a count, and its `rate` a share")),
            (_, Some(_), None) => Err(no_stat("ask for its `rate`")),
            (_, None, Some(_)) => Err(no_stat("it is a count, and stands alone")),
            (_, None, None) => Err(unknown(metric)),
        }
    }
}

const LATENCY_STATS: &str =
    "ask for min, mean, max, count or a percentile such as p50, p99, p99.9 or p(99)";

impl FromStr for Stat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "min" => return Ok(Self::Min),
            "mean" | "avg" => return Ok(Self::Mean),
            "max" => return Ok(Self::Max),
            "med" | "median" => return Ok(Self::Quantile(0.5)),
            _ => {}
        }
        let number = text.strip_prefix('p').ok_or(())?;
        let number = match number.strip_prefix('(') {
            Some(inner) => inner.strip_suffix(')').ok_or(())?,
            None => number,
        };
        // `p99_9` is how the record spells it.
        let percent: f64 = number.trim().replace('_', ".").parse().map_err(drop)?;
        match (0.0..=100.0).contains(&percent) {
            true => Ok(Self::Quantile(percent / 100.0)),
            false => Err(()),
        }
    }
}

fn unknown(name: &str) -> ThresholdError {
    let mut known = LATENCIES.to_vec();
    known.extend(COUNTS.iter().map(|(name, _)| *name));
    known.extend(RATES.iter().map(|(name, _)| *name));
    known.sort_unstable();
    known.dedup();
    ThresholdError::Metric {
        name: name.to_owned(),
        similar: similar(name, known.iter().copied()).map(str::to_owned),
        known: known.join(", "),
    }
}

/// The name that was probably meant: the nearest, if it is near.
pub fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.and_then(|(likeness, known)| (likeness > 0.8).then_some(known))
}

impl Figure {
    /// The number of a value with its unit.
    fn limit(&self, value: &str) -> Result<f64, ThresholdError> {
        let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | '_');
        let end = value.find(|c| !digits(c)).unwrap_or(value.len());
        let (number, unit) = value.split_at(end);
        let refused = |mend| ThresholdError::Value {
            value: value.to_owned(),
            figure: self.to_string(),
            mend,
        };
        let number = number.replace('_', "").parse::<f64>().ok();
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        match self {
            Self::Latency(..) => {
                const MEND: &str = "write a time with its unit, such as 500us, 100ms or 2s";
                let unit = match unit.trim() {
                    "ns" => 1.0,
                    "us" | "µs" => 1e3,
                    "ms" => 1e6,
                    "s" => 1e9,
                    "m" | "min" => 60e9,
                    _ => return Err(refused(MEND)),
                };
                number
                    .map(|number| number * unit)
                    .ok_or_else(|| refused(MEND))
            }
            Self::Rate(_) => {
                const MEND: &str = "write a share from 0 to 1, or a percentage such as 99.9%";
                let whole = match unit.trim() {
                    "" => 1.0,
                    "%" => 100.0,
                    _ => return Err(refused(MEND)),
                };
                let share = number.map(|number| number / whole);
                share
                    .filter(|share| *share <= 1.0)
                    .ok_or_else(|| refused(MEND))
            }
            Self::Count(_) | Self::Samples(_) => {
                const MEND: &str = "write a whole number, without a unit";
                let whole = number.filter(|number| number.fract() == 0.0 && unit.is_empty());
                whole.ok_or_else(|| refused(MEND))
            }
        }
    }

    /// The figure of a record; none without samples.
    fn of(&self, record: &Record) -> Option<f64> {
        match self {
            Self::Latency(metric, stat) => {
                let histogram = record.latency.get(*metric)?.histogram().ok()?;
                (!histogram.is_empty()).then(|| match stat {
                    Stat::Min => histogram.min() as f64,
                    Stat::Mean => histogram.mean(),
                    Stat::Max => histogram.max() as f64,
                    Stat::Quantile(quantile) => histogram.value_at_quantile(*quantile) as f64,
                })
            }
            Self::Samples(metric) => Some(record.latency.get(*metric)?.count as f64),
            Self::Count(metric) => named(&COUNTS, metric)(record),
            Self::Rate(metric) => named(&RATES, metric)(record),
        }
    }

    fn shown(&self, figure: f64) -> String {
        match self {
            Self::Latency(..) => quantity::duration(figure / 1e3),
            Self::Rate(_) => quantity::percent(figure),
            Self::Count(_) | Self::Samples(_) => quantity::count(figure as u64),
        }
    }
}

fn named(table: &[(&str, Read)], name: &str) -> Read {
    let mut rows = table.iter();
    let row = rows.find(|(known, _)| *known == name);
    row.map_or(|_| None, |(_, read)| *read)
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(metric, Stat::Min) => write!(f, "{metric}.min"),
            Self::Latency(metric, Stat::Mean) => write!(f, "{metric}.mean"),
            Self::Latency(metric, Stat::Max) => write!(f, "{metric}.max"),
            Self::Latency(metric, Stat::Quantile(q)) => write!(f, "{metric}.p{}", 100.0 * q),
            Self::Samples(metric) => write!(f, "{metric}.count"),
            Self::Count(metric) => f.write_str(metric),
            Self::Rate(metric) => write!(f, "{metric}.rate"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::*;
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
            ..Convergence::default()
        });
        record.counts = Some(Counts {
            scheduled: 1000,
            sent: 999,
            ..Counts::default()
        });
        record
    }

    fn judged(text: &str) -> Judged {
        text.parse::<Threshold>().unwrap().judge(&record())
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
            ("propagation", "is no threshold"),
            ("propagation.p99 = 3ms", "is no threshold"),
            ("< 3ms", "is no threshold"),
            ("propagation.p99 <", "is no threshold"),
            ("propagtion.p99 < 3ms", "did you mean `propagation`?"),
            ("speed < 3", "there are connect, convergence"),
            ("propagation < 3ms", "ask for min"),
            ("propagation.p101 < 3ms", "ask for min"),
            ("propagation.p99 < 3", "with its unit"),
            ("propagation.p99 < 3 parsecs", "with its unit"),
            ("propagation.p99 < -3ms", "with its unit"),
            ("convergence < 3", "ask for its `rate`"),
            ("convergence.rate == 2", "from 0 to 1"),
            ("lost.p99 == 0", "stands alone"),
            ("lost == 0.5", "a whole number"),
            ("lost == 0ms", "a whole number"),
        ] {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_missed_threshold_fails_a_run_that_is_well_and_outweighs_nothing() {
        let missed = ["lost == 0".parse().unwrap(), "sent > 1".parse().unwrap()];
        let mut record = record();
        hold(&mut record, &missed);
        assert_eq!(record.verdict.status, Status::Threshold);
        assert_eq!(record.verdict.exit_code, 99);
        assert_eq!(record.verdict.reasons, ["missed: lost == 0; it was 4"]);
        assert_eq!(record.thresholds.len(), 2);

        record.verdict.status = Status::Invalid;
        hold(&mut record, &missed);
        assert_eq!(record.verdict.status, Status::Invalid);
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
