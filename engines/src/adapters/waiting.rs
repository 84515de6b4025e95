//! Operations that are pending in a replica.

use std::collections::BTreeMap;

use crate::{Counter, OpRange, PeerId};

/// Per peer, the end of its pending operations. It is for libraries that report an
/// operation as pending once, when it arrives, and have no call to ask later (Loro 1.12
/// to 1.17).
#[derive(Default)]
pub struct Waiting(BTreeMap<PeerId, Counter>);

impl Waiting {
    /// Notes the operations that an import left pending.
    pub fn note(&mut self, pending: &[OpRange]) {
        for OpRange { peer, counters } in pending {
            let end = self.0.entry(*peer).or_default();
            *end = counters.end.max(*end);
        }
    }

    /// Forgets the operations that the replica contains by now: for each peer, those
    /// below the counter that `contained` returns.
    pub fn settle(&mut self, contained: impl Fn(PeerId) -> Counter) {
        self.0.retain(|&peer, end| contained(peer) < *end);
    }

    /// Returns true if nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
