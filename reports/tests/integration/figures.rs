//! The files for other tools, read the way those tools read them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use syncbench_reports::export::{
    CountsCsv, Exporter, Hgrm, Hlog, LatencyCsv, Prometheus, SeriesCsv, figures,
};
use syncbench_reports::metric;
use syncbench_reports::record::{Record, ThresholdResult};

use crate::sample;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn hgrm(metric: &str, record: &Record) -> Result<String> {
    let metric = metric.to_owned();
    Ok(Hgrm { metric }.export(record)?)
}

#[test]
fn a_run_has_a_file_for_each_tool() {
    let names: Vec<String> = figures(&sample::healthy())
        .iter()
        .map(|exporter| exporter.file_name())
        .collect();
    assert_eq!(
        names,
        [
            "latency.csv",
            "counts.csv",
            "series.csv",
            "latency.hlog",
            "metrics.prom",
            "connect.hgrm",
            "edit.hgrm",
            "generator_lag.hgrm",
            "import.hgrm",
            "propagation.hgrm",
            "propagation_from_send.hgrm",
            "transit.hgrm",
        ]
    );
    let nothing = figures(&sample::nothing());
    assert!(nothing.iter().all(|e| !e.file_name().ends_with(".hgrm")));
}

#[test]
fn no_metric_leads_out_of_the_folder() {
    let mut record = sample::healthy();
    let distribution = record.latency["import"].clone();
    record.latency = [("../../x".to_owned(), distribution)].into();
    for exporter in figures(&record) {
        assert!(
            !exporter.file_name().contains('/'),
            "{}",
            exporter.file_name()
        );
    }
}

#[test]
fn a_percentile_file_says_what_the_histogram_says() -> Result {
    let record = sample::healthy();
    let histogram = record.latency["propagation"].histogram()?;
    let text = hgrm("propagation", &record)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().ok_or("empty")?.split_whitespace().collect();
    let expected = ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"];
    assert_eq!(header, expected);
    assert_eq!(lines.next(), Some(""));

    let (rows, footer): (Vec<&str>, Vec<&str>) = lines.partition(|line| !line.starts_with('#'));
    let mut before = (0.0, -1.0, 0.0);
    for row in &rows {
        let columns: Vec<f64> = row
            .split_whitespace()
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()?;
        let (value, share, count) = (columns[0], columns[1], columns[2]);
        assert!(
            value >= before.0 && share > before.1 && count >= before.2,
            "{row}"
        );
        // In ms: so many samples are no longer, and at least that share.
        let nanos = (value * 1e6).round() as u64;
        assert_eq!(histogram.count_between(0, nanos) as f64, count, "{row}");
        assert!(count / histogram.len() as f64 >= share - 1e-9, "{row}");
        assert_eq!(columns.len(), if share < 1.0 { 4 } else { 3 }, "{row}");
        before = (value, share, count);
    }
    assert_eq!(before.1, 1.0);
    assert_eq!(before.2, histogram.len() as f64);
    assert_eq!(footer.len(), 3);
    assert!(footer[0].starts_with("#[Mean    = ") && footer[0].contains(", StdDeviation   = "));
    assert!(footer[1].starts_with("#[Max     = ") && footer[1].contains(", Total count    = "));
    assert!(footer[2].starts_with("#[Buckets = ") && footer[2].ends_with("2048]"));
    Ok(())
}

#[test]
fn a_metric_that_is_absent_or_damaged_is_named() -> Result {
    let mut record = sample::healthy();
    let error = hgrm("lunch", &record).expect_err("no such metric");
    assert!(error.to_string().contains("`lunch`"), "{error}");
    if let Some(import) = record.latency.get_mut("import") {
        import.hdr.truncate(8);
    }
    let error = hgrm("import", &record).expect_err("damaged");
    assert!(error.to_string().contains("`import`"), "{error}");
    // The other files do without it, and say so.
    assert!(Hlog.export(&record)?.contains("#import is left out"));
    let hgrms = Hgrm::all(&record);
    assert!(hgrms.iter().all(|hgrm| hgrm.metric != "import"));
    assert_eq!(hgrms.len(), record.latency.len() - 1);
    Ok(())
}

