//! What a threshold is about: one figure of a record, by its name.

use std::fmt;
use std::str::FromStr;

use super::ThresholdError;
use crate::quantity;
use crate::record::{Distribution, Record};
use crate::similar::similar;

/// What a run records as a distribution.
const LATENCIES: [&str; 14] = [
    "propagation",
    "propagation_from_send",
    "delayed",
    "generator_lag",
    "edit",
    "transit",
    "receive_queue",
    "import",
    "ack",
    "connect",
    "join",
    "catch_up",
    "presence",
    "convergence_time",
];

/// Reads a figure off a record; none without samples.
pub(super) type Read = fn(&Record) -> Option<f64>;

/// What a run counts.
const COUNTS: [(&str, Read); 11] = [
    ("lost", |r| Some(r.convergence.as_ref()?.lost as f64)),
    ("duplicated", |r| {
        Some(r.convergence.as_ref()?.duplicated as f64)
    }),
    ("corrupt", |r| Some(r.convergence.as_ref()?.corrupt as f64)),
    ("leaked", |r| Some(r.convergence.as_ref()?.leaked as f64)),
    ("errors", |r| Some(r.errors.values().sum::<u64>() as f64)),
    ("disconnects", |r| {
        Some(r.counts.as_ref()?.disconnects as f64)
    }),
    ("outages", |r| Some(r.counts.as_ref()?.outages as f64)),
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
#[derive(Debug, Clone)]
pub(super) enum Figure {
    /// Nanoseconds.
    Latency(Metric, Stat),
    /// The samples of a latency.
    Samples(Metric),
    Count(&'static str, Read),
    Rate(&'static str, Read),
}

/// A latency, of all deliveries or of a part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metric {
    name: &'static str,
    /// What parts are, and which: `stage` and `spike`.
    pub(super) group: Option<(String, String)>,
}

/// What deliveries are told apart by.
const GROUPS: [&str; 3] = ["stage", "room_size", "link"];

impl Metric {
    /// `propagation`, or `propagation{stage:spike}`.
    fn parse(text: &str) -> Result<Option<Self>, ThresholdError> {
        let (name, group) = match text.strip_suffix('}').and_then(|t| t.split_once('{')) {
            Some((name, group)) => (name.trim(), Some(group)),
            None => (text, None),
        };
        let Some(name) = LATENCIES.into_iter().find(|known| *known == name) else {
            return Ok(None);
        };
        let Some(group) = group else {
            return Ok(Some(Self { name, group: None }));
        };
        let parts = group.split_once(':');
        let parts = parts.map(|(kind, part)| (kind.trim().to_owned(), part.trim().to_owned()));
        let known = parts.filter(|(kind, _)| GROUPS.contains(&kind.as_str()));
        match (name, known) {
            ("propagation", Some(group)) => Ok(Some(Self {
                name,
                group: Some(group),
            })),
            _ => Err(ThresholdError::Group(text.to_owned())),
        }
    }

    fn of<'a>(&self, record: &'a Record) -> Option<&'a Distribution> {
        match &self.group {
            None => record.latency.get(self.name),
            Some((kind, part)) => record.groups.get(kind)?.get(part),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            None => f.write_str(self.name),
            Some((kind, part)) => write!(f, "{}{{{kind}:{part}}}", self.name),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Stat {
    Min,
    Mean,
    Max,
    /// A quantile, from 0 to 1.
    Quantile(f64),
}

impl FromStr for Figure {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        // The statistic may have a point of its own, p99.9, and so may the name
        // of a part.
        let name_ends = text.find('}').unwrap_or(0);
        let (metric, stat) = match text[name_ends..].split_once('.') {
            Some((rest, stat)) => (&text[..name_ends + rest.len()], Some(stat.trim())),
            None => (text, None),
        };
        let metric = metric.trim();
        let no_stat = |mend| ThresholdError::Stat {
            metric: metric.to_owned(),
            stat: stat.unwrap_or("figure without a statistic").to_owned(),
            mend,
        };
        if let Some(latency) = Metric::parse(metric)? {
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
            (Some("rate"), Some((rate, read)), _) => Ok(Self::Rate(rate, *read)),
            (None, _, Some((count, read))) => Ok(Self::Count(count, *read)),
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

impl Figure {
    /// The number of a value with its unit.
    pub(super) fn limit(&self, value: &str) -> Result<f64, ThresholdError> {
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
            Self::Rate(..) => {
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
            Self::Count(..) | Self::Samples(_) => {
                const MEND: &str = "write a whole number, without a unit";
                let whole = number.filter(|number| number.fract() == 0.0 && unit.is_empty());
                whole.ok_or_else(|| refused(MEND))
            }
        }
    }

    /// The figure of a record; none without samples.
    pub(super) fn of(&self, record: &Record) -> Option<f64> {
        match self {
            Self::Latency(metric, stat) => {
                let histogram = metric.of(record)?.histogram().ok()?;
                (!histogram.is_empty()).then(|| match stat {
                    Stat::Min => histogram.min() as f64,
                    Stat::Mean => histogram.mean(),
                    Stat::Max => histogram.max() as f64,
                    Stat::Quantile(quantile) => histogram.value_at_quantile(*quantile) as f64,
                })
            }
            Self::Samples(metric) => Some(metric.of(record)?.count as f64),
            Self::Count(_, read) | Self::Rate(_, read) => read(record),
        }
    }

    pub(super) fn shown(&self, figure: f64) -> String {
        match self {
            Self::Latency(..) => quantity::duration(figure / 1e3),
            Self::Rate(..) => quantity::percent(figure),
            Self::Count(..) | Self::Samples(_) => quantity::count(figure as u64),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(metric, Stat::Min) => write!(f, "{metric}.min"),
            Self::Latency(metric, Stat::Mean) => write!(f, "{metric}.mean"),
            Self::Latency(metric, Stat::Max) => write!(f, "{metric}.max"),
            Self::Latency(metric, Stat::Quantile(q)) => write!(f, "{metric}.p{}", 100.0 * q),
            Self::Samples(metric) => write!(f, "{metric}.count"),
            Self::Count(metric, _) => f.write_str(metric),
            Self::Rate(metric, _) => write!(f, "{metric}.rate"),
        }
    }
}
