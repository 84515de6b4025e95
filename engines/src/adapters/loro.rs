//! Loro 1.x.
//!
//! The adapter uses only calls that exist from 1.12 to 1.17, so that several versions
//! can be compared. One call of the trait is one call of Loro. The exception are bounds
//! that Loro would silently clip: those are refused here.

mod containers;
mod detached;
mod document;
mod history;

use std::sync::{Arc, Mutex, PoisonError};

use ::loro as library;
use library::{
    ExportMode, IdSpan, ImportStatus, JsonSchema, LoroDoc, LoroError, LoroText, LoroTree,
    Subscription, TextDelta, TreeID, TreeParentId, UndoManager, UpdateOptions, VersionRange,
    VersionVector as LoroVersion,
};

use containers::{Containers, counter, loro_counter};
use document::{JSON, edit_error, import_error, loro_version, version};

use super::waiting::Waiting;
use crate::{
    Counter, DetachedDocument, Engine, EngineError, Exchange, Export, HeavyWork, Imported, OpRange,
    Pace, PeerId, Replica, Span, VersionVector,
};

/// Loro, at the version of this build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loro;

const LAZY: &str = "Loro leaves a snapshot encoded until the first edit";
const NO_HISTORY: &str = "the history before it is dropped";
const KEPT: &str = "Loro keeps what it encoded for the export before";
const DECODES: &str = "the first import also decodes the snapshot that was loaded";

impl Engine for Loro {
    fn name(&self) -> &'static str {
        "loro"
    }

    fn version(&self) -> &'static str {
        library::LORO_VERSION
    }

    fn not_comparable_because(&self, suite: &str, variant: &str) -> Option<&'static str> {
        match (suite, variant) {
            ("import", "snapshot" | "snapshot+value" | "import" | "import+value") => Some(LAZY),
            ("import", _) if variant.starts_with("shallow") => Some(NO_HISTORY),
            ("export", _) if variant.starts_with("shallow") => Some(NO_HISTORY),
            ("export", "state-only/first" | "state-only/warm") => Some(NO_HISTORY),
            ("export", "snapshot/warm") => Some(KEPT),
            ("merge", _) if is_tail_of_snapshot(variant) => Some(DECODES),
            ("compaction", "open/snapshot") => Some(LAZY),
            ("compaction", _) if variant.contains("shallow") => Some(NO_HISTORY),
            _ => None,
        }
    }

    fn cannot_open(&self, format: &str) -> Option<&'static str> {
        (!format.starts_with("Loro 1."))
            .then_some("Loro 1.17 answers ImportUnsupportedEncodingMode")
    }

    fn pace(&self, work: HeavyWork) -> Pace {
        match work {
            HeavyWork::ManyWriters | HeavyWork::ManyUndoSteps => Pace::Slow,
            _ => Pace::Usual,
        }
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(LoroReplica::new(document::empty(peer)))
    }

    fn detached_document(&self) -> Option<Box<dyn DetachedDocument>> {
        Some(Box::new(detached::Document::new()))
    }

    fn export_magic(&self) -> &'static [u8] {
        b"loro"
    }

    fn ranges_of(&self, export: &[u8]) -> Result<Vec<OpRange>, EngineError> {
        let meta = LoroDoc::decode_import_blob_meta(export, true).map_err(import_error)?;
        let end = version(&meta.partial_end_vv);
        // A snapshot stands for everything that it covers, with or without the history.
        let start = match meta.mode.is_snapshot() {
            true => VersionVector::new(),
            false => version(&meta.partial_start_vv),
        };
        Ok(end.missing_from(&start))
    }

    fn encode_version(&self, version: &VersionVector) -> Vec<u8> {
        loro_version(version).encode()
    }

    fn decode_version(&self, bytes: &[u8]) -> Result<VersionVector, EngineError> {
        let decoded = LoroVersion::decode(bytes).map_err(import_error)?;
        Ok(version(&decoded))
    }
}

fn is_tail_of_snapshot(variant: &str) -> bool {
    variant.starts_with("tail-") && !variant.ends_with("-into-updates")
}

