//! Charts of the columns that no chart of their own shows.
//!
//! The name of a column says which side it is of (`relay_`, `generator_`), which figure
//! of a distribution it is (`_p50`), and its unit (`_s`, `_bytes`, `_cpu`). Columns
//! that differ only in the side or the figure are lines of one chart.

use std::collections::BTreeMap;

use super::charts::{chart, points};
use crate::metric::{self, Metric};
use crate::plot::{Axis, Chart, Scale, Series, Unit};
use crate::record::Series as Columns;

/// The columns that [`super::charts::over_time`] draws.
const DRAWN: [&str; 4] = ["sent", "visible", "propagation", "generator_lag"];

/// The prefixes of the sides, with the names of their lines.
const SIDES: [(&str, &str); 2] = [("relay_", "relay"), ("generator_", "generator")];

/// The figures of a distribution, in the order of their lines.
const STATISTICS: [&str; 6] = ["p50", "p90", "p99", "p99_9", "mean", "max"];

/// The maximum number of lines in a chart in which they can be distinguished.
const LINES: usize = 4;

/// The charts of all other columns, by name. A chart whose lines all stay at
/// one value says nothing and is left out.
pub fn charts(columns: Option<&Columns>) -> Vec<Chart> {
    let Some(columns) = columns else {
        return Vec::new();
    };
    let mut groups: BTreeMap<&str, Vec<Column<'_>>> = BTreeMap::new();
    for name in columns.columns.keys() {
        let column = Column::of(name);
        if !DRAWN.contains(&column.of) {
            groups.entry(column.of).or_default().push(column);
        }
    }
    let groups = groups.into_values();
    let groups = groups.filter(|group| group.iter().any(|column| column.moves(columns)));
    groups.map(|group| drawn(group, columns)).collect()
}

/// A column by the parts of its name.
#[derive(Debug, PartialEq, Eq)]
struct Column<'a> {
    name: &'a str,
    /// Its subject, which the columns of one chart share.
    of: &'a str,
    side: Option<&'static str>,
    statistic: Option<&'static str>,
}

impl<'a> Column<'a> {
    fn of(name: &'a str) -> Column<'a> {
        let statistic = STATISTICS
            .into_iter()
            .find_map(|s| Some((name.strip_suffix(s)?.strip_suffix('_')?, s)));
        let of = statistic.map_or(name, |(of, _)| of);
        // The generator's lag is a latency, and does not describe its process.
        let side = match statistic {
            Some(_) => None,
            None => SIDES
                .into_iter()
                .find_map(|(prefix, side)| Some((of.strip_prefix(prefix)?, side))),
        };
        Column {
            name,
            of: side.map_or(of, |(of, _)| of),
            side: side.map(|(_, side)| side),
            statistic: statistic.map(|(_, statistic)| statistic),
        }
    }

    /// Returns the name of its line.
    fn line(&self) -> &'a str {
        self.side.or(self.statistic).unwrap_or(self.of)
    }

    /// Returns the position of its line among the others.
    fn rank(&self) -> usize {
        let statistic = STATISTICS.iter().position(|s| Some(*s) == self.statistic);
        let side = SIDES.iter().position(|(_, side)| Some(*side) == self.side);
        statistic.or(side).unwrap_or(0)
    }

    /// Returns the unit of the values, and the factor that converts them to it.
    fn unit(&self) -> (Unit, f64) {
        match self.of {
            _ if self.statistic.is_some() && !self.of.contains("_ops") => (Unit::Micros, 1.0),
            of if of.ends_with("bytes") => (Unit::Bytes, 1.0),
            of if of.ends_with("_s") => (Unit::Micros, 1e6),
            of if of.ends_with("_share") => (Unit::Share, 1.0),
            _ => (Unit::Number, 1.0),
        }
    }

    /// Returns true if its values change.
    fn moves(&self, columns: &Columns) -> bool {
        let values = columns.columns.get(self.name).into_iter().flatten();
        let mut values = values.flatten();
        let first = values.next();
        values.any(|value| Some(value) != first)
    }
}

