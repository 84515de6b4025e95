//! Loro 0.16, the last release with the encoding before 1.0.
//!
//! The adapter follows its documentation: `export_snapshot`, `export_from`, `import`.
//! This `import` does not report its result. What it applied is the difference between
//! the version vectors before and after, of which one copy each is made: cheap while
//! peers are few. What is pending is read from the header of an update, which costs a
//! second checksum and a walk over its changes; a snapshot leaves nothing pending and
//! is not read again.

#[path = "loro/containers.rs"]
#[allow(clippy::duplicate_mod, reason = "the same calls of another version")]
mod containers;
#[path = "loro/document.rs"]
#[allow(clippy::duplicate_mod, reason = "the same calls of another version")]
mod document;
mod history;

use library::{LoroDoc, LoroError, LoroText, LoroTree, ToJson, TreeID, UndoManager};
use loro_0_16 as library;

use containers::{Containers, loro_counter};
use document::{JSON, edit_error, import_error, loro_version, version};

use super::waiting::Waiting;
use crate::{
    Capabilities, Capability, Engine, EngineError, Exchange, Export, HeavyWork, Imported, OpRange,
    Pace, PeerId, Replica, Span, TextDocument, VersionVector, Versioned,
};

/// Loro 0.16.12.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loro016;

const NO_FORKS: &str = "Loro 0.16 copies a document as it is, not as it was";
const NO_TRAVEL: &str =
    "Loro 0.16 shows the past, but has neither diff nor revert_to nor edits there";
const NO_SHALLOW: &str = "Loro has shallow snapshots since 1.0 only";
const NO_COUNTER: &str = "counters are an experiment in Loro 0.16, and not in its default build";
const NO_RANGE: &str = "Loro 0.16 exports all that follows a version, not a range";

const NO_WATCHING: &str = "Loro hands out the updates of commits since 1.0 only";

/// The bytes after the magic bytes and the checksum of a snapshot, with their position.
const SNAPSHOT_MODE: (std::ops::Range<usize>, &[u8]) = (20..22, &[0, 2]);

impl Engine for Loro016 {
    fn name(&self) -> &'static str {
        "loro-0.16"
    }

    fn library(&self) -> &'static str {
        "loro"
    }

    fn version(&self) -> &'static str {
        "0.16.12"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::without(&[
            (Capability::LocalUpdates, NO_WATCHING),
            (Capability::ShallowSnapshot, NO_SHALLOW),
            (Capability::ForksAt, NO_FORKS),
            (Capability::TimeTravel, NO_TRAVEL),
            (Capability::AnyRange, NO_RANGE),
            (Capability::Counters, NO_COUNTER),
        ])
    }

    fn cannot_open(&self, format: &str) -> Option<&'static str> {
        (!format.starts_with("Loro 0.16"))
            .then_some("Loro 0.16 does not know the encoding that came with 1.0")
    }

    fn pace(&self, work: HeavyWork) -> Pace {
        match work {
            HeavyWork::ManyWriters | HeavyWork::ManyUndoSteps | HeavyWork::HugeTree => Pace::Slow,
            _ => Pace::Usual,
        }
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(LoroReplica::new(document::empty(peer)))
    }
}

struct LoroReplica {
    doc: LoroDoc,
    text: LoroText,
    containers: Containers,
    waiting: Waiting,
    undo: Option<UndoManager>,
}

impl LoroReplica {
    fn new(doc: LoroDoc) -> Self {
        let text = doc.get_text("text");
        Self {
            doc,
            text,
            containers: Containers::default(),
            waiting: Waiting::default(),
            undo: None,
        }
    }

    /// Imports JSON. It names no version, so what it left pending is unknown.
    fn import_json(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        let before = self.version_vector();
        let json = str::from_utf8(bytes).map_err(|e| EngineError::Import(e.to_string()))?;
        self.doc.import_json_updates(json).map_err(import_error)?;
        Ok(Imported {
            applied: self.version_vector().missing_from(&before),
            pending: Vec::new(),
        })
    }

