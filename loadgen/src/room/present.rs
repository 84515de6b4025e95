//! A client that takes part: its document, its session and its queue.

use std::collections::VecDeque;
use std::rc::Rc;

use syncbench_engines::{Counter, EngineError, Export, VersionVector};
use tokio::sync::Notify;

use super::RoomContext;
use super::editor::Editor;
use super::inbox::Inbox;
use super::meter::Meter;
use super::replica::ClientDoc;
use super::verified::Verified;
use crate::net::placeholder::Names;
use crate::plan::ClientId;
use crate::protocol::{Event, Frame, Protocol, UpdateId, session};
use crate::scenario::EditKind;
use crate::time::clock::Nanos;

/// The number of messages that may wait for a client's socket. While that many
/// wait, further edits stay in the replica and leave together as one update.
const OUTGOING_FRAMES: usize = 256;

/// The state of a client in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// The client has not arrived yet.
    Absent,
    /// The client has arrived and has no connection.
    Offline,
    /// The client is connected and not yet caught up.
    Joining,
    /// The client is caught up.
    Live,
    /// The client has left for good.
    Gone,
}

/// The part of a member that stays the same while it is present.
pub(super) struct Identity {
    pub client: ClientId,
    pub writes: bool,
    pub is_full: bool,
    pub wake: Rc<Notify>,
}

/// A client between its arrival and its departure, with or without a
/// connection.
pub struct PresentMember {
    /// The client's replica.
    pub doc: ClientDoc,
    editor: Option<Box<Editor>>,
    meter: Rc<Meter>,
    wake: Rc<Notify>,
    connection: Connection,
    pub(super) inbox: Inbox,
    pub(super) protocol: Box<dyn Protocol>,
    /// Kept between frames, so that reading one allocates nothing.
    pub(super) events: Vec<Event>,
    outgoing: VecDeque<Outgoing>,
    /// The counter after the client's own last operation. Kept here because
    /// the engine would have to copy its version to answer.
    pub(super) created_end: Counter,
    /// Own operations below this counter wait in `outgoing` or have left.
    pub(super) queued_end: Counter,
    /// Own operations below this counter have been written to a socket.
    written_end: Counter,
    /// Own operations below this counter have been answered by the relay, where
    /// it answers: accepted or rejected.
    acked_end: Counter,
    /// Updates that the relay has not answered, or that wait for one before
    /// them to be answered.
    unacknowledged: VecDeque<Unacknowledged>,
    next_update: UpdateId,
    /// When the current attempt to join was due to begin.
    joining_since: Nanos,
    has_been_live: bool,
    /// Whether the client has joined the presence of the room; `None` if it does
    /// not need to.
    presence_joined: Option<bool>,
    /// True if edits wait until their batch is sent.
    pub(super) batching: bool,
}

/// The state of a present client's connection.
enum Connection {
    /// No connection.
    Offline,
    /// Connected. The client is live once it has the operations of `awaited`,
    /// which the relay named when it let the client in.
    Joining { awaited: Option<VersionVector> },
    /// Caught up.
    Live,
}

/// A message that waits for the socket.
struct Outgoing {
    frame: Frame,
    /// Once this frame is written, the own operations below this counter have
    /// left.
    completes: Option<Counter>,
}

/// An update that waits for the relay's answer.
struct Unacknowledged {
    id: UpdateId,
    /// When the first of its edits was intended.
    intended: Nanos,
    /// The update holds own operations below this counter.
    end: Counter,
    is_answered: bool,
}

impl PresentMember {
    /// Creates a client with an empty replica, whose arrival was planned for
    /// `planned`.
    pub(super) fn new(
        context: &RoomContext,
        meter: &Rc<Meter>,
        identity: Identity,
        planned: Nanos,
    ) -> Self {
        let Identity {
            client,
            writes,
            is_full,
            wake,
        } = identity;
        let (scenario, trace) = (&context.scenario, &context.trace);
        let peer = context.identity.peer_of(client);
        let mut doc = ClientDoc::new(context.engine, peer, is_full);
        if let ClientDoc::VersionOnly(light) = &mut doc
            && context.plan.client(client).verified
        {
            light.verify(Verified::new(&context.verified));
        }
        let writers = scenario.clients.writer_count().max(1) as usize;
        let editor = writes.then(|| Box::new(Editor::new(scenario, trace, client, writers)));
        let room = context.identity.room_name(context.plan.client(client).room);
        let auth = scenario.relay.join_auth_of(Names {
            room: &room,
            client: &client.name(),
        });
        Self {
            doc,
            editor,
            meter: Rc::clone(meter),
            wake,
            connection: Connection::Offline,
            inbox: Inbox::default(),
            protocol: session(
                scenario.relay.protocol,
                &room,
                context.engine.export_magic(),
                auth,
            ),
            events: Vec::new(),
            outgoing: VecDeque::new(),
            created_end: 0,
            queued_end: 0,
            written_end: 0,
            acked_end: 0,
            unacknowledged: VecDeque::new(),
            next_update: 0,
            joining_since: planned,
            has_been_live: false,
            presence_joined: scenario.presence_bytes().map(|_| false),
            batching: false,
        }
    }

