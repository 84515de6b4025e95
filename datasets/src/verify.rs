//! Verification of catalog entries, which bypasses all caches.

use serde::Serialize;

use crate::catalog::{Check, Entry, Kind};
use crate::error::DatasetError;
use crate::load::load_bytes;
use crate::source::{self, locate};
use crate::trace::{Trace, TraceKind};

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// The entry agrees with the catalog.
    Right {
        /// The evidence for the agreement.
        by: String,
    },
    /// The entry differs from the catalog.
    Wrong {
        /// The difference, and the remedy.
        reason: String,
    },
    /// The check was not made.
    Skipped {
        /// The reason for skipping the check.
        reason: String,
    },
}

impl Finding {
    /// Creates a positive result with the evidence `by`.
    pub fn right(by: impl Into<String>) -> Self {
        Self::Right { by: by.into() }
    }

    /// Creates a negative result.
    pub fn wrong(reason: impl Into<String>) -> Self {
        Self::Wrong {
            reason: reason.into(),
        }
    }

    /// Creates the result of a check that was not made.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped {
            reason: reason.into(),
        }
    }

    /// Returns true if the entry differs from the catalog.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong { .. })
    }
}

/// The results of verifying an entry.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Name of the entry.
    pub name: String,
    /// Place of the file: `embedded`, `mirror` or `cache`. Absent when the file is not
    /// on this machine.
    pub place: Option<String>,
    /// Result of comparing the file's checksum with the catalog.
    pub checksum: Finding,
    /// Result of comparing the file's contents with the counts in the catalog.
    pub counts: Finding,
    /// Result of replaying the edits and comparing with the end text.
    pub replay: Finding,
}

impl Verified {
    /// Returns true if any check failed; a file that is absent has not failed.
    pub fn is_wrong(&self) -> bool {
        [&self.checksum, &self.counts, &self.replay]
            .into_iter()
            .any(Finding::is_wrong)
    }
}

/// Verifies an entry. Loading already replays sequential traces. For a concurrent
/// trace `replay` is called, since merging branches takes an engine.
///
/// # Errors
/// Fails if there is no mirror where `SYNCBENCH_DATASETS` says.
pub fn verify(
    entry: &Entry,
    replay: &mut dyn FnMut(&Trace, Check) -> Finding,
) -> Result<Verified, DatasetError> {
    let skipped = || Finding::skipped("not looked at");
    let mut verified = Verified {
        name: entry.name.clone(),
        place: locate(entry)?.map(|place| place.to_string()),
        checksum: skipped(),
        counts: skipped(),
        replay: skipped(),
    };
    let bytes = match source::read_entry(entry) {
        Ok(bytes) => bytes,
        Err(DatasetError::NotHere { .. }) => return Ok(verified),
        Err(error) => {
            verified.checksum = Finding::wrong(error.to_string());
            return Ok(verified);
        }
    };
    verified.checksum = Finding::right("sha256");
    if entry.kind == Kind::Document {
        let same = bytes.len() as u64 == entry.bytes;
        verified.counts = judge(same, || {
            format!("{} bytes, the catalog says {}", bytes.len(), entry.bytes)
        });
        verified.replay = Finding::skipped("a document");
        return Ok(verified);
    }
    match load_bytes(&entry.name, &bytes) {
        Ok(trace) => verify_trace(entry, &trace, replay, &mut verified),
        Err(error) => verified.replay = Finding::wrong(error.to_string()),
    }
    Ok(verified)
}

fn verify_trace(
    entry: &Entry,
    trace: &Trace,
    replay: &mut dyn FnMut(&Trace, Check) -> Finding,
    verified: &mut Verified,
) {
    let counts = trace.counts();
    let end = source::sha256_hex(trace.end_content().as_bytes());
    let same = Some(counts) == entry.counts && Some(&end) == entry.end_sha256.as_ref();
    verified.counts = judge(same, || {
        format!("the file has {counts:?} and an end text with sha256 {end}")
    });
    verified.replay = match trace.kind() {
        TraceKind::Sequential => Finding::right("edit by edit"),
        TraceKind::Concurrent => replay(trace, entry.check),
    };
}

fn judge(same: bool, otherwise: impl FnOnce() -> String) -> Finding {
    if same {
        Finding::right("the catalog")
    } else {
        Finding::wrong(otherwise())
    }
}
