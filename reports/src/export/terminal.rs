//! A summary for the terminal.

use std::env;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};

use super::{ExportError, Exporter};
use crate::quantity;
use crate::record::{Counts, Distribution, ProcessUse, Record, Status, ThresholdResult};
use crate::summary;

/// A summary for the terminal: plain text, with colour only where it helps.
#[derive(Debug, Clone, Default)]
pub struct Terminal {
    /// True if the verdict is coloured.
    pub colour: bool,
    /// The files that were written, if any: the last lines list them.
    pub files: Vec<PathBuf>,
}

impl Terminal {
    /// Returns the summary for standard output: coloured if that is a terminal and the
    /// user has not set `NO_COLOR`.
    pub fn stdout(files: Vec<PathBuf>) -> Terminal {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Terminal {
            colour: stdout().is_terminal() && !refused && !dumb,
            files,
        }
    }

    fn verdict(&self, record: &Record) -> String {
        let verdict = &record.verdict;
        let text = format!(
            "{} ({}, exit code {})",
            summary::statement(record),
            verdict.status,
            verdict.exit_code
        );
        if !self.colour {
            return text;
        }
        let code = match verdict.status {
            Status::Ok => "32",
            Status::Inconclusive | Status::Invalid | Status::NoBaseline | Status::Interrupted => {
                "33"
            }
            _ => "31",
        };
        format!("\x1b[1;{code}m{text}\x1b[0m")
    }
}

impl Exporter for Terminal {
    fn file_name(&self) -> String {
        "summary.txt".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        let mut text = self.verdict(record);
        for reason in &record.verdict.reasons {
            text.push_str(&format!("\n  - {reason}"));
        }
        text.push_str("\n\n");
        text.push_str(&facts(record));
        for result in &record.thresholds {
            text.push_str(&line("threshold", &threshold(result)));
        }
        if !record.latency.is_empty() {
            text.push_str(&format!("\n{}\n", latency(record)));
            if !record.marked.is_empty() {
                text.push_str(&format!("{}\n", summary::MARK_MEANING));
            }
        }
        for (title, groups) in summary::groups(record) {
            text.push_str(&format!("\n{}\n", by_group(title, &groups)));
        }
        let parts = where_time_went(record);
        if !parts.is_empty() {
            text.push_str(&format!("\n{parts}\n"));
        }
        if let Some(cause) = summary::main_cause(record) {
            text.push_str(&format!("{cause}\n"));
        }
        text.push('\n');
        text.push_str(&conditions(record));
        for path in &self.files {
            text.push_str(&line("written", &path.display().to_string()));
        }
        Ok(text)
    }
}

/// A line of the form `name: value`, the values below each other.
fn line(name: &str, value: &str) -> String {
    format!("{:<11} {value}\n", format!("{name}:"))
}

fn facts(record: &Record) -> String {
    let mut text = String::new();
    if let Some(converged) = summary::converged(record) {
        text.push_str(&line("converged", &converged));
    }
    if let Some(strangers) = record.convergence.as_ref().and_then(summary::strangers) {
        text.push_str(&line("strangers", &strangers));
    }
    if let Some(counts) = &record.counts {
        if let Some(connecting) = summary::connecting(counts) {
            text.push_str(&line("connected", &connecting));
        }
        text.push_str(&line("edits", &edits(counts)));
        text.push_str(&line("deliveries", &deliveries(counts)));
        if let Some(presence) = summary::presence(counts) {
            text.push_str(&line("presence", &presence));
        }
        if let Some(traffic) = summary::traffic(counts) {
            text.push_str(&line("traffic", &traffic));
        }
    }
    if let Some(connections) = summary::connections(record) {
        text.push_str(&line("lost links", &connections));
    }
    text
}

fn threshold(result: &ThresholdResult) -> String {
    let met = match (result.met, result.not_judged) {
        (true, _) => "met",
        (false, true) => "not judged",
        (false, false) => "missed",
    };
    let observed = result.observed.as_deref().unwrap_or("no samples");
    format!("{met:<6}  {}  ({observed})", result.threshold)
}

