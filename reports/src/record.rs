//! The record: the JSON result of one run, and what `--json` prints.
//!
//! One shape for every command, versioned by [`SCHEMA`] and readable for ever:
//! fields may be added, none may change its meaning. The JSON schema stands in
//! `reports/schema/record.v1.json` and is checked in tests. This module only
//! needs serde, so that a measured binary can link it without the renderers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The schema identifier in the first field of every record.
pub const SCHEMA: &str = "syncbench/record@1";

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Always [`SCHEMA`] for records that this version writes.
    pub schema: String,
    /// Which command made the record, and so which optional parts are present.
    pub kind: Kind,
    /// The conditions the figures were taken under.
    pub run: Run,
    /// What the run came to.
    pub verdict: Verdict,
    /// Whether the replicas of every room ended equal (kind `load`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Convergence>,
    /// How much was done (kind `load`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The figures of one cell (kind `cell`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// Latency distributions by metric name, such as `propagation`,
    /// `propagation_from_send`, `generator_lag`, `transit`, `import`, `connect`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency: BTreeMap<String, Distribution>,
    /// Propagation latency by part of the run (kind `load`): first by what the
    /// parts are (`stage`, `room_size`, `link`), then by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, BTreeMap<String, Distribution>>,
    /// Where the time of the deliveries went (kind `load`): shares of the sum
    /// of the propagation latencies, 0 to 1, by part of the way.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribution: BTreeMap<String, f64>,
    /// The sums behind `attribution`, nanoseconds by part (kind `load`): what
    /// the records of several processes can be added up by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribution_ns: BTreeMap<String, u64>,
    /// What went wrong, counted by kind (kind `load`).
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
    /// The thresholds that the run was held to (kind `load`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdResult>,
    /// Files written beside the record, relative to its folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
}

/// Which command made a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Run {
    /// Unique name of the run: UTC start time and seed, usable as a folder name.
    pub id: String,
    /// Start of the run, RFC 3339, UTC.
    pub started_at: String,
    /// Seed of everything random in the run.
    pub seed: u64,
    /// The command line, secrets left out.
    pub command: String,
    /// Version of syncbench.
    pub syncbench: String,
    /// The machine that made the record.
    pub machine: Machine,
    /// The data sets used, with the checksum of the file each came from.
    pub datasets: Vec<DatasetRef>,
    /// The engine the replicas ran on, as `name version`.
    pub engine: String,
    /// The whole scenario, defaults filled in.
    pub scenario: Value,
}

/// The machine a run was made on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and kernel release.
    pub os: String,
    /// CPU architecture, such as `x86_64`.
    pub arch: String,
    /// CPU model name, or `unknown`.
    pub cpu: String,
    /// Logical CPUs this process may run on.
    pub cpus: usize,
    /// Physical memory, bytes; 0 when unknown.
    pub memory_bytes: u64,
}

/// A data set as it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRef {
    /// Catalog name, or path of the file.
    pub name: String,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The exit code of the process, see [`Status::exit_code`].
    pub exit_code: u8,
    /// The one-word result.
    pub status: Status,
    /// Why, one sentence each; empty when all is well.
    pub reasons: Vec<String>,
}

/// The one-word result of a run. This is the one place that defines exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Ok,
    /// The tool failed, or what it needs (relay, disk) failed it.
    Failure,
    /// Bad usage or bad input; nothing was measured.
    Usage,
    /// A regression against the baseline.
    Regression,
    /// The samples do not allow a verdict.
    Inconclusive,
    /// The baseline is absent or not comparable.
    NoBaseline,
    /// Replicas differ or edits were lost.
    NotConverged,
    /// The generator, not the relay, was the bottleneck.
    Invalid,
    /// A threshold was missed.
    Threshold,
}

impl Status {
    /// The exit code of the process. An inconclusive result is a success.
    pub fn exit_code(self) -> u8 {
        match self {
            Status::Ok | Status::Inconclusive => 0,
            Status::Failure => 1,
            Status::Usage => 2,
            Status::Regression => 3,
            Status::NoBaseline => 5,
            Status::NotConverged => 6,
            Status::Invalid => 7,
            Status::Threshold => 99,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Ok => "ok",
            Status::Failure => "failure",
            Status::Usage => "usage",
            Status::Regression => "regression",
            Status::Inconclusive => "inconclusive",
            Status::NoBaseline => "no baseline",
            Status::NotConverged => "not converged",
            Status::Invalid => "invalid",
            Status::Threshold => "threshold missed",
        })
    }
}

