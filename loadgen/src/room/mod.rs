//! One room: its replicas, what they type, and the ledger of it all.
//!
//! A room lives in one worker thread, so nothing here is shared or locked.

mod context;
pub mod convergence;
mod delivery;
pub mod editor;
mod ended;
mod inbox;
pub mod initial_document;
pub mod ledger;
mod member;
pub mod meter;
mod origin;
mod presence;
mod present;
mod recent;
pub mod replica;
pub mod rooms;
pub(crate) mod typist;
pub mod waiting;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use syncbench_engines::{Counter, EngineError, Imported, OpRange, PeerId, VersionVector};
use tokio::sync::Notify;

use crate::plan::RoomIndex;
use crate::protocol::{Event, Frame, JoinMode, ProtocolError};
use crate::room::ledger::{Ledger, Times};
use crate::room::replica::ClientDoc;
use crate::time::clock::Nanos;

pub use context::{InitialDocument, RoomContext};
use delivery::Delivery;
use ended::Call;
pub use ended::EndedRoom;
use inbox::{Arrival, OwnTime};
pub use member::Member;
use meter::Meter;
pub use origin::Origin;
use presence::Presences;
pub use present::MemberState;
use present::PresentMember;
use recent::Recent;

/// The index of a room among those of its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalRoom(pub usize);

/// The place of a client in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRef {
    /// The client's room.
    pub room: LocalRoom,
    /// The client's position among the members of the room.
    pub slot: usize,
}

/// One room of a run.
pub struct Room {
    /// The room's number in the run.
    pub index: RoomIndex,
    /// Its clients by slot: the initial ones and all who arrive later.
    pub members: Vec<Member>,
    /// The edits, and the replicas at which they are visible.
    pub ledger: Ledger,
    /// The presence messages, and where they have arrived.
    presences: Presences,
    context: Rc<RoomContext>,
    meter: Rc<Meter>,
    /// The index of its size among the scenario's room classes.
    class: usize,
    slots: HashMap<PeerId, usize>,
    /// For each stranger, the counter after its last operation seen.
    strangers: VersionVector,
    recent: Recent,
    /// The number of version-only replicas among all members.
    light: usize,
    last_edit: Nanos,
    last_delivery: Nanos,
    /// What the engine is doing.
    call: Cell<Option<Call>>,
    ended: Option<EndedRoom>,
    /// Notified when the room ends before the run.
    over: Rc<Notify>,
}

impl Room {
    /// Creates room `index` of a run, with nobody present yet.
    pub fn new(context: &Rc<RoomContext>, meter: &Rc<Meter>, index: RoomIndex) -> Self {
        let planned = context.plan.room(index);
        let mut writers = Vec::new();
        let mut members = Vec::new();
        for (slot, &client) in planned.clients.iter().enumerate() {
            let plan = context.plan.client(client);
            let writer = plan.writes.then_some(writers.len());
            writers.extend(plan.writes.then_some(slot));
            members.push(Member::new(client, plan, writer));
        }
        let clients = planned.clients.iter().enumerate();
        let has_presence = context.scenario.presence_bytes().is_some();
        Self {
            index,
            presences: Presences::new(if has_presence { members.len() } else { 0 }),
            slots: clients
                .map(|(slot, &client)| (context.identity.peer_of(client), slot))
                .collect(),
            ledger: Ledger::new(members.len(), writers),
            light: members.iter().filter(|member| !member.is_full).count(),
            members,
            context: Rc::clone(context),
            meter: Rc::clone(meter),
            class: planned.class,
            strangers: VersionVector::new(),
            recent: Recent::default(),
            last_edit: 0,
            last_delivery: 0,
            call: Cell::new(None),
            ended: None,
            over: Rc::default(),
        }
    }

    /// The room's name, as in its URL.
    pub fn name(&self) -> String {
        self.context.identity.room_name(self.index)
    }

    /// The version of the document that the room contained before the first
    /// edit.
    pub fn initial_version(&self) -> VersionVector {
        let document = self.context.initial_document.as_ref();
        document
            .map(|document| document.version.clone())
            .unwrap_or_default()
    }

    /// The time from the last edit until its last delivery, once everything is
    /// visible.
    pub fn convergence_time(&self) -> Option<Nanos> {
        let complete = self.ledger.is_complete() && self.last_edit > 0;
        complete.then(|| self.last_delivery.saturating_sub(self.last_edit))
    }

    /// Lets the client in `slot` arrive, which was planned for the time
    /// `planned`. From now on edits are owed to it.
    ///
    /// # Errors
    /// When the engine refuses the document that the client starts from.
    pub fn arrive(&mut self, slot: usize, planned: Nanos) -> Result<(), EngineError> {
        self.ledger.arrive(slot);
        self.engine(Call::Open, |room| {
            room.members[slot].arrive(&room.context, &room.meter, planned)
        })
    }

