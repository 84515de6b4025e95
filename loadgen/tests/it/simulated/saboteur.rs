//! A sabotaged relay: a proxy between the clients and the real relay manipulates
//! frames on their way to the clients.

mod stale;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use loro_protocol::{CrdtType, ProtocolMessage};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use syncbench_engines::{Engine, Loro, OpRange};
use syncbench_loadgen::net::network::{ArrivalStamp, ConnectFuture, Network};
use syncbench_loadgen::plan::Identity;
use syncbench_loadgen::scenario::{ProtocolKind, Scenario};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

use super::pipes::Pipes;

/// The manipulation of frames with updates on their way to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// No manipulation.
    None,
    /// One in N deliveries is lost.
    Drop(u64),
    /// Only one delivery is lost, among the first N.
    DropOnce(u64),
    /// One in N frames is delivered twice.
    Duplicate(u64),
    /// The frames of some writers are delayed, and those of others are not.
    ReorderSenders,
    /// One in N frames is delayed until after later ones.
    ReorderWithinSender(u64),
    /// A byte of one in N frames is changed.
    Corrupt(u64),
    /// One in N frames is truncated.
    Truncate(u64),
    /// One in N frames is delivered in another room as well.
    CrossRooms(u64),
    /// All frames are also sent back to their senders.
    Echo,
    /// After one in N frames, a much older one is delivered again.
    Replay(u64),
    /// All frames are delayed by this time.
    Late(Duration),
    /// The relay is restarted once, and has lost its state.
    Forget,
    /// Late joiners receive half of the history, announced as the whole.
    StaleSnapshot,
}

/// The number of frames that are kept for replay.
const KEPT_FRAMES: usize = 64;

/// The network to a sabotaged relay.
pub struct Saboteur {
    pipes: Rc<Pipes>,
    state: Rc<RefCell<State>>,
}

struct State {
    protocol: ProtocolKind,
    sabotage: Sabotage,
    identity: Identity,
    rng: Xoshiro256PlusPlus,
    clients: Vec<Victim>,
    old: VecDeque<(String, Bytes)>,
    /// The number of deliveries so far.
    deliveries: u64,
    /// The number of the next delivery to manipulate.
    next: u64,
    touched: u64,
}

struct Victim {
    room: String,
    queue: Queue,
}

type Queue = mpsc::UnboundedSender<(Instant, Message)>;

impl Saboteur {
    /// Puts a saboteur in front of the relay of `scenario`, in the current `LocalSet`.
    pub fn before_relay(scenario: &Scenario, sabotage: Sabotage) -> Rc<Self> {
        let protocol = scenario.relay.protocol;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(scenario.seed ^ 0x5AB0);
        let next = sabotage.one_in().map_or(0, |n| rng.random_range(0..n));
        Rc::new(Self {
            pipes: Pipes::to_relay(protocol),
            state: Rc::new(RefCell::new(State {
                protocol,
                sabotage,
                identity: Identity::new(scenario),
                rng,
                clients: Vec::new(),
                old: VecDeque::new(),
                deliveries: 0,
                next,
                touched: 0,
            })),
        })
    }

    /// Restarts the relay.
    pub fn restart(&self) {
        self.pipes.restart();
        self.state.borrow_mut().touched += 1;
    }

    /// Returns the number of frames that it has manipulated.
    pub fn touched(&self) -> u64 {
        self.state.borrow().touched
    }
}

impl Sabotage {
    fn one_in(self) -> Option<u64> {
        match self {
            Self::Drop(n)
            | Self::DropOnce(n)
            | Self::Duplicate(n)
            | Self::ReorderWithinSender(n)
            | Self::Corrupt(n)
            | Self::Truncate(n)
            | Self::CrossRooms(n)
            | Self::Replay(n) => Some(n),
            _ => None,
        }
    }
}

impl Network for Saboteur {
    fn open<'a>(&'a self, _: &'a str, _: u16, _: u32, arrival: ArrivalStamp) -> ConnectFuture<'a> {
        Box::pin(async move {
            let upstream = self.pipes.connect().await?;
            let (near, far) = duplex(64 * 1024);
            let state = Rc::clone(&self.state);
            spawn_local(async move {
                // Ends with either connection.
                let _ = proxy(far, upstream, state).await;
            });
            Ok(self.pipes.wire(near, arrival))
        })
    }
}