#[test]
fn the_log_gives_every_histogram_back() -> Result {
    let record = sample::healthy();
    let log = Hlog.export(&record)?;
    assert!(log.starts_with("#[Histogram log format version 1.3]\n"));
    let mut found: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
    let mut times = Vec::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        match entry.map_err(|error| format!("{error:?}"))? {
            LogEntry::Interval(interval) => {
                assert_eq!(interval.start_timestamp().as_secs(), 0);
                assert_eq!(interval.duration().as_secs(), 10);
                let tag = interval.tag().ok_or("no tag")?.as_str().to_owned();
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(interval.encoded_histogram())?;
                let histogram = Deserializer::new().deserialize(&mut bytes.as_slice())?;
                let max_ms = histogram.max() as f64 / 1e6;
                assert!((interval.max() - max_ms).abs() < 0.001, "{tag}");
                found.insert(tag, histogram);
            }
            LogEntry::StartTime(time) | LogEntry::BaseTime(time) => times.push(time.as_secs()),
        }
    }
    // 2026-01-31T08:15:00Z.
    assert_eq!(times, [1_769_847_300; 2]);
    assert_eq!(found.len(), record.latency.len());
    for (metric, distribution) in &record.latency {
        assert_eq!(found[metric], distribution.histogram()?, "{metric}");
    }
    Ok(())
}

/// Rows of fields; the samples' names need no quotes.
fn fields(csv: &str) -> Vec<Vec<&str>> {
    let rows = csv.strip_suffix("\r\n").unwrap_or(csv).split("\r\n");
    rows.map(|row| row.split(',').collect()).collect()
}

#[test]
fn the_series_are_one_row_a_second_with_all_columns() -> Result {
    let mut record = sample::healthy();
    let series = record.series.as_mut().ok_or("no series")?;
    series.columns.get_mut("sent").ok_or("no column")?[3] = None;
    let csv = SeriesCsv.export(&record)?;
    let rows = fields(&csv);
    let series = record.series.ok_or("no series")?;
    assert_eq!(rows.len(), 1 + series.t.len());
    let names: Vec<&str> = series.columns.keys().map(String::as_str).collect();
    assert_eq!(rows[0], [&["t_s"], &names[..]].concat());
    let sent = 1 + names.iter().position(|&name| name == "sent").ok_or("?")?;
    for (at, row) in rows[1..].iter().enumerate() {
        assert_eq!(row.len(), rows[0].len());
        assert_eq!(row[0].parse::<f64>()?, series.t[at]);
        assert_eq!(row[sent], if at == 3 { "" } else { "1000" });
    }
    Ok(())
}

#[test]
fn the_latency_table_has_no_figures_without_samples() -> Result {
    let healthy = sample::healthy();
    let csv = LatencyCsv.export(&healthy)?;
    let rows = fields(&csv);
    assert_eq!(rows[0][..3], ["metric", "unit", "count"]);
    assert_eq!(rows.len(), 1 + healthy.latency.len());
    let propagation = rows.iter().find(|row| row[0] == "propagation").ok_or("?")?;
    let p99 = rows[0].iter().position(|&name| name == "p99").ok_or("?")?;
    let expected = healthy.latency["propagation"].p99;
    assert_eq!(propagation[p99].parse::<f64>()?, expected);

    let csv = LatencyCsv.export(&sample::nothing())?;
    let rows = fields(&csv);
    assert_eq!(rows[1][..4], ["connect", "us", "0", ""]);
    Ok(())
}

