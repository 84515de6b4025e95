//! Comma-separated values, as RFC 4180 has them, for spreadsheets and scripts.

use super::{ExportError, Exporter};
use crate::record::{Distribution, Record};

/// The series: one row an interval, one column a figure; a field is empty where
/// the interval has no sample. The record's schema gives the units.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeriesCsv;

impl Exporter for SeriesCsv {
    fn file_name(&self) -> String {
        "series.csv".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        let Some(series) = &record.series else {
            return Ok(row(["t_s".to_owned()]));
        };
        let names = series.columns.keys().cloned();
        let mut text = row(std::iter::once("t_s".to_owned()).chain(names));
        for (at, t) in series.t.iter().enumerate() {
            let values = series.columns.values();
            // A column may be shorter in a record that was cut.
            let values = values.map(|column| number(column.get(at).copied().flatten()));
            text.push_str(&row(std::iter::once(t.to_string()).chain(values)));
        }
        Ok(text)
    }
}

/// The latencies: one row a metric. Figures are empty without samples.
#[derive(Debug, Clone, Copy, Default)]
pub struct LatencyCsv;

impl Exporter for LatencyCsv {
    fn file_name(&self) -> String {
        "latency.csv".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        let header = [
            "metric", "unit", "count", "min", "mean", "stdev", "p50", "p90", "p99", "p99_9", "max",
        ];
        let mut text = row(header.map(str::to_owned));
        for (metric, distribution) in &record.latency {
            text.push_str(&row(latency(metric, distribution)));
        }
        Ok(text)
    }
}

fn latency(metric: &str, d: &Distribution) -> impl Iterator<Item = String> {
    let figures = [d.min, d.mean, d.stdev, d.p50, d.p90, d.p99, d.p99_9, d.max];
    let figures = figures.map(|figure| number((d.count > 0).then_some(figure)));
    let names = [metric.to_owned(), d.unit.clone(), d.count.to_string()];
    names.into_iter().chain(figures)
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn row(fields: impl IntoIterator<Item = String>) -> String {
    let fields: Vec<String> = fields.into_iter().map(quoted).collect();
    fields.join(",") + "\r\n"
}

/// A field as it may stand in a row: names come from the record, and may hold
/// anything.
fn quoted(field: String) -> String {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_field() {
        let fields = ["a,b", "say \"x\"", "plain"].map(str::to_owned);
        assert_eq!(row(fields), "\"a,b\",\"say \"\"x\"\"\",plain\r\n");
    }
}