    /// Opens the document that rooms contain from the start, where there is no
    /// relay to get it from: every client has it stored then.
    pub(super) fn open_initial(&mut self, context: &RoomContext) -> Result<(), EngineError> {
        let Some(document) = &context.initial_document else {
            return Ok(());
        };
        if context.scenario.relay.protocol.remembers() {
            return Ok(());
        }
        match &mut self.doc {
            ClientDoc::Full(replica) => replica.import(&document.bytes).map(drop),
            ClientDoc::VersionOnly(light) => {
                light.keep(&document.bytes);
                light.receive(&document.ranges);
                Ok(())
            }
        }
    }

    /// The client's state: offline, joining or live.
    pub fn state(&self) -> MemberState {
        match self.connection {
            Connection::Offline => MemberState::Offline,
            Connection::Joining { .. } => MemberState::Joining,
            Connection::Live => MemberState::Live,
        }
    }

    /// Makes the next edit and returns the counter after it; `None` when there
    /// is nothing to do, or the client only reads.
    pub(super) fn edit_next(&mut self) -> Result<Option<Counter>, EngineError> {
        // A client that has not received the document cannot type in it. (An
        // engine may even refuse to open it where something has been typed
        // before.)
        let Some(editor) = self.editor.as_mut().filter(|_| self.has_been_live) else {
            return Ok(None);
        };
        let before = self.created_end;
        self.doc.edit(editor)?;
        self.created_end = self.doc.own_counter();
        Ok((self.created_end > before).then_some(self.created_end))
    }

    /// Makes the next edit before its time, if it can be known by then, and
    /// returns whether it did.
    pub(super) fn prepare_edit(&mut self) -> Result<bool, EngineError> {
        match &mut self.editor {
            Some(editor) if self.has_been_live => self.doc.prepare_edit(editor),
            _ => Ok(false),
        }
    }

    /// Exports the own operations below `end` that have not been sent; with an
    /// editor that sends everything, everything.
    pub(super) fn export(&mut self, edits: EditKind, end: Counter) -> Result<Vec<u8>, EngineError> {
        if edits == EditKind::ReplaceAll {
            let since = &VersionVector::new();
            return self.doc.writable().export(Export::Updates { since });
        }
        self.doc.export_own(self.queued_end, end)
    }

    /// Returns true if the client has had the document at some time.
    pub(super) fn has_been_live(&self) -> bool {
        self.has_been_live
    }

    /// Returns true if an update can be queued now.
    pub(super) fn may_send(&self) -> bool {
        let joined = match &self.connection {
            Connection::Live => true,
            Connection::Joining { awaited } => awaited.is_some(),
            Connection::Offline => false,
        };
        joined && self.outgoing.len() < OUTGOING_FRAMES
    }

    /// Queues an update with the own operations below `end`, the first of them
    /// intended for `intended`.
    pub(super) fn queue_update(&mut self, update: Vec<u8>, end: Counter, intended: Nanos) {
        let id = self.next_update;
        self.next_update += 1;
        let mut frames = Vec::with_capacity(1);
        self.protocol.send(id, update, &mut frames);
        for frame in frames {
            self.queue_frame(frame);
        }
        if let Some(last) = self.outgoing.back_mut() {
            last.completes = Some(end);
        }
        if self.protocol.acknowledges() {
            self.unacknowledged.push_back(Unacknowledged {
                id,
                intended,
                end,
                is_answered: false,
            });
        }
    }

    /// Queues a message behind all that wait.
    pub(super) fn queue_frame(&mut self, frame: Frame) {
        self.meter.record(|metrics| {
            metrics.frames_out += 1;
            metrics.bytes_out += frame.len() as u64;
        });
        self.outgoing.push_back(Outgoing {
            frame,
            completes: None,
        });
        self.wake.notify_one();
    }

    /// Queues a message before all that wait.
    pub(super) fn queue_first(&mut self, frame: Frame) {
        self.queue_frame(frame);
        self.outgoing.rotate_right(1);
    }

