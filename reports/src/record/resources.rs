//! What the processes and threads of a run used, and the course of it by second.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The work of the generator's worker threads, from the schedule's start until
/// the last delivery, summed over the threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerUse {
    /// Worker threads.
    pub threads: u64,
    /// CPU time, nanoseconds.
    pub cpu_ns: u64,
    /// Wall time, nanoseconds.
    pub elapsed_ns: u64,
    /// CPU time inside edits, nanoseconds.
    pub edit_cpu_ns: u64,
    /// CPU time inside imports, nanoseconds.
    pub import_cpu_ns: u64,
}

/// CPU time and memory of both sides of a load run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resources {
    /// The load generator's process.
    pub generator: ProcessUse,
    /// The relay's process, if its pid is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<ProcessUse>,
    /// CPU time of the generator's worker threads by activity, seconds:
    /// `edit` (local edit and export), `import`, `other` (sockets, runtime).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "schema", schemars(extend("additionalProperties" = { "type": "number", "minimum": 0 })))]
    pub generator_cpu_by_activity: BTreeMap<String, f64>,
}

/// The resources that one process used from the first connection to the end of
/// the checks; of a relay that the run started with a command, those of all
/// processes of that command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessUse {
    /// Process id; of several processes, that of the first.
    pub pid: u32,
    /// CPU time, user and system, seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub cpu_s: f64,
    /// Peak resident memory, bytes. Of several processes, the largest sum among
    /// the samples of each second, or the peak of one of them if that is larger.
    pub rss_peak_bytes: u64,
    /// Resident memory at the end, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Resident memory after the last client had left and the relay had settled,
    /// bytes (of a relay that the run owns).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_after_bytes: Option<u64>,
    /// Most threads seen at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Most open descriptors seen at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// Open descriptors after the last client had left and the relay had settled
    /// (of a relay that the run owns).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors_after: Option<u64>,
    /// Times that its threads left their CPU to wait for something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switches_voluntary: Option<u64>,
    /// Times that the scheduler took the CPU from its threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switches_involuntary: Option<u64>,
}

/// Figures over time, one value per interval in every column; a value is null
/// where the interval has no sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Series {
    /// Length of one interval, seconds.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0)))]
    pub interval_s: f64,
    /// Start of each interval, seconds since the schedule's start.
    pub t: Vec<f64>,
    /// Columns by name: `sent`, `visible` (counts within the interval),
    /// `propagation_p50`, `propagation_p99`, `propagation_max`,
    /// `generator_lag_p50`, `generator_lag_p99`, `generator_lag_max`
    /// (microseconds, by the time the sample was taken); of the processes
    /// `relay_cpu` (cores in use, 1.0 is one core), `relay_rss_bytes`,
    /// `relay_threads`, `relay_descriptors`, and the same of the `generator_`.
    /// A name that ends in `_s` is in seconds, one in `_bytes` in bytes.
    pub columns: BTreeMap<String, Vec<Option<f64>>>,
}
