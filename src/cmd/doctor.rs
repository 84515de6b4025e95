//! `syncbench doctor`: is this machine fit to measure?

use std::time::Duration;

use comfy_table::{Table, presets};
use syncbench_loadgen::doctor::{self, Check, Checkup, Verdict};
use syncbench_reports::quantity;
use syncbench_reports::record::Status;

use super::BadInput;
use crate::stdout::say;

/// The shortest duration that yields samples, and the longest useful one.
const BOUNDS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(600)];

/// Check whether this machine is fit to measure, and find its latency floor.
///
/// Measures the clock, timers and loopback connections of this machine, without
/// a relay and without root, reads the limits of the system, and gives advice on
/// each problem. Run it on the idle machine before a load run. Its exit code is 0
/// whatever it finds.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench doctor
  syncbench doctor --duration 2s --json")]
pub struct Args {
    /// Time for all measurements together
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::duration)]
    duration: Duration,

    /// Print all figures as JSON, with units and sample counts
    #[arg(long)]
    json: bool,
}

/// Examines the machine and prints the results.
pub fn run(args: Args) -> anyhow::Result<Status> {
    let [shortest, longest] = BOUNDS;
    if !(shortest..=longest).contains(&args.duration) {
        return Err(BadInput::new("--duration must be from 100ms to 10m").into());
    }
    let checkup = doctor::examine(args.duration)?;
    if args.json {
        say!("{}", serde_json::to_string(&checkup)?);
        return Ok(Status::Ok);
    }
    for line in table(&checkup.checks).to_string().lines() {
        say!("{}", line.trim_end());
    }
    say!("");
    say!("{}", floor(&checkup));
    for check in &checkup.checks {
        if let Some(advice) = &check.advice {
            say!("\n{} ({}):\n  {advice}", check.title, word(check.verdict));
        }
    }
    Ok(Status::Ok)
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["check", "value", "verdict"]);
    for check in checks {
        table.add_row([check.title, &check.value, word(check.verdict)]);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if i > 0 { 2 } else { 0 }, 0));
    }
    table
}

fn floor(checkup: &Checkup) -> String {
    let definition = checkup.floor.definition;
    match checkup.floor.us {
        Some(us) => format!(
            "This machine cannot resolve latencies below {}\n({definition}).",
            quantity::duration(us)
        ),
        None => "The time was too short to find the shortest latency that this machine can \
                 resolve: use a longer --duration."
            .to_owned(),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Note => "note",
        Verdict::Bad => "bad",
        Verdict::Unknown => "n/a",
    }
}
