//! The history of a room at the `loro` relay: a base snapshot, and a log of the
//! later updates.
//!
//! An update is kept as the bytes that arrived. The relay reads the operations
//! that it contains from its header and imports nothing: a keystroke costs the
//! same in a large document as in a small one. When the log has grown, a
//! [`Compaction`] makes a new base of base and log, while the log accepts further
//! updates.
//!
//! Invariants: all operations that a client may need are in the base or in the
//! log. `known` contains exactly the operations of both. No compaction drops an
//! update that its base does not contain, such as an update that waits for
//! earlier operations.

mod coverage;
#[cfg(test)]
mod tests;

use std::mem::ManuallyDrop;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use syncbench_engines::{
    Engine, EngineError, Export, Loro, OpRange, PeerId, Replica, VersionVector,
};

use coverage::Coverage;

/// The peer id of compactions. They never edit, so no document contains it.
const COMPACTOR: PeerId = 0;

/// The part of a room's history that the relay keeps when it compacts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HistoryKind {
    /// All operations
    #[default]
    Full,
    /// The state and the latest operations; clients that were away for longer are refused
    ///
    /// Late joiners get a document without its past: the operations kept are
    /// those since the compaction before the last.
    Shallow,
}

/// The kind of a history, and the limits of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) kind: HistoryKind,
    /// The number of updates in the log above which it is compacted.
    pub(super) updates: usize,
    /// The number of bytes in the log above which it is compacted.
    pub(super) bytes: usize,
}

/// An update and the operations that it contains.
#[derive(Debug, Clone)]
pub(super) struct Update {
    bytes: Bytes,
    ranges: Vec<OpRange>,
}

impl Update {
    /// Reads the operations that `bytes` contains.
    ///
    /// # Errors
    /// If the bytes are damaged, or not an update.
    pub(super) fn read(bytes: Bytes) -> Result<Self, EngineError> {
        let ranges = Loro.ranges_of(&bytes)?;
        Ok(Self { bytes, ranges })
    }

    fn within(&self, version: &VersionVector) -> bool {
        self.ranges.iter().all(|range| version.covers(range))
    }
}

/// A snapshot that replaces the beginning of a history.
#[derive(Debug)]
pub(super) struct Base {
    snapshot: Bytes,
    version: VersionVector,
    /// The version at which its operations begin. Of earlier operations it has
    /// only the resulting state.
    start: VersionVector,
}

/// All updates that a room's clients have sent.
#[derive(Debug)]
pub(super) struct History {
    limits: Limits,
    base: Option<Arc<Base>>,
    log: Vec<Update>,
    log_bytes: usize,
    known: Coverage,
    /// The updates and bytes in the log that the last compaction could not include
    /// in its base. Another attempt with the same log would change nothing.
    left: (usize, usize),
    compacting: bool,
}

/// The joiner has some, but not all of the operations before the base's start,
/// so no kept updates can bring it up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooOld;

impl History {
    /// Creates an empty history.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            base: None,
            log: Vec::new(),
            log_bytes: 0,
            known: Coverage::default(),
            left: (0, 0),
            compacting: false,
        }
    }

    /// Logs the updates that contain new operations. Returns whether there were
    /// any.
    pub(super) fn add(&mut self, updates: Vec<Update>) -> bool {
        let logged = self.log.len();
        for update in updates {
            if update.ranges.iter().all(|range| self.known.has(range)) {
                continue;
            }
            for range in &update.ranges {
                self.known.add(range);
            }
            self.log_bytes += update.bytes.len();
            self.log.push(update);
        }
        self.log.len() > logged
    }

    /// Returns the version: for each peer, the operations from its first one up to
    /// the first gap.
    pub(super) fn version(&self) -> &VersionVector {
        self.known.version()
    }

    /// Returns the updates that a replica at `version` lacks.
    ///
    /// # Errors
    /// If they are no longer kept; see [`HistoryKind::Shallow`].
    pub(super) fn missing(&self, version: &VersionVector) -> Result<Backfill, TooOld> {
        let base = self
            .base
            .iter()
            .find(|base| !version.includes(&base.version));
        if base.is_some_and(|base| !version.is_empty() && !version.includes(&base.start)) {
            return Err(TooOld);
        }
        let log = self.log.iter().filter(|update| !update.within(version));
        Ok(Backfill {
            known: version.clone(),
            base: base.map(Arc::clone),
            log: log.map(|update| update.bytes.clone()).collect(),
        })
    }

    /// Returns a compaction if one is due and none is running. Its result must be
    /// passed to [`History::compacted`].
    pub(super) fn compaction(&mut self) -> Option<Compaction> {
        let (updates, bytes) = self.left;
        let due = self.log.len().saturating_sub(updates) > self.limits.updates
            || self.log_bytes.saturating_sub(bytes) > self.limits.bytes;
        if self.compacting || !due {
            return None;
        }
        self.compacting = true;
        Some(Compaction {
            kind: self.limits.kind,
            base: self.base.clone(),
            log: self.log.iter().map(|update| update.bytes.clone()).collect(),
        })
    }

    /// Takes the result of a compaction, and removes the updates that the new base
    /// contains from the log. Without a base, the log stays the same.
    pub(super) fn compacted(&mut self, base: Option<Base>) {
        self.compacting = false;
        if let Some(base) = base {
            self.log.retain(|update| !update.within(&base.version));
            self.log.shrink_to_fit();
            self.log_bytes = self.log.iter().map(|update| update.bytes.len()).sum();
            self.base = Some(Arc::new(base));
        }
        self.left = (self.log.len(), self.log_bytes);
    }
}