fn drawn(mut group: Vec<Column<'_>>, columns: &Columns) -> Chart {
    group.sort_by_key(Column::rank);
    group.truncate(LINES);
    let of = group[0].of;
    let (unit, factor) = group[0].unit();
    let (title, description, label) = words(of);
    let lines = group
        .iter()
        .map(|column| Series::line(column.line(), points(columns, column.name, factor)))
        .collect();
    let scale = match unit {
        Unit::Micros => Scale::Auto,
        _ => Scale::Linear,
    };
    chart(&title, description, Axis::new(label, unit, scale), lines)
}

/// Returns the title, description and axis label of a chart.
fn words(of: &str) -> (String, &'static str, String) {
    if let Some(series) = metric::series(of) {
        let Metric { title, meaning, .. } = series.metric;
        return (over_time(title), meaning, series.axis.to_owned());
    }
    let known = metric::count(of).map(|count| &count.metric);
    match known.or_else(|| metric::distribution(of)) {
        Some(metric) => (
            over_time(metric.title),
            metric.meaning,
            metric.title.to_owned(),
        ),
        None => (
            over_time(&spelled(of)),
            "A column of the record's series.",
            spelled(of),
        ),
    }
}

/// Returns the title of a chart, in sentence case.
fn over_time(title: &str) -> String {
    let mut chars = title.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    let title: String = first.into_iter().chain(chars).collect();
    format!("{title} over time")
}

/// Returns a name without its unit and underscores.
fn spelled(name: &str) -> String {
    let stem = ["_s", "_bytes", "_share"];
    let stem = stem.iter().find_map(|unit| name.strip_suffix(unit));
    stem.unwrap_or(name).replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> (&str, &str) {
        let column = Column::of(name);
        (column.of, column.line())
    }

    #[test]
    fn a_name_tells_what_a_column_is() {
        assert_eq!(column("relay_cpu"), ("cpu", "relay"));
        assert_eq!(column("generator_rss_bytes"), ("rss_bytes", "generator"));
        assert_eq!(column("ack_p99_9"), ("ack", "p99_9"));
        assert_eq!(column("generator_lag_p99"), ("generator_lag", "p99"));
        assert_eq!(column("staleness_s"), ("staleness_s", "staleness_s"));
    }

    #[test]
    fn units_come_from_the_name() {
        let unit = |name: &str| Column::of(name).unit();
        assert_eq!(unit("relay_rss_bytes"), (Unit::Bytes, 1.0));
        assert_eq!(unit("staleness_s"), (Unit::Micros, 1e6));
        assert_eq!(unit("ack_p50"), (Unit::Micros, 1.0));
        assert_eq!(unit("staleness_edits"), (Unit::Number, 1.0));
        assert_eq!(unit("relay_cpu"), (Unit::Number, 1.0));
    }

    fn columns(named: &[(&str, [f64; 2])]) -> Columns {
        let values = |values: [f64; 2]| values.map(Some).to_vec();
        Columns {
            interval_s: 1.0,
            t: vec![0.0, 1.0],
            columns: named
                .iter()
                .map(|(name, of)| ((*name).to_owned(), values(*of)))
                .collect(),
        }
    }

    #[test]
    fn a_column_that_stays_at_one_value_does_not_move() {
        let columns = columns(&[("relay_threads", [1.0, 1.0]), ("relay_cpu", [0.1, 0.2])]);
        assert!(!Column::of("relay_threads").moves(&columns));
        assert!(Column::of("relay_cpu").moves(&columns));
        assert!(!Column::of("absent").moves(&columns));
    }

    #[test]
    fn both_sides_and_all_statistics_share_a_chart() {
        let names = ["relay_cpu", "generator_cpu"];
        let columns = columns(&names.map(|name| (name, [0.1, 0.2])));
        let group = columns
            .columns
            .keys()
            .map(|name| Column::of(name))
            .collect();
        let chart = drawn(group, &columns);
        let lines: Vec<&str> = chart.series.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(lines, ["relay", "generator"]);
        assert_eq!(chart.y.label, "cores");
    }
}
