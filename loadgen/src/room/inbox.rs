//! What has reached a client and is not yet in its document.
//!
//! In production each client imports on a machine of its own; here, clients
//! share worker threads. An update therefore has two times at which it becomes
//! visible: the one at which this process imported it, and the one at which a
//! client with a core to itself would have.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::time::clock::Nanos;

/// An update that has reached the client.
#[derive(Clone)]
pub(super) struct Arrival {
    /// The update.
    pub update: Bytes,
    /// When it reached this machine, by the run's clock.
    pub at: Nanos,
}

/// The updates that a client has received and not yet imported, in order, and
/// the client's own core.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: VecDeque<Arrival>,
    /// The client's edits since the first of them arrived: when each began, and
    /// the time that it took.
    edits: VecDeque<(Nanos, Nanos)>,
    /// The time from which the client's core would be free.
    free_from: Nanos,
}

/// When a client with a core to itself would work on something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnTime {
    /// The time at which it would begin.
    pub begun: Nanos,
    /// The time at which it would be done.
    pub done: Nanos,
}

impl Inbox {
    /// Keeps an update for later.
    pub fn push(&mut self, arrival: Arrival) {
        self.waiting.push_back(arrival);
    }

    /// Takes the update that came first.
    pub fn pop(&mut self) -> Option<Arrival> {
        self.waiting.pop_front()
    }

    /// Whether no update waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Notes an edit that began at `at` and took the time `cpu`. It holds up the
    /// imports of what arrives after it, and not of what waits here already.
    pub fn edit(&mut self, at: Nanos, cpu: Nanos) {
        match self.waiting.is_empty() {
            true => drop(self.work(at, cpu)),
            false => self.edits.push_back((at, cpu)),
        }
    }

    /// Returns when the client's own core would import an update that arrived at
    /// `arrived`, which takes the time `cpu`. Call it in the order of arrival.
    pub fn import(&mut self, arrived: Nanos, cpu: Nanos) -> OwnTime {
        while let Some(&(at, edit_cpu)) = self.edits.front()
            && at <= arrived.max(self.free_from)
        {
            self.edits.pop_front();
            self.work(at, edit_cpu);
        }
        self.work(arrived, cpu)
    }

    /// Does one thing after the other.
    fn work(&mut self, ready: Nanos, cpu: Nanos) -> OwnTime {
        let begun = ready.max(self.free_from);
        self.free_from = begun + cpu;
        OwnTime {
            begun,
            done: self.free_from,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn work_waits_for_the_client_alone() {
        let mut inbox = Inbox::default();
        let times = [(10, 5), (11, 5), (100, 1)].map(|(at, cpu)| inbox.import(at, cpu));
        let times = times.map(|time| (time.begun, time.done));
        assert_eq!(times, [(10, 15), (15, 20), (100, 101)]);
    }

    #[test]
    fn an_edit_holds_up_what_arrives_after_it_alone() {
        let mut inbox = Inbox::default();
        for at in [10, 1_000] {
            let update = Bytes::new();
            inbox.push(Arrival { update, at });
        }
        // This process is late: it imports what arrived at 10 after the edit.
        inbox.edit(999, 50);
        let first = inbox.pop().map(|arrival| inbox.import(arrival.at, 5));
        assert_eq!(first.map(|own| own.done), Some(15));
        let second = inbox.pop().map(|arrival| inbox.import(arrival.at, 5));
        assert_eq!(second.map(|own| own.begun), Some(1_049));
    }

    proptest! {
        /// A core of its own never takes longer than a thread that is shared:
        /// whatever the thread does in between only delays it.
        #[test]
        fn a_core_of_its_own_is_never_later_than_a_shared_one(
            jobs in prop::collection::vec((0..100u64, 0..50u64, 0..50u64), 0..40),
        ) {
            let mut inbox = Inbox::default();
            let (mut arrived, mut thread) = (0, 0);
            for (gap, cpu, others) in jobs {
                arrived += gap;
                let begun = arrived.max(thread) + others;
                thread = begun + cpu;
                let own = inbox.import(arrived, cpu);
                prop_assert!(arrived <= own.begun && own.begun <= begun);
                prop_assert!(own.done <= thread);
                prop_assert_eq!(own.done - own.begun, cpu);
            }
        }
    }
}
