//! The record: the JSON result of one run, and what `--json` prints.
//!
//! One shape for every command, versioned by [`SCHEMA`] and readable for ever:
//! fields may be added, none may change its meaning. The JSON schema in
//! `reports/schema/record.v1.json` is generated from these types, and a test
//! checks that it is up to date. This module only needs serde, so that a
//! measured binary can link it without the renderers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The exit code of the process, see [`Status::exit_code`].
    pub exit_code: u8,
    /// The one-word result.
    pub status: Status,
    /// The reasons, one sentence each; empty for `ok`.
    pub reasons: Vec<String>,
}

/// The one-word result of a run. Exit codes are defined here alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The run passed.
    Ok,
    /// The tool failed, or something that it needs (relay, disk).
    Failure,
    /// Bad usage or bad input; nothing was measured.
    Usage,
    /// A regression against the baseline.
    Regression,
    /// The samples do not allow a verdict.
    Inconclusive,
    /// The baseline is missing or not comparable.
    NoBaseline,
    /// Replicas differ or edits were lost.
    NotConverged,
    /// The generator, not the relay, was the bottleneck.
    Invalid,
    /// A threshold was missed.
    Threshold,
    /// A signal ended the run before its end; the figures are of the part until
    /// then.
    Interrupted,
}

impl Status {
    /// The exit code of the process. An inconclusive result is a success. A run
    /// that another signal than SIGINT interrupted has the code of that signal,
    /// see [`Signal::exit_code`].
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
            Status::Interrupted => Signal::Interrupt.exit_code(),
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
            Status::Interrupted => "interrupted",
        })
    }
}

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Signal {
    /// Ctrl-C in a terminal.
    #[serde(rename = "SIGINT")]
    Interrupt,
    /// The request of a service manager, or of a CI system whose time is up.
    #[serde(rename = "SIGTERM")]
    Terminate,
    /// The terminal was closed.
    #[serde(rename = "SIGHUP")]
    HangUp,
}

impl Signal {
    /// The exit code of a process that the signal ended, as shells report it.
    pub fn exit_code(self) -> u8 {
        128 + match self {
            Signal::HangUp => 1,
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::HangUp => "SIGHUP",
        })
    }
}

/// A latency figure of which more is the generator's own than may pass as the
/// relay's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MarkedFigure {
    /// The latency, by its name in `latency`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub metric: String,
    /// The statistic: `mean`, a percentile such as `p99`, or `max`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub stat: String,
    /// The figure, microseconds.
    pub observed_us: f64,
    /// The part of it that is the generator's, microseconds.
    pub own_us: f64,
}

/// A threshold and the value it was compared with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThresholdResult {
    /// The threshold as it was written.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub threshold: String,
    /// True if the threshold was met.
    pub met: bool,
    /// True if the figure is the generator's rather than the relay's, so that
    /// the threshold was not judged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_judged: bool,
    /// The observed value, in `unit`; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit that it was compared with, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The unit of `value` and `limit`: `us` (microseconds), `share` (0 to 1),
    /// `bytes`, `cores`, or nothing for a plain number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The observed value as text for people; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

/// The result of the convergence check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Convergence {
    /// Rooms checked.
    pub rooms: u64,
    /// Rooms in which all replicas contain every edit sent and nothing pending,
    /// and those with equal version vectors have equal deep-value hashes. Without
    /// strangers in the room, all version vectors are equal.
    pub converged: u64,
    /// Edits sent that some replica of the room does not contain, counted once
    /// per replica.
    pub lost: u64,
    /// The part of `lost` at replicas of clients that came late or had lost their
    /// connection.
    #[serde(default)]
    pub lost_by_absence: u64,
    /// Replicas whose documents were compared by value; the others were compared
    /// by version alone.
    #[serde(default)]
    pub compared: u64,
    /// Updates that reached a replica which already had all of them.
    pub duplicated: u64,
    /// Frames that could not be read or imported.
    pub corrupt: u64,
    /// Updates with operations of a client of another room of the run.
    #[serde(default)]
    pub leaked: u64,
    /// Updates with operations of strangers: peers that are neither clients of
    /// the run nor in its initial document, such as a person's or another run's.
    #[serde(default)]
    pub foreign: u64,
    /// Operations of strangers in the rooms, each counted once.
    #[serde(default)]
    pub foreign_operations: u64,
    /// The strangers, by room and peer (at most 20 are kept).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = 20)))]
    pub strangers: Vec<Stranger>,
    /// One entry per room that did not converge (at most 100 are kept).
    #[cfg_attr(feature = "schema", schemars(length(max = 100)))]
    pub failures: Vec<ConvergenceFailure>,
}