#[test]
fn the_counts_are_one_row_each_with_their_units() -> Result {
    let record = sample::healthy();
    let csv = CountsCsv.export(&record)?;
    let rows = fields(&csv);
    assert_eq!(rows[0], ["metric", "unit", "value"]);
    assert_eq!(rows.len(), 1 + metric::COUNTS.len());
    assert!(rows.contains(&vec!["sent", "", "10000"]));
    assert!(rows.contains(&vec!["connecting", "us", "48200"]), "{csv}");
    Ok(())
}

/// One sample of the exposition format.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn parse(line: &str) -> Result<Sample> {
        let (name, rest) = line.split_once('{').ok_or("no labels")?;
        let (labels, value) = rest.rsplit_once("} ").ok_or("no value")?;
        Ok(Sample {
            name: name.to_owned(),
            labels: labels_of(labels)?,
            value: value.parse()?,
        })
    }

    fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|(label, _)| label == name)?;
        Some(&label.1)
    }
}

/// `a="x",b="y"`, with `\\`, `\"` and `\n` inside of the quotes.
fn labels_of(text: &str) -> Result<Vec<(String, String)>> {
    let mut labels = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or("no value")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().ok_or("no closing quote")? {
                (at, '"') => break at,
                (_, '\\') => match chars.next().ok_or("nothing escaped")?.1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => return Err(format!("\\{c} is no escape").into()),
                },
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Ok(labels)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Parses the format and holds it to the rules for names; the samples.
fn checked(text: &str) -> Result<Vec<Sample>> {
    assert!(text.ends_with('\n'));
    let mut lines = text.lines().peekable();
    let mut families = BTreeSet::new();
    let mut unique = BTreeSet::new();
    let mut samples = Vec::new();
    while let Some(help) = lines.next() {
        let (family, about) = help
            .strip_prefix("# HELP ")
            .and_then(|help| help.split_once(' '))
            .ok_or(format!("HELP expected: {help}"))?;
        assert!(is_name(family) && !about.is_empty(), "{help}");
        assert!(families.insert(family.to_owned()), "{family} is split");
        let kind = lines
            .next()
            .and_then(|line| line.strip_prefix(&format!("# TYPE {family} ")))
            .ok_or(format!("{family}: TYPE expected"))?;
        assert_eq!(kind == "counter", family.ends_with("_total"), "{family}");
        for unit in ["_ms", "_us", "_millis", "_micros", "_kb", "_mb", "_percent"] {
            assert!(!family.contains(unit), "{family} is not in a base unit");
        }
        let mut of_family = 0;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = Sample::parse(line)?;
            let suffix = sample.name.strip_prefix(family).ok_or("foreign sample")?;
            match kind {
                "summary" => assert!(["", "_sum", "_count"].contains(&suffix), "{line}"),
                _ => assert_eq!(suffix, "", "{line}"),
            }
            let names: BTreeSet<&String> = sample.labels.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), sample.labels.len(), "{line}");
            assert!(names.iter().all(|name| is_name(name)), "{line}");
            assert!(sample.label("run").is_some() && sample.value.is_finite());
            assert!(
                unique.insert(format!("{}{:?}", sample.name, sample.labels)),
                "{line}"
            );
            samples.push(sample);
            of_family += 1;
        }
        assert!(of_family > 0, "{family} has no sample");
    }
    Ok(samples)
}

#[test]
fn prometheus_can_read_every_record() -> Result {
    for (name, record) in sample::all() {
        let samples = checked(&Prometheus::text(&record)).map_err(|e| format!("{name}: {e}"))?;
        let info = samples.iter().find(|s| s.name == "syncbench_run_info");
        let info = info.ok_or("no info")?;
        assert_eq!(
            info.label("status"),
            Some(&*record.verdict.status.to_string())
        );
        assert_eq!(info.label("run"), Some(&*record.run.id));
    }
    Ok(())
}

