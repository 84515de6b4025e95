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
mod recent;
pub mod replica;
mod typist;

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use syncbench_engines::{Counter, EngineError, Imported, OpRange, PeerId, VersionVector};

use crate::metrics::Metrics;
use crate::protocol::{Event, Frame, JoinMode};
use crate::room::ledger::{Ledger, Times};
use crate::room::replica::ClientDoc;
use crate::scenario::room_name;
use crate::time::clock::{Clock, Nanos, thread_cpu};

pub use context::{InitialDocument, RoomContext};
use delivery::Delivery;
pub use member::{Member, MemberState};
use recent::Recent;

/// Where a client's room and slot are in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRef {
    /// Index of the room in the worker.
    pub room: usize,
    /// Slot of the client in the room.
    pub slot: usize,
}

/// One room of a run.
pub struct Room {
    /// Its number within the run.
    pub index: u32,
    /// Its clients: those of the start and all who come later, by slot.
    pub members: Vec<Member>,
    /// What was edited, and where it is visible.
    pub ledger: Ledger,
    context: Rc<RoomContext>,
    class: usize,
    slots: HashMap<PeerId, usize>,
    recent: Recent,
    /// Light replicas, of all who are ever there.
    light: usize,
    last_edit: Nanos,
    last_delivery: Nanos,
}

/// The peer id of a client. Fixed, so that encoded sizes repeat.
pub fn peer_of(client: u32) -> PeerId {
    PeerId::from(client) + 1
}

impl Room {
    /// Room `index` of a run, with nobody there yet.
    pub fn new(context: &Rc<RoomContext>, index: u32) -> Self {
        let planned = &context.plan.rooms[index as usize];
        let mut writers = Vec::new();
        let mut members = Vec::new();
        for (slot, &client) in planned.clients.iter().enumerate() {
            let plan = &context.plan.clients[client as usize];
            let writer = plan.writes.then_some(writers.len());
            writers.extend(plan.writes.then_some(slot));
            members.push(Member::new(context, client, plan, writer));
        }
        let clients = planned.clients.iter().enumerate();
        Self {
            index,
            slots: clients
                .map(|(slot, &client)| (peer_of(client), slot))
                .collect(),
            ledger: Ledger::new(members.len(), writers),
            light: members.iter().filter(|member| !member.plan.full).count(),
            members,
            context: Rc::clone(context),
            class: planned.class,
            recent: Recent::default(),
            last_edit: 0,
            last_delivery: 0,
        }
    }

    /// The room's name, as in its URL.
    pub fn name(&self) -> String {
        room_name(self.index)
    }

    /// What the room contained before the first edit.
    pub fn initial_document(&self) -> VersionVector {
        let initial_document = self.context.initial_document.as_ref();
        initial_document
            .map(|initial_document| initial_document.version.clone())
            .unwrap_or_default()
    }

    /// From the last edit until the last delivery of it, once all is visible.
    pub fn convergence_time(&self) -> Option<Nanos> {
        let complete = self.ledger.is_complete() && self.last_edit > 0;
        complete.then(|| self.last_delivery.saturating_sub(self.last_edit))
    }

    /// The client in `slot` comes, at the time planned for it: edits are owed
    /// to it from now on.
    pub fn arrive(&mut self, slot: usize, planned: Nanos) {
        let (context, member) = (&self.context, &mut self.members[slot]);
        member.arrive(context, planned);
        self.ledger.arrive(slot);
    }

    /// The client in `slot` leaves for good. Edits that it could not send are
    /// nobody's loss but its own.
    pub fn depart(&mut self, slot: usize, metrics: &mut Metrics) {
        let member = &mut self.members[slot];
        member.status = MemberState::Gone;
        let handed_over = member.handed_over();
        if let Some(writer) = member.writer {
            metrics.never_sent += self.ledger.withdraw(writer, handed_over);
        }
        self.members[slot].forget();
        self.ledger.depart(slot);
    }

