//! Comma-separated values, as in RFC 4180, for spreadsheets and scripts.

use ::csv::{Terminator, WriterBuilder};

use super::{ExportError, Exporter};
use crate::metric;
use crate::record::{Distribution, Record};

/// The series: one row per interval, one column per figure. A field is empty if
/// the interval has no sample. The record's schema gives the units.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeriesCsv;

impl Exporter for SeriesCsv {
    fn file_name(&self) -> String {
        "series.csv".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        let Some(series) = &record.series else {
            return text([["t_s".to_owned()]]);
        };
        let names = series.columns.keys().cloned();
        let header = std::iter::once("t_s".to_owned()).chain(names).collect();
        let row = |(at, t): (usize, &f64)| {
            let values = series.columns.values();
            // A column may be shorter in a record that was cut.
            let values = values.map(|column| number(column.get(at).copied().flatten()));
            std::iter::once(t.to_string()).chain(values).collect()
        };
        let rows = series.t.iter().enumerate().map(row);
        text(std::iter::once::<Vec<String>>(header).chain(rows))
    }
}

/// The latencies: one row per metric. Figures are empty without samples.
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
        let rows = record.latency.iter();
        let rows = rows.map(|(metric, distribution)| latency(metric, distribution));
        text(std::iter::once(header.map(str::to_owned)).chain(rows))
    }
}

/// The counts: one row per count of the run, with its unit.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountsCsv;

impl Exporter for CountsCsv {
    fn file_name(&self) -> String {
        "counts.csv".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        let header = ["metric", "unit", "value"].map(str::to_owned);
        let rows = metric::COUNTS.iter().filter_map(|count| {
            let value = count.of(record)?.to_string();
            let unit = count.metric.unit.symbol().to_owned();
            Some([count.metric.name.to_owned(), unit, value])
        });
        text(std::iter::once(header).chain(rows))
    }
}

fn latency(metric: &str, d: &Distribution) -> [String; 11] {
    let figure = |value: f64| number((d.count > 0).then_some(value));
    [
        metric.to_owned(),
        d.unit.clone(),
        d.count.to_string(),
        figure(d.min),
        figure(d.mean),
        figure(d.stdev),
        figure(d.p50),
        figure(d.p90),
        figure(d.p99),
        figure(d.p99_9),
        figure(d.max),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// Formats the rows as text; fields are quoted if necessary.
fn text<R>(rows: impl IntoIterator<Item = R>) -> Result<String, ExportError>
where
    R: IntoIterator<Item = String>,
{
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error());
    let bytes = bytes.map_err(::csv::Error::from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_field() -> Result<(), ExportError> {
        let fields = ["a,b", "say \"x\"", "plain"].map(str::to_owned);
        assert_eq!(text([fields])?, "\"a,b\",\"say \"\"x\"\"\",plain\r\n");
        Ok(())
    }
}
