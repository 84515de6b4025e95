//! What the tasks of one worker share.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use syncbench_engines::EngineError;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio_tungstenite::tungstenite::http::Uri;

use crate::client::connection::{ConnectError, ConnectFailure};
use crate::client::disconnect::{Disconnect, LostConnection, SessionEnd};
use crate::metrics::{Metrics, Staleness};
use crate::net::link::{LinkConditions, LinkHandle};
use crate::net::network::{ArrivalStamp, Network, Wire};
use crate::net::target::{UrlError, UrlTemplate};
use crate::net::tls::Tls;
use crate::plan::ClientPlan;
use crate::protocol::Frame;
use crate::room::MemberRef;
use crate::room::{Edited, Member, MemberState, Room, RoomContext};
use crate::scenario::{Access, client_name};
use crate::schedule::{Action, ScheduledAction};
use crate::time::clock::{Clock, Nanos};
use crate::time::timer::Timer;

/// Connections that one worker opens at a time.
const CONNECTING_AT_ONCE: usize = 64;

/// Lost connections that are kept with their reasons.
const KEPT_LOSSES: usize = 100;

/// The rooms of one worker and what is measured there. Tasks of one thread
/// borrow it for one edit or one frame at a time, never across an await.
pub struct Shared {
    /// Tells the time, and wakes.
    pub timer: Timer,
    pub(super) context: Rc<RoomContext>,
    pub(super) rooms: RefCell<Vec<Room>>,
    pub(super) metrics: RefCell<Metrics>,
    pub(super) expected: Cell<u64>,
    pub(super) visible: Cell<u64>,
    /// Clients of the start that are live.
    pub(super) initial_live: Cell<usize>,
    /// Rung when an edit has become visible, or a client changes its status.
    pub(super) progress: Notify,
    pub(super) engine_error: RefCell<Option<EngineError>>,
    pub(super) rejected: RefCell<Option<String>>,
    pub(super) lost: RefCell<Vec<LostConnection>>,
    pub(super) failure: RefCell<Option<ConnectFailure>>,
    /// Batches that are due, in the order in which they are.
    pub(super) batches: RefCell<std::collections::VecDeque<(Nanos, MemberRef, Nanos)>>,
    pub(super) batch_begun: Notify,
    clock: watch::Sender<Option<Clock>>,
    plan_over: watch::Sender<bool>,
    closing: watch::Sender<bool>,
    before_start: Clock,
    network: Rc<dyn Network>,
    pub(super) relay: UrlTemplate,
    tls: Option<Tls>,
    permits: Semaphore,
}

impl Shared {
    pub(super) fn new(
        context: Rc<RoomContext>,
        rooms: Vec<Room>,
        timer: Timer,
        network: Rc<dyn Network>,
        relay: UrlTemplate,
        tls: Option<Tls>,
    ) -> Self {
        Self {
            before_start: Clock::starting_in(timer.source(), 0),
            timer,
            context,
            rooms: RefCell::new(rooms),
            metrics: RefCell::default(),
            expected: Cell::new(0),
            visible: Cell::new(0),
            initial_live: Cell::new(0),
            progress: Notify::new(),
            engine_error: RefCell::new(None),
            rejected: RefCell::new(None),
            lost: RefCell::default(),
            failure: RefCell::new(None),
            batches: RefCell::default(),
            batch_begun: Notify::new(),
            clock: watch::Sender::new(None),
            plan_over: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            network,
            relay,
            tls,
            permits: Semaphore::new(CONNECTING_AT_ONCE),
        }
    }

    /// The run's clock, or one that began with the worker while the run has
    /// not begun.
    pub fn clock(&self) -> Clock {
        self.clock.borrow().unwrap_or(self.before_start)
    }

    /// Whether the run has begun.
    pub fn has_started(&self) -> bool {
        self.clock.borrow().is_some()
    }

    /// The run's clock, once it has one.
    pub async fn started(&self) -> Clock {
        let mut clock = self.clock.subscribe();
        // The sender is in `self`, so that waiting never fails.
        match clock.wait_for(Option::is_some).await {
            Ok(clock) => clock.unwrap_or(self.before_start),
            Err(_) => self.before_start,
        }
    }

    pub(super) fn start(&self, clock: Clock) {
        self.clock.send_replace(Some(clock));
    }

