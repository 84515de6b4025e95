//! One room: its replicas, what they type, and the ledger of it all.
//!
//! A room lives in one worker thread, so nothing here is shared or locked.

mod context;
pub mod convergence;
mod delivery;
pub mod editor;
pub mod initial_document;
pub mod ledger;
mod member;
pub mod meter;
mod present;
mod recent;
pub mod replica;
pub mod rooms;
mod typist;
pub mod waiting;

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use syncbench_engines::{Counter, EngineError, Imported, OpRange, PeerId, VersionVector};

use crate::plan::{ClientId, RoomIndex};
use crate::protocol::{Event, Frame, JoinMode, ProtocolError};
use crate::room::ledger::{Ledger, Times};
use crate::room::replica::ClientDoc;
use crate::time::clock::{Nanos, thread_cpu};

pub use context::{InitialDocument, RoomContext};
use delivery::Delivery;
pub use member::Member;
use meter::Meter;
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
    /// What was edited, and where it is visible.
    pub ledger: Ledger,
    context: Rc<RoomContext>,
    meter: Rc<Meter>,
    /// The index of its size among the scenario's room classes.
    class: usize,
    slots: HashMap<PeerId, usize>,
    recent: Recent,
    /// The number of version-only replicas among all members.
    light: usize,
    last_edit: Nanos,
    last_delivery: Nanos,
}

