//! The ledger of a room: when each edit was intended and sent, and at which
//! replicas it has become visible.
//!
//! An edit is known by its peer and the counters of its operations, not by a
//! tag in the payload. So it is recognised behind any relay, also one that
//! merges, splits, re-encodes or batches updates.
//!
//! Times are kept until every member that is owed an edit has seen it; the counters
//! of all edits are kept to the end, four bytes each, so that what is missing
//! then can be counted.

use std::collections::VecDeque;
use std::ops::Range;

use syncbench_engines::Counter;

use crate::time::clock::Nanos;

/// The times of one edit, nanoseconds since the start of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The time that the schedule intended.
    pub intended: Nanos,
    /// The time at which making it began.
    pub begun: Nanos,
    /// The time at which it was complete in the writer's replica.
    pub made: Nanos,
    /// The time at which it was handed over to be sent; until then, equal to
    /// `made`.
    pub sent: Nanos,
}

/// An edit that a replica lacks, as a whole or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEdit {
    /// The counters of its operations that the replica lacks.
    pub counters: Range<Counter>,
    /// The time that the schedule intended; `None` if every member that was owed
    /// the edit has seen it.
    pub intended: Option<Nanos>,
}

/// The ledger of one room, whose members are numbered from 0 by slot and whose
/// writers are numbered from 0 as well.
#[derive(Debug)]
pub struct Ledger {
    writers: Vec<Writer>,
    receivers: Vec<Receiver>,
    /// The number of receivers that are present.
    present: u64,
    expected: u64,
    visible: u64,
}

/// Invariant: `ends` ascends; `times` are those of the last edits.
#[derive(Debug)]
struct Writer {
    /// The writer's slot: a writer is not owed its own edits.
    slot: usize,
    /// The counter after the last operation of each edit.
    ends: Vec<Counter>,
    times: VecDeque<Times>,
    /// Operations below this counter have been seen by some other member.
    shown: Counter,
    /// The counter after the last operation of the edits that never left the
    /// writer, if there are any.
    never_sent: Counter,
}

impl Writer {
    fn forgotten(&self) -> usize {
        self.ends.len() - self.times.len()
    }
}

/// The edits that one member is owed and has seen.
#[derive(Debug, Default)]
struct Receiver {
    /// True if the member must receive the edits that are made now.
    present: bool,
    /// The number of edits by each writer that the member has seen or that were
    /// made before it arrived. Empty until it arrives.
    seen: Vec<usize>,
}

impl Ledger {
    /// Creates the empty ledger of a room with `members` members, of which the
    /// slots in `writers` write.
    pub fn new(members: usize, writers: impl IntoIterator<Item = usize>) -> Self {
        let writers = writers.into_iter().map(|slot| Writer {
            slot,
            ends: Vec::new(),
            times: VecDeque::new(),
            shown: 0,
            never_sent: 0,
        });
        Self {
            writers: writers.collect(),
            receivers: (0..members).map(|_| Receiver::default()).collect(),
            present: 0,
            expected: 0,
            visible: 0,
        }
    }

    /// Notes that the member arrives: it is owed edits from now on.
    pub fn arrive(&mut self, slot: usize) {
        let made = self.writers.iter().map(|writer| writer.ends.len());
        let receiver = &mut self.receivers[slot];
        receiver.seen = made.collect();
        receiver.present = true;
        self.present += 1;
    }

    /// Notes that the member leaves for good: it is owed nothing any more.
    pub fn depart(&mut self, slot: usize) {
        self.expected -= self.outstanding(slot);
        if std::mem::take(&mut self.receivers[slot].present) {
            self.present -= 1;
        }
    }

    /// The number of edits that the member is owed and has not seen.
    pub fn outstanding(&self, slot: usize) -> u64 {
        let receiver = &self.receivers[slot];
        if !receiver.present {
            return 0;
        }
        let owed = self.writers.iter().zip(&receiver.seen);
        owed.filter(|(writer, _)| writer.slot != slot)
            .map(|(writer, &seen)| (writer.ends.len() - seen) as u64)
            .sum()
    }

    /// The intended time of the oldest edit that the member still lacks.
    pub fn oldest_outstanding(&self, slot: usize) -> Option<Nanos> {
        let receiver = &self.receivers[slot];
        let owed = self.writers.iter().zip(&receiver.seen);
        owed.filter(|(writer, _)| receiver.present && writer.slot != slot)
            .filter_map(|(writer, &seen)| writer.times.get(seen.checked_sub(writer.forgotten())?))
            .map(|times| times.intended)
            .min()
    }

    /// Notes an edit of `writer`, whose operations follow the last noted ones
    /// and end before `end`.
    pub fn note(&mut self, writer: usize, end: Counter, times: Times) {
        debug_assert!(end > self.sent_up_to(writer));
        let Writer { slot, .. } = self.writers[writer];
        self.expected += self.present - u64::from(self.receivers[slot].present);
        let writer = &mut self.writers[writer];
        writer.ends.push(end);
        writer.times.push_back(times);
    }

