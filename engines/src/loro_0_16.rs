//! Loro 0.16, the last release with the encoding before 1.0.
//!
//! Calls as in its own documentation: `export_snapshot`, `export_from`,
//! `import`. Its `import` does not say what it did. What was applied is the
//! difference of the version vectors before and after, one copy of each: cheap
//! while peers are few. What waits is read from the header of an update, which
//! costs a second checksum and a walk over its changes; a snapshot waits for
//! nothing and is not read again.

#[path = "loro/containers.rs"]
#[allow(clippy::duplicate_mod, reason = "the same calls of another version")]
mod containers;
mod history;

use std::hint::black_box;

use library::{
    LoroDoc, LoroText, LoroTree, ToJson, TreeID, UndoManager, VersionVector as LoroVersion,
};
use loro_0_16 as library;

use containers::Containers;

use crate::waiting::Waiting;
use crate::{
    Cap, Caps, Counter, Edit, Engine, EngineError, Export, Imported, NodeId, OpRange, PeerId,
    Replica, Span, Value, VersionVector,
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

/// How updates as JSON begin; all other bytes begin with `loro`.
const JSON: &[u8] = b"{";

/// What stands behind the magic bytes and the checksum of a snapshot.
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

    fn caps(&self) -> Caps {
        Caps::without(&[
            (Cap::LocalUpdates, NO_WATCHING),
            (Cap::ShallowSnapshot, NO_SHALLOW),
            (Cap::ForksAt, NO_FORKS),
            (Cap::TimeTravel, NO_TRAVEL),
            (Cap::AnyRange, NO_RANGE),
            (Cap::Counters, NO_COUNTER),
        ])
    }

    fn cannot_open(&self, format: &str) -> Option<&'static str> {
        (!format.starts_with("Loro 0.16"))
            .then_some("Loro 0.16 does not know the encoding that came with 1.0")
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        let doc = LoroDoc::new();
        doc.set_peer_id(peer)
            .expect("the caller gives a peer id below u64::MAX");
        let text = doc.get_text("text");
        Box::new(Loro016Replica {
            doc,
            text,
            containers: Containers::default(),
            waiting: Waiting::default(),
            undo: None,
        })
    }
}

struct Loro016Replica {
    doc: LoroDoc,
    text: LoroText,
    containers: Containers,
    waiting: Waiting,
    undo: Option<UndoManager>,
}

impl Loro016Replica {
    /// JSON tells of no version; what it left waiting stays unknown.
    fn import_json(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        let before = self.version_vector();
        let json = str::from_utf8(bytes).map_err(|e| EngineError::Import(e.to_string()))?;
        self.doc.import_json_updates(json).map_err(import_error)?;
        Ok(Imported {
            applied: self.version_vector().missing_from(&before),
            pending: Vec::new(),
        })
    }

    /// The operations of an update that this document does not contain.
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

    /// What an import did to a document that was at `before`.
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

impl Replica for Loro016Replica {
    fn peer(&self) -> PeerId {
        self.doc.peer_id()
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.text.len_unicode();
        if pos > len || del > len - pos {
            return Err(EngineError::OutOfBounds { pos, del, len });
        }
        if del > 0 {
            self.text.delete(pos, del).map_err(edit_error)?;
        }
        if !ins.is_empty() {
            self.text.insert(pos, ins).map_err(edit_error)?;
        }
        Ok(())
    }

    fn commit(&mut self) {
        self.doc.commit();
    }

    fn text_len(&self) -> usize {
        self.text.len_unicode()
    }

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
                // All that follows a version that has everything else.
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

    fn update_text(&mut self, text: &str) -> Result<(), EngineError> {
        self.text.update(text);
        Ok(())
    }

    fn append(&mut self, list: &str, value: Value<'_>) -> Result<(), EngineError> {
        containers::append(&self.doc, list, value)
    }

    fn edit(&mut self, edit: &Edit<'_>) -> Result<(), EngineError> {
        if matches!(edit, Edit::CounterAdd { .. }) {
            return Err(EngineError::Unsupported(NO_COUNTER));
        }
        self.containers.edit(&self.doc, edit)
    }

