//! The imports of a room: which edits became visible by them, and when.

use bytes::Bytes;
use syncbench_engines::{EngineError, Imported};

use super::delivery::Delivery;
use super::ended::Call;
use super::inbox::{Arrival, OwnTime};
use super::{Member, Origin, Room};
use crate::room::replica::ClientDoc;
use crate::time::clock::Nanos;

impl Room {
    /// Imports the update that the member in `slot` received first of those that
    /// wait. Returns whether there was one.
    pub fn import_next(&mut self, slot: usize) -> bool {
        let present = self.members[slot].present_mut();
        let Some(arrival) = present.and_then(|present| present.inbox.pop()) else {
            return false;
        };
        self.import(slot, &arrival);
        true
    }

    /// Imports an update and notes which edits became visible.
    pub(super) fn import(&mut self, slot: usize, arrival: &Arrival) {
        let is_full = self.members[slot].is_full;
        let (begun, begun_cpu) = (self.meter.now(), self.import_cpu(is_full));
        let import = Call::Import(arrival.update.clone());
        let imported = self.engine(import, |room| room.take_update(slot, &arrival.update));
        let (done, done_cpu) = (self.meter.now(), self.import_cpu(is_full));
        let cpu = match is_full {
            true => done_cpu - begun_cpu,
            false => done - begun,
        };
        self.meter.record(|metrics| {
            metrics.import.record(done - begun);
            metrics.import_cpu += done_cpu - begun_cpu;
            if imported.is_err() {
                metrics.corrupt += 1;
                metrics.error("import");
            }
        });
        let Some(own) = self.own_time(slot, arrival.at, cpu) else {
            return;
        };
        let Ok(imported) = imported else {
            return;
        };
        self.note_unexpected(slot, &arrival.update, &imported);
        let delivery = Delivery {
            slot,
            arrived: arrival.at,
            own,
            done,
        };
        for range in &imported.applied {
            self.note_visible(delivery, range);
        }
        self.check_caught_up(slot);
    }

    /// The CPU time of the thread, where an import is worth asking for it: it is
    /// a system call, which would be most of what a version-only replica costs.
    fn import_cpu(&self, is_full: bool) -> Nanos {
        match is_full {
            true => self.meter.thread_cpu(),
            false => 0,
        }
    }

    fn own_time(&mut self, slot: usize, arrived: Nanos, cpu: Nanos) -> Option<OwnTime> {
        let present = self.members[slot].present_mut()?;
        Some(present.inbox.import(arrived, cpu))
    }

    /// Counts an update that brought nothing new, or that holds operations from
    /// outside of the room: of another room of this run, or of strangers.
    fn note_unexpected(&mut self, slot: usize, update: &Bytes, imported: &Imported) {
        let is_known = imported.applied.is_empty() && imported.pending.is_empty();
        let is_duplicate = is_known && self.members[slot].is_live() && !self.is_empty(update);
        let (mut is_leaked, mut is_foreign) = (false, false);
        for range in imported.pending.iter().chain(&imported.applied) {
            match self.origin_of(range) {
                Origin::Room => {}
                Origin::OtherRoom => is_leaked = true,
                Origin::Stranger => {
                    is_foreign = true;
                    self.strangers.advance(range.peer, range.counters.end);
                }
            }
        }
        self.meter.record(|metrics| {
            metrics.duplicated += u64::from(is_duplicate);
            metrics.leaked += u64::from(is_leaked);
            metrics.foreign += u64::from(is_foreign);
        });
    }

    /// Returns true for an update without operations, such as some relays send to a
    /// client that lacks none.
    fn is_empty(&self, update: &Bytes) -> bool {
        let ranges = self.context.engine.ranges_of(update);
        ranges.is_ok_and(|ranges| ranges.is_empty())
    }

    fn take_update(&mut self, slot: usize, update: &Bytes) -> Result<Imported, EngineError> {
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(Imported::default());
        };
        match &mut present.doc {
            ClientDoc::Full(replica) => replica.import(update),
            ClientDoc::VersionOnly(light) => {
                let receivers = self.light.saturating_sub(1);
                let ranges = self
                    .recent
                    .ranges_of(update, receivers, self.context.engine)?;
                light.keep(update);
                Ok(light.receive(&ranges))
            }
        }
    }

    /// Opens the documents of the light replicas that are compared as such.
    pub fn open_documents(&mut self) {
        let call = &self.call;
        let importing =
            |update: &[u8]| call.set(Some(Call::Import(Bytes::copy_from_slice(update))));
        let members = self.members.iter_mut();
        let present = members.filter_map(Member::present_mut);
        let damaged: u64 = present
            .map(|present| match &mut present.doc {
                ClientDoc::VersionOnly(light) => light.open_document(importing),
                ClientDoc::Full(_) => 0,
            })
            .sum();
        self.call.set(None);
        self.meter.record(|metrics| {
            metrics.corrupt += damaged;
            (0..damaged).for_each(|_| metrics.error("import"));
        });
    }
}
