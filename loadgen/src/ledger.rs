//! The ledger of a room: which edit was intended and sent when, and where it
//! has become visible.
//!
//! An edit is known by its peer and the counters of its operations, not by a
//! tag in the payload. So it is recognised behind any relay, also one that
//! merges, splits, re-encodes or batches updates.

use std::ops::Range;

use syncbench_engines::Counter;

use crate::clock::Nanos;

/// When one edit happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Counter after the edit's last operation.
    pub end: Counter,
    /// When the schedule said it happens.
    pub intended: Nanos,
    /// When it was handed to the socket.
    pub sent: Nanos,
}

/// The ledger of one room, whose members are numbered from 0 by slot.
///
/// Invariant: `entries[w]` ascends by `end`, and for each receiver `r` the
/// first `seen[r][w]` of them are visible at `r`.
#[derive(Debug)]
pub struct Ledger {
    entries: Vec<Vec<Entry>>,
    seen: Vec<Vec<usize>>,
    expected: u64,
    visible: u64,
}

impl Ledger {
    /// The empty ledger of a room with `members` replicas.
    pub fn new(members: usize) -> Self {
        Self {
            entries: vec![Vec::new(); members],
            seen: vec![vec![0; members]; members],
            expected: 0,
            visible: 0,
        }
    }

    /// Notes an edit of `writer`. Its operations follow the last noted ones.
    pub fn note(&mut self, writer: usize, entry: Entry) {
        debug_assert!(entry.end > self.sent_up_to(writer));
        self.entries[writer].push(entry);
        self.expected += self.entries.len() as u64 - 1;
    }

    /// Notes that `receiver` now shows the operations of `writer` below `end`,
    /// and returns the edits that this made visible. Operations past the last
    /// edit noted are not in any edit and are ignored here; the check of
    /// version vectors at the end finds them.
    pub fn show(&mut self, receiver: usize, writer: usize, end: Counter) -> &[Entry] {
        let fresh = self.fresh(receiver, writer, end);
        if receiver != writer {
            self.visible += fresh.len() as u64;
        }
        self.seen[receiver][writer] = fresh.end;
        &self.entries[writer][fresh]
    }

    fn fresh(&self, receiver: usize, writer: usize, end: Counter) -> Range<usize> {
        let from = self.seen[receiver][writer];
        let new = self.entries[writer][from..]
            .iter()
            .take_while(|entry| entry.end <= end)
            .count();
        from..from + new
    }

    /// Counter after the last operation that `writer` made.
    pub fn sent_up_to(&self, writer: usize) -> Counter {
        self.entries[writer].last().map_or(0, |entry| entry.end)
    }

    /// Edits of `writer` that a replica lacks which has only its operations
    /// below `end`.
    pub fn lacking(&self, writer: usize, end: Counter) -> u64 {
        let edits = &self.entries[writer];
        (edits.len() - edits.partition_point(|edit| edit.end <= end)) as u64
    }

    /// Edits times other replicas: what ought to become visible.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// What has become visible at other replicas.
    pub fn visible(&self) -> u64 {
        self.visible
    }

    /// Whether every edit is visible everywhere.
    pub fn is_complete(&self) -> bool {
        self.visible == self.expected
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(end: Counter) -> Entry {
        Entry {
            end,
            intended: u64::from(end),
            sent: u64::from(end) + 1,
        }
    }

    #[test]
    fn an_edit_is_visible_only_when_its_last_operation_is() {
        let mut ledger = Ledger::new(2);
        ledger.note(0, entry(5));
        ledger.note(0, entry(9));
        assert!(ledger.show(1, 0, 4).is_empty());
        assert_eq!(ledger.show(1, 0, 8), [entry(5)]);
        assert_eq!(ledger.lacking(0, 8), 1);
        assert_eq!(ledger.show(1, 0, 9), [entry(9)]);
        assert!(ledger.is_complete());
    }

    #[test]
    fn the_same_operations_shown_again_make_nothing_visible() {
        let mut ledger = Ledger::new(3);
        ledger.note(0, entry(1));
        assert_eq!(ledger.show(1, 0, 1).len(), 1);
        assert!(ledger.show(1, 0, 1).is_empty());
        assert_eq!((ledger.expected(), ledger.visible()), (2, 1));
        assert!(!ledger.is_complete());
    }

    proptest! {
        /// Against the obvious model: a set of (receiver, writer, edit).
        #[test]
        fn agrees_with_a_set_of_deliveries(
            members in 2usize..5,
            steps in prop::collection::vec((any::<bool>(), 0usize..5, 0usize..5, 1u32..6), 1..200),
        ) {
            let mut ledger = Ledger::new(members);
            let mut edits: Vec<Vec<Counter>> = vec![vec![]; members];
            let mut delivered = std::collections::BTreeSet::new();
            for (is_edit, a, b, amount) in steps {
                let (writer, receiver) = (a % members, b % members);
                let end = edits[writer].last().copied().unwrap_or(0) + amount;
                if is_edit {
                    edits[writer].push(end);
                    ledger.note(writer, entry(end));
                } else if writer != receiver {
                    let upto = end.saturating_sub(3);
                    let fresh: Vec<_> =
                        ledger.show(receiver, writer, upto).iter().map(|e| e.end).collect();
                    let model: Vec<_> = edits[writer].iter().copied()
                        .filter(|&e| e <= upto && delivered.insert((receiver, writer, e)))
                        .collect();
                    prop_assert_eq!(fresh, model);
                }
            }
            let sent: usize = edits.iter().map(Vec::len).sum();
            prop_assert_eq!(ledger.expected(), (sent * (members - 1)) as u64);
            prop_assert_eq!(ledger.visible(), delivered.len() as u64);
        }
    }
}
