//! The progress line of a run on the terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use syncbench_loadgen::load::Progress;
use syncbench_loadgen::outcome::Row;
use syncbench_loadgen::scenario::Scenario;
use syncbench_reports::quantity;

/// One line on the terminal that shows the progress of the run; hidden if there is no
/// terminal.
pub struct Display {
    bar: ProgressBar,
    duration: Duration,
}

impl Display {
    pub fn new(scenario: &Scenario, quiet: bool) -> Self {
        let watched = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let bar = match watched && !quiet {
            true => ProgressBar::new(scenario.duration.as_millis() as u64),
            false => ProgressBar::hidden(),
        };
        // The template is a constant that indicatif accepts; if it does not, the bar
        // has the default style.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            duration: scenario.duration,
        }
    }

    pub fn show(&self, progress: &Progress) {
        match progress {
            Progress::Connecting { connected, of } => {
                self.bar
                    .set_message(format!("connecting {connected}/{of} clients"));
            }
            Progress::Running { second: row, .. } => {
                self.bar.set_position((row.second + 1) * 1_000);
                self.bar.set_message(line(row, self.duration));
            }
            Progress::Draining => self.bar.set_message("waiting for the last deliveries"),
        }
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Formats one second of the run as a line: rates, latency, staleness, lag.
fn line(row: &Row, duration: Duration) -> String {
    let micros = |value: Option<f64>| value.map_or("-".to_owned(), quantity::duration);
    let [p50, p99, _] = row.propagation.figures();
    let [_, lag, _] = row.generator_lag.figures();
    let staleness = row.gauges.staleness;
    let mut line = format!(
        "{}/{} s  {} clients  {}/s sent {}/s delivered  p50 {} p99 {}  lag p99 {}",
        row.second + 1,
        duration.as_secs_f64(),
        row.gauges.live,
        row.sent,
        row.visible,
        micros(p50),
        micros(p99),
        micros(lag),
    );
    if staleness.edits > 0 {
        line += &format!(
            "  behind {} edits, {:.1} s",
            staleness.edits,
            staleness.oldest as f64 / 1e9
        );
    }
    if let Some(cpu) = row.processes.get("relay_cpu") {
        line += &format!("  relay {:.0} % CPU", 100.0 * cpu);
    }
    line
}