    /// Returns the operations of an update that this document does not contain.
    fn outside(&self, update: &[u8]) -> Result<Vec<OpRange>, EngineError> {
        let meta = LoroDoc::decode_import_blob_meta(update).map_err(import_error)?;
        let start = version(&meta.partial_start_vv);
        let missing = version(&meta.partial_end_vv).missing_from(&self.version_vector());
        Ok(missing
            .into_iter()
            .map(|mut range| {
                range.counters.start = range.counters.start.max(start.get(range.peer));
                range
            })
            .collect())
    }

    /// Returns the effect of an import on a document that was at `before`.
    fn imported(
        &mut self,
        before: &VersionVector,
        updates: &[&[u8]],
    ) -> Result<Imported, EngineError> {
        let (mode, snapshot) = SNAPSHOT_MODE;
        let mut pending = Vec::new();
        for bytes in updates {
            if bytes.get(mode.clone()) != Some(snapshot) {
                pending.extend(self.outside(bytes)?);
            }
        }
        pending.sort_by_key(|range| (range.peer, range.counters.start));
        let after = self.version_vector();
        self.waiting.note(&pending);
        self.waiting.settle(|peer| after.get(peer));
        Ok(Imported {
            applied: after.missing_from(before),
            pending,
        })
    }
}

impl Exchange for LoroReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        match what {
            Export::Snapshot => Ok(self.doc.export_snapshot()),
            Export::ShallowSnapshot | Export::ShallowSnapshotAt { .. } | Export::StateOnly => {
                Err(EngineError::Unsupported(NO_SHALLOW))
            }
            Export::Json { since } => {
                let end = self.doc.oplog_vv();
                let updates = self.doc.export_json_updates(&loro_version(since), &end);
                serde_json::to_vec(&updates).map_err(|e| EngineError::Export(e.to_string()))
            }
            Export::Updates { since } => Ok(self.doc.export_from(&loro_version(since))),
            Export::Range(OpRange { peer, counters }) => {
                let end = self.own_counter();
                if peer != self.peer() || counters.end != end || counters.start > end {
                    return Err(EngineError::Unsupported(NO_RANGE));
                }
                // The export is everything that follows a version that has all else.
                let mut since = self.doc.oplog_vv();
                since.insert(peer, loro_counter(counters.start));
                Ok(self.doc.export_from(&since))
            }
        }
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        if bytes.starts_with(JSON) {
            return self.import_json(bytes);
        }
        let before = self.version_vector();
        self.doc.import(bytes).map_err(import_error)?;
        self.imported(&before, &[bytes])
    }

    fn import_batch(&mut self, updates: &[&[u8]]) -> Result<Imported, EngineError> {
        let before = self.version_vector();
        let owned: Vec<Vec<u8>> = updates.iter().map(|&update| update.to_vec()).collect();
        self.doc.import_batch(&owned).map_err(import_error)?;
        self.imported(&before, updates)
    }

    fn export_missing(&mut self, version: &[u8]) -> Result<Vec<u8>, EngineError> {
        Ok(self.doc.export_from(&document::decoded_since(version)?))
    }
}

/// Returns the runs of a text, which Loro reports as a value.
fn spans(text: &LoroText) -> Vec<Span> {
    let runs = text.to_delta().to_json_value();
    let runs = runs.as_array().into_iter().flatten();
    runs.map(|run| Span {
        text: run["insert"].as_str().unwrap_or_default().to_owned(),
        bold: run["attributes"]["bold"] == true,
    })
    .collect()
}

fn counter_add(_: &LoroDoc, _: i32) -> Result<(), EngineError> {
    Err(EngineError::Unsupported(NO_COUNTER))
}

fn update_text(text: &LoroText, new: &str) -> Result<(), EngineError> {
    text.update(new);
    Ok(())
}

fn undo(manager: &mut UndoManager, doc: &LoroDoc) -> Result<bool, LoroError> {
    manager.undo(doc)
}

fn redo(manager: &mut UndoManager, doc: &LoroDoc) -> Result<bool, LoroError> {
    manager.redo(doc)
}

/// Returns the parent of a node, or `None` if there is no such node.
fn parent(tree: &LoroTree, node: TreeID) -> Option<Option<TreeID>> {
    tree.parent(&node)
}
