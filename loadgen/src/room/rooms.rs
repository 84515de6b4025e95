//! The rooms of one worker, and what is counted over all of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use syncbench_engines::EngineError;
use syncbench_engines::panics::{self, Panic};
use syncbench_reports::record::{Convergence, UnexpectedFrame};
use tokio::sync::Notify;

use super::convergence;
use super::ended::Call;
use super::meter::Meter;
use super::{EditOutcome, EndedRoom, LocalRoom, Member, MemberRef, MemberState, Room, RoomContext};
use crate::metrics::{Gauges, Metrics};
use crate::net::link::LinkHandle;
use crate::net::network::ArrivalStamp;
use crate::plan::{ClientId, ClientPlan};
use crate::protocol::Frame;
use crate::protocol::recognise::{Speaker, description};
use crate::schedule::{Action, ScheduledAction};
use crate::time::clock::Nanos;

/// The rooms of one worker. Tasks of its thread borrow a room for one edit or
/// one frame at a time, never across an await.
pub struct Rooms {
    /// The settings that all rooms share.
    pub context: Rc<RoomContext>,
    /// The instruments with which the rooms measure.
    pub meter: Rc<Meter>,
    /// Notified when an edit has become visible, or a client changes its state.
    pub progress: Rc<Notify>,
    rooms: RefCell<Vec<Room>>,
    /// The clients with updates to import, one entry for each, by arrival.
    to_import: RefCell<VecDeque<MemberRef>>,
    update_waits: Notify,
    batches: RefCell<VecDeque<Batch>>,
    batch_begun: Notify,
    initial_live: Cell<usize>,
    /// Initial clients of rooms that have ended before the run.
    initial_ended: Cell<usize>,
    /// The number of rooms that have not ended.
    left: Cell<usize>,
    /// Notified when no room is left.
    none_left: Notify,
    /// Deliveries that [`Rooms::take_metrics`] has reported.
    reported: Cell<u64>,
    errors: RefCell<FirstErrors>,
}

/// The first errors of their kind.
#[derive(Debug, Default)]
pub struct FirstErrors {
    /// The engine's reason for refusing an edit.
    pub engine: Option<EngineError>,
    /// The relay's reason for rejecting an update.
    pub rejected: Option<String>,
    /// Why the relay refused a presence message.
    pub presence_refused: Option<String>,
    /// The first frame from the relay that is not of the protocol.
    pub unexpected: Option<UnexpectedFrame>,
}

/// Edits of one client that leave together.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// When they leave, by the time source.
    pub due: Nanos,
    member: MemberRef,
    /// When the first of them was intended.
    intended: Nanos,
}

impl Rooms {
    /// Creates the rooms of `context`, with nobody present yet.
    pub fn new(context: Rc<RoomContext>, meter: Rc<Meter>, progress: Rc<Notify>) -> Self {
        let indices = context.rooms.iter();
        let rooms = indices.map(|&room| Room::new(&context, &meter, room));
        Self {
            left: Cell::new(context.rooms.len()),
            rooms: RefCell::new(rooms.collect()),
            context,
            meter,
            progress,
            to_import: RefCell::default(),
            update_waits: Notify::new(),
            batches: RefCell::default(),
            batch_begun: Notify::new(),
            initial_live: Cell::new(0),
            initial_ended: Cell::new(0),
            none_left: Notify::new(),
            reported: Cell::new(0),
            errors: RefCell::default(),
        }
    }

    /// All members, room by room.
    pub fn members(&self) -> Vec<MemberRef> {
        let rooms = self.rooms.borrow();
        let members = rooms.iter().enumerate().flat_map(|(index, room)| {
            (0..room.members.len()).map(move |slot| MemberRef {
                room: LocalRoom(index),
                slot,
            })
        });
        members.collect()
    }

    /// Lets `visit` see each room.
    pub fn for_each(&self, visit: impl FnMut(&Room)) {
        self.rooms.borrow().iter().for_each(visit);
    }

    /// Takes the first errors.
    pub fn take_errors(&self) -> FirstErrors {
        self.errors.take()
    }