/// A threshold and the value it was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdResult {
    /// The threshold as it was written.
    pub threshold: String,
    /// True if the threshold was met.
    pub met: bool,
    /// The value as text, with its unit; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

/// Whether the replicas of every room ended equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convergence {
    /// Rooms checked.
    pub rooms: u64,
    /// Rooms in which all replicas have equal version vectors and equal
    /// deep-value hashes, contain every edit sent, and have nothing pending.
    pub converged: u64,
    /// Edits sent that some replica of the room does not contain, counted once
    /// per replica.
    pub lost: u64,
    /// Of those, by replicas of clients that came late or had lost their
    /// connection.
    #[serde(default)]
    pub lost_by_absence: u64,
    /// Replicas whose documents were compared; of the others only the versions.
    #[serde(default)]
    pub compared: u64,
    /// Updates that reached a replica which already had all of them.
    pub duplicated: u64,
    /// Frames that could not be read or imported.
    pub corrupt: u64,
    /// Updates with operations of someone who is not in the room.
    #[serde(default)]
    pub leaked: u64,
    /// One entry per room that did not converge (at most 100 are kept).
    pub failures: Vec<ConvergenceFailure>,
}

/// Why one room did not converge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvergenceFailure {
    /// The room's name, as in its URL.
    pub room: String,
    /// The clients whose replicas are at fault, as `client-<n>`.
    pub replicas: Vec<String>,
    /// What each lacks, as `peer:from..to` operation counters.
    pub missing: Vec<String>,
    /// What was found, in words.
    pub reason: String,
}

/// How much was done in a load run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Simulated clients.
    pub clients: u64,
    /// Rooms.
    pub rooms: u64,
    /// Edits the schedule asked for within the run.
    pub scheduled: u64,
    /// Edits made and handed to the sockets.
    pub sent: u64,
    /// Edits that ought to have become visible at other replicas: for each
    /// edit sent, the other replicas of its room.
    pub expected: u64,
    /// Edits that did become visible at other replicas.
    pub visible: u64,
    /// WebSocket frames with updates received by clients.
    pub frames_in: u64,
    /// WebSocket frames with updates sent by clients.
    pub frames_out: u64,
    /// Payload bytes in those received frames.
    pub bytes_in: u64,
    /// Payload bytes in those sent frames.
    pub bytes_out: u64,
    /// Bytes of the updates of the edits made.
    #[serde(default)]
    pub bytes_typed: u64,
    /// Connections that ended, or could not be had, against the scenario.
    #[serde(default)]
    pub disconnects: u64,
    /// Connections that the scenario ended.
    #[serde(default)]
    pub outages: u64,
    /// Edits of clients that left for good before they could send them.
    #[serde(default)]
    pub withdrawn: u64,
    /// Scheduled edits for which the trace had nothing to type, or whose client
    /// did not have the document yet.
    #[serde(default)]
    pub skipped: u64,
    /// Scheduled edits that came too late to be sent.
    #[serde(default)]
    pub unsent: u64,
    /// Microseconds from the first attempt to connect until every client of
    /// the start had all that the relay had; a ramp-up is part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting_us: Option<u64>,
    /// Number that tells the schedule apart from others, in hexadecimal; absent
    /// when the run was ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

/// The course of a load run. Times are nanoseconds since the schedule's start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// The planned length of the schedule, nanoseconds.
    pub planned_ns: u64,
    /// Faults of the relay that the scenario planned; lost connections are no
    /// failure then.
    pub planned_faults: u64,
    /// What the scenario did to the relay, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Incident>,
    /// The time at which the user interrupted the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_ns: Option<u64>,
    /// The run was stopped because a threshold could no longer be met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<Incident>,
    /// The relay's process ended without the scenario's doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_ended: Option<Incident>,
    /// The time at which the run was stopped because no client could reach the
    /// relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_ns: Option<u64>,
    /// A worker of the generator failed, so that its rooms were not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_failed: Option<Incident>,
    /// Connections that were lost without the scenario's doing, ascending by
    /// time; at most 100 are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_connections: Vec<LostConnection>,
    /// The reason that the relay gave when it refused an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// A refusal of the engine to make an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_error: Option<String>,
    /// The work of the generator's worker threads.
    pub workers: WorkerUse,
}

/// Something that happened once in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incident {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// What happened, in words.
    pub what: String,
}

/// A connection that was lost without the scenario's doing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LostConnection {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// The client, as `client-<n>`.
    pub client: String,
    /// Why, in words.
    pub reason: String,
}

