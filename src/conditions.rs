//! The conditions under which a run is measured.

use std::time::SystemTime;

use serde_json::Value;
use syncbench_engines::Engine;
use syncbench_reports::record::{DatasetRef, Machine, Run};
use syncbench_reports::run_id;

/// Returns the conditions of a run of `engine` that starts now, on `dataset` if it
/// needs one.
pub fn of(engine: &dyn Engine, dataset: Option<DatasetRef>, seed: u64, scenario: Value) -> Run {
    let now = SystemTime::now();
    Run {
        id: run_id::run_id(now, seed),
        started_at: run_id::rfc3339(now),
        seed,
        run_id: None,
        command: command_line(),
        syncbench: env!("CARGO_PKG_VERSION").to_owned(),
        machine: Machine::detect(),
        datasets: dataset.into_iter().collect(),
        engine: format!("{} {}", engine.name(), engine.version()),
        scenario,
    }
}

/// Returns the command line so that it can be typed again, without the folder of the
/// executable.
pub fn command_line() -> String {
    let args = std::env::args().skip(1).map(|arg| quoted(&arg));
    std::iter::once("syncbench".to_owned())
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Quotes `arg` so that a POSIX shell reads it as one word.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', r"'\''"))
}
