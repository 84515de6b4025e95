//! `.hlog`: the histograms of all metrics as an HdrHistogram interval log.

use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::NANOS_PER_MILLI;
use crate::export::tables::file_stem;
use crate::export::{ExportError, Exporter};
use crate::record::Record;

/// An interval log in which each latency metric has one interval, the whole run; its
/// tag is the metric's name. Values are nanoseconds; the column of maxima is in
/// milliseconds, as the log tools expect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hlog;

impl Exporter for Hlog {
    fn file_name(&self) -> String {
        "latency.hlog".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut builder = IntervalLogWriterBuilder::new();
        builder
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!(
                "syncbench {}; one interval a metric, values in nanoseconds",
                record.run.syncbench
            ))
            .with_max_value_divisor(NANOS_PER_MILLI);
        if let Some(start) = start(record) {
            // Intervals count from the base. Readers that know only one of the two
            // times are right as well.
            builder.with_start_time(start).with_base_time(start);
        }
        let mut log = builder
            .begin_log_with(&mut bytes, &mut serializer)
            .map_err(failed)?;
        for (metric, distribution) in &record.latency {
            let name = file_stem(metric);
            match distribution.histogram() {
                Ok(histogram) => log
                    .write_histogram(&histogram, Duration::ZERO, length(record), Tag::new(&name))
                    .map_err(|error| ExportError::Log(format!("{error:?}")))?,
                Err(error) => log
                    .write_comment(&format!("{name} is left out: {error}"))
                    .map_err(failed)?,
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn failed(error: std::io::Error) -> ExportError {
    ExportError::Log(error.to_string())
}

/// Returns the start of the run. A record that was edited may not hold a time.
fn start(record: &Record) -> Option<SystemTime> {
    humantime::parse_rfc3339(&record.run.started_at).ok()
}

/// Returns the duration of the run according to its series.
fn length(record: &Record) -> Duration {
    let series = record.series.as_ref();
    let end = series.and_then(|series| Some(series.t.last()? + series.interval_s));
    end.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or_default()
}
