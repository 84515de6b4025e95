//! The left side of a threshold: one figure of a record, by its name.

use std::fmt;
use std::str::FromStr;

use super::ThresholdError;
use crate::metric::{self, Count, Ratio, Resource, Unit};
use crate::quantity;
use crate::record::{Distribution, Record};
use crate::similar::similar;
use crate::validity;

/// A figure that is read off a record.
#[derive(Debug, Clone)]
pub(super) enum Figure {
    /// Nanoseconds.
    Latency(Latency, Stat),
    /// The number of samples of a latency.
    Samples(Latency),
    Count(&'static Count),
    Rate(&'static Ratio),
    /// A figure of the relay's processes: the largest, or a statistic over the
    /// seconds of the run.
    Resource(&'static Resource, Option<Stat>),
}

/// A latency, of all deliveries or of a part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Latency {
    name: &'static str,
    /// The kind of part and its name, such as `stage` and `spike`.
    pub(super) group: Option<(String, String)>,
}

/// The kinds of parts that deliveries are divided into.
const GROUPS: [&str; 3] = ["stage", "room_size", "link"];

impl Latency {
    /// `propagation`, or `propagation{stage:spike}`.
    fn parse(text: &str) -> Result<Option<Self>, ThresholdError> {
        let (name, group) = match text.strip_suffix('}').and_then(|t| t.split_once('{')) {
            Some((name, group)) => (name.trim(), Some(group)),
            None => (text, None),
        };
        let Some(metric) = metric::distribution(name) else {
            return Ok(None);
        };
        let name = metric.name;
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

impl fmt::Display for Latency {
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

impl Stat {
    /// Its value in nanoseconds; `None` without samples.
    fn of(self, latency: &Distribution) -> Option<f64> {
        let histogram = latency.histogram().ok()?;
        (!histogram.is_empty()).then(|| match self {
            Self::Min => histogram.min() as f64,
            Self::Mean => histogram.mean(),
            Self::Max => histogram.max() as f64,
            Self::Quantile(quantile) => histogram.value_at_quantile(quantile) as f64,
        })
    }

    /// The statistic over `values`; `None` if there are none. A quantile is the
    /// smallest value that at least this share of the values do not exceed.
    fn over(self, mut values: Vec<f64>) -> Option<f64> {
        values.sort_by(f64::total_cmp);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(match self {
            Self::Min => *values.first()?,
            Self::Max => *values.last()?,
            Self::Mean => Some(mean).filter(|mean| mean.is_finite())?,
            Self::Quantile(quantile) => {
                let rank = (quantile * values.len() as f64).ceil() as usize;
                *values.get(rank.saturating_sub(1))?
            }
        })
    }
}

impl FromStr for Figure {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        if text.starts_with("relay.") {
            return resource(text);
        }
        // The statistic may contain a point, as p99.9 does, and so may the name
        // of a part.
        let name_ends = text.find('}').unwrap_or(0);
        let (metric, stat) = match text[name_ends..].split_once('.') {
            Some((rest, stat)) => (&text[..name_ends + rest.len()], Some(stat.trim())),
            None => (text, None),
        };
        let metric = metric.trim();
        let no_stat = |help| ThresholdError::Stat {
            metric: metric.to_owned(),
            stat: stat.unwrap_or("value without a statistic").to_owned(),
            help,
        };
        if let Some(latency) = Latency::parse(metric)? {
            return match stat {
                Some("count") => Ok(Self::Samples(latency)),
                Some(stat) => stat
                    .parse()
                    .map(|stat| Self::Latency(latency, stat))
                    .map_err(|()| no_stat(LATENCY_STATS)),
                None => Err(no_stat(LATENCY_STATS)),
            };
        }
        match (stat, metric::ratio(metric), metric::count(metric)) {
            (Some("rate"), Some(ratio), _) => Ok(Self::Rate(ratio)),
            (None, _, Some(count)) => Ok(Self::Count(count)),
            (_, Some(_), Some(_)) => Err(no_stat("use it alone, as a count, or with `.rate`")),
            (_, Some(_), None) => Err(no_stat("use its `.rate`")),
            (_, None, Some(_)) => Err(no_stat("it is a count; use it without a statistic")),
            (_, None, None) => Err(unknown(metric)),
        }
    }
}

/// `relay.rss`, or `relay.rss.mean`.
fn resource(text: &str) -> Result<Figure, ThresholdError> {
    let (side, name) = text.split_once('.').unwrap_or((text, ""));
    let (name, stat) = match name.split_once('.') {
        Some((name, stat)) => (name, Some(stat.trim())),
        None => (name, None),
    };
    let name = format!("{side}.{}", name.trim());
    let resource = metric::resource(&name).ok_or_else(|| unknown(&name))?;
    let read: Option<Stat> = stat.and_then(|stat| stat.parse().ok());
    let help = match (stat, read) {
        (None, _) => return Ok(Figure::Resource(resource, None)),
        (Some(_), _) if !resource.has_seconds() => "it is one number; use it without a statistic",
        (Some(_), Some(read)) => return Ok(Figure::Resource(resource, Some(read))),
        (Some(_), None) => {
            "use it alone, or with a statistic over the seconds of the run: min, mean, max or a \
             percentile such as p99"
        }
    };
    Err(ThresholdError::Stat {
        metric: name,
        stat: stat.unwrap_or_default().to_owned(),
        help,
    })
}

const LATENCY_STATS: &str =
    "use min, mean, max, count or a percentile such as p50, p99, p99.9 or p(99)";

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
    let mut known: Vec<&str> = metric::DISTRIBUTIONS.iter().map(|m| m.name).collect();
    known.extend(metric::COUNTS.iter().map(|count| count.metric.name));
    known.extend(metric::RATIOS.iter().map(|ratio| ratio.metric.name));
    known.extend(metric::RESOURCES.iter().map(|one| one.metric.name));
    known.sort_unstable();
    known.dedup();
    ThresholdError::Metric {
        name: name.to_owned(),
        similar: similar(name, known.iter().copied()).map(str::to_owned),
        known: known.join(", "),
    }
}

impl Figure {
    /// The number that `value` stands for, in the unit of the figure.
    pub(super) fn limit(&self, value: &str) -> Result<f64, ThresholdError> {
        let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | '_');
        let end = value.find(|c| !digits(c)).unwrap_or(value.len());
        let (number, unit) = value.split_at(end);
        let number = number.replace('_', "").parse::<f64>().ok();
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        let scale = self.scale();
        let limit = number.and_then(|number| scale.read(number, unit.trim()));
        limit.ok_or_else(|| ThresholdError::Value {
            value: value.to_owned(),
            figure: self.to_string(),
            help: scale.help(),
        })
    }

    fn scale(&self) -> Scale {
        match self {
            Self::Latency(..) => Scale::Time,
            Self::Rate(_) => Scale::Share,
            Self::Count(count) if count.metric.unit == Unit::Micros => Scale::Time,
            Self::Count(_) | Self::Samples(_) => Scale::Whole,
            Self::Resource(resource, _) => match resource.metric.unit {
                Unit::Bytes => Scale::Size,
                Unit::Cores => Scale::Cores,
                _ => Scale::Whole,
            },
        }
    }

    /// Whether the value in a record is the generator's rather than the relay's.
    pub(super) fn is_generators(&self, record: &Record) -> bool {
        let (Self::Latency(latency, stat), Some(figure)) = (self, self.of(record)) else {
            return false;
        };
        let at = |latency: &Distribution| stat.of(latency).unwrap_or(0.0);
        let own = match latency.group {
            None => validity::own_part(record, latency.name, at),
            Some(_) => validity::own_part_of_group(record, at),
        };
        validity::is_generators(figure / 1e3, own / 1e3)
    }

    /// The value in a record; `None` without samples.
    pub(super) fn of(&self, record: &Record) -> Option<f64> {
        match self {
            Self::Latency(latency, stat) => stat.of(latency.of(record)?),
            Self::Samples(latency) => Some(latency.of(record)?.count as f64),
            Self::Count(count) => {
                let value = count.of(record)? as f64;
                Some(match count.metric.unit {
                    Unit::Micros => value * 1e3,
                    _ => value,
                })
            }
            Self::Rate(ratio) => ratio.of(record),
            Self::Resource(resource, None) => resource.of(record),
            Self::Resource(resource, Some(stat)) => stat.over(resource.seconds(record)),
        }
    }

    /// The unit that records have the figure in.
    pub(super) fn unit(&self) -> Unit {
        match self.scale() {
            Scale::Time => Unit::Micros,
            Scale::Share => Unit::Share,
            Scale::Whole => Unit::Number,
            Scale::Size => Unit::Bytes,
            Scale::Cores => Unit::Cores,
        }
    }

    /// `value` in the unit that records have the figure in.
    pub(super) fn recorded(&self, value: f64) -> f64 {
        match self.unit() {
            Unit::Micros => value / 1e3,
            _ => value,
        }
    }

    /// `value` as text for people, with its unit.
    pub(super) fn shown(&self, value: f64) -> String {
        match self.scale() {
            Scale::Time => quantity::duration(value / 1e3),
            Scale::Share => quantity::percent(value),
            Scale::Whole => quantity::count(value as u64),
            Scale::Size => quantity::bytes(value),
            Scale::Cores => format!("{} cores", quantity::short(value)),
        }
    }
}

/// The way a limit is written.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// A time with its unit, kept as nanoseconds.
    Time,
    /// A share from 0 to 1, or a percentage.
    Share,
    /// A whole number without a unit.
    Whole,
    /// A size with its unit, kept as bytes.
    Size,
    /// A number of CPU cores, or a percentage of one.
    Cores,
}

impl Scale {
    /// `number` with the unit that follows it; `None` where they do not fit.
    fn read(self, number: f64, unit: &str) -> Option<f64> {
        match (self, unit) {
            (Self::Time, "ns") => Some(number),
            (Self::Time, "us" | "µs") => Some(number * 1e3),
            (Self::Time, "ms") => Some(number * 1e6),
            (Self::Time, "s") => Some(number * 1e9),
            (Self::Time, "m" | "min") => Some(number * 60e9),
            (Self::Share, "") => Some(number).filter(|share| *share <= 1.0),
            (Self::Share, "%") => Some(number / 100.0).filter(|share| *share <= 1.0),
            (Self::Whole, "") => Some(number).filter(|number| number.fract() == 0.0),
            (Self::Size, "B") => Some(number),
            (Self::Size, "kB" | "KB") => Some(number * 1e3),
            (Self::Size, "MB") => Some(number * 1e6),
            (Self::Size, "GB") => Some(number * 1e9),
            (Self::Size, "KiB") => Some(number * 1024.0),
            (Self::Size, "MiB") => Some(number * 1024.0 * 1024.0),
            (Self::Size, "GiB") => Some(number * 1024.0 * 1024.0 * 1024.0),
            (Self::Cores, "") => Some(number),
            (Self::Cores, "%") => Some(number / 100.0),
            _ => None,
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Time => "write a time with its unit, such as 500us, 100ms or 2s",
            Self::Share => "write a share from 0 to 1, or a percentage such as 99.9%",
            Self::Whole => "write a whole number, without a unit",
            Self::Size => "write a size with its unit, such as 64KiB, 200MiB or 1.5GB",
            Self::Cores => "write a number of cores such as 0.8, or a percentage of one core",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(metric, stat) => write!(f, "{metric}.{stat}"),
            Self::Samples(metric) => write!(f, "{metric}.count"),
            Self::Count(count) => f.write_str(count.metric.name),
            Self::Rate(ratio) => write!(f, "{}.rate", ratio.metric.name),
            Self::Resource(resource, None) => f.write_str(resource.metric.name),
            Self::Resource(resource, Some(stat)) => {
                write!(f, "{}.{stat}", resource.metric.name)
            }
        }
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Min => f.write_str("min"),
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            Self::Quantile(quantile) => write!(f, "p{}", 100.0 * quantile),
        }
    }
}
