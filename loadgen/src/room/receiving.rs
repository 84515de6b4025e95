//! What reaches the clients of a room: read at once, imported later.

use super::Room;
use super::inbox::Arrival;
use crate::protocol::{Event, Frame, ProtocolError};
use crate::room::replica::ClientDoc;
use crate::time::clock::Nanos;

/// The consequences of a message for the client's session.
#[derive(Debug, Default)]
pub struct Received {
    /// The reason why the session cannot continue.
    pub ended: Option<String>,
    /// The relay's reason for rejecting an update.
    pub rejected: Option<String>,
    /// Why the relay refused a presence message.
    pub presence_refused: Option<String>,
    /// The number of updates that wait to be imported.
    pub to_import: usize,
    /// The message, if it is not of the protocol.
    pub unexpected: Option<Frame>,
}

impl Room {
    /// Takes the presence that the user called `key` shows to the member in
    /// `slot`. That of strangers does not count.
    fn take_presence(&mut self, (slot, at): (usize, Nanos), key: &str, state: &[u8]) {
        let sender = key.parse().ok().and_then(|peer| self.slots.get(&peer));
        let (Some(&sender), Some(number)) = (sender, state.first_chunk()) else {
            return;
        };
        let shown = self
            .presences
            .show(slot, sender, u64::from_le_bytes(*number));
        self.meter.record(|metrics| {
            metrics.presence_visible += shown.len() as u64;
            for intended in shown {
                metrics.presence.record(at.saturating_sub(intended));
            }
        });
    }

    /// Takes a message that reached the member in `slot`. A document imports it
    /// later ([`import_next`](Self::import_next)), as an import takes so long
    /// that what else is due or arrives would wait for it.
    pub fn receive(&mut self, slot: usize, frame: Frame) -> Received {
        let mut received = Received::default();
        let arrived = self
            .meter
            .clock()
            .relative(self.members[slot].arrival.get());
        let arrived = arrived.min(self.meter.now());
        let is_live = self.members[slot].is_live();
        let Some(present) = self.members[slot].present_mut() else {
            return received;
        };
        let bytes = frame.len() as u64;
        let mut events = std::mem::take(&mut present.events);
        let read = present.protocol.receive(frame, &mut events);
        self.meter.record(|metrics| {
            metrics.frames_in += 1;
            metrics.bytes_in += bytes;
            metrics.bytes_joining += if is_live { 0 } else { bytes };
        });
        if let Err(error) = read {
            self.note_unreadable(error, &mut received);
        }
        for event in events.drain(..) {
            self.take_event(slot, event, arrived, &mut received);
        }
        if let Some(present) = self.members[slot].present_mut() {
            present.events = events;
        }
        received
    }

    /// Counts a frame that the protocol could not read. Whether one that is not
    /// of the protocol did any harm shows when the rooms are checked: then an edit
    /// is missing.
    fn note_unreadable(&self, error: ProtocolError, received: &mut Received) {
        self.meter.record(|metrics| match &error {
            ProtocolError::Damaged { .. } => {
                metrics.corrupt += 1;
                metrics.error("protocol");
            }
            ProtocolError::Unexpected { .. } => metrics.unexpected_frames += 1,
        });
        if let ProtocolError::Unexpected { frame, .. } = error {
            received.unexpected = Some(frame);
        }
    }

    fn take_event(&mut self, slot: usize, event: Event, at: Nanos, received: &mut Received) {
        let Some(present) = self.members[slot].present_mut() else {
            return;
        };
        match event {
            Event::Update(update) => {
                let arrival = Arrival { update, at };
                match &present.doc {
                    ClientDoc::Full(_) => {
                        present.inbox.push(arrival);
                        received.to_import += 1;
                    }
                    ClientDoc::VersionOnly(_) => self.import(slot, &arrival),
                }
            }
            Event::Joined { version } => self.let_in(slot, &version, received),
            Event::Acknowledged(id) => present.acknowledged(id, at),
            Event::Rejected { id, reason } => {
                present.rejected(id);
                received.rejected.get_or_insert(reason);
            }
            Event::Refused(reason) => {
                let reason = format!("the relay refused the join: {reason}");
                self.end_session("refused", reason, received);
            }
            Event::Evicted(reason) => {
                let reason = format!("the relay evicted the client: {reason}");
                self.end_session("evicted", reason, received);
            }
            Event::Presence { key, state } => self.take_presence((slot, at), &key, &state),
            Event::PresenceJoined => {
                present.join_presence();
                self.check_caught_up(slot);
            }
            // Nobody misses what the scenario does not have.
            Event::PresenceRefused(reason) if present.needs_presence() => {
                let reason = format!("the relay refused presence: {reason}");
                self.end_session("presence refused", reason, received);
            }
            Event::PresenceRefused(_) => {}
            Event::PresenceRejected(reason) => {
                self.meter.record(|metrics| metrics.presence_refused += 1);
                received.presence_refused.get_or_insert(reason);
            }
            Event::Answer(frame) => present.queue_first(frame),
            Event::Alive => {}
        }
    }

    /// Takes the version that the relay named when it let the client in.
    fn let_in(&mut self, slot: usize, version: &[u8], received: &mut Received) {
        let joined = match self.context.engine.decode_version(version) {
            Ok(version) if self.is_taken(slot, &version) => {
                return self.end_session("reused run id", self.taken(slot), received);
            }
            Ok(version) => self.joined(slot, Some(version)),
            Err(error) => Err(error),
        };
        if let Err(error) = joined {
            let reason = format!("the relay's version cannot be used: {error}");
            self.end_session("protocol", reason, received);
        }
    }

    fn end_session(&self, kind: &str, reason: String, received: &mut Received) {
        self.meter.record(|metrics| metrics.error(kind));
        received.ended = Some(reason);
    }
}
