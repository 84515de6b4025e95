//! The Prometheus text format, version 0.0.4: for a file that node_exporter's
//! textfile collector reads, and for `GET /metrics` while a run goes on.

use std::fmt::Write;

use super::{ExportError, Exporter};
use crate::metric::{self, Unit};
use crate::record::{Distribution, ProcessUse, Record, Resources, Series};

/// A record as Prometheus metrics, each with the label `run`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prometheus;

impl Prometheus {
    /// The `Content-Type` of the text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Returns the record as text.
    pub fn text(record: &Record) -> String {
        let mut text = Text::new(record);
        text.run_info(record, &record.verdict.status.to_string());
        text.gauge(
            "syncbench_exit_code",
            "Exit code of the run.",
            f64::from(record.verdict.exit_code),
        );
        text.figures(record);
        text.text
    }

    /// The record of a run that still goes on, as text: with what it has measured
    /// so far, and without a verdict.
    pub fn running(record: &Record) -> String {
        let mut text = Text::new(record);
        text.run_info(record, "running");
        text.figures(record);
        text.text
    }
}

impl Exporter for Prometheus {
    fn file_name(&self) -> String {
        "metrics.prom".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        Ok(Self::text(record))
    }
}

/// A label's name and value.
type Label<'a> = (&'a str, &'a str);

/// Quantiles of a summary; the first and last are the extremes.
type Quantile = (&'static str, fn(&Distribution) -> f64);
const QUANTILES: [Quantile; 6] = [
    ("0", |d| d.min),
    ("0.5", |d| d.p50),
    ("0.9", |d| d.p90),
    ("0.99", |d| d.p99),
    ("0.999", |d| d.p99_9),
    ("1", |d| d.max),
];

/// Reads one figure of a process.
type Read = fn(&ProcessUse) -> Option<f64>;

struct Text<'a> {
    run: &'a str,
    text: String,
}

impl<'a> Text<'a> {
    fn new(record: &'a Record) -> Self {
        Self {
            run: &record.run.id,
            text: String::new(),
        }
    }

    fn figures(&mut self, record: &Record) {
        self.counts(record);
        self.latency(record);
        self.last_second(record.series.as_ref());
        self.resources(record.resources.as_ref());
        self.thresholds(record);
    }

    fn run_info(&mut self, record: &Record, status: &str) {
        let run = &record.run;
        let about = "The run; its figures are in the other metrics.";
        self.family("syncbench_run_info", "gauge", about);
        let labels = [
            ("status", status),
            ("engine", &run.engine),
            ("version", &run.syncbench),
        ];
        self.sample("syncbench_run_info", &labels, 1.0);
    }

    fn counts(&mut self, record: &Record) {
        for count in &metric::COUNTS {
            let Some(value) = count.of(record) else {
                continue;
            };
            let kind = match count.prometheus.ends_with("_total") {
                true => "counter",
                false => "gauge",
            };
            self.family(count.prometheus, kind, count.metric.meaning);
            let value = base_unit(count.metric.unit, value as f64);
            self.sample(count.prometheus, &[], value);
        }
        if record.errors.is_empty() {
            return;
        }
        let name = "syncbench_errors_by_kind_total";
        self.family(name, "counter", "Errors by kind.");
        for (kind, number) in &record.errors {
            self.sample(name, &[("kind", kind)], *number as f64);
        }
    }

    /// Adds the state in the last known second.
    fn last_second(&mut self, series: Option<&Series>) {
        let Some(series) = series else { return };
        for known in &metric::SERIES {
            let column = series.columns.get(known.metric.name);
            let last = column.and_then(|values| *values.last()?);
            if let (Some(name), Some(last)) = (known.prometheus, last) {
                self.gauge(name, known.metric.meaning, last);
            }
        }
    }

    /// Adds all latencies as one family, so that a new metric needs no new name.
    fn latency(&mut self, record: &Record) {
        if record.latency.is_empty() {
            return;
        }
        let name = "syncbench_latency_seconds";
        let about = "Latency by metric; quantiles 0 and 1 are the extremes.";
        self.family(name, "summary", about);
        let seconds = |us: f64| us / 1e6;
        for (metric, d) in &record.latency {
            let metric = ("metric", metric.as_str());
            // A summary without samples has no quantiles.
            for (quantile, read) in QUANTILES.iter().filter(|_| d.count > 0) {
                self.sample(name, &[metric, ("quantile", quantile)], seconds(read(d)));
            }
            let sum = seconds(d.mean * d.count as f64);
            self.sample(&format!("{name}_sum"), &[metric], sum);
            self.sample(&format!("{name}_count"), &[metric], d.count as f64);
        }
    }

