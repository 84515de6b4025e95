//! What waits in a replica for operations that have not come.

use std::collections::BTreeMap;

use crate::{Counter, OpRange, PeerId, VersionVector};

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

    /// Forgets what a replica at `version` contains by now.
    pub fn settle(&mut self, version: &VersionVector) {
        self.0.retain(|&peer, end| version.get(peer) < *end);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
