//! Past versions of a Loro document.

use super::library::event::DiffBatch;
use super::library::{Frontiers, LoroDoc};
use super::{LoroReplica, edit_error, loro_version};
use crate::replica::{foreign, own};
use crate::{Difference, EngineError, History, Moment, PeerId, Replica, VersionVector};

fn frontiers(at: &Moment) -> Result<&Frontiers, EngineError> {
    own(&*at.0)
}

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

    fn fork_at(&mut self, at: &Moment, peer: PeerId) -> Result<Box<dyn Replica>, EngineError> {
        copy(self.doc.fork_at(frontiers(at)?).map_err(edit_error)?, peer)
    }

    fn checkout(&mut self, at: &Moment) -> Result<(), EngineError> {
        self.doc.checkout(frontiers(at)?).map_err(edit_error)
    }

    fn edit_at(&mut self, at: &Moment, peer: PeerId) -> Result<(), EngineError> {
        self.doc.set_detached_editing(true);
        self.checkout(at)?;
        // A checkout gives the document a random peer, because the old one may have
        // made operations after this version.
        self.doc.set_peer_id(peer).map_err(edit_error)
    }

    fn checkout_latest(&mut self) -> Result<(), EngineError> {
        let peer = self.doc.peer_id();
        self.doc.checkout_to_latest();
        self.doc.set_detached_editing(false);
        self.doc.set_peer_id(peer).map_err(edit_error)
    }

    fn revert_to(&mut self, at: &Moment) -> Result<(), EngineError> {
        self.doc.revert_to(frontiers(at)?).map_err(edit_error)?;
        self.doc.commit();
        Ok(())
    }

    fn diff(&mut self, from: &Moment, to: &Moment) -> Result<Difference, EngineError> {
        let difference = self.doc.diff(frontiers(from)?, frontiers(to)?);
        Ok(Difference(Box::new(difference.map_err(edit_error)?)))
    }

    fn apply_diff(&mut self, difference: Difference) -> Result<(), EngineError> {
        let difference = difference.0.downcast::<DiffBatch>();
        let difference = difference.map_err(|_| foreign())?;
        self.doc.apply_diff(*difference).map_err(edit_error)?;
        self.doc.commit();
        Ok(())
    }
}
