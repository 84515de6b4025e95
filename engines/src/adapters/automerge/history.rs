//! Copies of an Automerge document.

use std::collections::HashSet;

use automerge::{AutoCommit, ChangeHash};

use super::{AutomergeReplica, actor, import_error, known};
use crate::replica::own;
use crate::{EngineError, History, Moment, PeerId, Replica, VersionVector};

impl AutomergeReplica {
    fn copy(&self, mut doc: AutoCommit, peer: PeerId) -> Result<Box<dyn Replica>, EngineError> {
        doc.set_actor(actor(peer));
        let mut copy = Self {
            doc,
            containers: self.containers.clone(),
            peer,
            version: Default::default(),
            waiting: Vec::new(),
        };
        copy.version = copy.count_changes()?;
        Ok(Box::new(copy))
    }
}

impl History for AutomergeReplica {
    fn moment(&mut self, version: &VersionVector) -> Result<Moment, EngineError> {
        let mut heads = HashSet::new();
        // The changes come in causal order.
        for meta in self.doc.get_changes_meta(&[]) {
            let within = known(&meta)?.is_none_or(|made| made.seq <= version.get(made.peer));
            if within {
                for dep in meta.deps.iter() {
                    heads.remove(dep);
                }
                heads.insert(meta.hash);
            }
        }
        let heads: Vec<ChangeHash> = heads.into_iter().collect();
        Ok(Moment(Box::new(heads)))
    }

    fn fork(&mut self, peer: PeerId) -> Result<Box<dyn Replica>, EngineError> {
        let doc = self.doc.fork();
        self.copy(doc, peer)
    }

    fn fork_at(&mut self, at: &Moment, peer: PeerId) -> Result<Box<dyn Replica>, EngineError> {
        let heads: &Vec<ChangeHash> = own(&*at.0)?;
        let doc = self.doc.fork_at(heads).map_err(import_error)?;
        self.copy(doc, peer)
    }
}