/// A peer whose operations were in a room, though it is no client of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stranger {
    /// The room's name, as in its URL.
    pub room: String,
    /// The peer id, in decimal.
    pub peer: String,
    /// Its operations in the room.
    pub operations: u64,
}

/// A room that did not converge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConvergenceFailure {
    /// The room's name, as in its URL.
    pub room: String,
    /// The clients whose replicas are at fault, as `client-<n>`.
    pub replicas: Vec<String>,
    /// The missing operations of each, as `peer:from..to` operation counters.
    pub missing: Vec<String>,
    /// The finding in words.
    pub reason: String,
}

/// The work done in a load run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Simulated clients.
    pub clients: u64,
    /// Rooms.
    pub rooms: u64,
    /// Edits the schedule asked for within the run.
    pub scheduled: u64,
    /// Edits made and handed to the sockets.
    pub sent: u64,
    /// Deliveries owed: for each edit sent, the other replicas of its room.
    pub expected: u64,
    /// Deliveries made: an edit that became visible at one other replica.
    pub visible: u64,
    /// WebSocket frames with updates received by clients.
    pub frames_in: u64,
    /// WebSocket frames with updates sent by clients.
    pub frames_out: u64,
    /// Payload bytes in those received frames.
    pub bytes_in: u64,
    /// Payload bytes in frames received by clients that had not caught up: documents,
    /// and what was sent meanwhile. Part of `bytes_in`.
    #[serde(default)]
    pub bytes_joining: u64,
    /// Payload bytes in those sent frames.
    pub bytes_out: u64,
    /// Bytes of the updates of the edits made, before any protocol framed them.
    #[serde(default)]
    pub bytes_typed: u64,
    /// Presence messages sent.
    #[serde(default)]
    pub presence_sent: u64,
    /// Presence messages that were due while their client was not live, or for
    /// which the generator was too late.
    #[serde(default)]
    pub presence_skipped: u64,
    /// Deliveries of presence messages owed: for each one sent, the other live
    /// clients of its room.
    #[serde(default)]
    pub presence_expected: u64,
    /// Deliveries of presence messages made: one that arrived at one other
    /// client, or was replaced by a later one that did.
    #[serde(default)]
    pub presence_visible: u64,
    /// Presence messages that the relay refused.
    #[serde(default)]
    pub presence_refused: u64,
    /// Connections that ended or failed although the scenario did not ask for it.
    #[serde(default)]
    pub disconnects: u64,
    /// Connections that the relay refused for the time being, with HTTP 429 or
    /// 503; `disconnects` does not include them.
    #[serde(default)]
    pub refused: u64,
    /// Connections that the scenario ended.
    #[serde(default)]
    pub outages: u64,
    /// Edits of clients that left for good before they could send them.
    #[serde(default)]
    pub withdrawn: u64,
    /// Scheduled edits for which the trace had nothing to type, whose client did
    /// not have the document yet, or whose room had ended.
    #[serde(default)]
    pub skipped: u64,
    /// Scheduled edits that came too late to be sent.
    #[serde(default)]
    pub unsent: u64,
    /// Time from the first attempt to connect until every initial client had
    /// everything that the relay had, ramp-up included; microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting_us: Option<u64>,
    /// Hash of the schedule, in hexadecimal; absent if the run was stopped early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

/// The course of a load run. Times are nanoseconds since the schedule's start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Course {
    /// The planned length of the schedule, nanoseconds.
    pub planned_ns: u64,
    /// Faults of the relay that the scenario planned; lost connections are no
    /// failure then.
    pub planned_faults: u64,
    /// The faults that the scenario caused in the relay, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Incident>,
    /// The time at which a signal interrupted the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_ns: Option<u64>,
    /// The signal that interrupted the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_by: Option<Signal>,
    /// The user allowed a partial run: an interrupted one is judged by what it
    /// measured, like one that ended as planned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial_allowed: bool,
    /// The run was stopped because a threshold could no longer be met, or no room
    /// was left.
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
    /// Rooms that ended before the run did, because a library or the generator
    /// panicked in them; ascending by time; at most 100 are kept. They were not
    /// checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended_rooms: Vec<EndedRoom>,
    /// Connections that were lost without the scenario's doing, ascending by
    /// time; at most 100 are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_connections: Vec<LostConnection>,
    /// The reason that the relay gave when it refused an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The reason that the relay gave when it refused a presence message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_refused: Option<String>,
    /// A refusal of the engine to make an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_error: Option<String>,
    /// The work of the generator's worker threads.
    pub workers: WorkerUse,
}