    /// Notes that the edits of `writer` after `from` were handed over to be
    /// sent at `at`.
    pub fn hand_over(&mut self, writer: usize, from: Counter, at: Nanos) {
        let Writer { ends, times, .. } = &mut self.writers[writer];
        let latest = ends.iter().rev().zip(times.iter_mut().rev());
        for (_, times) in latest.take_while(|(end, _)| **end > from) {
            times.sent = at;
        }
    }

    /// Notes that the member now shows the operations of `writer` below `end`,
    /// and returns the edits that this made visible. Operations past the last
    /// edit noted are not in any edit and are ignored here; the check of
    /// version vectors at the end finds them.
    pub fn show(
        &mut self,
        slot: usize,
        writer: usize,
        end: Counter,
    ) -> impl Iterator<Item = Times> + '_ {
        let fresh = self.fresh(slot, writer, end);
        let shown = &mut self.writers[writer].shown;
        *shown = end.max(*shown);
        let receiver = &mut self.receivers[slot];
        if !fresh.is_empty() {
            receiver.seen[writer] = fresh.end;
        }
        let writer = &self.writers[writer];
        if receiver.present && slot != writer.slot {
            self.visible += fresh.len() as u64;
        }
        let forgotten = writer.forgotten();
        writer
            .times
            .range(fresh.start - forgotten..fresh.end - forgotten)
            .copied()
    }

    fn fresh(&self, slot: usize, writer: usize, end: Counter) -> Range<usize> {
        let writer_slot = self.writers[writer].slot;
        let Some(&seen) = self.receivers[slot].seen.get(writer) else {
            let forgotten = self.writers[writer].forgotten();
            return forgotten..forgotten;
        };
        let ends = &self.writers[writer].ends;
        let from = seen.max(self.writers[writer].forgotten());
        if slot == writer_slot {
            return from..from;
        }
        let new = ends[from..].iter().take_while(|&&edit| edit <= end);
        from..from + new.count()
    }

    /// Drops the times of edits that every member has seen that is owed them.
    pub fn forget_seen(&mut self) {
        for (index, writer) in self.writers.iter_mut().enumerate() {
            let others = self.receivers.iter().enumerate();
            let owed = others.filter(|(slot, other)| other.present && *slot != writer.slot);
            let seen = owed.filter_map(|(_, other)| other.seen.get(index)).min();
            let all_saw = seen.copied().unwrap_or(writer.ends.len());
            let drop = all_saw.saturating_sub(writer.forgotten());
            writer.times.drain(..drop.min(writer.times.len()));
        }
    }

    /// The counter after the last operation that `writer` made.
    pub fn sent_up_to(&self, writer: usize) -> Counter {
        self.writers[writer].ends.last().copied().unwrap_or(0)
    }

    /// Returns the edits of `writer` that a replica lacks if it has only the
    /// operations below `end`, ascending.
    pub fn missing(
        &self,
        writer: usize,
        end: Counter,
    ) -> impl Iterator<Item = MissingEdit> + use<'_> {
        let writer = &self.writers[writer];
        let first = writer.ends.partition_point(|&edit| edit <= end);
        (first..writer.ends.len()).map(move |edit| {
            let start = edit.checked_sub(1).map_or(0, |before| writer.ends[before]);
            let times = edit.checked_sub(writer.forgotten());
            MissingEdit {
                counters: start.max(end)..writer.ends[edit],
                intended: times.and_then(|times| Some(writer.times.get(times)?.intended)),
            }
        })
    }

    /// The counter after the last operation that `writer` made, including edits
    /// that never left it.
    pub fn made_up_to(&self, writer: usize) -> Counter {
        self.sent_up_to(writer).max(self.writers[writer].never_sent)
    }

    /// Withdraws the edits of a `writer` that has left for good before they left
    /// it: those after `end`, unless another member has seen them. Nobody is owed
    /// them, although they may be on their way all the same. Returns their
    /// number.
    pub fn withdraw(&mut self, writer: usize, end: Counter) -> u64 {
        let end = end.max(self.writers[writer].shown);
        self.writers[writer].never_sent = self.sent_up_to(writer);
        let keep = self.writers[writer]
            .ends
            .partition_point(|&edit| edit <= end);
        let slot = self.writers[writer].slot;
        let mut never_sent = 0;
        for (other, receiver) in self.receivers.iter_mut().enumerate() {
            let Some(seen) = receiver.seen.get_mut(writer) else {
                continue;
            };
            if receiver.present && other != slot {
                let owed = self.writers[writer].ends.len() - (*seen).max(keep);
                self.expected -= owed as u64;
            }
            *seen = (*seen).min(keep);
        }
        let writer = &mut self.writers[writer];
        while writer.ends.len() > keep {
            writer.ends.pop();
            writer.times.pop_back();
            never_sent += 1;
        }
        never_sent
    }

    /// The number of deliveries owed: each edit at each member that was present.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// The number of these deliveries that have become visible.
    pub fn visible(&self) -> u64 {
        self.visible
    }

    /// Returns true if every edit is visible at every member that must receive it.
    pub fn is_complete(&self) -> bool {
        self.visible == self.expected
    }
}

#[cfg(test)]
mod tests;