/// The work of the generator's worker threads, from the schedule's start until
/// the last delivery, summed over the threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// One engine, workload and data set, measured alone in a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The suite, such as `import`.
    pub workload: String,
    /// The engine's short name.
    pub engine: String,
    /// Version of the engine's library.
    pub engine_version: String,
    /// Catalog name or path of the data set.
    pub dataset: String,
    /// The row of the suite, such as `snapshot+edit`.
    pub variant: String,
    /// Repetitions timed; 0 where there is no figure.
    pub n: u64,
    /// Wall time of each repetition in the order taken, nanoseconds.
    pub samples_wall_ns: Vec<u64>,
    /// CPU time of the thread in each repetition, nanoseconds.
    pub samples_cpu_ns: Vec<u64>,
    /// Bytes that the timed part read as updates or wrote as an export.
    pub encoded_bytes: u64,
    /// Heap allocations of one warm repetition; absent where it would not have
    /// fitted into the time budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocs: Option<u64>,
    /// Bytes that those asked for, in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alloc_bytes: Option<u64>,
    /// Most bytes that were allocated at a time, above those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Bytes still allocated at its end, less those before; negative where it
    /// freed more than it allocated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_bytes: Option<i64>,
    /// Instructions of one repetition, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
    /// Hash over the visible value at the end, the same for equal results;
    /// empty where there is no figure.
    pub result_hash: String,
    /// Like parts of the work that the timed part consists of, such as imports
    /// or operations: the time of one is the wall time by this number. Absent
    /// where the work does not grow in proportion to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
    /// Bytes of the document at the end, in the engine's most complete form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_bytes: Option<u64>,
    /// The cells among which this is one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What the engine showed, where the row asks for behaviour and not speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// How this engine's work in this row differs from that of the others, so
    /// that the times are not comparable as they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
    /// Why there is no figure (`n` is 0 then): what the engine cannot do, or
    /// what was wrong with its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// The place of a cell in a row of cells that differ in size alone: what a
/// scaling exponent is fitted over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// Name that those cells share, within suite, engine and data set.
    pub series: String,
    /// The size of this one.
    pub size: u64,
    /// What the size counts, in the plural: `edits`, `operations`.
    pub unit: String,
}

/// A latency distribution. Percentiles are read off an HdrHistogram of three
/// significant digits whose recorded unit is the nanosecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Unit of the figures: always `us` (microseconds).
    pub unit: String,
    /// Number of samples.
    pub count: u64,
    /// Smallest sample.
    pub min: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation.
    pub stdev: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
    /// Largest sample.
    pub max: f64,
    /// The whole histogram, HdrHistogram V2 serialisation, base64. Its values
    /// are nanoseconds.
    pub hdr: String,
}

/// CPU time and memory of both sides of a load run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// The load generator's process.
    pub generator: ProcessUse,
    /// The relay's process, where its pid is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<ProcessUse>,
    /// CPU time of the generator's worker threads by activity, seconds:
    /// `edit` (local edit and export), `import`, `other` (sockets, runtime).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub generator_cpu_by_activity: BTreeMap<String, f64>,
}

/// What one process used from the first connection to the end of the checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// Process id.
    pub pid: u32,
    /// CPU time, user and system, seconds.
    pub cpu_s: f64,
    /// Peak resident memory, bytes.
    pub rss_peak_bytes: u64,
    /// Resident memory at the end, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Most threads that were seen at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Most open descriptors that were seen at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// How often its threads left their CPU to wait for something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switches_voluntary: Option<u64>,
    /// How often the scheduler took the CPU from its threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switches_involuntary: Option<u64>,
}

/// Figures over time, one value per interval in every column; a value is null
/// where the interval has no sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Length of one interval, seconds.
    pub interval_s: f64,
    /// Start of each interval, seconds since the schedule's start.
    pub t: Vec<f64>,
    /// Columns by name: `sent`, `visible` (counts within the interval),
    /// `propagation_p50`, `propagation_p99`, `propagation_max`,
    /// `generator_lag_p50`, `generator_lag_p99`, `generator_lag_max`
    /// (microseconds, by the time the sample was taken); of the processes
    /// `relay_cpu` (cores in use, 1.0 is one core), `relay_rss_bytes`,
    /// `relay_threads`, `relay_descriptors`, and the same of the `generator_`.
    /// A name that ends in `_s` is of seconds, one in `_bytes` of bytes.
    pub columns: BTreeMap<String, Vec<Option<f64>>>,
}
