//! The set of known operations, including those beyond gaps.

use std::collections::BTreeMap;

use syncbench_engines::{Counter, OpRange, PeerId, VersionVector};

/// A version, and the known operations beyond it.
///
/// Invariant: the ranges in `ahead` touch neither each other nor the version.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    version: VersionVector,
    /// The ranges of operations that arrived before their predecessors: the
    /// exclusive end by peer and start.
    ahead: BTreeMap<(PeerId, Counter), Counter>,
}

impl Coverage {
    /// Returns the version: for each peer, the operations from its first one up to
    /// the first gap.
    pub(super) fn version(&self) -> &VersionVector {
        &self.version
    }

    /// Returns whether all of `range` is known.
    pub(super) fn has(&self, range: &OpRange) -> bool {
        let OpRange { peer, counters } = range;
        let reaching = self.ahead.range(..=(*peer, counters.start)).next_back();
        self.version.covers(range)
            || reaching.is_some_and(|(&(other, _), &end)| other == *peer && counters.end <= end)
    }

    /// Adds `range`.
    pub(super) fn add(&mut self, range: &OpRange) {
        let OpRange { peer, counters } = range;
        let (mut start, mut end) = (counters.start, counters.end);
        if start <= self.version.get(*peer) {
            start = 0;
        }
        // Merges all ranges that it touches.
        while let Some((before, until)) = self.touching(*peer, start, end) {
            self.ahead.remove(&(*peer, before));
            (start, end) = (start.min(before), end.max(until));
        }
        match start {
            0 => self.version.advance(*peer, end),
            _ => drop(self.ahead.insert((*peer, start), end)),
        }
    }

    /// Returns a range of `peer` in `ahead` that overlaps or touches `start..end`.
    fn touching(&self, peer: PeerId, start: Counter, end: Counter) -> Option<(Counter, Counter)> {
        let (&(other, before), &until) = self.ahead.range(..=(peer, end)).next_back()?;
        (other == peer && until >= start).then_some((before, until))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(peer: PeerId, counters: std::ops::Range<Counter>) -> OpRange {
        OpRange { peer, counters }
    }

    proptest! {
        #[test]
        fn it_knows_the_same_operations_as_a_set(

            added in prop::collection::vec((1..3_u64, 0..40_u32, 1..6_u32), 0..40),
        ) {
            let mut coverage = Coverage::default();
            let mut set = BTreeSet::new();
            for (peer, start, len) in added {
                let added = range(peer, start..start + len);
                let contained = added.counters.clone().all(|counter| set.contains(&(peer, counter)));
                prop_assert_eq!(coverage.has(&added), contained);
                coverage.add(&added);
                set.extend(added.counters.map(|counter| (peer, counter)));
                for peer in 1..3 {
                    let gap = (0..).find(|&counter| !set.contains(&(peer, counter)));
                    prop_assert_eq!(Some(coverage.version().get(peer)), gap);
                }
            }
        }
    }
}
