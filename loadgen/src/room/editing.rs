//! What the clients of a room do: their edits, and the presence that they show.

use bytes::Bytes;
use syncbench_engines::{EngineError, OpRange};

use super::ended::Call;
use super::present::PresentMember;
use super::{Member, Room};
use crate::room::ledger::Times;
use crate::time::clock::Nanos;

/// The outcome of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditOutcome {
    /// The edit was sent, or will be with those before it.
    Done,
    /// The edit waits, and [`Room::flush`] is due when its batch is.
    BeginsBatch,
}

impl Room {
    /// Lets the member in `slot` make the edit intended for `intended`: into
    /// its replica, and as an update to its socket.
    ///
    /// # Errors
    /// When the engine refuses the edit or cannot export it.
    pub fn edit(&mut self, slot: usize, intended: Nanos) -> Result<EditOutcome, EngineError> {
        let (begun, begun_cpu) = (self.meter.now(), self.meter.thread_cpu());
        let end = self.engine(Call::Edit, |room| match room.members[slot].present_mut() {
            Some(present) => present.edit_next(),
            None => Ok(None),
        })?;
        let (Some(writer), Some(end)) = (self.members[slot].writer, end) else {
            self.note_skipped(slot);
            return Ok(EditOutcome::Done);
        };
        let made = self.meter.now();
        let times = Times {
            intended,
            begun,
            made,
            sent: made,
        };
        self.ledger.note(writer, end, times);
        self.last_edit = made;
        let begins_batch = self.send_or_batch(slot, intended)?;
        let cpu = self.meter.thread_cpu() - begun_cpu;
        if let Some(present) = self.members[slot].present_mut() {
            present.inbox.edit(begun, cpu);
        }
        self.meter.record(|metrics| {
            metrics.sent += 1;
            metrics.generator_lag.record(begun.saturating_sub(intended));
            metrics.edit.record(self.meter.now() - begun);
            metrics.edit_cpu += cpu;
        });
        Ok(match begins_batch {
            true => EditOutcome::BeginsBatch,
            false => EditOutcome::Done,
        })
    }

    /// Counts a scheduled edit that the member did not make.
    fn note_skipped(&self, slot: usize) {
        let present = self.members[slot].present();
        let has_document = present.is_some_and(PresentMember::has_been_live);
        self.meter.record(|metrics| {
            metrics.skipped += 1;
            metrics.skipped_joining += u64::from(!has_document);
        });
    }

    /// Sends the edit that was just made, or lets it wait for its batch.
    /// Returns whether a batch begins with it.
    fn send_or_batch(&mut self, slot: usize, intended: Nanos) -> Result<bool, EngineError> {
        if self.context.scenario.workload.batch.is_zero() {
            self.flush(slot, intended)?;
            return Ok(false);
        }
        let present = self.members[slot].present_mut();
        Ok(present.is_some_and(|present| !std::mem::replace(&mut present.batching, true)))
    }

    /// Lets the member in `slot` make its next edit before its time, where it
    /// does not depend on what may still arrive. So its cost is not taken for
    /// the relay's, and does not hold up others.
    ///
    /// # Errors
    /// When the engine refuses the edit or cannot export it.
    pub fn prepare_edit(&mut self, slot: usize) -> Result<(), EngineError> {
        let begun_cpu = self.meter.thread_cpu();
        let prepared = self.engine(Call::Edit, |room| match room.members[slot].present_mut() {
            Some(present) => present.prepare_edit(),
            None => Ok(false),
        })?;
        if prepared {
            let cpu = self.meter.thread_cpu() - begun_cpu;
            self.meter.record(|metrics| metrics.edit_cpu += cpu);
        }
        Ok(())
    }

    /// Sends the edits that wait in the replica of `slot`, if its queue has
    /// room; otherwise the session asks for them when it has.
    ///
    /// # Errors
    /// When the engine cannot export them.
    pub fn flush(&mut self, slot: usize, intended: Nanos) -> Result<(), EngineError> {
        let Member {
            client,
            writer,
            is_full,
            ..
        } = self.members[slot];
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(());
        };
        present.batching = false;
        let (from, end) = (present.queued_end, present.created_end);
        if !present.may_send() || from == end {
            return Ok(());
        }
        self.call.set(Some(Call::Export));
        let update = present.export(self.context.scenario.workload.edits, end);
        self.call.set(None);
        let update = update?;
        self.meter
            .record(|metrics| metrics.bytes_typed += update.len() as u64);
        let receivers = self.light - usize::from(!is_full);
        if receivers > 0 {
            let range = OpRange {
                peer: self.context.identity.peer_of(client),
                counters: from..end,
            };
            let sent = Bytes::copy_from_slice(&update);
            self.recent.keep(sent, [range].into(), receivers);
        }
        present.queue_update(update, end, intended);
        present.queued_end = end;
        if let Some(writer) = writer {
            self.ledger.hand_over(writer, from, self.meter.now());
        }
        Ok(())
    }

    /// Queues the presence message of the client in `slot`, which consists of the
    /// message's number and of as many more bytes as the scenario asks for.
    pub fn announce_presence(&mut self, slot: usize, intended: Nanos) {
        let now = self.meter.now();
        let member = &mut self.members[slot];
        let is_live = member.is_live();
        let Some(present) = member.present_mut().filter(|_| is_live) else {
            self.meter.record(|metrics| metrics.presence_skipped += 1);
            return;
        };
        let number = u64::from(self.presences.send(slot, intended, now));
        let bytes = self.context.scenario.presence_bytes().unwrap_or(0);
        let mut state = number.to_le_bytes().to_vec();
        state.resize((bytes as usize).max(state.len()), 0);
        let key = present.doc.peer().to_string();
        if let Some(frame) = present.protocol.presence(&key, &state) {
            present.queue_frame(frame);
        }
        self.meter.record(|metrics| metrics.presence_sent += 1);
    }
}