/// Returns the peer id of a client. It is fixed, so that encoded sizes repeat.
pub fn peer_of(client: ClientId) -> PeerId {
    PeerId::from(client.0) + 1
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
        Self {
            index,
            slots: clients
                .map(|(slot, &client)| (peer_of(client), slot))
                .collect(),
            ledger: Ledger::new(members.len(), writers),
            light: members.iter().filter(|member| !member.is_full).count(),
            members,
            context: Rc::clone(context),
            meter: Rc::clone(meter),
            class: planned.class,
            recent: Recent::default(),
            last_edit: 0,
            last_delivery: 0,
        }
    }

    /// The room's name, as in its URL.
    pub fn name(&self) -> String {
        self.index.name()
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
        self.members[slot].arrive(&self.context, &self.meter, planned)
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
            self.push_missing(slot, &version)?;
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
        present.confirm(version.get(peer_of(client)));
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
        }
    }

    /// Lets the member in `slot` make the edit intended for `intended`: into
    /// its replica, and as an update to its socket.
    ///
    /// # Errors
    /// When the engine refuses the edit or cannot export it.
    pub fn edit(&mut self, slot: usize, intended: Nanos) -> Result<EditOutcome, EngineError> {
        let (begun, begun_cpu) = (self.meter.now(), thread_cpu());
        let member = &mut self.members[slot];
        let end = match member.present_mut() {
            Some(present) => present.edit_next()?,
            None => None,
        };
        let (Some(writer), Some(end)) = (member.writer, end) else {
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
        self.meter.record(|metrics| {
            metrics.sent += 1;
            metrics.generator_lag.record(begun.saturating_sub(intended));
            metrics.edit.record(self.meter.now() - begun);
            metrics.edit_cpu += thread_cpu() - begun_cpu;
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
        let begun_cpu = thread_cpu();
        if let Some(present) = self.members[slot].present_mut()
            && present.prepare_edit()?
        {
            self.meter
                .record(|metrics| metrics.edit_cpu += thread_cpu() - begun_cpu);
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
        let update = present.export(self.context.scenario.workload.edits, end)?;
        self.meter
            .record(|metrics| metrics.bytes_typed += update.len() as u64);
        let receivers = self.light - usize::from(!is_full);
        if receivers > 0 {
            let range = OpRange {
                peer: peer_of(client),
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

    /// Queues the presence message of the client in `slot`.
    pub fn announce_presence(&mut self, slot: usize, intended: Nanos) {
        let bytes = self.context.scenario.presence;
        let bytes = bytes.map_or(0, |presence| presence.bytes);
        let member = &mut self.members[slot];
        if !member.is_live() {
            return;
        }
        let mut state = intended.to_le_bytes().to_vec();
        state.resize((bytes as usize).max(state.len()), 0);
        if let Some(present) = member.present_mut()
            && let Some(frame) = present.protocol.presence(&state)
        {
            present.queue_frame(frame);
        }
    }

    /// Takes a message that reached the member in `slot`.
    pub fn receive(&mut self, slot: usize, frame: Frame) -> Received {
        let mut received = Received::default();
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
            self.take_event(slot, event, &mut received);
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

    fn take_event(&mut self, slot: usize, event: Event, received: &mut Received) {
        let now = self.meter.now();
        let Some(present) = self.members[slot].present_mut() else {
            return;
        };
        match event {
            Event::Update(update) => {
                self.import(slot, &update);
                self.check_caught_up(slot);
            }
            Event::Joined { version } => {
                let joined = self.context.engine.decode_version(&version);
                let joined = joined.and_then(|version| self.joined(slot, Some(version)));
                if let Err(error) = joined {
                    let reason = format!("the relay's version cannot be used: {error}");
                    self.end_session("protocol", reason, received);
                }
            }
            Event::Acknowledged(id) => present.acknowledged(id, now),
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
            Event::Presence(state) => {
                if let Some(intended) = state.first_chunk() {
                    let latency = now.saturating_sub(Nanos::from_le_bytes(*intended));
                    self.meter
                        .record(|metrics| metrics.presence.record(latency));
                }
            }
            Event::Answer(frame) => present.queue_first(frame),
            Event::Alive => {}
        }
    }

    fn end_session(&self, kind: &str, reason: String, received: &mut Received) {
        self.meter.record(|metrics| metrics.error(kind));
        received.ended = Some(reason);
    }

    /// Imports an update and notes which edits became visible.
    fn import(&mut self, slot: usize, update: &Bytes) {
        let received = self.meter.now();
        // Asking for the CPU time is a system call, which would be most of what
        // a version-only replica costs.
        let is_full = self.members[slot].is_full;
        let received_cpu = if is_full { thread_cpu() } else { 0 };
        let arrived = self.members[slot].arrival.get();
        let arrived = self.meter.clock().relative(arrived).min(received);
        let imported = self.take_update(slot, update);
        let visible = self.meter.now();
        self.meter.record(|metrics| {
            metrics.import.record(visible - received);
            if is_full {
                metrics.import_cpu += thread_cpu() - received_cpu;
            }
            if imported.is_err() {
                metrics.corrupt += 1;
                metrics.error("import");
            }
        });
        let Ok(imported) = imported else {
            return;
        };
        self.note_unexpected(slot, &imported);
        let delivery = Delivery {
            slot,
            arrived,
            received,
            visible,
        };
        for range in &imported.applied {
            self.note_visible(delivery, range);
        }
    }

    /// Counts an update that brought nothing new, or that holds operations of
    /// no client of this room.
    fn note_unexpected(&self, slot: usize, imported: &Imported) {
        let is_known = imported.applied.is_empty() && imported.pending.is_empty();
        let is_duplicate = is_known && self.members[slot].is_live();
        let document = self.context.initial_document.as_deref();
        let is_of_room = |range: &OpRange| {
            self.slots.contains_key(&range.peer)
                || document.is_some_and(|document| document.version.get(range.peer) > 0)
        };
        let mut ranges = imported.pending.iter().chain(&imported.applied);
        let is_leaked = !ranges.all(is_of_room);
        self.meter.record(|metrics| {
            metrics.duplicated += u64::from(is_duplicate);
            metrics.leaked += u64::from(is_leaked);
        });
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

    /// The operations of the room's edits, by writer: its slot, its peer and
    /// the counter after the last of them.
    pub fn edited(&self) -> impl Iterator<Item = (usize, PeerId, Counter)> + '_ {
        let members = self.members.iter().enumerate();
        members.filter_map(|(slot, member)| {
            let end = self.ledger.sent_up_to(member.writer?);
            Some((slot, peer_of(member.client), end))
        })
    }

    /// The operations of the room's edits, also of those that never left their
    /// writer: a relay may have these or not.
    pub fn created(&self) -> impl Iterator<Item = (PeerId, Counter)> + '_ {
        self.members.iter().filter_map(|member| {
            let end = self.ledger.made_up_to(member.writer?);
            Some((peer_of(member.client), end))
        })
    }
}

/// What becomes of an edit.
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
    /// Why the session cannot go on.
    pub ended: Option<String>,
    /// Why the relay rejected an update.
    pub rejected: Option<String>,
    /// The message, if it is not of the protocol.
    pub unexpected: Option<Frame>,
}