struct LoroReplica {
    doc: LoroDoc,
    /// A handle to the text, because looking it up by name for each edit would cost as
    /// much as a small edit.
    text: LoroText,
    containers: Containers,
    /// Operations that were reported as pending, until the version vector covers them.
    waiting: Waiting,
    watched: Option<Watched>,
    undo: Option<UndoManager>,
}

/// The updates of local commits, while they are watched.
struct Watched {
    updates: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Ends the subscription when it is dropped.
    _subscription: Subscription,
}

impl LoroReplica {
    fn new(doc: LoroDoc) -> Self {
        let text = doc.get_text("text");
        Self {
            doc,
            text,
            containers: Containers::default(),
            waiting: Waiting::default(),
            watched: None,
            undo: None,
        }
    }

    /// Refuses a range that starts before the history of a shallow document. Loro would
    /// leave out the dropped part, and the receiver would wait for it until another
    /// replica sends it.
    fn refuse_below_shallow_root(
        &self,
        known: impl Fn(PeerId) -> Counter,
    ) -> Result<(), EngineError> {
        if !self.doc.is_shallow() {
            return Ok(());
        }
        let root = self.doc.shallow_since_vv();
        match root.iter().find(|&(&p, &c)| known(p) < counter(c)) {
            None => Ok(()),
            Some((&peer, &start)) => Err(EngineError::Export(format!(
                "operations from {} on of peer {peer} are asked for, and this shallow document \
                 starts at {start}",
                known(peer),
            ))),
        }
    }

    fn export_json(&self, since: &VersionVector) -> Result<Vec<u8>, EngineError> {
        self.refuse_below_shallow_root(|peer| since.get(peer))?;
        self.doc.commit();
        let end = self.doc.oplog_vv();
        let updates = self.doc.export_json_updates(&loro_version(since), &end);
        serde_json::to_vec(&updates.schema()?).map_err(|e| EngineError::Export(e.to_string()))
    }

    fn export_range(&self, range: OpRange) -> Result<Vec<u8>, EngineError> {
        let OpRange { peer, counters } = range;
        let end = self.doc.oplog_vv().get(&peer).copied().map_or(0, counter);
        if counters.start > counters.end || counters.end > end {
            return Err(EngineError::Export(format!(
                "operations {}..{} of peer {peer} are asked for, and this document has 0..{end}",
                counters.start, counters.end,
            )));
        }
        self.refuse_below_shallow_root(|other| match other == peer {
            true => counters.start,
            false => Counter::MAX,
        })?;
        let span = IdSpan::new(
            peer,
            loro_counter(counters.start),
            loro_counter(counters.end),
        );
        self.doc
            .export(ExportMode::updates_in_range(vec![span]))
            .map_err(export_error)
    }

    fn imported(&mut self, status: &ImportStatus) -> Imported {
        let imported = Imported {
            applied: op_ranges(&status.success),
            pending: status.pending.as_ref().map(op_ranges).unwrap_or_default(),
        };
        self.track_pending(&imported.pending);
        imported
    }

    fn track_pending(&mut self, pending: &[OpRange]) {
        self.waiting.note(pending);
        // Reading the version copies it.
        if !self.waiting.is_empty() {
            let contained = self.doc.oplog_vv();
            self.waiting
                .settle(|peer| contained.get(&peer).copied().map_or(0, counter));
        }
    }
}