type Failure = tokio_tungstenite::tungstenite::Error;

/// Connects one client to the relay, and manipulates its frames.
async fn proxy(
    client: DuplexStream,
    relay: DuplexStream,
    state: Rc<RefCell<State>>,
) -> Result<(), Failure> {
    let mut path = String::new();
    #[allow(clippy::result_large_err)] // the callback's type is tungstenite's
    let note_path = |request: &Request, response: Response| {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let client = accept_hdr_async(client, note_path).await?;
    let (relay, _) = client_async(format!("ws://relay{path}"), relay).await?;
    let (queue, queued) = mpsc::unbounded_channel();
    let room = path.trim_start_matches('/').to_owned();
    state.borrow_mut().clients.push(Victim {
        room: room.clone(),
        queue: queue.clone(),
    });
    carry(client, relay, queued, &Manipulator { state, room, queue }).await
}

async fn carry(
    client: WebSocketStream<DuplexStream>,
    relay: WebSocketStream<DuplexStream>,
    mut queued: mpsc::UnboundedReceiver<(Instant, Message)>,
    manipulator: &Manipulator,
) -> Result<(), Failure> {
    let (mut to_client, mut from_client) = client.split();
    let (mut to_relay, mut from_relay) = relay.split();
    let up = async {
        while let Some(message) = from_client.next().await {
            let message = message?;
            manipulator.echo(&message);
            to_relay.send(message).await?;
        }
        to_relay.close().await
    };
    let down = async {
        let mut joined = None;
        while let Some(message) = from_relay.next().await {
            manipulator.pass_on(message?, &mut joined);
        }
        Ok(())
    };
    let deliver = async {
        while let Some((due, message)) = queued.recv().await {
            sleep_until(due).await;
            to_client.send(message).await?;
        }
        Ok(())
    };
    tokio::select! {
        biased;
        ended = up => ended,
        ended = deliver => ended,
        ended = down => ended,
    }
}

/// Manipulates the frames of one client.
struct Manipulator {
    state: Rc<RefCell<State>>,
    room: String,
    queue: Queue,
}

impl Manipulator {
    /// Sends the client's own frames back to it, if that is the sabotage.
    fn echo(&self, message: &Message) {
        let mut state = self.state.borrow_mut();
        if state.sabotage == Sabotage::Echo && state.updates(message).is_some() {
            state.touched += 1;
            self.deliver(message.clone(), Duration::ZERO);
        }
    }

    fn deliver(&self, message: Message, after: Duration) {
        let _ = self.queue.send((Instant::now() + after, message));
    }

    /// Delivers a message of the relay after its manipulation.
    fn pass_on(&self, message: Message, joined: &mut Option<ProtocolMessage>) {
        let mut state = self.state.borrow_mut();
        if state.sabotage == Sabotage::StaleSnapshot
            && let Some(messages) = state.make_stale(&message, joined)
        {
            return messages
                .into_iter()
                .for_each(|m| self.deliver(m, Duration::ZERO));
        }
        match (state.updates(&message), &message) {
            (Some(updates), Message::Binary(frame)) => self.touch(&mut state, frame, &updates),
            _ => self.deliver(message, Duration::ZERO),
        }
    }

    fn touch(&self, state: &mut State, frame: &Bytes, updates: &[Bytes]) {
        let whole = || Message::Binary(frame.clone());
        let is_next = state.count();
        match state.sabotage {
            Sabotage::Drop(_) | Sabotage::DropOnce(_) if is_next => {}
            Sabotage::Duplicate(_) if is_next => {
                self.deliver(whole(), Duration::ZERO);
                self.deliver(whole(), Duration::ZERO);
            }
            Sabotage::ReorderSenders => {
                let first = updates.first().map_or_else(Vec::new, ranges_of);
                let held = first.first().is_some_and(|range| state.is_held(range));
                self.deliver_overtaken(whole(), Duration::from_millis(if held { 40 } else { 0 }));
                state.touched += u64::from(held);
            }
            Sabotage::ReorderWithinSender(_) if is_next => {
                self.deliver_overtaken(whole(), Duration::from_millis(150));
            }
            Sabotage::Corrupt(_) if is_next => {
                let mut bytes = frame.to_vec();
                let place = state.rng.random_range(0..bytes.len());
                bytes[place] ^= 1 << state.rng.random_range(0..8);
                self.deliver(Message::Binary(bytes.into()), Duration::ZERO);
            }
            Sabotage::Truncate(_) if is_next => {
                let left = state.rng.random_range(0..frame.len());
                self.deliver(Message::Binary(frame.slice(..left)), Duration::ZERO);
            }
            Sabotage::CrossRooms(_) if is_next => {
                self.deliver(whole(), Duration::ZERO);
                state.leak(&self.room, frame);
            }
            Sabotage::Replay(_) if is_next => {
                self.deliver(whole(), Duration::ZERO);
                let old = state.old.iter().find(|(room, _)| *room == self.room);
                let old = old.map(|(_, frame)| Message::Binary(frame.clone()));
                old.into_iter()
                    .for_each(|old| self.deliver(old, Duration::ZERO));
            }
            Sabotage::Late(late) => {
                state.touched += 1;
                self.deliver(whole(), late);
            }
            _ => self.deliver(whole(), Duration::ZERO),
        }
        state.old.push_back((self.room.clone(), frame.clone()));
        state.old.truncate(KEPT_FRAMES);
    }

    /// Delivers a message after a delay, during which others may overtake it.
    fn deliver_overtaken(&self, message: Message, after: Duration) {
        let (queue, due) = (self.queue.clone(), Instant::now() + after);
        spawn_local(async move {
            sleep_until(due).await;
            let _ = queue.send((due, message));
        });
    }
}

impl State {
    /// Counts a delivery. Returns whether it must be manipulated.
    fn count(&mut self) -> bool {
        let number = self.deliveries;
        self.deliveries += 1;
        let Some(one_in) = self.sabotage.one_in() else {
            return false;
        };
        if number != self.next {
            return false;
        }
        self.next = match self.sabotage {
            Sabotage::DropOnce(_) => u64::MAX,
            _ => number + one_in,
        };
        self.touched += 1;
        true
    }

    /// Whether updates of a writer are delayed while those of others are not.
    fn is_held(&self, range: &OpRange) -> bool {
        let writer = self.identity.client_of(range.peer);
        writer.is_some_and(|client| client.0 % 2 == 1)
    }

    /// Returns the updates in a message, if it carries any.
    fn updates(&self, message: &Message) -> Option<Vec<Bytes>> {
        let Message::Binary(frame) = message else {
            return None;
        };
        if self.protocol == ProtocolKind::Broadcast {
            return Some(vec![frame.clone()]);
        }
        match loro_protocol::decode(frame) {
            Ok(ProtocolMessage::DocUpdate {
                crdt: CrdtType::Loro,
                updates,
                ..
            }) => Some(updates.into_iter().map(Bytes::from).collect()),
            _ => None,
        }
    }

    /// Delivers a frame to a client in another room, under that room's name.
    fn leak(&self, room: &str, frame: &Bytes) {
        let Some(stranger) = self.clients.iter().find(|client| client.room != room) else {
            return;
        };
        let frame = match loro_protocol::decode(frame) {
            Ok(ProtocolMessage::DocUpdate {
                crdt,
                updates,
                batch_id,
                ..
            }) if self.protocol == ProtocolKind::Loro => {
                let renamed = ProtocolMessage::DocUpdate {
                    crdt,
                    room_id: stranger.room.clone(),
                    updates,
                    batch_id,
                };
                loro_protocol::encode(&renamed).unwrap().into()
            }
            _ => frame.clone(),
        };
        let _ = stranger
            .queue
            .send((Instant::now(), Message::Binary(frame)));
    }
}

fn ranges_of(update: &Bytes) -> Vec<OpRange> {
    Loro.ranges_of(update).unwrap_or_default()
}
