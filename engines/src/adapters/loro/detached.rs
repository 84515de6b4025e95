//! One Loro document, checked out at the version that each edit was made on.
//!
//! A checkout costs the difference between two versions, so edits that continue
//! the latest commit need none.

use super::library::{ExportMode, Frontiers, IdSpan, LoroDoc, LoroText};
use super::{counter, edit_error, export_error, loro_counter};
use crate::{Counter, DetachedDocument, EngineError, OpRange, PeerId};

pub(super) struct Document {
    doc: LoroDoc,
    text: LoroText,
    /// The version after each commit.
    versions: Vec<Frontiers>,
}

impl Document {
    pub(super) fn new() -> Self {
        let doc = LoroDoc::new();
        doc.set_detached_editing(true);
        let text = doc.get_text("text");
        Self {
            doc,
            text,
            versions: Vec::new(),
        }
    }
}

impl DetachedDocument for Document {
    fn checkout(&mut self, versions: &[usize], peer: PeerId) -> Result<(), EngineError> {
        let mut version = Frontiers::default();
        for &parent in versions {
            for id in self.versions[parent].iter() {
                version.push(id);
            }
        }
        if version != self.doc.state_frontiers() || !self.doc.is_detached() {
            self.doc.checkout(&version).map_err(edit_error)?;
        }
        self.doc.set_peer_id(peer).map_err(edit_error)
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.text.len_unicode();
        if pos + del > len {
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

    fn commit(&mut self) -> usize {
        self.doc.commit();
        self.versions.push(self.doc.state_frontiers());
        self.versions.len() - 1
    }

    fn counter(&self, peer: PeerId) -> Counter {
        let version = self.doc.oplog_vv();
        version.get(&peer).copied().map_or(0, counter)
    }

    fn export(&mut self, range: &OpRange) -> Result<Vec<u8>, EngineError> {
        let OpRange { peer, counters } = range;
        let (start, end) = (loro_counter(counters.start), loro_counter(counters.end));
        let span = IdSpan::new(*peer, start, end);
        let update = self.doc.export(ExportMode::updates_in_range(vec![span]));
        update.map_err(export_error)
    }

    fn latest_text(&mut self) -> String {
        self.doc.checkout_to_latest();
        self.text.to_string()
    }
}