    fn member<T>(&self, member: MemberRef, with: impl FnOnce(&mut Member) -> T) -> T {
        with(&mut self.rooms.borrow_mut()[member.room.0].members[member.slot])
    }

    /// Does something in the room of `member`, and notifies those that wait for
    /// progress when an edit became visible or the member changed its state.
    /// Returns `None` if the room has ended: a panic, also inside an engine, ends
    /// this room and costs no other anything.
    fn room<T>(&self, member: MemberRef, with: impl FnOnce(&mut Room) -> T) -> Option<T> {
        let mut rooms = self.rooms.borrow_mut();
        let room = &mut rooms[member.room.0];
        if room.has_ended() {
            return None;
        }
        let deliveries = room.deliveries();
        let was_live = room.members[member.slot].is_live();
        let state = room.members[member.slot].state();
        let result = match panics::catch(|| with(room)) {
            Ok(result) => result,
            Err(panic) => {
                let client = room.members[member.slot].client;
                self.end(&mut rooms, member.room, Some(client), &panic);
                return None;
            }
        };
        let member = &room.members[member.slot];
        if member.is_initial {
            let live = self.initial_live.get() + usize::from(member.is_live());
            self.initial_live.set(live - usize::from(was_live));
        }
        if room.deliveries() > deliveries || member.state() != state {
            self.progress.notify_one();
        }
        Some(result)
    }

