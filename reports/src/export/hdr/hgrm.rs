//! `.hgrm`: the percentile distribution of one metric, as HdrHistogram's
//! `outputPercentileDistribution` prints it and its plotters read it.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::NANOS_PER_MILLI;
use crate::export::tables::file_stem;
use crate::export::{ExportError, Exporter};
use crate::record::Record;

/// The number of rows for each halving of the distance to 100 %, as in HdrHistogram.
const ROWS_PER_HALF_DISTANCE: u32 = 5;

/// The percentile distribution of one latency metric, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hgrm {
    /// The metric's name in the record, such as `propagation`.
    pub metric: String,
}

impl Hgrm {
    /// Creates one for each metric of `record` that has samples and a readable
    /// histogram.
    pub fn all(record: &Record) -> Vec<Hgrm> {
        let sampled = record.latency.iter().filter(|(_, d)| d.count > 0);
        sampled
            .filter(|(_, distribution)| distribution.histogram().is_ok())
            .map(|(metric, _)| Hgrm {
                metric: metric.clone(),
            })
            .collect()
    }
}

impl Exporter for Hgrm {
    fn file_name(&self) -> String {
        format!("{}.hgrm", file_stem(&self.metric))
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        let distribution = record.latency.get(&self.metric);
        let distribution =
            distribution.ok_or_else(|| ExportError::NoMetric(self.metric.clone()))?;
        let histogram = distribution
            .histogram()
            .map_err(|error| ExportError::Histogram {
                metric: self.metric.clone(),
                error,
            })?;
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write(&mut text, &histogram);
        Ok(text)
    }
}

fn write(text: &mut String, histogram: &Histogram<u64>) -> std::fmt::Result {
    let (value, percentile, total, inverse) =
        ("Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    writeln!(
        text,
        "{value:>14} {percentile:>14} {total:>10} {inverse:>16}\n"
    )?;
    let mut count = 0;
    for row in histogram.iter_quantiles(ROWS_PER_HALF_DISTANCE) {
        count += row.count_since_last_iteration();
        let (value, share) = (ms(row.value_iterated_to()), row.quantile_iterated_to());
        write!(text, "{value:14.6} {share:14.12} {count:10}")?;
        // In the last row the value is infinite.
        match share < 1.0 {
            true => writeln!(text, " {:16.2}", 1.0 / (1.0 - share))?,
            false => writeln!(text)?,
        }
    }
    let milli = |nanos: f64| nanos / NANOS_PER_MILLI;
    let (mean, deviation) = (milli(histogram.mean()), milli(histogram.stdev()));
    let (max, len) = (ms(histogram.max()), histogram.len());
    let (buckets, cells) = (histogram.buckets(), sub_buckets(histogram.sigfig()));
    writeln!(
        text,
        "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]"
    )?;
    writeln!(text, "#[Max     = {max:12.6}, Total count    = {len:12}]")?;
    writeln!(
        text,
        "#[Buckets = {buckets:12}, SubBuckets     = {cells:12}]"
    )
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_MILLI
}

/// Returns HdrHistogram's size of a bucket: single steps up to twice the precision.
fn sub_buckets(significant_digits: u8) -> u64 {
    (2 * 10u64.pow(significant_digits.into())).next_power_of_two()
}