    /// Completes when nothing happens to clients any more: the schedule is over,
    /// or the run was stopped. Who was to be away is back then.
    pub async fn plan_over(&self) {
        let _ = self.plan_over.subscribe().wait_for(|&over| over).await;
    }

    pub(super) fn end_plan(&self) {
        self.plan_over.send_replace(true);
    }

    /// Completes when the run closes its connections.
    pub async fn closing(&self) {
        let _ = self.closing.subscribe().wait_for(|&closing| closing).await;
    }

    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    fn member<T>(&self, member: MemberRef, with: impl FnOnce(&mut Member) -> T) -> T {
        with(&mut self.rooms.borrow_mut()[member.room].members[member.slot])
    }

    /// Does something in the room of `seat`, and keeps count of the deliveries
    /// that are owed and made, and of who is live.
    fn room<T>(
        &self,
        member: MemberRef,
        with: impl FnOnce(&mut Room, Clock, &mut Metrics) -> T,
    ) -> T {
        let mut rooms = self.rooms.borrow_mut();
        let room = &mut rooms[member.room];
        let (expected, visible) = (room.ledger.expected(), room.ledger.visible());
        let status = room.members[member.slot].status;
        let result = with(room, self.clock(), &mut self.metrics.borrow_mut());
        let owed = self.expected.get() + room.ledger.expected() - expected;
        self.expected.set(owed);
        let seen = room.ledger.visible() - visible;
        self.visible.set(self.visible.get() + seen);
        let member = &room.members[member.slot];
        if seen > 0 || member.status != status {
            self.progress.notify_one();
        }
        if member.plan.joins.is_none() && member.status != status && !self.has_started() {
            let live = usize::from(member.status == MemberState::Live);
            let was_live = usize::from(status == MemberState::Live);
            self.initial_live
                .set(self.initial_live.get() + live - was_live);
        }
        result
    }

    fn engine<T: Default>(&self, result: Result<T, EngineError>) -> T {
        result.unwrap_or_else(|error| {
            self.engine_error.borrow_mut().get_or_insert(error);
            T::default()
        })
    }

    /// Does what a client intends to do.
    pub(super) fn act(&self, member: MemberRef, arrival: ScheduledAction) {
        let intended = arrival.intended;
        match arrival.action {
            Action::Presence => self.room(member, |room, _, metrics| {
                room.presence(member.slot, intended, metrics);
            }),
            Action::Edit => {
                let edited = self.room(member, |room, clock, metrics| {
                    room.edit(member.slot, intended, clock, metrics)
                });
                match edited {
                    Ok(Edited::Done) => {}
                    Ok(Edited::BeginsBatch) => self.begin_batch(member, intended),
                    Err(error) => {
                        self.engine_error.borrow_mut().get_or_insert(error);
                    }
                }
            }
        }
    }

    /// The next edit of the client is made before its time, if it is one that
    /// can be.
    pub(super) fn prepare_edit(&self, member: MemberRef) {
        let made = self.room(member, |room, _, metrics| {
            room.prepare_edit(member.slot, metrics)
        });
        self.engine(made);
    }

    fn begin_batch(&self, member: MemberRef, intended: Nanos) {
        let batch = self.context.scenario.batch.as_nanos() as Nanos;
        let due = self.timer.now() + batch;
        self.batches.borrow_mut().push_back((due, member, intended));
        self.batch_begun.notify_one();
    }

    pub(super) fn flush(&self, member: MemberRef, intended: Nanos) {
        let flushed = self.room(member, |room, clock, metrics| {
            match room.members[member.slot].is_present() {
                true => room.flush(member.slot, intended, clock, metrics),
                false => Ok(()),
            }
        });
        self.engine(flushed);
    }

    /// The client comes, as planned for `planned`.
    pub fn arrive(&self, member: MemberRef, planned: Nanos) {
        self.room(member, |room, _, _| room.arrive(member.slot, planned));
    }

    /// The client leaves for good.
    pub fn depart(&self, member: MemberRef) {
        self.room(member, |room, _, metrics| room.depart(member.slot, metrics));
        self.progress.notify_one();
    }

    /// A connection of the client is open: its session begins.
    ///
    /// # Errors
    /// When the engine refuses what that takes, in words.
    pub fn open(&self, member: MemberRef) -> Result<(), String> {
        let opened = self.room(member, |room, clock, metrics| {
            room.open(member.slot, clock, metrics)
        });
        opened.map_err(|error| error.to_string())
    }

