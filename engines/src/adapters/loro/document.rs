//! The calls that are the same in Loro 0.16 and in 1.x. Both adapters compile
//! this file, each with its own library as `library` and its own `LoroReplica`.

use std::hint::black_box;

use super::LoroReplica;
use super::containers::{counter, cursor, cursor_pos, loro_counter, undo_manager};
use super::library::{LoroDoc, LoroError, ToJson, VersionVector as LoroVersion};
use crate::replica::NO_UNDO;
use crate::{Counter, Edit, EngineError, NodeId, PeerId, Span, Value, VersionVector};

/// The first byte of updates as JSON. All other exports start with `loro`.
pub(super) const JSON: &[u8] = b"{";

/// Creates an empty document for `peer`.
pub(super) fn empty(peer: PeerId) -> LoroDoc {
    let doc = LoroDoc::new();
    doc.set_peer_id(peer)
        .expect("the caller gives a peer id below u64::MAX");
    doc
}

impl crate::TextDocument for LoroReplica {
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

    fn update_text(&mut self, text: &str) -> Result<(), EngineError> {
        super::update_text(&self.text, text)
    }

    fn commit(&mut self) {
        self.doc.commit();
    }

    fn text_len(&self) -> usize {
        self.text.len_unicode()
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

impl crate::Versioned for LoroReplica {
    fn version_vector(&self) -> VersionVector {
        version(&self.doc.oplog_vv())
    }

    fn encoded_version(&self) -> Vec<u8> {
        self.doc.oplog_vv().encode()
    }

    fn own_counter(&self) -> Counter {
        // Called after every keystroke, so it does not convert the whole version.
        let own = self.doc.peer_id();
        self.doc.oplog_vv().get(&own).copied().map_or(0, counter)
    }

    fn has_pending(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl crate::Containers for LoroReplica {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<(), EngineError> {
        self.containers.edit(&self.doc, edit)
    }

    fn append(&mut self, list: &str, value: Value<'_>) -> Result<(), EngineError> {
        super::containers::append(&self.doc, list, value)
    }

    fn spans(&self) -> Result<Vec<Span>, EngineError> {
        Ok(super::spans(&self.text))
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
}

impl crate::Undo for LoroReplica {
    fn watch_undo(&mut self) -> Result<(), EngineError> {
        self.undo = Some(undo_manager(&self.doc));
        Ok(())
    }

    fn undo(&mut self) -> Result<bool, EngineError> {
        let manager = self.undo.as_mut().ok_or(NO_UNDO)?;
        super::undo(manager, &self.doc).map_err(edit_error)
    }

    fn redo(&mut self) -> Result<bool, EngineError> {
        let manager = self.undo.as_mut().ok_or(NO_UNDO)?;
        super::redo(manager, &self.doc).map_err(edit_error)
    }
}

impl crate::Cursors for LoroReplica {
    fn cursor(&mut self, pos: usize) -> Result<Vec<u8>, EngineError> {
        cursor(&self.text, pos)
    }

    fn cursor_pos(&mut self, cursor: &[u8]) -> Result<usize, EngineError> {
        cursor_pos(&self.doc, cursor)
    }
}

impl crate::Replica for LoroReplica {
    fn history(&mut self) -> Option<&mut dyn crate::History> {
        Some(self)
    }
}

/// Decodes a version as Loro encodes it, on behalf of an export.
pub(super) fn decoded_since(version: &[u8]) -> Result<LoroVersion, EngineError> {
    LoroVersion::decode(version).map_err(|e| EngineError::Export(e.to_string()))
}

pub(super) fn version(loro: &LoroVersion) -> VersionVector {
    loro.iter()
        .map(|(&peer, &end)| (peer, counter(end)))
        .collect()
}

pub(super) fn loro_version(version: &VersionVector) -> LoroVersion {
    version
        .iter()
        .map(|(peer, end)| (peer, loro_counter(end)))
        .collect()
}

pub(super) fn edit_error(e: LoroError) -> EngineError {
    EngineError::Edit(e.to_string())
}

pub(super) fn import_error(e: LoroError) -> EngineError {
    EngineError::Import(e.to_string())
}