fn edits(counts: &Counts) -> String {
    let share = summary::share_of(counts.sent, counts.scheduled);
    format!(
        "{} scheduled, {} sent{}, by {} clients in {} rooms",
        quantity::count(counts.scheduled),
        quantity::count(counts.sent),
        share.map_or(String::new(), |share| format!(" ({share})")),
        quantity::count(counts.clients),
        quantity::count(counts.rooms),
    )
}

fn deliveries(counts: &Counts) -> String {
    let share = summary::share_of(counts.visible, counts.expected);
    format!(
        "{} expected, {} visible{}",
        quantity::count(counts.expected),
        quantity::count(counts.visible),
        share.map_or(String::new(), |share| format!(" ({share})")),
    )
}

fn latency(record: &Record) -> Table {
    let mut table = table(&[
        "latency", "samples", "min", "p50", "p90", "p99", "p99.9", "max",
    ]);
    for metric in summary::latencies(record) {
        let d = metric.distribution;
        let mut row = vec![metric.title.to_owned()];
        if d.count == 0 {
            row.push("no samples".to_owned());
        } else {
            row.push(quantity::count(d.count));
            let figures = [
                ("min", d.min),
                ("p50", d.p50),
                ("p90", d.p90),
                ("p99", d.p99),
                ("p99.9", d.p99_9),
                ("max", d.max),
            ];
            row.extend(figures.map(|(stat, value)| metric.figure(stat, value)));
        }
        table.add_row(row);
    }
    table
}

fn by_group(title: &str, groups: &[(&str, &Distribution)]) -> Table {
    let mut table = table(&[title, "samples", "p50", "p90", "p99", "max"]);
    for (name, d) in groups {
        let mut row = vec![(*name).to_owned(), quantity::count(d.count)];
        row.extend([d.p50, d.p90, d.p99, d.max].map(quantity::duration));
        table.add_row(row);
    }
    table
}

fn where_time_went(record: &Record) -> String {
    let parts = summary::where_time_went(record);
    if parts.is_empty() {
        return String::new();
    }
    let mut table = table(&["where the time went", "mean", "share"]);
    for part in parts {
        table.add_row([
            part.title.to_owned(),
            quantity::duration(part.mean),
            quantity::percent(part.share),
        ]);
    }
    table.to_string()
}

/// Makes a table without lines except below its header, with the first column
/// left-aligned and figures right-aligned.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if i > 0 { 2 } else { 0 }, 0));
        if i > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn conditions(record: &Record) -> String {
    let mut text = String::new();
    if let Some(resources) = &record.resources {
        let activities: Vec<String> = resources
            .generator_cpu_by_activity
            .iter()
            .map(|(activity, cpu)| format!("{activity} {}", quantity::seconds(*cpu)))
            .collect();
        let mut generator = process(&resources.generator);
        if !activities.is_empty() {
            generator.push_str(&format!("; workers' CPU: {}", activities.join(", ")));
        }
        text.push_str(&line("generator", &generator));
        if let Some(relay) = &resources.relay {
            let after = relay.rss_after_bytes.map(|bytes| {
                let bytes = quantity::bytes(bytes as f64);
                format!(", {bytes} after all clients had left")
            });
            let used = process(relay) + &after.unwrap_or_default();
            text.push_str(&line("relay", &used));
        }
    }
    text.push_str(&line("conditions", &inputs(record)));
    text.push_str(&line("machine", &summary::machine(record)));
    text
}

fn process(usage: &ProcessUse) -> String {
    format!(
        "{} CPU, {} at its peak",
        quantity::seconds(usage.cpu_s),
        quantity::bytes(usage.rss_peak_bytes as f64)
    )
}

fn inputs(record: &Record) -> String {
    let name = record.run.scenario["name"].as_str();
    let name = name.map(|name| format!("scenario {name}"));
    let mut inputs: Vec<String> = name.into_iter().collect();
    inputs.push(record.run.engine.clone());
    inputs.extend(
        record
            .run
            .datasets
            .iter()
            .map(|dataset| dataset.name.clone()),
    );
    inputs.push(format!("seed {}", record.run.seed));
    inputs.extend(record.run.run_id.as_ref().map(|id| format!("run id {id}")));
    for setting in ["arrivals", "phase", "protocol"] {
        if let Some(value) = record.run.scenario[setting].as_str() {
            inputs.push(format!("{setting} {value}"));
        }
    }
    inputs.join(", ")
}
