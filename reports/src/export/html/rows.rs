//! The rows of the page's tables and lists, as text.

use serde_json::Value;

use crate::metric;
use crate::quantity;
use crate::record::{Distribution, ProcessUse, Record};
use crate::summary;

/// A name and its value.
pub type Term = (String, String);

/// A figure shown in large type.
pub struct KeyFigure {
    pub name: &'static str,
    pub value: String,
    pub note: String,
}

/// Returns the figures at the top of the report.
pub fn key_figures(record: &Record) -> Vec<KeyFigure> {
    let mut figures = Vec::new();
    if let Some(d) = summary::sampled(record, "propagation") {
        let note = format!("of {} samples", quantity::count(d.count));
        for (name, value) in [
            ("median propagation", d.p50),
            ("p99 propagation", d.p99),
            ("slowest propagation", d.max),
        ] {
            figures.push(KeyFigure {
                name,
                value: quantity::duration(value),
                note: note.clone(),
            });
        }
    }
    if let Some(c) = &record.convergence {
        figures.push(KeyFigure {
            name: "rooms converged",
            value: quantity::count(c.converged),
            note: format!("of {}", quantity::count(c.rooms)),
        });
    }
    if let Some(n) = &record.counts {
        figures.push(KeyFigure {
            name: "deliveries",
            value: quantity::count(n.visible),
            note: format!("of {} expected", quantity::count(n.expected)),
        });
    }
    figures
}

/// A row of the latency table.
pub struct LatencyRow<'a> {
    pub title: &'a str,
    pub meaning: &'a str,
    pub headline: bool,
    /// The figures with their names, which are shown on screens too narrow for a
    /// header.
    pub figures: Vec<(&'static str, String)>,
}

/// Returns the rows of the latency table.
pub fn latency(record: &Record) -> Vec<LatencyRow<'_>> {
    summary::latencies(record)
        .into_iter()
        .map(|metric| LatencyRow {
            title: metric.title,
            meaning: metric.meaning,
            headline: metric.name == "propagation",
            figures: figures(metric.distribution, |stat, value| {
                metric.figure(stat, value)
            }),
        })
        .collect()
}

fn figures(d: &Distribution, shown: impl Fn(&str, f64) -> String) -> Vec<(&'static str, String)> {
    let samples = match d.count {
        0 => "no samples".to_owned(),
        count => quantity::count(count),
    };
    let figures = [
        ("min", d.min),
        ("mean", d.mean),
        ("st. dev.", d.stdev),
        ("p50", d.p50),
        ("p90", d.p90),
        ("p99", d.p99),
        ("p99.9", d.p99_9),
        ("max", d.max),
    ];
    let figures = figures.map(|(name, value)| (name, shown(name, value)));
    std::iter::once(("samples", samples))
        .chain(figures)
        .collect()
}

/// One stage of the mean propagation.
pub struct PartRow {
    pub title: &'static str,
    pub mean: String,
    pub share: String,
    /// Its width in the bar.
    pub weight: String,
}

/// Returns the stages of the mean propagation.
pub fn parts(record: &Record) -> Vec<PartRow> {
    summary::where_time_went(record)
        .into_iter()
        .map(|part| PartRow {
            title: part.title,
            mean: quantity::duration(part.mean),
            share: quantity::percent(part.share),
            weight: format!("{:.4}", part.share),
        })
        .collect()
}

/// Returns the results of the convergence check.
pub fn convergence(record: &Record) -> Vec<Term> {
    let Some(c) = &record.convergence else {
        return Vec::new();
    };
    let names = [
        "lost",
        "lost_by_absence",
        "pending",
        "duplicated",
        "corrupt",
        "unexpected_frames",
        "leaked",
        "foreign",
        "foreign_operations",
        "compared",
    ];
    let rooms = term("rooms converged", of(c.converged, c.rooms));
    let counts = names.into_iter().filter_map(|name| count(record, name));
    let strangers = summary::strangers(c).map(|names| term("strangers", names));
    let all = std::iter::once(rooms).chain(counts);
    all.chain(strangers).collect()
}

/// Returns a count with its title.
fn count(record: &Record, name: &str) -> Option<Term> {
    let count = metric::count(name)?;
    let value = quantity::count(count.of(record)?);
    Some(term(count.metric.title, value))
}

/// A part of the deliveries, in the table of its kind.
pub struct GroupRow<'a> {
    pub name: &'a str,
    pub figures: Vec<(&'static str, String)>,
}

/// Returns the propagation by part of the run: the title and rows of each kind of part.
pub fn groups(record: &Record) -> Vec<(&str, Vec<GroupRow<'_>>)> {
    let kinds = summary::groups(record).into_iter();
    kinds
        .map(|(title, groups)| {
            let rows = groups.into_iter().map(|(name, d)| GroupRow {
                name,
                figures: figures(d, |_, value| summary::figure(d, value)),
            });
            (title, rows.collect())
        })
        .collect()
}

