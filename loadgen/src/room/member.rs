//! One client of a room: its copy of the document, its session, its queue.

use std::collections::VecDeque;
use std::rc::Rc;

use syncbench_engines::{Counter, EngineError, Export, VersionVector};
use tokio::sync::Notify;

use super::{RoomContext, peer_of};
use crate::metrics::Metrics;
use crate::net::link::LinkHandle;
use crate::net::network::ArrivalStamp;
use crate::plan::ClientPlan;
use crate::protocol::{Event, Frame, Protocol, UpdateId, session};
use crate::room::editor::Editor;
use crate::room::replica::ClientDoc;
use crate::scenario::{EditKind, room_name};
use crate::time::clock::Nanos;

/// Messages that may wait for a client's socket. While it is full, further
/// edits wait in the replica and leave together as one update.
const OUTGOING_FRAMES: usize = 256;

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// Not there yet.
    Absent,
    /// Without a connection.
    Offline,
    /// Connected, and not yet caught up.
    Joining,
    /// Caught up.
    Live,
    /// Left for good.
    Gone,
}

/// One client of a room.
pub struct Member {
    /// Its number within the run.
    pub client: u32,
    /// When it comes and goes, and what happens to it.
    pub plan: ClientPlan,
    /// Its number among the room's writers, if it is one.
    pub writer: Option<usize>,
    /// Where it stands.
    pub status: MemberState,
    /// Its link, and what the link did last.
    pub control: Rc<LinkHandle>,
    /// When what it read last had arrived, by the time source.
    pub arrival: ArrivalStamp,
    /// Rung when there is something to send.
    pub wake: Rc<Notify>,
    /// `None` before it comes and after it has left.
    copy: Option<ClientDoc>,
    editor: Option<Box<Editor>>,
    pub(super) protocol: Box<dyn Protocol>,
    /// Kept between frames, so that taking one allocates nothing.
    pub(super) events: Vec<Event>,
    /// What the relay said it has; the client is live once it has that too.
    pub(super) awaited: Option<VersionVector>,
    outgoing: VecDeque<Outgoing>,
    /// Its own operations are those below this counter: the engine would have
    /// to copy its version to tell.
    pub(super) created_end: Counter,
    /// Own operations below this counter wait in `outgoing` or have left.
    pub(super) queued_end: Counter,
    /// Own operations below this counter have been written to a socket.
    written_end: Counter,
    /// Updates that the relay has not acknowledged.
    unacknowledged: VecDeque<Unacknowledged>,
    /// Own operations below this counter are known to be with the relay, where
    /// it tells.
    acked_end: Counter,
    next_update: UpdateId,
    /// When the current attempt to join was due to begin.
    joining_since: Nanos,
    has_been_live: bool,
    /// Whether it came late, or was without a connection once it had come.
    missed_some: bool,
    /// When the scenario kept it away: ascending; the last may be open.
    away: Vec<(Nanos, Nanos)>,
    /// Whether edits wait for their batch to leave.
    pub(super) batching: bool,
}

/// A message that waits for the socket.
struct Outgoing {
    frame: Frame,
    /// With it, the own operations below this counter have left.
    completes: Option<Counter>,
}

/// An update that the relay has not acknowledged.
struct Unacknowledged {
    id: UpdateId,
    /// When the first of its edits was intended.
    intended: Nanos,
    /// It holds own operations below this counter.
    end: Counter,
}

impl Member {
    pub(super) fn new(
        context: &RoomContext,
        client: u32,
        plan: &ClientPlan,
        writer: Option<usize>,
    ) -> Self {
        Self {
            client,
            plan: plan.clone(),
            writer,
            status: MemberState::Absent,
            control: Rc::default(),
            arrival: ArrivalStamp::default(),
            wake: Rc::default(),
            copy: None,
            editor: None,
            protocol: session(context.scenario.protocol, &room_name(plan.room)),
            events: Vec::new(),
            awaited: None,
            outgoing: VecDeque::new(),
            created_end: 0,
            queued_end: 0,
            written_end: 0,
            unacknowledged: VecDeque::new(),
            acked_end: 0,
            next_update: 0,
            joining_since: 0,
            has_been_live: false,
            missed_some: plan.joins.is_some(),
            away: Vec::new(),
            batching: false,
        }
    }

