//! The presence messages of a room, and where they have arrived.
//!
//! They are counted by a ledger of their own, as edits are: every member is a
//! writer, and a message is an edit of one operation. A message is visible to a
//! member when it, or a later one of the same user, has arrived: a relay may leave
//! out what is out of date. Relays do not keep presence, so that a member is owed
//! messages only while it is live.

use syncbench_engines::Counter;

use super::ledger::{Ledger, Times};
use crate::time::clock::Nanos;

/// The presence messages of one room.
#[derive(Debug)]
pub struct Presences {
    /// Empty, unless the scenario has presence.
    ledger: Ledger,
    /// The number of messages that each member has sent, by slot.
    sent: Vec<Counter>,
    /// Whether each member is owed messages, by slot.
    live: Vec<bool>,
}

impl Presences {
    /// Creates the presence of a room with this number of members; of none, where
    /// the scenario has no presence.
    pub fn new(members: usize) -> Self {
        Self {
            ledger: Ledger::new(members, 0..members),
            sent: vec![0; members],
            live: vec![false; members],
        }
    }

    /// Notes that the member is live: it is owed messages from now on.
    pub fn join(&mut self, slot: usize) {
        let live = self.live.get_mut(slot);
        if live.is_some_and(|live| !std::mem::replace(live, true)) {
            self.ledger.arrive(slot);
        }
    }

    /// Notes that the member has lost its connection. It is owed nothing, and
    /// others are not owed messages of it that none of them has seen.
    pub fn leave(&mut self, slot: usize) {
        let live = self.live.get_mut(slot);
        if live.is_some_and(|live| std::mem::replace(live, false)) {
            self.ledger.depart(slot);
            self.ledger.withdraw(slot, 0);
        }
    }

    /// Notes that the member sends its next message, which was intended for
    /// `intended`. Returns the message's number, from 1.
    pub fn send(&mut self, slot: usize, intended: Nanos, now: Nanos) -> Counter {
        self.sent[slot] += 1;
        let times = Times {
            intended,
            begun: now,
            made: now,
            sent: now,
        };
        self.ledger.note(slot, self.sent[slot], times);
        self.sent[slot]
    }

    /// Notes that a message of `sender` has arrived at the member in `slot`.
    /// Returns the intended times of the messages that are visible to it now. A
    /// message that was never sent, such as one that a relay kept from an earlier
    /// run, shows nothing.
    pub fn show(&mut self, slot: usize, sender: usize, number: u64) -> Vec<Nanos> {
        let is_live = self.live.get(slot).is_some_and(|live| *live);
        match Counter::try_from(number) {
            Ok(number) if is_live && number <= self.sent[sender] => {
                let shown = self.ledger.show(slot, sender, number);
                shown.map(|times| times.intended).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The number of deliveries owed: each message at each other live member.
    pub fn expected(&self) -> u64 {
        self.ledger.expected()
    }

    /// The number of these deliveries that have been made.
    pub fn visible(&self) -> u64 {
        self.ledger.visible()
    }

    /// Whether all of them have been made.
    pub fn is_complete(&self) -> bool {
        self.ledger.is_complete()
    }

    /// Drops the times of messages that every member has seen that is owed them.
    pub fn forget_seen(&mut self) {
        self.ledger.forget_seen();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [Nanos; 0] = [];

    /// Three members, of which two are live, and two messages of the first.
    fn presences() -> Presences {
        let mut presences = Presences::new(3);
        presences.join(0);
        presences.join(1);
        assert_eq!(presences.send(0, 10, 11), 1);
        assert_eq!(presences.send(0, 20, 21), 2);
        presences
    }

    #[test]
    fn messages_are_owed_to_live_members_and_counted_once() {
        let mut presences = presences();
        assert_eq!(presences.expected(), 2);
        assert_eq!(presences.show(1, 0, 1), [10]);
        assert_eq!(presences.show(1, 0, 1), NOTHING, "a duplicate");
        assert_eq!(presences.show(0, 0, 2), NOTHING, "an echo");
        assert_eq!(presences.show(2, 0, 2), NOTHING, "it is not live");
        assert!(!presences.is_complete());
        assert_eq!(presences.show(1, 0, 2), [20]);
        assert_eq!((presences.visible(), presences.is_complete()), (2, true));
    }

    #[test]
    fn a_later_message_stands_for_those_before_it() {
        let mut presences = presences();
        for never_sent in [3, u64::MAX] {
            assert_eq!(presences.show(1, 0, never_sent), NOTHING);
        }
        assert_eq!(presences.show(1, 0, 2), [10, 20]);
        assert!(presences.is_complete());
    }

    #[test]
    fn who_is_away_is_owed_nothing_and_owes_nothing() {
        let mut presences = presences();
        presences.leave(1);
        presences.leave(1);
        assert_eq!((presences.expected(), presences.is_complete()), (0, true));
        presences.join(1);
        assert_eq!(presences.send(0, 30, 31), 3);
        assert_eq!(presences.expected(), 1, "only what was sent since");
        // The sender's connection breaks before the message has left.
        presences.leave(0);
        assert_eq!((presences.expected(), presences.is_complete()), (0, true));
        presences.join(0);
        assert_eq!(presences.send(0, 40, 41), 4);
        assert_eq!(presences.show(1, 0, 3), NOTHING, "it had left all the same");
        assert_eq!(presences.show(1, 0, 4), [40]);
        assert_eq!((presences.visible(), presences.is_complete()), (1, true));
    }

    #[test]
    fn a_room_without_presence_owes_nothing() {
        let mut presences = Presences::new(0);
        presences.join(0);
        presences.leave(0);
        assert_eq!(presences.show(0, 0, 1), NOTHING);
        assert!(presences.is_complete());
    }
}