#[test]
fn prometheus_gets_base_units() -> Result {
    let record = sample::healthy();
    let samples = checked(&Prometheus::text(&record))?;
    let value = |name: &str, labels: &[(&str, &str)]| {
        let matches = |sample: &&Sample| {
            let all = |&(label, value): &(&str, &str)| sample.label(label) == Some(value);
            sample.name == name && labels.iter().all(all)
        };
        samples.iter().find(matches).map(|sample| sample.value)
    };
    assert_eq!(value("syncbench_edits_sent_total", &[]), Some(10_000.0));
    let p99 = [("metric", "propagation"), ("quantile", "0.99")];
    let p99 = value("syncbench_latency_seconds", &p99).ok_or("no p99")?;
    assert_eq!(p99, record.latency["propagation"].p99 / 1e6);
    let relay = [("process", "relay")];
    let memory = value("syncbench_process_resident_memory_bytes", &relay);
    assert_eq!(memory, Some(f64::from(14 << 20)));
    let stale = record.series.as_ref().ok_or("no series")?.columns["staleness_s"].last();
    let told = value("syncbench_staleness_seconds", &[]);
    assert_eq!(Some(&told), stale);
    let met = [("threshold", "propagation.p99 < 100ms")];
    assert_eq!(value("syncbench_threshold_met", &met), Some(1.0));
    Ok(())
}

#[test]
fn prometheus_gets_every_count_and_the_errors_by_kind() -> Result {
    let record = sample::healthy();
    let samples = checked(&Prometheus::text(&record))?;
    for count in &metric::COUNTS {
        let found = samples.iter().find(|s| s.name == count.prometheus);
        let value = count.of(&record).ok_or(count.metric.name)? as f64;
        let value = match count.metric.unit {
            metric::Unit::Micros => value / 1e6,
            _ => value,
        };
        assert_eq!(found.map(|s| s.value), Some(value), "{}", count.prometheus);
    }
    let by_kind = |s: &&Sample| s.name == "syncbench_errors_by_kind_total";
    let by_kind: Vec<&Sample> = samples.iter().filter(by_kind).collect();
    assert_eq!(by_kind.len(), record.errors.len());
    assert_eq!(by_kind[0].label("kind"), Some("reset"));
    Ok(())
}

#[test]
fn a_run_that_has_only_begun_can_be_scraped() -> Result {
    let mut record = sample::nothing();
    record.counts = None;
    record.latency.clear();
    record.thresholds.clear();
    record.errors.clear();
    let samples = checked(&Prometheus::running(&record))?;
    let [info] = &samples[..] else {
        return Err(format!("{samples:?}").into());
    };
    assert_eq!(info.label("status"), Some("running"));
    Ok(())
}

#[test]
fn a_run_that_goes_on_gives_its_figures_and_no_verdict() -> Result {
    let record = sample::healthy();
    let running = checked(&Prometheus::running(&record))?;
    let finished = checked(&Prometheus::text(&record))?;
    assert_eq!(running[0].label("status"), Some("running"));
    assert!(running.iter().all(|s| s.name != "syncbench_exit_code"));
    assert_eq!(running.len(), finished.len() - 1);
    Ok(())
}

#[test]
fn texts_of_a_record_cannot_break_the_exposition_format() -> Result {
    let mut record = sample::healthy();
    let hostile = "a\"b\\c\nd} 1";
    record.run.engine = hostile.to_owned();
    let judged = ThresholdResult {
        threshold: hostile.to_owned(),
        ..ThresholdResult::default()
    };
    record.thresholds = vec![judged.clone(), judged];
    let samples = checked(&Prometheus::text(&record))?;
    let info = samples.iter().find(|s| s.name == "syncbench_run_info");
    assert_eq!(info.and_then(|info| info.label("engine")), Some(hostile));
    let met = samples
        .iter()
        .filter(|s| s.name == "syncbench_threshold_met");
    assert_eq!(met.count(), 1, "the same twice is once");
    Ok(())
}