/// Returns the work that the run did.
pub fn work(record: &Record) -> Vec<Term> {
    let Some(n) = &record.counts else {
        return Vec::new();
    };
    let frames = |frames, bytes: u64| {
        let bytes = quantity::bytes(bytes as f64);
        format!("{}, with {bytes} of updates", quantity::count(frames))
    };
    let count = |name| count(record, name);
    let first = [count("clients"), count("rooms"), count("scheduled")];
    let shares = [
        Some(term("edits sent", of(n.sent, n.scheduled))),
        count("never_sent"),
        count("expected"),
        Some(term("deliveries visible", of(n.visible, n.expected))),
        summary::presence(n).map(|words| term("presence", words)),
        Some(term("frames sent", frames(n.frames_out, n.bytes_out))),
        Some(term("frames received", frames(n.frames_in, n.bytes_in))),
    ];
    let connections = [
        count("outages"),
        count("disconnects"),
        count("refused"),
        summary::connecting(n).map(|words| term("connected", words)),
    ];
    let schedule = n.schedule.clone().map(|hash| term("schedule", hash));
    let all = first.into_iter().chain(shares).chain(connections);
    all.chain([schedule]).flatten().collect()
}

/// Returns the errors by kind.
pub fn errors(record: &Record) -> Vec<Term> {
    let errors = record.errors.iter();
    errors
        .map(|(kind, number)| term(kind, quantity::count(*number)))
        .collect()
}

/// Formats `part of whole (share)`.
fn of(part: u64, whole: u64) -> String {
    let share =
        summary::share_of(part, whole).map(|share| format!(" ({})", share.replace(' ', "\u{a0}")));
    format!(
        "{} of {}{}",
        quantity::count(part),
        quantity::count(whole),
        share.unwrap_or_default()
    )
}

/// The resources that a process, or a part of it, used.
pub struct ProcessRow {
    pub name: String,
    /// True for a part of the process above it.
    pub part: bool,
    pub cpu: String,
    pub memory: String,
    /// Threads, descriptors and context switches, as far as they are known.
    pub more: String,
}

/// Returns CPU time and memory of both sides.
pub fn processes(record: &Record) -> Vec<ProcessRow> {
    let Some(resources) = &record.resources else {
        return Vec::new();
    };
    let process = |name: &str, usage: &ProcessUse| ProcessRow {
        name: name.to_owned(),
        part: false,
        cpu: quantity::seconds(usage.cpu_s),
        memory: quantity::bytes(usage.rss_peak_bytes as f64),
        more: more(usage),
    };
    let mut rows = vec![process("load generator", &resources.generator)];
    for (activity, cpu_s) in &resources.generator_cpu_by_activity {
        rows.push(ProcessRow {
            name: format!("of this, its workers: {activity}"),
            part: true,
            cpu: quantity::seconds(*cpu_s),
            memory: String::new(),
            more: String::new(),
        });
    }
    rows.push(match &resources.relay {
        Some(relay) => process("relay", relay),
        None => ProcessRow {
            name: "relay".to_owned(),
            part: false,
            cpu: "not measured".to_owned(),
            memory: "not measured".to_owned(),
            more: String::new(),
        },
    });
    rows
}

/// Formats threads, descriptors and context switches, as far as the record has them.
fn more(usage: &ProcessUse) -> String {
    let known = [
        (usage.threads, "thread"),
        (usage.descriptors, "descriptor"),
        (usage.switches_voluntary, "voluntary switch"),
        (usage.switches_involuntary, "involuntary switch"),
    ];
    let known = known.into_iter().filter_map(|(n, name)| Some((n?, name)));
    let known = known.map(|(n, name)| match name.strip_suffix("switch") {
        Some(kind) => format!("{} {kind}context switches", quantity::count(n)),
        None => quantity::things(n, name),
    });
    let after = usage.rss_after_bytes.map(|bytes| bytes as f64);
    let after = after.map(|bytes| format!("{} after all clients had left", quantity::bytes(bytes)));
    known.chain(after).collect::<Vec<_>>().join(", ")
}

/// Returns the conditions of the run.
pub fn conditions(record: &Record) -> Vec<Term> {
    let run = &record.run;
    let mut terms = vec![
        term("run", run.id.clone()),
        term("machine", summary::machine(record)),
        term("engine", run.engine.clone()),
    ];
    for dataset in &run.datasets {
        let text = format!("{} (SHA-256 {})", dataset.name, dataset.sha256);
        terms.push(term("data set", text));
    }
    terms.push(term("seed", run.seed.to_string()));
    terms.extend(run.run_id.as_ref().map(|id| term("run id", id.clone())));
    terms.push(term("syncbench", run.syncbench.clone()));
    terms
}

/// What the page begins with, so that the settings need not repeat it.
const FIRST: [&str; 2] = ["name", "analysis"];

/// The scenario as `path.to.setting` and value, in the scenario's order, without
/// what is not set.
pub fn settings(scenario: &Value) -> Vec<Term> {
    let mut settings = Vec::new();
    walk("", scenario, &mut settings);
    settings.retain(|(name, _)| !FIRST.contains(&name.as_str()));
    settings
}

fn walk(path: &str, value: &Value, settings: &mut Vec<Term>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                walk(&format!("{path}{dot}{key}"), value, settings);
            }
        }
        Value::Null => {}
        Value::String(text) if text.is_empty() => {}
        Value::Array(values) if values.is_empty() => {}
        Value::String(text) => settings.push(term(path, text.clone())),
        other => settings.push(term(path, other.to_string())),
    }
}

fn term(name: &str, value: String) -> Term {
    (name.to_owned(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_not_set_are_left_out() {
        let scenario = serde_json::json!({
            "name": "classroom", "analysis": "Why.",
            "payload": null, "links": [], "dataset": "", "churn": {}, "relay": {"url": null},
            "abort": false, "late": 0, "rooms": [{"count": 4, "size": 3}],
        });
        let settings = settings(&scenario);
        let mut names: Vec<&str> = settings.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["abort", "late", "rooms"]);
    }
}