/// The updates that a joiner lacks.
#[derive(Debug)]
pub(super) struct Backfill {
    /// The version of the joiner.
    known: VersionVector,
    /// The base, if the joiner lacks any of its operations.
    base: Option<Arc<Base>>,
    log: Vec<Bytes>,
}

impl Backfill {
    /// Returns whether a base must be opened or copied, which takes time.
    pub(super) fn is_slow(&self) -> bool {
        self.base.is_some()
    }

    /// Returns the updates to send, in order. They may contain operations that the
    /// joiner has already.
    pub(super) fn into_updates(self) -> Vec<Bytes> {
        let base = self.base.map(|base| base.update_from(&self.known));
        base.into_iter().chain(self.log).collect()
    }
}

impl Base {
    /// Returns an update that brings a replica from `version` to the base's
    /// version: the missing operations or the whole snapshot, whichever is shorter.
    fn update_from(&self, version: &VersionVector) -> Bytes {
        let part = match version.is_empty() {
            true => None,
            false => self.since(version),
        };
        part.filter(|part| part.len() < self.snapshot.len())
            .unwrap_or_else(|| self.snapshot.clone())
    }

    /// Returns the operations that are not in `version`; `None` if the engine
    /// refuses, since the whole snapshot serves as well.
    fn since(&self, version: &VersionVector) -> Option<Bytes> {
        let mut replica = self.open().ok()?;
        let part = replica.export(Export::Updates { since: version });
        part.ok().map(Bytes::from)
    }

    fn open(&self) -> Result<Box<dyn Replica>, EngineError> {
        let mut replica = Loro.replica(COMPACTOR);
        replica.import(&self.snapshot)?;
        Ok(replica)
    }
}

/// The task of making a new base from the old base and the log. It works on its
/// own copies, so that the history can accept updates meanwhile.
#[derive(Debug)]
pub(super) struct Compaction {
    kind: HistoryKind,
    base: Option<Arc<Base>>,
    log: Vec<Bytes>,
}

impl Compaction {
    /// Makes the new base, which takes milliseconds to seconds.
    ///
    /// # Errors
    /// If the engine cannot open the old base or make the new one.
    pub(super) fn run(self) -> Result<Base, EngineError> {
        // A document in which the engine panicked panics again when it is dropped,
        // which would end the process. Such a document is leaked instead.
        let mut replica = ManuallyDrop::new(match &self.base {
            Some(base) => base.open()?,
            None => Loro.replica(COMPACTOR),
        });
        for update in &self.log {
            // An update that the engine refuses is not in the new version, and so
            // stays in the log.
            let _ = replica.import(update);
        }
        let start = self.start();
        let snapshot = replica.export(match start.is_empty() {
            true => Export::Snapshot,
            false => Export::ShallowSnapshotAt { version: &start },
        });
        let replica = ManuallyDrop::into_inner(replica);
        let snapshot = snapshot?;
        Ok(Base {
            snapshot: snapshot.into(),
            version: replica.version_vector(),
            start,
        })
    }

    /// Returns the version at which the operations of the new base begin. It is not
    /// the end of the base: updates that clients send during the compaction, or
    /// before they receive its result, build on older versions and could not be
    /// merged otherwise.
    fn start(&self) -> VersionVector {
        match (self.kind, &self.base) {
            (HistoryKind::Shallow, Some(base)) => base.version.clone(),
            _ => VersionVector::new(),
        }
    }
}