    /// Queues the message that asks the relay for a sign of life.
    pub fn queue_keepalive(&mut self) {
        let frame = self.protocol.keepalive();
        self.queue_frame(frame);
    }

    /// Returns true if edits that were due to be sent found the queue full.
    pub fn has_unsent_edits(&self) -> bool {
        !self.batching && self.created_end > self.queued_end
    }

    /// Takes the next message to write.
    pub fn next_outgoing(&mut self) -> Option<Frame> {
        let Outgoing { frame, completes } = self.outgoing.pop_front()?;
        self.written_end = completes.unwrap_or(self.written_end);
        Some(frame)
    }

    pub(super) fn has_sent_all(&self) -> bool {
        self.outgoing.is_empty()
            && self.unacknowledged.is_empty()
            && self.created_end == self.written_end
    }

    /// The counter below which own operations have left: to the relay, where
    /// it answers, and otherwise to the socket.
    pub(super) fn handed_over(&self) -> Counter {
        match self.protocol.acknowledges() {
            true => self.acked_end,
            false => self.written_end,
        }
    }

    /// Notes that the relay has the own operations below `end`.
    pub(super) fn confirm(&mut self, end: Counter) {
        self.acked_end = self.acked_end.max(end);
    }

    /// Begins a session whose first messages are `frames`.
    pub(super) fn begin_session(&mut self, frames: Vec<Frame>) {
        self.connection = Connection::Joining { awaited: None };
        self.presence_joined = self.presence_joined.map(|_| false);
        self.outgoing.clear();
        let queue = frames.into_iter().map(|frame| Outgoing {
            frame,
            completes: None,
        });
        self.outgoing.extend(queue);
        // Edits that were not written to the lost connection are sent again.
        self.queued_end = self.written_end;
        self.wake.notify_one();
    }

    /// Notes that the relay has let the client in and has the operations of
    /// `version`.
    pub(super) fn await_version(&mut self, version: VersionVector) {
        self.connection = Connection::Joining {
            awaited: Some(version),
        };
    }

    /// Notes that the relay has let the client in to the presence.
    pub(super) fn join_presence(&mut self) {
        self.presence_joined = self.presence_joined.map(|_| true);
    }

    /// Whether the client is to show presence.
    pub(super) fn needs_presence(&self) -> bool {
        self.presence_joined.is_some()
    }
    /// Returns true if the client has been admitted and has everything that the relay
    /// had then.
    pub(super) fn has_caught_up(&self) -> bool {
        if self.presence_joined == Some(false) {
            return false;
        }
        let Connection::Joining {
            awaited: Some(awaited),
        } = &self.connection
        else {
            return false;
        };
        awaited.missing_from(&self.doc.version_vector()).is_empty()
    }

    pub(super) fn caught_up(&mut self, now: Nanos) {
        self.connection = Connection::Live;
        let took = now.saturating_sub(self.joining_since);
        let is_first = !std::mem::replace(&mut self.has_been_live, true);
        self.meter.record(|metrics| match is_first {
            true => metrics.join.record(took),
            false => metrics.catch_up.record(took),
        });
    }

    /// Takes the relay's acceptance of an update, and records how long it took.
    pub(super) fn acknowledged(&mut self, id: UpdateId, now: Nanos) {
        let intended = self.answered(id);
        self.meter.record(|metrics| match intended {
            Some(intended) => metrics.ack.record(now.saturating_sub(intended)),
            None => metrics.error("unknown ack"),
        });
    }

    /// Takes the relay's rejection of an update.
    pub(super) fn rejected(&mut self, id: UpdateId) {
        self.meter.record(|metrics| metrics.error("rejected"));
        if self.answered(id).is_none() {
            self.meter.record(|metrics| metrics.error("unknown ack"));
        }
    }

    /// Notes that the relay answered an update, in whichever order answers
    /// come, and returns when the first of its edits was intended.
    fn answered(&mut self, id: UpdateId) -> Option<Nanos> {
        let mut waiting = self.unacknowledged.iter_mut();
        let update = waiting.find(|update| update.id == id && !update.is_answered)?;
        update.is_answered = true;
        let intended = update.intended;
        while let Some(first) = self.unacknowledged.front()
            && first.is_answered
        {
            self.acked_end = self.acked_end.max(first.end);
            self.unacknowledged.pop_front();
        }
        Some(intended)
    }

    pub(super) fn disconnected(&mut self, back: Nanos) {
        self.connection = Connection::Offline;
        self.outgoing.clear();
        // The next session finds out which of them the relay has.
        self.unacknowledged.clear();
        self.queued_end = self.written_end;
        self.joining_since = back;
    }
}
