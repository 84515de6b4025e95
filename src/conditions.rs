//! The conditions under which a run is measured.

mod command_line;

use std::time::SystemTime;

use serde_json::Value;
use syncbench_engines::Engine;
use syncbench_reports::record::{DatasetRef, Machine, Run};
use syncbench_reports::run_id;

pub use command_line::command_line;

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