    pub(super) fn arrive(&mut self, context: &RoomContext, planned: Nanos) {
        let mut copy = ClientDoc::new(context.engine, peer_of(self.client), self.plan.full);
        if let Some(initial_document) = &context.initial_document
            && !context.scenario.protocol.remembers()
        {
            // There is no relay to get it from: everyone has it stored.
            match &mut copy {
                ClientDoc::Full(replica) => drop(replica.import(&initial_document.bytes)),
                ClientDoc::VersionOnly(light) => drop(light.receive(&initial_document.ranges)),
            }
        }
        let (scenario, trace) = (&context.scenario, &context.trace);
        self.copy = Some(copy);
        self.editor = self.writer.map(|_| {
            let writers = scenario.writers.max(1) as usize;
            Box::new(Editor::new(scenario, trace, self.client as usize, writers))
        });
        self.status = MemberState::Offline;
        self.joining_since = planned;
        if self.plan.joins.is_some() {
            self.away.push((planned, Nanos::MAX));
        }
    }

    /// Frees what a client that has left does not need any more.
    pub(super) fn forget(&mut self) {
        self.copy = None;
        self.editor = None;
        self.outgoing = VecDeque::new();
        self.unacknowledged = VecDeque::new();
    }

    /// Its copy of the document.
    ///
    /// # Panics
    /// Before it has come and after it has left.
    #[allow(clippy::expect_used)] // held by the life of a client
    pub fn copy(&self) -> &ClientDoc {
        self.copy
            .as_ref()
            .expect("a client that is there has a copy")
    }

    /// The same, to change it.
    ///
    /// # Panics
    /// Before it has come and after it has left.
    #[allow(clippy::expect_used)] // held by the life of a client
    pub fn copy_mut(&mut self) -> &mut ClientDoc {
        self.copy
            .as_mut()
            .expect("a client that is there has a copy")
    }

    /// Whether the scenario keeps it away now.
    pub fn is_away(&self) -> bool {
        self.away.last().is_some_and(|away| away.1 == Nanos::MAX)
    }

    /// The scenario takes it away now; it is back once it has caught up.
    pub fn go_away(&mut self, now: Nanos) {
        if !self.is_away() {
            self.away.push((now, Nanos::MAX));
        }
    }

    /// Whether it came late, or was without a connection once it had come.
    pub fn was_ever_absent(&self) -> bool {
        self.missed_some
    }

    /// Whether it is there, connected or not.
    pub fn is_present(&self) -> bool {
        self.copy.is_some()
    }

    /// Makes the next edit; the counter after it, or `None` when there is
    /// nothing to do, or nobody who does it.
    pub(super) fn edit_next(&mut self) -> Result<Option<Counter>, EngineError> {
        // Whoever has not got the document yet cannot type in it. (An engine
        // may even refuse to open it where something has been typed before.)
        if !self.has_been_live {
            return Ok(None);
        }
        let (Some(editor), Some(copy)) = (&mut self.editor, &mut self.copy) else {
            return Ok(None);
        };
        let before = self.created_end;
        copy.edit(editor)?;
        self.created_end = copy.own_counter();
        Ok((self.created_end > before).then_some(self.created_end))
    }

    /// Makes the next edit before its time, if it can be known by then;
    /// whether that was so.
    pub(super) fn prepare_edit(&mut self) -> Result<bool, EngineError> {
        match (&mut self.editor, &mut self.copy) {
            (Some(editor), Some(copy)) if self.has_been_live => copy.prepare_edit(editor),
            _ => Ok(false),
        }
    }

    /// The own operations that have not been sent, as an update: with an
    /// editor that sends everything, everything.
    pub(super) fn export(&mut self, edits: EditKind, end: Counter) -> Result<Vec<u8>, EngineError> {
        let framed = self.queued_end;
        if edits == EditKind::ReplaceAll {
            let since = &VersionVector::new();
            return self.copy_mut().writable().export(Export::Updates { since });
        }
        self.copy_mut().export_own(framed, end)
    }

    /// Whether an update can be queued now.
    pub(super) fn may_send(&self) -> bool {
        let joined = match self.status {
            MemberState::Live => true,
            MemberState::Joining => self.awaited.is_some(),
            MemberState::Absent | MemberState::Offline | MemberState::Gone => false,
        };
        joined && self.outgoing.len() < OUTGOING_FRAMES
    }

    /// Queues an update with the own operations below `end`, the first of them
    /// intended for `intended`.
    pub(super) fn queue_update(
        &mut self,
        update: Vec<u8>,
        end: Counter,
        intended: Nanos,
        metrics: &mut Metrics,
    ) {
        let id = self.next_update;
        self.next_update += 1;
        let mut frames = Vec::with_capacity(1);
        self.protocol.send(id, update, &mut frames);
        for frame in frames {
            self.queue_frame(frame, metrics);
        }
        if let Some(last) = self.outgoing.back_mut() {
            last.completes = Some(end);
        }
        if self.protocol.acknowledges() {
            let update = Unacknowledged { id, intended, end };
            self.unacknowledged.push_back(update);
        }
    }