    /// Lets the client in `slot` leave for good. Edits that it could not send
    /// are nobody's loss but its own.
    pub fn depart(&mut self, slot: usize) {
        let member = &mut self.members[slot];
        if let (Some(writer), Some(present)) = (member.writer, member.present()) {
            let never_sent = self.ledger.withdraw(writer, present.handed_over());
            self.meter
                .record(|metrics| metrics.never_sent += never_sent);
        }
        member.depart();
        self.ledger.depart(slot);
        self.presences.leave(slot);
    }

    /// Begins the session of the client in `slot`, whose connection is open.
    ///
    /// # Errors
    /// When the engine cannot export.
    pub fn begin_session(&mut self, slot: usize) -> Result<(), EngineError> {
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(());
        };
        let mut frames = Vec::new();
        let version = present.doc.version_vector();
        let version = self.context.engine.encode_version(&version);
        let mode = present.protocol.open(version, &mut frames);
        present.begin_session(frames);
        match mode {
            JoinMode::Joining => Ok(()),
            JoinMode::Joined => self.joined(slot, None),
        }
    }

    /// Notes that the relay has let the client in and has the operations of
    /// `version`: `None` where relays of the protocol remember nothing.
    fn joined(&mut self, slot: usize, version: Option<VersionVector>) -> Result<(), EngineError> {
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(());
        };
        present.await_version(version.clone().unwrap_or_default());
        if let Some(version) = version {
            self.engine(Call::Export, |room| room.push_missing(slot, &version))?;
        }
        self.members[slot].wake.notify_one();
        self.check_caught_up(slot);
        Ok(())
    }

    /// Sends the operations that the client has and the relay lacks.
    fn push_missing(&mut self, slot: usize, version: &VersionVector) -> Result<(), EngineError> {
        let now = self.meter.now();
        let Member { client, writer, .. } = self.members[slot];
        let Some(present) = self.members[slot].present_mut() else {
            return Ok(());
        };
        present.confirm(version.get(self.context.identity.peer_of(client)));
        let (from, end) = (present.queued_end, present.created_end);
        if let Some(update) = present.doc.export_missing(version)? {
            present.queue_update(update, end, now);
        }
        present.queued_end = end;
        if let Some(writer) = writer {
            self.ledger.hand_over(writer, from, self.meter.now());
        }
        Ok(())
    }

    fn check_caught_up(&mut self, slot: usize) {
        let member = &mut self.members[slot];
        if member.present().is_some_and(PresentMember::has_caught_up) {
            member.caught_up(self.meter.now());
            self.presences.join(slot);
        }
    }

    /// Notes that the connection of the client in `slot` is gone.
    pub fn disconnected(&mut self, slot: usize, now: Nanos) {
        self.members[slot].disconnected(now);
        self.presences.leave(slot);
    }

    /// The number of deliveries, of edits and of presence.
    fn deliveries(&self) -> u64 {
        self.ledger.visible() + self.presences.visible()
    }

    /// Whether everything has arrived that is owed to a member.
    fn is_complete(&self) -> bool {
        self.ledger.is_complete() && self.presences.is_complete()
    }

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
        let Some(present) = self.members[slot].present_mut() else {
            return received;
        };
        let bytes = frame.len() as u64;
        let mut events = std::mem::take(&mut present.events);
        let read = present.protocol.receive(frame, &mut events);
        self.meter.record(|metrics| {
            metrics.frames_in += 1;
            metrics.bytes_in += bytes;
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
    fn import(&mut self, slot: usize, arrival: &Arrival) {
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
                Ok(light.receive(&ranges))
            }
        }
    }

    fn peer_of(&self, member: &Member) -> PeerId {
        self.context.identity.peer_of(member.client)
    }

    /// The operations of the room's edits, by writer: its slot, its peer and
    /// the counter after the last of them.
    pub fn edited(&self) -> impl Iterator<Item = (usize, PeerId, Counter)> + '_ {
        let members = self.members.iter().enumerate();
        members.filter_map(|(slot, member)| {
            let end = self.ledger.sent_up_to(member.writer?);
            Some((slot, self.peer_of(member), end))
        })
    }

    /// The operations of the room's edits, also of those that never left their
    /// writer: a relay may have these or not.
    pub fn created(&self) -> impl Iterator<Item = (PeerId, Counter)> + '_ {
        self.members.iter().filter_map(|member| {
            let end = self.ledger.made_up_to(member.writer?);
            Some((self.peer_of(member), end))
        })
    }
}

/// The outcome of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditOutcome {
    /// The edit was sent, or will be with those before it.
    Done,
    /// The edit waits, and [`Room::flush`] is due when its batch is.
    BeginsBatch,
}

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
