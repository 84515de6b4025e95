//! What waits in a replica for operations that have not come.

use std::collections::BTreeMap;

use crate::{Counter, OpRange, PeerId};

/// Per peer, the end of what waits: for libraries that report an operation as
/// pending once, when it arrives, and have no call that asks later (Loro in all
/// of 1.12 to 1.17).
#[derive(Default)]
pub struct Waiting(BTreeMap<PeerId, Counter>);

impl Waiting {
    /// Notes what an import left waiting.
    pub fn note(&mut self, pending: &[OpRange]) {
        for OpRange { peer, counters } in pending {
            let end = self.0.entry(*peer).or_default();
            *end = counters.end.max(*end);
        }
    }

    /// Forgets what the replica contains by now: of each peer, the operations
    /// below that counter.
    pub fn settle(&mut self, contained: impl Fn(PeerId) -> Counter) {
        self.0.retain(|&peer, end| contained(peer) < *end);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