    /// A connection of the client in `slot` is open: the session begins.
    ///
    /// # Errors
    /// When the engine cannot export.
    pub fn open(
        &mut self,
        slot: usize,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> Result<(), EngineError> {
        let engine = self.context.engine;
        let member = &mut self.members[slot];
        let mut frames = Vec::new();
        let version = engine.encode_version(&member.copy().version_vector());
        let opening = member.protocol.open(version, &mut frames);
        member.begin_session(frames);
        match opening {
            JoinMode::Joining => Ok(()),
            JoinMode::Joined => self.joined(slot, None, clock, metrics),
        }
    }

    /// The relay has let the client in, and has the operations of `version`;
    /// none where its relays remember nothing.
    fn joined(
        &mut self,
        slot: usize,
        version: Option<VersionVector>,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> Result<(), EngineError> {
        self.members[slot].awaited = Some(version.clone().unwrap_or_default());
        if let Some(version) = version {
            self.push_missing(slot, &version, clock, metrics)?;
        }
        self.members[slot].wake.notify_one();
        self.check_caught_up(slot, clock, metrics);
        Ok(())
    }

    /// Sends what the client has and the relay lacks.
    fn push_missing(
        &mut self,
        slot: usize,
        version: &VersionVector,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> Result<(), EngineError> {
        let member = &mut self.members[slot];
        member.confirm(version.get(peer_of(member.client)));
        let from = member.queued_end;
        let end = member.created_end;
        if let Some(update) = member.copy_mut().export_missing(version)? {
            member.queue_update(update, end, clock.now(), metrics);
        }
        member.queued_end = end;
        if let Some(writer) = member.writer {
            self.ledger.hand_over(writer, from, clock.now());
        }
        Ok(())
    }

    fn check_caught_up(&mut self, slot: usize, clock: Clock, metrics: &mut Metrics) {
        let member = &mut self.members[slot];
        let Some(awaited) = &member.awaited else {
            return;
        };
        if awaited
            .missing_from(&member.copy().version_vector())
            .is_empty()
        {
            member.caught_up(clock.now(), metrics);
        }
    }

    /// Lets the member in `slot` make the edit intended for `intended`: into
    /// its replica, and as an update to its socket.
    ///
    /// # Errors
    /// When the engine refuses the edit or cannot export it.
    pub fn edit(
        &mut self,
        slot: usize,
        intended: Nanos,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> Result<Edited, EngineError> {
        let (begun, begun_cpu) = (clock.now(), thread_cpu());
        let member = &mut self.members[slot];
        let (Some(writer), Some(end)) = (member.writer, member.edit_next()?) else {
            metrics.skipped += 1;
            return Ok(Edited::Done);
        };
        let made = clock.now();
        let times = Times {
            intended,
            begun,
            made,
            sent: made,
        };
        self.ledger.note(writer, end, times);
        self.last_edit = made;
        let batched = !self.context.scenario.batch.is_zero();
        if !batched {
            self.flush(slot, intended, clock, metrics)?;
        }
        metrics.sent += 1;
        metrics.generator_lag.record(begun.saturating_sub(intended));
        metrics.edit.record(clock.now() - begun);
        metrics.edit_cpu += thread_cpu() - begun_cpu;
        let waits = &mut self.members[slot].batching;
        match batched && !std::mem::replace(waits, true) {
            true => Ok(Edited::BeginsBatch),
            false => Ok(Edited::Done),
        }
    }

    /// Lets the member in `slot` make its next edit before its time, where it
    /// does not depend on what may still come. So what it takes is not taken
    /// for the relay's, and does not hold up others.
    ///
    /// # Errors
    /// When the engine refuses the edit or cannot export it.
    pub fn prepare_edit(&mut self, slot: usize, metrics: &mut Metrics) -> Result<(), EngineError> {
        let begun_cpu = thread_cpu();
        if self.members[slot].prepare_edit()? {
            metrics.edit_cpu += thread_cpu() - begun_cpu;
        }
        Ok(())
    }

    /// Sends the edits that wait in the replica of `slot`, if its queue has
    /// room; otherwise the session asks for them when it has.
    ///
    /// # Errors
    /// When the engine cannot export them.
    pub fn flush(
        &mut self,
        slot: usize,
        intended: Nanos,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> Result<(), EngineError> {
        let member = &mut self.members[slot];
        member.batching = false;
        if !member.may_send() {
            return Ok(());
        }
        let (from, end) = (member.queued_end, member.created_end);
        if from == end {
            return Ok(());
        }
        let replaces = self.context.scenario.edits;
        let update = member.export(replaces, end)?;
        metrics.bytes_typed += update.len() as u64;
        let receivers = self.light - usize::from(!member.plan.full);
        if receivers > 0 {
            let range = OpRange {
                peer: peer_of(member.client),
                counters: from..end,
            };
            let sent = Bytes::copy_from_slice(&update);
            self.recent.keep(sent, [range].into(), receivers);
        }
        member.queue_update(update, end, intended, metrics);
        member.queued_end = end;
        if let Some(writer) = member.writer {
            self.ledger.hand_over(writer, from, clock.now());
        }
        Ok(())
    }

    /// Queues the message that says where the client in `slot` is.
    pub fn presence(&mut self, slot: usize, intended: Nanos, metrics: &mut Metrics) {
        let bytes = self
            .context
            .scenario
            .presence
            .map_or(0, |presence| presence.bytes);
        let member = &mut self.members[slot];
        if member.status != MemberState::Live {
            return;
        }
        let mut state = intended.to_le_bytes().to_vec();
        state.resize((bytes as usize).max(state.len()), 0);
        if let Some(frame) = member.protocol.presence(&state) {
            member.queue_frame(frame, metrics);
        }
    }

    /// Takes a message that reached the member in `slot`.
    pub fn receive(
        &mut self,
        slot: usize,
        frame: Frame,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> Received {
        let mut received = Received::default();
        metrics.frames_in += 1;
        metrics.bytes_in += frame.len() as u64;
        let mut events = std::mem::take(&mut self.members[slot].events);
        let read = self.members[slot].protocol.receive(frame, &mut events);
        if read.is_err() {
            metrics.corrupt += 1;
            metrics.error("protocol");
        }
        for event in events.drain(..) {
            self.take_event(slot, event, clock, metrics, &mut received);
        }
        self.members[slot].events = events;
        received
    }

    fn take_event(
        &mut self,
        slot: usize,
        event: Event,
        clock: Clock,
        metrics: &mut Metrics,
        received: &mut Received,
    ) {
        match event {
            Event::Update(update) => {
                received.visible += self.import(slot, &update, clock, metrics);
                self.check_caught_up(slot, clock, metrics);
            }
            Event::Joined { version } => {
                let joined = self.context.engine.decode_version(&version);
                let joined = joined.and_then(|v| self.joined(slot, Some(v), clock, metrics));
                if let Err(error) = joined {
                    metrics.error("protocol");
                    received.ended = Some(format!("the relay's version cannot be used: {error}"));
                }
            }
            Event::Acknowledged(id) => self.members[slot].acknowledged(id, clock.now(), metrics),
            Event::Rejected { id, reason } => {
                metrics.error("rejected");
                self.members[slot].acknowledged(id, clock.now(), metrics);
                received.rejected.get_or_insert(reason);
            }
            Event::Refused(reason) => {
                metrics.error("refused");
                received.ended = Some(format!("the relay refused the join: {reason}"));
            }
            Event::Evicted(reason) => {
                metrics.error("evicted");
                received.ended = Some(format!("the relay put the client out: {reason}"));
            }
            Event::Presence(state) => {
                if let Some(intended) = state.first_chunk() {
                    let intended = Nanos::from_le_bytes(*intended);
                    metrics
                        .presence
                        .record(clock.now().saturating_sub(intended));
                }
            }
            Event::Answer(frame) => self.members[slot].queue_first(frame, metrics),
            Event::Alive => {}
        }
    }

    /// Imports an update and notes which edits became visible; how many did.
    fn import(&mut self, slot: usize, update: &Bytes, clock: Clock, metrics: &mut Metrics) -> u64 {
        let received = clock.now();
        // Asking for the CPU time is a call of the system, and would be most of
        // what a light replica costs.
        let is_full = self.members[slot].plan.full;
        let received_cpu = if is_full { thread_cpu() } else { 0 };
        let arrived = clock
            .relative(self.members[slot].arrival.get())
            .min(received);
        let imported = self.take_update(slot, update);
        let visible = clock.now();
        metrics.import.record(visible - received);
        if is_full {
            metrics.import_cpu += thread_cpu() - received_cpu;
        }
        let Ok(imported) = imported else {
            metrics.corrupt += 1;
            metrics.error("import");
            return 0;
        };
        let known = imported.applied.is_empty() && imported.pending.is_empty();
        if known && self.members[slot].status == MemberState::Live {
            metrics.duplicated += 1;
        }
        let initial_document = self.context.initial_document.as_deref();
        let from_room = |range: &OpRange| {
            self.slots.contains_key(&range.peer)
                || initial_document
                    .is_some_and(|initial_document| initial_document.version.get(range.peer) > 0)
        };
        let all = imported.pending.iter().chain(&imported.applied);
        if !all.into_iter().all(from_room) {
            metrics.leaked += 1;
        }
        let delivery = Delivery {
            slot,
            arrived,
            received,
            visible,
        };
        let applied = imported.applied.iter();
        applied
            .map(|range| self.note_visible(delivery, range, metrics))
            .sum()
    }

    fn take_update(&mut self, slot: usize, update: &Bytes) -> Result<Imported, EngineError> {
        match self.members[slot].copy_mut() {
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
}

/// What becomes of an edit that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It was sent, or will be with those before it.
    Done,
    /// It waits, and [`Room::flush`] is due when its batch is.
    BeginsBatch,
}

/// What a message came to.
#[derive(Debug, Default)]
pub struct Received {
    /// Deliveries that it completed.
    pub visible: u64,
    /// Why the session cannot go on.
    pub ended: Option<String>,
    /// Why the relay refused an update.
    pub rejected: Option<String>,
}

/// The operations below `end` of the writers of a room, by slot.
pub fn written(room: &Room) -> impl Iterator<Item = (usize, PeerId, Counter)> + '_ {
    let members = room.members.iter().enumerate();
    members.filter_map(|(slot, member)| {
        let end = room.ledger.sent_up_to(member.writer?);
        Some((slot, peer_of(member.client), end))
    })
}

/// The same with those that were withdrawn: a relay may have them or not.
pub fn made(room: &Room) -> impl Iterator<Item = (PeerId, Counter)> + '_ {
    room.members.iter().filter_map(|member| {
        let end = room.ledger.made_up_to(member.writer?);
        Some((peer_of(member.client), end))
    })
}
