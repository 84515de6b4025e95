//! Loro 0.16's powers over the past: it shows it, and copies what is.

use super::library::{Frontiers, LoroDoc};
use super::{Containers, Loro016Replica, NO_FORKS, edit_error, loro_version};
use crate::history::{History, Moment, own};
use crate::waiting::Waiting;
use crate::{EngineError, PeerId, Replica, VersionVector};

fn copy(doc: LoroDoc, peer: PeerId) -> Result<Box<dyn Replica>, EngineError> {
    doc.set_peer_id(peer).map_err(edit_error)?;
    let text = doc.get_text("text");
    Ok(Box::new(Loro016Replica {
        doc,
        text,
        containers: Containers::default(),
        waiting: Waiting::default(),
        undo: None,
    }))
}

impl History for Loro016Replica {
    fn moment(&mut self, version: &VersionVector) -> Result<Moment, EngineError> {
        let moment = self.doc.vv_to_frontiers(&loro_version(version));
        Ok(Moment(Box::new(moment)))
    }

    fn fork(&mut self, peer: PeerId) -> Result<Box<dyn Replica>, EngineError> {
        copy(self.doc.fork(), peer)
    }

    fn fork_at(&mut self, _: &Moment, _: PeerId) -> Result<Box<dyn Replica>, EngineError> {
        Err(EngineError::Unsupported(NO_FORKS))
    }

    fn checkout(&mut self, at: &Moment) -> Result<(), EngineError> {
        let at: &Frontiers = own(&*at.0)?;
        self.doc.checkout(at).map_err(edit_error)
    }

    fn checkout_latest(&mut self) -> Result<(), EngineError> {
        self.doc.checkout_to_latest();
        Ok(())
    }
}