    pub(super) fn queue_frame(&mut self, frame: Frame, metrics: &mut Metrics) {
        metrics.frames_out += 1;
        metrics.bytes_out += frame.len() as u64;
        self.outgoing.push_back(Outgoing {
            frame,
            completes: None,
        });
        self.wake.notify_one();
    }

    /// Queues a message before all that wait.
    pub(super) fn queue_first(&mut self, frame: Frame, metrics: &mut Metrics) {
        self.queue_frame(frame, metrics);
        self.outgoing.rotate_right(1);
    }

    /// Queues the message that asks the relay whether it is there.
    pub fn queue_keepalive(&mut self, metrics: &mut Metrics) {
        let frame = self.protocol.keepalive();
        self.queue_frame(frame, metrics);
    }

    /// Whether it made edits that were due to leave and found the queue full.
    pub fn has_unsent_edits(&self) -> bool {
        !self.batching && self.created_end > self.queued_end
    }

    /// The next message to write.
    pub fn next_outgoing(&mut self) -> Option<Frame> {
        let Outgoing { frame, completes } = self.outgoing.pop_front()?;
        self.written_end = completes.unwrap_or(self.written_end);
        Some(frame)
    }

    /// Whether everything it made has been written, and acknowledged where
    /// relays do that.
    pub fn has_sent_all(&self) -> bool {
        self.outgoing.is_empty()
            && self.unacknowledged.is_empty()
            && (!self.is_present() || self.created_end == self.written_end)
    }

    /// Own operations below this counter have left: to the relay, where it
    /// tells, and else to the socket.
    pub(super) fn handed_over(&self) -> Counter {
        match self.protocol.acknowledges() {
            true => self.acked_end,
            false => self.written_end,
        }
    }

    /// The relay has the own operations below `end`.
    pub(super) fn confirm(&mut self, end: Counter) {
        self.acked_end = self.acked_end.max(end);
    }

    pub(super) fn begin_session(&mut self, frames: Vec<Frame>) {
        self.status = MemberState::Joining;
        self.awaited = None;
        self.outgoing.clear();
        let queue = frames.into_iter().map(|frame| Outgoing {
            frame,
            completes: None,
        });
        self.outgoing.extend(queue);
        // What a lost connection had not taken goes out again.
        self.queued_end = self.written_end;
        self.wake.notify_one();
    }

    pub(super) fn caught_up(&mut self, now: Nanos, metrics: &mut Metrics) {
        self.awaited = None;
        self.status = MemberState::Live;
        let took = now.saturating_sub(self.joining_since);
        match std::mem::replace(&mut self.has_been_live, true) {
            false => metrics.join.record(took),
            true => metrics.catch_up.record(took),
        }
        if let Some(away) = self.away.last_mut()
            && away.1 == Nanos::MAX
        {
            away.1 = now;
        }
    }

    pub(super) fn acknowledged(&mut self, id: UpdateId, now: Nanos, metrics: &mut Metrics) {
        let mut waiting = self.unacknowledged.iter();
        let place = waiting.position(|update| update.id == id);
        let Some(update) = place.and_then(|place| self.unacknowledged.remove(place)) else {
            metrics.error("unknown ack");
            return;
        };
        if place == Some(0) {
            self.confirm(update.end);
        }
        metrics.ack.record(now.saturating_sub(update.intended));
    }

    /// The connection is gone; the client may come back from `back` on.
    pub fn disconnected(&mut self, back: Nanos) {
        self.status = MemberState::Offline;
        self.awaited = None;
        self.outgoing.clear();
        // The next session finds out what the relay has of them.
        self.unacknowledged.clear();
        self.queued_end = self.written_end;
        self.joining_since = back;
        self.missed_some = true;
    }

    /// Whether the scenario kept it away at any time from `from` to `to`.
    pub(super) fn was_away(&self, from: Nanos, to: Nanos) -> bool {
        let latest = self.away.iter().rev();
        let mut near = latest.take_while(|(_, end)| *end >= from);
        near.any(|(start, _)| *start <= to)
    }

    pub(super) fn link_delay_up(&self) -> Nanos {
        self.control.up.get()
    }

    pub(super) fn link_delay_down(&self) -> Nanos {
        self.control.down.get()
    }
}
