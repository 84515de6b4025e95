//! One room: its replicas, what they type, and the ledger of it all.
//!
//! A room lives in one worker thread, so nothing here is shared or locked.

use std::sync::Arc;

use bytes::Bytes;
use syncbench_datasets::Trace;
use syncbench_engines::{Counter, Engine, EngineError, Export, OpRange, PeerId, Replica};
use tokio::sync::mpsc;

use crate::clock::{Clock, Nanos, thread_cpu};
use crate::ledger::{Entry, Ledger};
use crate::metrics::Metrics;
use crate::protocol::{Event, Frame, Protocol, session};
use crate::scenario::{Scenario, room_name};
use crate::typist::Typist;

/// Frames that may wait for a client's socket. While it is full, further
/// edits wait in the replica and leave together as one update.
const OUTGOING_FRAMES: usize = 256;

/// One room of a run.
pub struct Room {
    /// Its number within the run.
    pub index: u32,
    /// Rooms of the run; client `c` is in room `c % rooms`.
    rooms: u32,
    /// Its clients by slot; client `c` has slot `c / rooms`.
    pub members: Vec<Member>,
    /// What was edited, and where it is visible.
    pub ledger: Ledger,
}

/// One client of a room.
pub struct Member {
    /// Its number within the run.
    pub client: u32,
    /// Its copy of the room's document.
    pub replica: Box<dyn Replica>,
    /// Whether its socket is open.
    pub connected: bool,
    typist: Typist,
    session: Box<dyn Protocol>,
    outgoing: mpsc::Sender<Bytes>,
    /// Own operations below this counter have left, or wait in `outgoing`.
    framed: Counter,
}

/// The peer id of a client. Fixed, so that encoded sizes repeat.
pub fn peer_of(client: u32) -> PeerId {
    PeerId::from(client) + 1
}

impl Room {
    /// Room `index` of `scenario` with empty replicas, and for each member the
    /// receiving end of its outgoing frames.
    pub fn new(
        scenario: &Scenario,
        index: u32,
        engine: &dyn Engine,
        trace: &Arc<Trace>,
    ) -> (Self, Vec<mpsc::Receiver<Bytes>>) {
        let (members, outgoing): (Vec<_>, Vec<_>) = scenario
            .clients_of(index)
            .map(|client| {
                let (outgoing, frames) = mpsc::channel(OUTGOING_FRAMES);
                let writers = scenario.clients as usize;
                let member = Member {
                    client,
                    replica: engine.replica(peer_of(client)),
                    connected: false,
                    typist: Typist::new(Arc::clone(trace), client as usize, writers),
                    session: session(scenario.protocol, &room_name(index)),
                    outgoing,
                    framed: 0,
                };
                (member, frames)
            })
            .unzip();
        let ledger = Ledger::new(members.len());
        (
            Self {
                index,
                rooms: scenario.rooms,
                members,
                ledger,
            },
            outgoing,
        )
    }

    /// The room's name, as in its URL.
    pub fn name(&self) -> String {
        room_name(self.index)
    }

    /// The slot of the member who is `peer`, if there is one.
    pub fn slot_of(&self, peer: PeerId) -> Option<usize> {
        let client = u32::try_from(peer.checked_sub(1)?).ok()?;
        let slot = (client / self.rooms) as usize;
        self.members
            .get(slot)
            .is_some_and(|member| member.client == client)
            .then_some(slot)
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
    ) -> Result<(), EngineError> {
        let started = clock.now();
        let started_cpu = thread_cpu();
        let member = &mut self.members[slot];
        if !member.connected {
            metrics.unconnected += 1;
            return Ok(());
        }
        let Some(end) = member.type_next()? else {
            metrics.idle += 1;
            return Ok(());
        };
        if let Some(frame) = member.frame_if_room(end)? {
            metrics.frames_out += 1;
            metrics.bytes_out += frame as u64;
        }
        let sent = clock.now();
        self.ledger.note(
            slot,
            Entry {
                end,
                intended,
                sent,
            },
        );
        metrics.sent += 1;
        metrics
            .generator_lag
            .record(started.saturating_sub(intended));
        metrics.edit.record(sent - started);
        metrics.edit_cpu += thread_cpu() - started_cpu;
        Ok(())
    }

