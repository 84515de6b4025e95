//! The features that editors need besides typing: undo and cursors.

use yrs::undo::{Options, UndoManager};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Assoc, Doc, IndexedSequence, StickyIndex, TextRef, Transact};

use super::YrsReplica;
use crate::EngineError;
use crate::replica::{NO_UNDO, invalid_cursor};

/// Returns a manager that undoes each commit separately, however close in time they
/// are.
pub(super) fn undo_manager(doc: &Doc, text: &TextRef) -> UndoManager<()> {
    let mut manager = UndoManager::with_options(Options {
        capture_timeout_millis: 0,
        ..Options::default()
    });
    manager.expand_scope(doc, text);
    manager
}

impl YrsReplica {
    /// Returns the manager for an undo or a redo, which is not a commit whose update
    /// could be sent.
    pub(super) fn stepping(&mut self) -> Result<&mut UndoManager<()>, EngineError> {
        self.last = None;
        let manager = self.undo.as_mut();
        manager.ok_or(NO_UNDO)
    }

    /// Encodes the position before a scalar value of the text.
    pub(super) fn sticky(&self, pos: usize) -> Result<Vec<u8>, EngineError> {
        let txn = self.doc.transact();
        let (unit, _) = self.units(&txn, pos, 0);
        let index = self.text.sticky_index(&txn, unit, Assoc::After);
        Ok(index.ok_or_else(invalid_cursor)?.encode_v1())
    }

    pub(super) fn place(&self, cursor: &[u8]) -> Result<usize, EngineError> {
        let index = StickyIndex::decode_v1(cursor).map_err(|_| invalid_cursor())?;
        let txn = self.doc.transact();
        let offset = index.get_offset(&txn).ok_or_else(invalid_cursor)?;
        Ok(self.scalars(&txn, offset.index as usize))
    }
}