    /// Takes a message for the client; why the session cannot go on, if so.
    pub fn receive(&self, member: MemberRef, frame: Frame) -> Option<String> {
        let received = self.room(member, |room, clock, metrics| {
            room.receive(member.slot, frame, clock, metrics)
        });
        if let Some(reason) = received.rejected {
            self.rejected.borrow_mut().get_or_insert(reason);
        }
        received.ended
    }

    /// The next message for the client's socket: what is queued, or an update
    /// with the edits that found the queue full.
    pub fn next_outgoing(&self, member: MemberRef) -> Option<Frame> {
        let queued = self.member(member, Member::next_outgoing);
        if queued.is_some() {
            return queued;
        }
        let backoff = self.member(member, |member| member.has_unsent_edits());
        if backoff {
            self.flush(member, self.clock().now());
        }
        self.member(member, Member::next_outgoing)
    }

    /// The client's connection has ended.
    pub fn disconnected(&self, member: MemberRef, ended: &SessionEnd) {
        let now = self.clock().now();
        self.room(member, |room, _, metrics| {
            let member = &mut room.members[member.slot];
            if let SessionEnd::Outage(_) = ended {
                metrics.outages += 1;
                member.go_away(now);
            }
            member.disconnected(now);
        });
    }

    /// The client may come back from `back` on.
    pub fn back_from(&self, member: MemberRef, back: Nanos) {
        self.member(member, |member| member.disconnected(back));
    }

    /// The scenario takes the client away now.
    pub fn go_away(&self, member: MemberRef) {
        let now = self.clock().now();
        self.member(member, |member| member.go_away(now));
    }

    /// Counts a connection that was lost, or not to be had.
    pub fn lost(&self, member: MemberRef, lost: Disconnect) {
        let mut metrics = self.metrics.borrow_mut();
        metrics.error(&lost.kind);
        metrics.disconnects += 1;
        let mut kept = self.lost.borrow_mut();
        if kept.len() < KEPT_LOSSES {
            kept.push(LostConnection {
                client: self.client(member),
                at: self.clock().now(),
                reason: lost.reason,
            });
        }
    }

    /// Ends the run before it has begun.
    pub fn give_up(&self, failure: ConnectFailure) {
        self.failure.borrow_mut().get_or_insert(failure);
        self.progress.notify_one();
    }

    /// A client of the start that was not let in.
    pub fn not_joined(&self, member: MemberRef, reason: String) -> ConnectFailure {
        match self.url(member) {
            Ok(url) => ConnectError::NotJoined { url, reason }.into(),
            Err(error) => error.into(),
        }
    }

    /// Counts a connection that was opened, in so long.
    pub fn connected_in(&self, took: Nanos) {
        self.metrics.borrow_mut().connect.record(took);
    }

