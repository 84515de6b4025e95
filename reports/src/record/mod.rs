//! The record: the JSON result of one run, and what `--json` prints.
//!
//! One shape for every command, versioned by [`SCHEMA`] and readable for ever:
//! fields may be added, none may change its meaning. The JSON schema in
//! `reports/schema/record.v1.json` is generated from these types, and a test
//! checks that it is up to date. This module only needs serde, so that a
//! measured binary can link it without the renderers.

mod cell;
mod convergence;
mod counts;
mod course;
mod distribution;
mod resources;
mod verdict;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use cell::{Cell, Scale};
pub use convergence::{Convergence, ConvergenceFailure, LostEdit, Stranger};
pub use counts::Counts;
pub use course::{Course, EndedRoom, Incident, LostConnection, UnexpectedFrame};
pub use distribution::Distribution;
pub use resources::{ProcessUse, Resources, Series, WorkerUse};
pub use verdict::{MarkedFigure, Signal, Status, ThresholdResult, Verdict};

/// The schema identifier in the first field of every record.
pub const SCHEMA: &str = "syncbench/record@1";

/// The result of one run. Within a version of the schema, fields and values of
/// open sets may be added and none changes its meaning: readers ignore what they
/// do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Record {
    /// Always [`SCHEMA`] for records that this version writes.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// The command that made the record; it determines the optional parts.
    pub kind: Kind,
    /// The conditions of the measurement.
    pub run: Run,
    /// The result of the run.
    pub verdict: Verdict,
    /// The result of the convergence check (kind `load`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Convergence>,
    /// The work done (kind `load`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The figures of one cell (kind `cell`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// Latency distributions by metric: `propagation`, `propagation_from_send`,
    /// `generator_lag`, `edit`, `transit`, `client_queue`, `import`, `connect`
    /// and others, as listed in `docs/METRICS.md`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency: BTreeMap<String, Distribution>,
    /// Propagation latency by part of the run (kind `load`): first by the kind of
    /// part (`stage`, `room_size`, `link`), then by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, BTreeMap<String, Distribution>>,
    /// The parts of the propagation latency (kind `load`) as shares of its sum,
    /// 0 to 1: `generator_lag`, `edit`, `batch`, `link`, `relay`,
    /// `client_queue`, `import`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribution: BTreeMap<String, f64>,
    /// The sums behind `attribution`, nanoseconds by part (kind `load`): what
    /// the records of several processes can be added up by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribution_ns: BTreeMap<String, u64>,
    /// The number of errors by kind (kind `load`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// The course of the run (kind `load`): what its verdict rests on besides
    /// the figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Course>,
    /// CPU time and memory of the generator and the relay (kind `load`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Figures over time (kind `load`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// The latency figures that are the generator's rather than the relay's
    /// (kind `load`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marked: Vec<MarkedFigure>,
    /// The thresholds of the run, with their results (kind `load`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdResult>,
    /// Files written beside the record, relative to its folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(inner(length(min = 1))))]
    pub artifacts: Vec<String>,
}

/// The command that made a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `syncbench run`.
    Load,
    /// `syncbench cell`.
    Cell,
    /// `syncbench gate`.
    Gate,
    /// `syncbench capacity`.
    Capacity,
    /// `syncbench audit`.
    Audit,
}

/// The conditions of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// Unique name of the run: UTC start time and seed, usable as a folder name.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z0-9._-]+$")))]
    pub id: String,
    /// Start of the run, RFC 3339, UTC.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$"))
    )]
    pub started_at: String,
    /// Seed of everything random in the run.
    pub seed: u64,
    /// The run id (kind `load`), which decides peer ids and room names together
    /// with the seed: a run with the same two repeats exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))
    )]
    pub run_id: Option<String>,
    /// The command line, secrets left out.
    pub command: String,
    /// Version of syncbench.
    pub syncbench: String,
    /// The machine that made the record.
    pub machine: Machine,
    /// The data sets used, with the checksums of their files.
    pub datasets: Vec<DatasetRef>,
    /// The engine of the replicas, as `name version`.
    pub engine: String,
    /// The whole scenario, defaults filled in.
    pub scenario: Value,
}

/// The machine that a run was made on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Machine {
    /// Operating system and kernel release.
    pub os: String,
    /// CPU architecture, such as `x86_64`.
    pub arch: String,
    /// CPU model name, or `unknown`.
    pub cpu: String,
    /// Logical CPUs this process may run on.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub cpus: usize,
    /// Physical memory, bytes; 0 when unknown.
    pub memory_bytes: u64,
}

/// A data set as it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatasetRef {
    /// Catalog name, or path of the file.
    pub name: String,
    /// SHA-256 of the file, lower-case hex.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub sha256: String,
}

#[cfg(test)]
impl Record {
    /// A load run that measured nothing yet, for tests.
    #[allow(clippy::unwrap_used)] // the text is a record
    pub(crate) fn example() -> Self {
        serde_json::from_value(serde_json::json!({
            "schema": SCHEMA,
            "kind": "load",
            "run": {
                "id": "run", "started_at": "2026-01-01T00:00:00Z", "seed": 1,
                "command": "syncbench run", "syncbench": "0", "datasets": [],
                "machine": { "os": "", "arch": "", "cpu": "", "cpus": 1, "memory_bytes": 0 },
                "engine": "loro", "scenario": {},
            },
            "verdict": { "exit_code": 0, "status": "ok", "reasons": [] },
        }))
        .unwrap()
    }
}