    /// Ends a room because of a panic.
    fn end(&self, rooms: &mut [Room], index: LocalRoom, client: Option<ClientId>, panic: &Panic) {
        let initial = |room: &Room| room.members.iter().filter(|m| m.is_initial).count();
        let live = |member: &&Member| member.is_initial && member.is_live();
        rooms[index.0].end(client, panic);
        let ended = self.initial_ended.get() + initial(&rooms[index.0]);
        self.initial_ended.set(ended);
        let members = rooms.iter().flat_map(|room| &room.members);
        self.initial_live.set(members.filter(live).count());
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.none_left.notify_one();
        }
        self.progress.notify_one();
    }

    /// Ends the room of a client whose own task has panicked.
    pub fn client_panicked(&self, member: MemberRef, panic: &Panic) {
        let mut rooms = self.rooms.borrow_mut();
        if !rooms[member.room.0].has_ended() {
            let client = rooms[member.room.0].members[member.slot].client;
            self.end(&mut rooms, member.room, Some(client), panic);
        }
    }

    /// Completes when the client's room ends before the run does.
    pub async fn room_over(&self, member: MemberRef) {
        let over = Rc::clone(&self.rooms.borrow()[member.room.0].over);
        let notified = over.notified();
        if !self.rooms.borrow()[member.room.0].has_ended() {
            notified.await;
        }
    }

    /// Completes when all rooms have ended before the run.
    pub async fn none_left(&self) {
        if self.left.get() > 0 {
            self.none_left.notified().await;
        }
    }

    /// The rooms that have ended before the run.
    pub fn ended(&self) -> Vec<EndedRoom> {
        let rooms = self.rooms.borrow();
        rooms.iter().filter_map(|room| room.ended.clone()).collect()
    }

    fn note_error(&self, result: Option<Result<(), EngineError>>) {
        if let Some(Err(error)) = result {
            self.errors.borrow_mut().engine.get_or_insert(error);
        }
    }

    /// Does what a client intends to do.
    pub fn act(&self, member: MemberRef, action: ScheduledAction) {
        let (slot, intended) = (member.slot, action.intended);
        match action.action {
            Action::Presence => {
                self.room(member, |room| room.announce_presence(slot, intended));
            }
            Action::Edit => match self.room(member, |room| room.edit(slot, intended)) {
                Some(Ok(EditOutcome::Done)) => {}
                Some(Ok(EditOutcome::BeginsBatch)) => self.begin_batch(member, intended),
                Some(Err(error)) => self.note_error(Some(Err(error))),
                None => self.meter.record(|metrics| metrics.skipped += 1),
            },
        }
    }

    /// Makes the client's next edit before its time, if it is one that can be.
    pub fn prepare_edit(&self, member: MemberRef) {
        let prepared = self.room(member, |room| room.prepare_edit(member.slot));
        self.note_error(prepared);
    }

    fn begin_batch(&self, member: MemberRef, intended: Nanos) {
        let clock = self.meter.clock();
        let lasts = self.context.scenario.workload.batch.as_nanos() as Nanos;
        self.batches.borrow_mut().push_back(Batch {
            due: clock.absolute(clock.now() + lasts),
            member,
            intended,
        });
        self.batch_begun.notify_one();
    }

    /// Waits until there is a batch, and returns the one that is due first.
    pub async fn next_batch(&self) -> Batch {
        loop {
            let first = self.batches.borrow().front().copied();
            match first {
                Some(batch) => return batch,
                None => self.batch_begun.notified().await,
            }
        }
    }

    /// Sends the batch that is due first.
    pub fn flush_batch(&self) {
        let first = self.batches.borrow_mut().pop_front();
        if let Some(batch) = first {
            self.flush(batch.member, batch.intended);
        }
    }

    fn flush(&self, member: MemberRef, intended: Nanos) {
        let flushed = self.room(member, |room| room.flush(member.slot, intended));
        self.note_error(flushed);
    }

    /// Lets the client arrive, which was planned for the time `planned`.
    pub fn arrive(&self, member: MemberRef, planned: Nanos) {
        let arrived = self.room(member, |room| room.arrive(member.slot, planned));
        self.note_error(arrived);
    }

    /// Lets the client leave for good.
    pub fn depart(&self, member: MemberRef) {
        self.room(member, |room| room.depart(member.slot));
    }

    /// Begins the client's session on a connection that is open.
    ///
    /// # Errors
    /// When the engine refuses what that takes.
    pub fn begin_session(&self, member: MemberRef) -> Result<(), EngineError> {
        let begun = self.room(member, |room| room.begin_session(member.slot));
        begun.unwrap_or(Ok(()))
    }

    /// Takes a message for the client, and returns why its session cannot go
    /// on, if it cannot.
    pub fn receive(&self, member: MemberRef, frame: Frame) -> Option<String> {
        let received = self.room(member, |room| room.receive(member.slot, frame))?;
        if let Some(reason) = received.rejected {
            self.errors.borrow_mut().rejected.get_or_insert(reason);
        }
        if received.to_import > 0 {
            let entries = std::iter::repeat_n(member, received.to_import);
            self.to_import.borrow_mut().extend(entries);
            self.update_waits.notify_one();
        }
        if let Some(reason) = received.presence_refused {
            let presence_refused = &mut self.errors.borrow_mut().presence_refused;
            presence_refused.get_or_insert(reason);
        }
        if let Some(frame) = received.unexpected {
            self.note_unexpected(member, &frame);
        }
        received.ended
    }

    fn note_unexpected(&self, member: MemberRef, frame: &Frame) {
        let unexpected = &mut self.errors.borrow_mut().unexpected;
        unexpected.get_or_insert_with(|| UnexpectedFrame {
            at_ns: self.meter.now(),
            client: self.client(member).name(),
            frame: description(frame),
            looks_like: Speaker::of(frame).map(|speaker| speaker.message().to_owned()),
        });
    }

    /// The first frame from the relay that is not of the protocol.
    pub fn unexpected_frame(&self) -> Option<UnexpectedFrame> {
        self.errors.borrow().unexpected.clone()
    }

    /// Imports the update that arrived first of those that wait. Returns whether
    /// there was one.
    pub fn import_next(&self) -> bool {
        let next = self.to_import.borrow_mut().pop_front();
        let Some(member) = next else {
            return false;
        };
        // It may have been imported when its client lost the connection.
        self.room(member, |room| room.import_next(member.slot));
        true
    }

    /// Completes when there is an update to import.
    pub async fn update_waits(&self) {
        self.update_waits.notified().await;
    }

    /// Whether the client has received updates that are not imported yet.
    pub fn has_to_import(&self, member: MemberRef) -> bool {
        self.member(member, |member| {
            let present = member.present();
            present.is_some_and(|present| !present.inbox.is_empty())
        })
    }

    /// Takes the next message for the client's socket: a queued one, or an
    /// update with the edits that found the queue full.
    pub fn next_outgoing(&self, member: MemberRef) -> Option<Frame> {
        let next = |member: &mut Member| member.present_mut()?.next_outgoing();
        let queued = self.member(member, next);
        if queued.is_some() {
            return queued;
        }
        let waits = |member: &mut Member| member.present().is_some_and(|p| p.has_unsent_edits());
        if self.member(member, waits) {
            self.flush(member, self.meter.now());
        }
        self.member(member, next)
    }

    /// Notes that the client's connection has ended, because the scenario took
    /// it away or against the scenario.
    pub fn disconnected(&self, member: MemberRef, is_outage: bool) {
        let now = self.meter.now();
        self.room(member, |room| {
            // It has them, and the next session must not ask for them again.
            while room.import_next(member.slot) {}
            if is_outage {
                room.members[member.slot].go_away(now);
            }
            room.disconnected(member.slot, now);
        });
        self.meter
            .record(|metrics| metrics.outages += u64::from(is_outage));
    }

    /// Notes that the client may come back from `back` on.
    pub fn back_from(&self, member: MemberRef, back: Nanos) {
        self.member(member, |member| member.disconnected(back));
    }

    /// Notes that the scenario takes the client away now.
    pub fn go_away(&self, member: MemberRef) {
        let now = self.meter.now();
        self.member(member, |member| member.go_away(now));
    }

    /// Returns true if the client has nothing left to send.
    pub fn has_sent_all(&self, member: MemberRef) -> bool {
        self.member(member, |member| member.has_sent_all())
    }

    /// Queues the frame that asks the relay for a sign of life.
    pub fn queue_keepalive(&self, member: MemberRef) {
        self.member(member, |member| {
            if let Some(present) = member.present_mut() {
                present.queue_keepalive();
            }
        });
    }

    /// The client's state.
    pub fn state(&self, member: MemberRef) -> MemberState {
        self.member(member, |member| member.state())
    }

    /// The arrival time of the bytes that the client read last.
    pub fn arrival(&self, member: MemberRef) -> ArrivalStamp {
        self.member(member, |member| member.arrival.clone())
    }

    /// The handle of the client's link.
    pub fn link(&self, member: MemberRef) -> Rc<LinkHandle> {
        self.member(member, |member| Rc::clone(&member.link))
    }

    /// Replaces the client's link by one without faults, for a new connection.
    pub fn renew_link(&self, member: MemberRef) -> Rc<LinkHandle> {
        self.member(member, Member::renew_link)
    }

    /// Notified when the client has something to send.
    pub fn wake(&self, member: MemberRef) -> Rc<Notify> {
        self.member(member, |member| Rc::clone(&member.wake))
    }

    /// The name of the client's room.
    pub fn room_name(&self, member: MemberRef) -> String {
        self.rooms.borrow()[member.room.0].name()
    }

    /// The client's number in the run.
    pub fn client(&self, member: MemberRef) -> ClientId {
        let room = self.context.rooms[member.room.0];
        self.context.plan.room(room).clients[member.slot]
    }

    /// The client's plan.
    pub fn plan_of(&self, member: MemberRef) -> &ClientPlan {
        self.context.plan.client(self.client(member))
    }

    /// Takes what was measured since the last call.
    pub fn take_metrics(&self) -> Metrics {
        let rooms = self.rooms.borrow();
        let visible = rooms.iter().map(|room| room.ledger.visible()).sum();
        let mut metrics = self.meter.take();
        metrics.visible = visible - self.reported.replace(visible);
        metrics
    }

    /// The state of the clients and their replicas now.
    pub fn gauges(&self) -> Gauges {
        let now = self.meter.now();
        let mut gauges = Gauges::default();
        for room in self.rooms.borrow_mut().iter_mut() {
            room.ledger.forget_seen();
            room.presences.forget_seen();
            let complete = room.ledger.is_complete();
            for (slot, member) in room.members.iter().enumerate() {
                let state = member.state();
                gauges.live += u64::from(state == MemberState::Live);
                let cut_off = matches!(state, MemberState::Offline | MemberState::Joining);
                gauges.unreachable += u64::from(cut_off && !member.is_away());
                if complete || member.present().is_none() {
                    continue;
                }
                gauges.staleness.edits += room.ledger.outstanding(slot);
                if let Some(intended) = room.ledger.oldest_outstanding(slot) {
                    let oldest = &mut gauges.staleness.oldest;
                    *oldest = (*oldest).max(now.saturating_sub(intended));
                }
            }
        }
        gauges
    }

    /// The deliveries that are owed in all rooms.
    pub fn expected(&self) -> u64 {
        let rooms = self.rooms.borrow();
        rooms.iter().map(|room| room.ledger.expected()).sum()
    }

    /// The deliveries of presence messages that are owed in all rooms.
    pub fn presence_expected(&self) -> u64 {
        let rooms = self.rooms.borrow();
        rooms.iter().map(|room| room.presences.expected()).sum()
    }

    fn count_members(&self, counts: impl Fn(&Member) -> bool) -> usize {
        let rooms = self.rooms.borrow();
        let members = rooms.iter().flat_map(|room| &room.members);
        members.filter(|member| counts(member)).count()
    }

    fn any_member(&self, is: impl Fn(&Member) -> bool) -> bool {
        let rooms = self.rooms.borrow();
        let mut members = rooms.iter().flat_map(|room| &room.members);
        members.any(is)
    }

    /// The number of initial clients that need not be waited for: they are live,
    /// or their room has ended.
    pub fn initial_ready(&self) -> usize {
        self.initial_live.get() + self.initial_ended.get()
    }

    /// Returns true if every client that is present is live and has seen everything.
    pub fn is_settled(&self) -> bool {
        self.rooms.borrow().iter().all(is_settled)
    }

    /// Checks the convergence of the rooms that have not ended. Where the run was cut short, rooms
    /// whose deliveries are still on their way are left out: the relay has lost
    /// nothing there.
    pub fn check(&self, is_cut_short: bool) -> Convergence {
        let mut convergence = Convergence::default();
        self.with_quiet_rooms(is_cut_short, |room| {
            room.engine(Call::Compare, |room| {
                convergence::check(room, &mut convergence);
            });
        });
        convergence
    }

    /// Opens the documents of the light replicas that [`check`](Self::check)
    /// compares as such. It may take a while, in which no client is served.
    pub fn open_documents(&self, is_cut_short: bool) {
        self.with_quiet_rooms(is_cut_short, Room::open_documents);
    }

    fn with_quiet_rooms(&self, is_cut_short: bool, mut with: impl FnMut(&mut Room)) {
        let mut rooms = self.rooms.borrow_mut();
        for index in 0..rooms.len() {
            let room = &mut rooms[index];
            if room.has_ended() || is_cut_short && !is_settled(room) {
                continue;
            }
            if let Err(panic) = panics::catch(|| with(room)) {
                self.end(&mut rooms, LocalRoom(index), None, &panic);
            }
        }
    }

    /// Returns true if no client has a session.
    pub fn nobody_is_live(&self) -> bool {
        !self.any_member(Member::is_live)
    }

    /// Returns the progress of all clients: deliveries, then the number of live
    /// clients, except those that do not know that their link is dead.
    pub fn standing(&self) -> (u64, usize) {
        let visible = self.rooms.borrow().iter().map(Room::deliveries).sum();
        let live = self.count_members(|member| member.is_live() && !member.is_away());
        (visible, live)
    }

    /// Returns true if the scenario keeps any client away now.
    pub fn any_away(&self) -> bool {
        self.any_member(|member| member.present().is_some() && member.is_away())
    }
}

/// Whether every client of the room that is present is live and has seen
/// everything.
fn is_settled(room: &Room) -> bool {
    let waits = |state| matches!(state, MemberState::Offline | MemberState::Joining);
    room.is_complete() && !room.members.iter().any(|member| waits(member.state()))
}