    /// Completes when the client has nothing left to send.
    pub async fn has_sent_all(&self, member: MemberRef) {
        while !self.member(member, |member| member.has_sent_all()) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Queues the frame that asks the relay whether it is there.
    pub fn queue_keepalive(&self, member: MemberRef) {
        self.room(member, |room, _, metrics| {
            room.members[member.slot].queue_keepalive(metrics);
        });
    }

    /// How far the replicas are behind now, and how many clients are live.
    pub(super) fn sample(&self, metrics: &mut Metrics) {
        let now = self.clock().now();
        let mut staleness = Staleness::default();
        for room in self.rooms.borrow_mut().iter_mut() {
            room.ledger.forget_seen();
            let complete = room.ledger.is_complete();
            for (slot, member) in room.members.iter().enumerate() {
                metrics.live += u64::from(member.status == MemberState::Live);
                let cut_off = matches!(member.status, MemberState::Offline | MemberState::Joining);
                metrics.unreachable += u64::from(cut_off && !member.is_away());
                if complete || !member.is_present() {
                    continue;
                }
                staleness.edits += room.ledger.outstanding(slot);
                if let Some(intended) = room.ledger.oldest_outstanding(slot) {
                    staleness.oldest = staleness.oldest.max(now.saturating_sub(intended));
                }
            }
        }
        metrics.staleness = staleness;
    }

    /// Whether everyone who is there is live and has seen everything.
    pub(super) fn is_settled(&self) -> bool {
        if self.visible.get() < self.expected.get() {
            return false;
        }
        let rooms = self.rooms.borrow();
        let mut members = rooms.iter().flat_map(|room| &room.members);
        members.all(|member| {
            matches!(
                member.status,
                MemberState::Live | MemberState::Gone | MemberState::Absent
            )
        })
    }

    /// Whether every client is without a session.
    pub(super) fn nobody_is_live(&self) -> bool {
        let rooms = self.rooms.borrow();
        let mut members = rooms.iter().flat_map(|room| &room.members);
        !members.any(|member| member.status == MemberState::Live)
    }

    /// How far everyone has come: deliveries, then clients that are live, but
    /// for those whose link is dead and who do not know it yet.
    pub(super) fn standing(&self) -> (u64, usize) {
        let rooms = self.rooms.borrow();
        let members = rooms.iter().flat_map(|room| &room.members);
        let live = members.filter(|member| member.status == MemberState::Live && !member.is_away());
        (self.visible.get(), live.count())
    }

    /// Whether the scenario keeps anyone away now.
    pub(super) fn any_away(&self) -> bool {
        let rooms = self.rooms.borrow();
        let mut members = rooms.iter().flat_map(|room| &room.members);
        members.any(|member| member.is_present() && member.is_away())
    }

    /// Waits for its turn to open a connection.
    pub async fn permit_to_connect(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    /// Where the client connects to.
    ///
    /// # Errors
    /// When the names make it no URL.
    pub fn url(&self, member: MemberRef) -> Result<Uri, UrlError> {
        let room = self.rooms.borrow()[member.room].name();
        self.relay.url(&room, &client_name(self.client(member)))
    }

    /// The client's number within the run.
    pub fn client(&self, member: MemberRef) -> u32 {
        let room = self.context.rooms[member.room];
        self.context.plan.rooms[room as usize].clients[member.slot]
    }

    /// A place from 0 to 1 among all clients, evenly spread.
    pub fn place_of(&self, member: MemberRef) -> f64 {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        (f64::from(self.client(member)) * GOLDEN).fract()
    }

    /// When the client comes and goes, and what happens to it.
    pub fn plan_of(&self, member: MemberRef) -> ClientPlan {
        self.context.plan.clients[self.client(member) as usize].clone()
    }

    /// Seed of everything random.
    pub fn seed(&self) -> u64 {
        self.context.scenario.seed
    }

    /// What a connection needs besides its address.
    pub fn access(&self) -> &Access {
        &self.context.scenario.access
    }

    /// What opens connections.
    pub fn network(&self) -> &dyn Network {
        self.network.as_ref()
    }

    /// The connection, encrypted where the relay's address asks for it.
    ///
    /// # Errors
    /// When the other end does not prove to be `host`.
    pub async fn encrypted(&self, host: &str, wire: Wire) -> io::Result<Wire> {
        match &self.tls {
            Some(tls) => tls.wrap(host, wire).await,
            None => Ok(wire),
        }
    }

    /// The quality of the client's link, if it has one.
    pub fn link_quality(&self, member: MemberRef) -> Option<LinkConditions> {
        let link = self.plan_of(member).link?;
        Some(self.context.scenario.links[link].quality)
    }

    /// What tells when the client's last bytes had arrived.
    pub fn arrival(&self, member: MemberRef) -> ArrivalStamp {
        self.member(member, |member| member.arrival.clone())
    }

    /// The handle of the client's link.
    pub fn control(&self, member: MemberRef) -> Rc<LinkHandle> {
        self.member(member, |member| Rc::clone(&member.control))
    }

    /// A handle without faults, for a new connection.
    pub fn fresh_control(&self, member: MemberRef) -> Rc<LinkHandle> {
        self.member(member, |member| {
            member.control = Rc::default();
            Rc::clone(&member.control)
        })
    }

    /// Rung when the client has something to send.
    pub fn wake(&self, member: MemberRef) -> Rc<Notify> {
        self.member(member, |member| Rc::clone(&member.wake))
    }

    /// Where the client stands.
    pub fn status(&self, member: MemberRef) -> MemberState {
        self.member(member, |member| member.status)
    }

    /// The protocol's name.
    pub fn protocol_name(&self) -> &'static str {
        self.context.scenario.protocol.name()
    }
}