    fn tree_create(&mut self, parent: Option<NodeId>) -> Result<NodeId, EngineError> {
        self.containers.tree_create(&self.doc, parent)
    }

    fn tree_move(&mut self, node: NodeId, parent: Option<NodeId>) -> Result<(), EngineError> {
        self.containers.tree_move(&self.doc, node, parent)
    }

    fn tree_parent(&self, node: NodeId) -> Result<Option<NodeId>, EngineError> {
        self.containers.tree_parent(&self.doc, node)
    }

    fn spans(&self) -> Result<Vec<Span>, EngineError> {
        Ok(spans(&self.text))
    }

    fn cursor(&mut self, pos: usize) -> Result<Vec<u8>, EngineError> {
        containers::cursor(&self.text, pos)
    }

    fn cursor_pos(&mut self, cursor: &[u8]) -> Result<usize, EngineError> {
        containers::cursor_pos(&self.doc, cursor)
    }

    fn watch_undo(&mut self) -> Result<(), EngineError> {
        self.undo = Some(containers::undo_manager(&self.doc));
        Ok(())
    }

    fn undo(&mut self) -> Result<bool, EngineError> {
        let manager = self
            .undo
            .as_mut()
            .ok_or(EngineError::Unsupported(crate::NO_UNDO))?;
        manager.undo(&self.doc).map_err(edit_error)
    }

    fn redo(&mut self) -> Result<bool, EngineError> {
        let manager = self
            .undo
            .as_mut()
            .ok_or(EngineError::Unsupported(crate::NO_UNDO))?;
        manager.redo(&self.doc).map_err(edit_error)
    }

    fn history(&mut self) -> Option<&mut dyn crate::history::History> {
        Some(self)
    }

    fn version_vector(&self) -> VersionVector {
        version(&self.doc.oplog_vv())
    }

    fn encoded_version(&self) -> Vec<u8> {
        self.doc.oplog_vv().encode()
    }

    fn export_missing(&mut self, version: &[u8]) -> Result<Vec<u8>, EngineError> {
        let since = LoroVersion::decode(version);
        let since = since.map_err(|e| EngineError::Export(e.to_string()))?;
        Ok(self.doc.export_from(&since))
    }

    fn own_counter(&self) -> Counter {
        let own = self.doc.peer_id();
        self.doc.oplog_vv().get(&own).copied().map_or(0, counter)
    }

    fn has_pending(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn text(&self) -> String {
        self.text.to_string()
    }

    fn materialize(&self) {
        black_box(self.doc.get_deep_value());
    }

    fn deep_value(&self) -> serde_json::Value {
        self.doc.get_deep_value().to_json_value()
    }
}

/// Loro counts operations in an `i32` that is never negative.
fn counter(loro: i32) -> Counter {
    loro.unsigned_abs()
}

fn loro_counter(counter: Counter) -> i32 {
    i32::try_from(counter).unwrap_or(i32::MAX)
}

fn version(loro: &LoroVersion) -> VersionVector {
    loro.iter()
        .map(|(&peer, &end)| (peer, counter(end)))
        .collect()
}

fn loro_version(version: &VersionVector) -> LoroVersion {
    version
        .iter()
        .map(|(peer, end)| (peer, loro_counter(end)))
        .collect()
}

fn edit_error(e: library::LoroError) -> EngineError {
    EngineError::Edit(e.to_string())
}

fn import_error(e: library::LoroError) -> EngineError {
    EngineError::Import(e.to_string())
}

/// The runs of a text as Loro gives them, which is as a value.
fn spans(text: &LoroText) -> Vec<Span> {
    let runs = text.to_delta().to_json_value();
    let runs = runs.as_array().into_iter().flatten();
    runs.map(|run| Span {
        text: run["insert"].as_str().unwrap_or_default().to_owned(),
        bold: run["attributes"]["bold"] == true,
    })
    .collect()
}

/// Never called for: see the caps.
fn counter_add(_: &LoroDoc, _: i32) -> Result<(), library::LoroError> {
    Err(library::LoroError::Unknown(NO_COUNTER.into()))
}

/// What a node is below, or `None` if there is no such node.
fn parent(tree: &LoroTree, node: TreeID) -> Option<Option<TreeID>> {
    tree.parent(&node)
}