    fn resources(&mut self, resources: Option<&Resources>) {
        let Some(resources) = resources else { return };
        let families: [(&str, &str, &str, Read); 9] = [
            (
                "syncbench_process_cpu_seconds_total",
                "counter",
                "CPU time, user and system.",
                |p| Some(p.cpu_s),
            ),
            (
                "syncbench_process_resident_memory_bytes",
                "gauge",
                "Resident memory.",
                |p| Some(p.rss_bytes? as f64),
            ),
            (
                "syncbench_process_resident_memory_peak_bytes",
                "gauge",
                "Peak resident memory.",
                |p| Some(p.rss_peak_bytes as f64),
            ),
            (
                "syncbench_process_resident_memory_after_bytes",
                "gauge",
                "Resident memory after the last client had left.",
                |p| Some(p.rss_after_bytes? as f64),
            ),
            (
                "syncbench_process_threads",
                "gauge",
                "Most threads at any time.",
                |p| Some(p.threads? as f64),
            ),
            (
                "syncbench_process_open_fds",
                "gauge",
                "Most open descriptors at any time.",
                |p| Some(p.descriptors? as f64),
            ),
            (
                "syncbench_process_open_fds_after",
                "gauge",
                "Open descriptors after the last client had left.",
                |p| Some(p.descriptors_after? as f64),
            ),
            (
                "syncbench_process_voluntary_context_switches_total",
                "counter",
                "Times a thread left its CPU to wait.",
                |p| Some(p.switches_voluntary? as f64),
            ),
            (
                "syncbench_process_involuntary_context_switches_total",
                "counter",
                "Times a thread was taken off its CPU.",
                |p| Some(p.switches_involuntary? as f64),
            ),
        ];
        for (name, kind, about, read) in families {
            self.by_process(resources, (name, kind, about), read);
        }
    }

    fn by_process(&mut self, resources: &Resources, family: (&str, &str, &str), read: Read) {
        let generator = ("generator", read(&resources.generator));
        let relay = ("relay", resources.relay.as_ref().and_then(read));
        let known: Vec<(&str, f64)> = [generator, relay]
            .into_iter()
            .filter_map(|(process, value)| Some((process, value?)))
            .collect();
        let (name, kind, about) = family;
        if !known.is_empty() {
            self.family(name, kind, about);
        }
        for (process, value) in known {
            self.sample(name, &[("process", process)], value);
        }
    }

    fn thresholds(&mut self, record: &Record) {
        if record.thresholds.is_empty() {
            return;
        }
        let name = "syncbench_threshold_met";
        self.family(name, "gauge", "1 where the threshold was met, 0 otherwise.");
        // The same sample twice would break the format.
        let mut seen = std::collections::BTreeSet::new();
        for result in &record.thresholds {
            if seen.insert(&result.threshold) {
                let met = f64::from(u8::from(result.met));
                self.sample(name, &[("threshold", &result.threshold)], met);
            }
        }
    }

    fn gauge(&mut self, name: &str, about: &str, value: f64) {
        self.family(name, "gauge", about);
        self.sample(name, &[], value);
    }

    /// Begins a metric; all its samples must follow.
    fn family(&mut self, name: &str, kind: &str, about: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = write!(self.text, "# HELP {name} {about}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: f64) {
        let run = escaped(self.run);
        let _ = write!(self.text, "{name}{{run=\"{run}\"");
        for (label, value) in labels {
            let _ = write!(self.text, ",{label}=\"{}\"", escaped(value));
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

/// Converts a value to the base unit that Prometheus asks for.
fn base_unit(unit: Unit, value: f64) -> f64 {
    match unit {
        Unit::Micros => value / 1e6,
        _ => value,
    }
}

/// Escapes a label's value: texts come from the record and may contain anything.
fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}
