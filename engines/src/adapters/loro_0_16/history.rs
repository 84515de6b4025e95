//! Past versions of a Loro 0.16 document, which can be shown; only the latest can be
//! copied.

use super::library::{Frontiers, LoroDoc};
use super::{LoroReplica, NO_FORKS, edit_error, loro_version};
use crate::replica::own;
use crate::{EngineError, History, Moment, PeerId, Replica, VersionVector};

fn copy(doc: LoroDoc, peer: PeerId) -> Result<Box<dyn Replica>, EngineError> {
    doc.set_peer_id(peer).map_err(edit_error)?;
    Ok(Box::new(LoroReplica::new(doc)))
}

impl History for LoroReplica {
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