impl Course {
    /// How long edits were scheduled, until the end or an early stop;
    /// nanoseconds.
    pub fn ran_for_ns(&self) -> u64 {
        let incidents = [&self.aborted, &self.relay_ended, &self.worker_failed];
        let incidents = incidents.map(|incident| incident.as_ref().map(|incident| incident.at_ns));
        let stops = [self.interrupted_ns, self.unreachable_ns];
        let stops = stops.into_iter().chain(incidents).flatten();
        stops.fold(self.planned_ns, u64::min)
    }
}

/// Something that happened once in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Incident {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// A description of the incident.
    pub what: String,
}

/// A room that ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndedRoom {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// The room's name, as in its URL.
    pub room: String,
    /// Why it ended, in words.
    pub reason: String,
    /// The file with the update that was being imported, among `artifacts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
}

/// A connection that was lost without the scenario's doing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LostConnection {
    /// Nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// The client, as `client-<n>`.
    pub client: String,
    /// The reason, in words.
    pub reason: String,
}

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

/// One engine, workload and data set, measured alone in a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cell {
    /// The suite, such as `import`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub workload: String,
    /// The engine's short name.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub engine: String,
    /// Version of the engine's library.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub engine_version: String,
    /// Catalog name or path of the data set.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub dataset: String,
    /// The row of the suite, such as `snapshot+edit`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub variant: String,
    /// Repetitions timed; 0 if there is no figure.
    pub n: u64,
    /// Wall time of each repetition in the order taken, nanoseconds.
    pub samples_wall_ns: Vec<u64>,
    /// CPU time of the thread in each repetition, nanoseconds.
    pub samples_cpu_ns: Vec<u64>,
    /// Bytes that the timed part read as updates or wrote as an export.
    pub encoded_bytes: u64,
    /// Heap allocations of one warm repetition; absent if it did not fit into the
    /// time budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocs: Option<u64>,
    /// Total bytes of those allocations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alloc_bytes: Option<u64>,
    /// Peak of the allocated bytes, above those allocated before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Bytes still allocated at the end, less those before; negative if it freed
    /// more than it allocated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_bytes: Option<i64>,
    /// Instructions of one repetition, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
    /// Hash over the visible value at the end, the same for equal results;
    /// empty where there is no figure.
    pub result_hash: String,
    /// The number of equal parts in the timed work, such as imports or
    /// operations: the wall time divided by it is the time of one. Absent if the
    /// work is not proportional to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
    /// Bytes of the document at the end, in the engine's most complete form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_bytes: Option<u64>,
    /// The place of the cell among cells of other sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// The behaviour of the engine, in rows about behaviour instead of speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The way in which this engine's work differs from that of the others, so
    /// that the times are not directly comparable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
    /// The reason that there is no figure (`n` is 0 then): something the engine
    /// cannot do, or a wrong result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// The place of a cell among cells that differ only in size; a scaling exponent is
/// fitted over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scale {
    /// Name that those cells share, within suite, engine and data set.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub series: String,
    /// The size of this cell.
    pub size: u64,
    /// The unit of the size, in the plural: `edits`, `operations`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub unit: String,
}

/// A latency distribution. Percentiles are read off an HdrHistogram of three
/// significant digits whose recorded unit is the nanosecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Distribution {
    /// Unit of the figures: always `us` (microseconds).
    #[cfg_attr(feature = "schema", schemars(extend("const" = "us")))]
    pub unit: String,
    /// Number of samples.
    pub count: u64,
    /// Smallest sample.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub min: f64,
    /// Arithmetic mean.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub mean: f64,
    /// Standard deviation.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub stdev: f64,
    /// Median.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p50: f64,
    /// 90th percentile.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p90: f64,
    /// 99th percentile.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p99: f64,
    /// 99.9th percentile.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p99_9: f64,
    /// Largest sample.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub max: f64,
    /// The whole histogram, HdrHistogram V2 serialisation, base64. Its values
    /// are nanoseconds.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z0-9+/]+={0,2}$"), extend("contentEncoding" = "base64")))]
    pub hdr: String,
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