impl Exchange for LoroReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        let mode = match what {
            Export::Snapshot => ExportMode::Snapshot,
            Export::ShallowSnapshot => {
                // Splices that are not committed yet belong to the latest version.
                self.doc.commit();
                ExportMode::shallow_snapshot_owned(self.doc.oplog_frontiers())
            }
            Export::ShallowSnapshotAt { version } => {
                let start = self.doc.vv_to_frontiers(&loro_version(version));
                ExportMode::shallow_snapshot_owned(start)
            }
            Export::StateOnly => ExportMode::state_only(None),
            Export::Json { since } => return self.export_json(since),
            Export::Updates { since } => {
                self.refuse_below_shallow_root(|peer| since.get(peer))?;
                ExportMode::updates_owned(loro_version(since))
            }
            Export::Range(range) => return self.export_range(range),
        };
        self.doc.export(mode).map_err(export_error)
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        let status = match bytes.starts_with(JSON) {
            true => {
                let json = str::from_utf8(bytes).map_err(|e| EngineError::Import(e.to_string()))?;
                self.doc.import_json_updates(json)
            }
            false => self.doc.import(bytes),
        };
        Ok(self.imported(&status.map_err(import_error)?))
    }

    fn import_batch(&mut self, updates: &[&[u8]]) -> Result<Imported, EngineError> {
        let updates: Vec<Vec<u8>> = updates.iter().map(|&update| update.to_vec()).collect();
        let status = self.doc.import_batch(&updates).map_err(import_error)?;
        Ok(self.imported(&status))
    }

    fn export_missing(&mut self, version: &[u8]) -> Result<Vec<u8>, EngineError> {
        let since = document::decoded_since(version)?;
        self.refuse_below_shallow_root(|peer| since.get(&peer).copied().map_or(0, counter))?;
        let updates = self.doc.export(ExportMode::updates_owned(since));
        updates.map_err(export_error)
    }

    fn watch_local_updates(&mut self) -> Result<(), EngineError> {
        let updates = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&updates);
        let subscription = self.doc.subscribe_local_update(Box::new(move |update| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(update.clone());
            true
        }));
        self.watched = Some(Watched {
            updates,
            _subscription: subscription,
        });
        Ok(())
    }

    fn take_local_updates(&mut self) -> Vec<Vec<u8>> {
        let Some(watched) = &self.watched else {
            return Vec::new();
        };
        let mut updates = watched
            .updates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *updates)
    }
}

/// The result of `export_json_updates`: the updates themselves in 1.12, and a `Result`
/// of them in 1.17.
trait JsonUpdates {
    fn schema(self) -> Result<JsonSchema, EngineError>;
}

impl JsonUpdates for JsonSchema {
    fn schema(self) -> Result<JsonSchema, EngineError> {
        Ok(self)
    }
}

impl<E: std::fmt::Display> JsonUpdates for Result<JsonSchema, E> {
    fn schema(self) -> Result<JsonSchema, EngineError> {
        self.map_err(|e| EngineError::Export(e.to_string()))
    }
}

/// Returns the ranges sorted by peer, since Loro's own order is that of a hash map.
fn op_ranges(range: &VersionRange) -> Vec<OpRange> {
    let mut ranges: Vec<_> = range
        .iter()
        .filter(|(_, (start, end))| start < end)
        .map(|(&peer, &(start, end))| OpRange {
            peer,
            counters: counter(start)..counter(end),
        })
        .collect();
    ranges.sort_by_key(|range| range.peer);
    ranges
}

fn export_error(e: library::LoroEncodeError) -> EngineError {
    EngineError::Export(e.to_string())
}

/// Returns the runs of a text as Loro reports them.
fn spans(text: &LoroText) -> Vec<Span> {
    let runs = text.to_delta().into_iter();
    runs.filter_map(|run| match run {
        TextDelta::Insert { insert, attributes } => Some(Span {
            text: insert,
            bold: attributes.is_some_and(|marks| marks.get("bold") == Some(&true.into())),
        }),
        _ => None,
    })
    .collect()
}

fn counter_add(doc: &LoroDoc, by: i32) -> Result<(), EngineError> {
    let added = doc.get_counter("counter").increment(by.into());
    added.map_err(edit_error)
}

fn update_text(text: &LoroText, new: &str) -> Result<(), EngineError> {
    let updated = text.update(new, UpdateOptions::default());
    updated.map_err(|e| EngineError::Edit(e.to_string()))
}

fn undo(manager: &mut UndoManager, _: &LoroDoc) -> Result<bool, LoroError> {
    manager.undo()
}

fn redo(manager: &mut UndoManager, _: &LoroDoc) -> Result<bool, LoroError> {
    manager.redo()
}

/// Returns the parent of a node, or `None` if there is no such node.
fn parent(tree: &LoroTree, node: TreeID) -> Option<Option<TreeID>> {
    match tree.parent(node)? {
        TreeParentId::Node(parent) => Some(Some(parent)),
        TreeParentId::Root => Some(None),
        TreeParentId::Deleted | TreeParentId::Unexist => None,
    }
}
