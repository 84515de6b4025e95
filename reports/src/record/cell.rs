//! The measurements of one benchmark in a process of its own.

use serde::{Deserialize, Serialize};

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
