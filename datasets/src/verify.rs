//! Looks at every entry as if it were new: past all caches.

use serde::Serialize;

use crate::catalog::{Check, Entry, Kind};
use crate::error::DatasetError;
use crate::load::load_bytes;
use crate::source::{self, locate};
use crate::trace::{Trace, TraceKind};

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// As the catalog says.
    Right {
        /// How that was seen.
        by: String,
    },
    /// Not as the catalog says.
    Wrong {
        /// What is wrong and the mend.
        reason: String,
    },
    /// Not looked at.
    Skipped {
        /// Why.
        reason: String,
    },
}

impl Finding {
    /// As the catalog says, as seen by `by`.
    pub fn right(by: impl Into<String>) -> Self {
        Self::Right { by: by.into() }
    }

    /// Not as the catalog says.
    pub fn wrong(reason: impl Into<String>) -> Self {
        Self::Wrong {
            reason: reason.into(),
        }
    }

    /// Not looked at.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped {
            reason: reason.into(),
        }
    }

    /// Whether it is not as the catalog says.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong { .. })
    }
}

/// What verifying an entry found.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The entry.
    pub name: String,
    /// Where its file is: `embedded`, `mirror`, `cache`; absent when nowhere.
    pub place: Option<String>,
    /// Whether the file is the one of the catalog.
    pub checksum: Finding,
    /// Whether it contains what the catalog says.
    pub counts: Finding,
    /// Whether its edits give its end text.
    pub replay: Finding,
}

impl Verified {
    /// Whether anything is wrong; an absent file is not.
    pub fn is_wrong(&self) -> bool {
        [&self.checksum, &self.counts, &self.replay]
            .into_iter()
            .any(Finding::is_wrong)
    }
}

/// Verifies an entry. Loading replays what follows one another; for a concurrent
/// trace `replay` is asked, since merging branches takes an engine.
pub fn verify(entry: &Entry, replay: &mut dyn FnMut(&Trace, Check) -> Finding) -> Verified {
    let skipped = || Finding::skipped("not looked at");
    let mut verified = Verified {
        name: entry.name.clone(),
        place: locate(entry).map(|place| place.to_string()),
        checksum: skipped(),
        counts: skipped(),
        replay: skipped(),
    };
    let bytes = match source::read_entry(entry) {
        Ok(bytes) => bytes,
        Err(DatasetError::NotHere { .. }) => return verified,
        Err(error) => {
            verified.checksum = Finding::wrong(error.to_string());
            return verified;
        }
    };
    verified.checksum = Finding::right("sha256");
    if entry.kind == Kind::Document {
        let same = bytes.len() as u64 == entry.bytes;
        verified.counts = judge(same, || {
            format!("{} bytes, the catalog says {}", bytes.len(), entry.bytes)
        });
        verified.replay = Finding::skipped("a document");
        return verified;
    }
    match load_bytes(&entry.name, &bytes) {
        Ok(trace) => verify_trace(entry, &trace, replay, &mut verified),
        Err(error) => verified.replay = Finding::wrong(error.to_string()),
    }
    verified
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
