//! What the `loro` relay keeps of a room: a base snapshot, and a log of the
//! updates since.
//!
//! An update is kept as the bytes that came. The relay reads off its head
//! which operations it holds and imports nothing: a keystroke costs the same
//! in a large document as in a small one. When the log has grown, base and log
//! become a new base, by a [`Compaction`] that runs while updates go on being
//! logged.
//!
//! Invariants: what a client needs is in the base or in the log. `known` is
//! exactly what both hold. No compaction drops an update that its base does
//! not contain, such as one that waits for operations still to come.

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

/// Who compacts. Never edits, so that the id stands in no document.
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

/// How a history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) kind: HistoryKind,
    /// Updates in the log before it is compacted.
    pub(super) updates: usize,
    /// Their bytes before it is compacted.
    pub(super) bytes: usize,
}

/// An update, and what it holds.
#[derive(Debug, Clone)]
pub(super) struct Update {
    bytes: Bytes,
    ranges: Vec<OpRange>,
}

impl Update {
    /// Reads off what `bytes` holds.
    ///
    /// # Errors
    /// When they are damaged, or no update.
    pub(super) fn read(bytes: Bytes) -> Result<Self, EngineError> {
        let ranges = Loro.ranges_of(&bytes)?;
        Ok(Self { bytes, ranges })
    }

    fn within(&self, version: &VersionVector) -> bool {
        self.ranges.iter().all(|range| version.covers(range))
    }
}

/// A snapshot that stands for the beginning of a history.
#[derive(Debug)]
pub(super) struct Base {
    snapshot: Bytes,
    version: VersionVector,
    /// Where its operations begin; what is before is state only.
    start: VersionVector,
}

/// All that a room's clients ever sent.
#[derive(Debug)]
pub(super) struct History {
    limits: Limits,
    base: Option<Arc<Base>>,
    log: Vec<Update>,
    log_bytes: usize,
    known: Coverage,
    /// Updates and bytes of the log that the last compaction could not take
    /// into its base: trying again at once would change nothing.
    left: (usize, usize),
    compacting: bool,
}

/// The joiner knows things from before the base's start, and not all of them:
/// there is nothing that could be sent to bring it up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooOld;

impl History {
    /// Nothing yet.
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

    /// Logs those updates that hold something new; whether there was any.
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

    /// For each peer, the operations from its first on without a gap.
    pub(super) fn version(&self) -> &VersionVector {
        self.known.version()
    }

    /// What a replica at `version` lacks.
    ///
    /// # Errors
    /// When that cannot be told any more; see [`HistoryKind::Shallow`].
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

    /// A compaction, if one is due and none is under way. Its end must be told
    /// to [`History::compacted`].
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

    /// Takes the outcome of a compaction: everything that is in the new base
    /// leaves the log. Without a base, everything stays.
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

/// What a joiner lacks.
#[derive(Debug)]
pub(super) struct Backfill {
    /// What the joiner has.
    known: VersionVector,
    /// The base, if the joiner lacks any of it.
    base: Option<Arc<Base>>,
    log: Vec<Bytes>,
}

impl Backfill {
    /// Whether a base must be opened or copied, which takes its time.
    pub(super) fn is_slow(&self) -> bool {
        self.base.is_some()
    }

    /// The updates to send, in order. They may hold some of what the joiner
    /// has already.
    pub(super) fn into_updates(self) -> Vec<Bytes> {
        let base = self.base.map(|base| base.bring(&self.known));
        base.into_iter().chain(self.log).collect()
    }
}

impl Base {
    /// What brings a replica from `version` to its own: what is shorter of the
    /// whole snapshot and the operations that are missing.
    fn bring(&self, version: &VersionVector) -> Bytes {
        let part = match version.is_empty() {
            true => None,
            false => self.since(version),
        };
        part.filter(|part| part.len() < self.snapshot.len())
            .unwrap_or_else(|| self.snapshot.clone())
    }

    /// Its operations that are not in `version`; none if the engine refuses,
    /// where the whole snapshot does as well.
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

/// Making a new base of the old one and the log. Works on what it took along,
/// so the history can go on meanwhile.
#[derive(Debug)]
pub(super) struct Compaction {
    kind: HistoryKind,
    base: Option<Arc<Base>>,
    log: Vec<Bytes>,
}

impl Compaction {
    /// The new base. Takes milliseconds to seconds.
    ///
    /// # Errors
    /// When the engine cannot open the old base, or make the new one.
    pub(super) fn run(self) -> Result<Base, EngineError> {
        // A document that the engine panicked in panics again when dropped,
        // which would end the process: such a one is left where it is.
        let mut replica = ManuallyDrop::new(match &self.base {
            Some(base) => base.open()?,
            None => Loro.replica(COMPACTOR),
        });
        for update in &self.log {
            // One that the engine refuses is not in the new version, and so
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

    /// Where the operations of the new base begin: not at its end, since what
    /// clients sent while it is made, or before they saw it, builds on older
    /// versions and could not be merged with it.
    fn start(&self) -> VersionVector {
        match (self.kind, &self.base) {
            (HistoryKind::Shallow, Some(base)) => base.version.clone(),
            _ => VersionVector::new(),
        }
    }
}
