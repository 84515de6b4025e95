//! The operations that have arrived at a replica and wait there for others.

use std::collections::BTreeMap;
use std::ops::Range;

use syncbench_engines::{Counter, Imported, OpRange, PeerId};

/// Operations that arrived before others that they build on: by peer, in order,
/// with gaps between them. Takes memory for each gap, not for each operation, and
/// none while nothing waits.
#[derive(Debug, Default)]
pub struct Waiting(BTreeMap<PeerId, Vec<Range<Counter>>>);

impl Waiting {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps operations that wait for others. Returns whether any of them are
    /// new.
    pub fn keep(&mut self, OpRange { peer, counters }: &OpRange) -> bool {
        let kept = self.0.entry(*peer).or_default();
        let touched = kept.partition_point(|kept| kept.end < counters.start)
            ..kept.partition_point(|kept| kept.start <= counters.end);
        let mut whole = counters.clone();
        if let [first, .., last] | [first @ last] = &kept[touched.clone()] {
            if first.start <= counters.start && counters.end <= first.end {
                return false;
            }
            whole = first.start.min(whole.start)..last.end.max(whole.end);
        }
        kept.splice(touched, [whole]);
        true
    }

    /// Takes out the operations of `peer` that follow those below `end` without a
    /// gap, and returns the counter after the last of them.
    pub fn take_following(&mut self, peer: PeerId, end: Counter) -> Counter {
        let Some(kept) = self.0.get_mut(&peer) else {
            return end;
        };
        let reached = kept.partition_point(|kept| kept.start <= end);
        let end = kept
            .drain(..reached)
            .fold(end, |end, kept| end.max(kept.end));
        if kept.is_empty() {
            self.0.remove(&peer);
        }
        end
    }

    /// Follows an import into a document: keeps what it left waiting, and
    /// forgets what it made visible.
    pub fn follow(&mut self, imported: &Imported) {
        for range in &imported.pending {
            self.keep(range);
        }
        if self.is_empty() {
            return;
        }
        for OpRange { peer, counters } in &imported.applied {
            if let Some(kept) = self.0.get_mut(peer) {
                kept.retain(|kept| kept.end > counters.end);
                if kept.is_empty() {
                    self.0.remove(peer);
                }
            }
        }
    }

    /// Returns the parts of `range` that do not wait here.
    pub fn absent_in(&self, OpRange { peer, counters }: &OpRange) -> Vec<OpRange> {
        let kept = self.0.get(peer).map_or(&[][..], Vec::as_slice);
        let mut absent = Vec::new();
        let mut from = counters.start;
        let end = counters.end..counters.end;
        for kept in kept.iter().chain([&end]) {
            let gap = from..kept.start.min(counters.end);
            if !gap.is_empty() {
                absent.push(OpRange {
                    peer: *peer,
                    counters: gap,
                });
            }
            from = from.max(kept.end);
        }
        absent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(counters: Range<Counter>) -> OpRange {
        OpRange { peer: 1, counters }
    }

    proptest! {
        /// Compares what waits with a set of counters, whatever arrives and
        /// becomes visible.
        #[test]
        fn what_waits_is_known_by_each_operation(
            steps in prop::collection::vec((any::<bool>(), 0..40 as Counter, 1..9 as Counter), 0..60),
            asked in (0..40 as Counter, 1..9 as Counter),
        ) {
            let mut waiting = Waiting::default();
            let (mut kept, mut visible) = (BTreeSet::new(), 0);
            for (is_visible, start, len) in steps {
                let mut imported = Imported::default();
                if is_visible {
                    let end = (start + len).max(visible);
                    imported.applied.push(range(visible..end));
                    visible = end;
                } else {
                    let start = start.max(visible);
                    imported.pending.push(range(start..start + len));
                    kept.extend(start..start + len);
                }
                waiting.follow(&imported);
            }
            let asked = asked.0.max(visible)..(asked.0 + asked.1).max(visible);
            let absent: Vec<Counter> = waiting
                .absent_in(&range(asked.clone()))
                .into_iter()
                .flat_map(|range| range.counters)
                .collect();
            let expected: Vec<Counter> = asked.filter(|counter| !kept.contains(counter)).collect();
            prop_assert_eq!(absent, expected);
            if kept.last().is_none_or(|last| *last < visible) {
                prop_assert!(waiting.is_empty(), "{:?}", waiting);
            }
        }
    }
}