    /// The update with the edits that found the member's queue full, if any.
    ///
    /// # Errors
    /// When the engine cannot export it.
    pub fn backlog(
        &mut self,
        slot: usize,
        metrics: &mut Metrics,
    ) -> Result<Option<Bytes>, EngineError> {
        let end = self.ledger.sent_up_to(slot);
        let member = &mut self.members[slot];
        if member.framed == end {
            return Ok(None);
        }
        let frame = member.frame(end)?;
        metrics.frames_out += 1;
        metrics.bytes_out += frame.len() as u64;
        Ok(Some(frame))
    }

    /// Takes a frame that reached the member in `slot`: imports it and notes
    /// which edits became visible. Returns how many did.
    pub fn receive(
        &mut self,
        slot: usize,
        frame: Bytes,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> u64 {
        let received = clock.now();
        let received_cpu = thread_cpu();
        metrics.frames_in += 1;
        metrics.bytes_in += frame.len() as u64;
        let member = &mut self.members[slot];
        let mut events = Vec::new();
        let read = member
            .session
            .receive(Frame::Binary(frame), &mut events)
            .ok();
        let (Some(()), Some(Event::Update(update))) = (read, events.pop()) else {
            metrics.corrupt += 1;
            return 0;
        };
        let imported = member.replica.import(&update);
        let visible = clock.now();
        metrics.import.record(visible - received);
        metrics.import_cpu += thread_cpu() - received_cpu;
        let Ok(imported) = imported else {
            metrics.corrupt += 1;
            return 0;
        };
        if imported.applied.is_empty() && imported.pending.is_empty() {
            metrics.duplicated += 1;
        }
        let strangers = imported
            .pending
            .iter()
            .filter(|range| self.slot_of(range.peer).is_none());
        metrics.corrupt += strangers.count() as u64;
        let times = Delivery { received, visible };
        imported
            .applied
            .iter()
            .map(|range| self.note_visible(slot, range, times, metrics))
            .sum()
    }

    fn note_visible(
        &mut self,
        receiver: usize,
        applied: &OpRange,
        Delivery { received, visible }: Delivery,
        metrics: &mut Metrics,
    ) -> u64 {
        let Some(writer) = self.slot_of(applied.peer) else {
            metrics.corrupt += 1;
            return 0;
        };
        let edits = self.ledger.show(receiver, writer, applied.counters.end);
        for edit in edits {
            metrics.propagation.record(visible - edit.intended);
            metrics.propagation_from_send.record(visible - edit.sent);
            metrics.transit.record(received.saturating_sub(edit.sent));
        }
        metrics.visible += edits.len() as u64;
        edits.len() as u64
    }
}

/// When an update reached a replica.
#[derive(Clone, Copy)]
struct Delivery {
    received: Nanos,
    visible: Nanos,
}

impl Member {
    /// Makes the typist's next edit; the counter after it, or `None` when the
    /// trace has nothing to type.
    fn type_next(&mut self) -> Result<Option<Counter>, EngineError> {
        let Some(edit) = self.typist.next_edit(self.replica.text_len()) else {
            return Ok(None);
        };
        self.replica.splice(edit.pos, edit.del, edit.ins)?;
        self.replica.commit();
        Ok(Some(self.replica.own_counter()))
    }

    /// Queues the operations below `end`, if the queue has room; the size of
    /// the frame.
    fn frame_if_room(&mut self, end: Counter) -> Result<Option<usize>, EngineError> {
        // Otherwise the task that empties the queue asks for the backlog.
        if self.outgoing.capacity() == 0 {
            return Ok(None);
        }
        let frame = self.frame(end)?;
        let size = frame.len();
        // There is room; a closed queue is a lost connection, noted elsewhere.
        let _ = self.outgoing.try_send(frame);
        Ok(Some(size))
    }

    /// The frame with the own operations from the last frame to `end`.
    fn frame(&mut self, end: Counter) -> Result<Bytes, EngineError> {
        let counters = self.framed..end;
        let update = self.replica.export(Export::Range(OpRange {
            peer: self.replica.peer(),
            counters,
        }))?;
        self.framed = end;
        let mut frames = Vec::new();
        self.session.send(0, update, &mut frames);
        match frames.pop() {
            Some(Frame::Binary(frame)) => Ok(frame),
            _ => Ok(Bytes::new()),
        }
    }
}
