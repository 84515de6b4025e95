//! Relays on loopback for tests: the real ones, and one that can be broken.

pub mod peer;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use syncbench_engines::{Engine, Loro};
use syncbench_loadgen::client::connection::{Socket, request, upgrade};
use syncbench_loadgen::load::{self, Inputs, LoadError, Progress};
use syncbench_loadgen::net::network::{ArrivalStamp, Network, Tcp};
use syncbench_loadgen::net::placeholder::Names;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::relay::{RelayCommand, broadcast, loro};
use syncbench_loadgen::scenario::{ProtocolKind, RelaySettings, Scenario};
use syncbench_reports::record::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use crate::turns::{Kind, Turn};

/// Plays a scenario to its end with replicas of Loro.
pub fn play(scenario: Scenario) -> Result<Outcome, LoadError> {
    play_until(scenario, std::future::pending())
}

/// Plays a scenario to its end with replicas of `engine`.
pub fn play_with(engine: &'static dyn Engine, scenario: Scenario) -> Result<Outcome, LoadError> {
    let never = std::future::pending();
    run(scenario, inputs(engine), never, |_| {
        ControlFlow::Continue(())
    })
}

/// Plays a scenario until `interrupt` completes.
pub fn play_until(
    scenario: Scenario,
    interrupt: impl Future<Output = Signal>,
) -> Result<Outcome, LoadError> {
    play_watched(scenario, interrupt, |_| ControlFlow::Continue(()))
}

/// Plays a scenario and reports its progress to `watcher`.
pub fn play_watched(
    scenario: Scenario,
    interrupt: impl Future<Output = Signal>,
    watcher: impl FnMut(Progress<'_>) -> ControlFlow<String>,
) -> Result<Outcome, LoadError> {
    run(scenario, inputs(&Loro), interrupt, watcher)
}

/// Returns what a run needs besides its scenario. There is no embedded relay.
pub fn inputs(engine: &'static dyn Engine) -> Inputs {
    Inputs {
        trace: Arc::new(syncbench_datasets::load("automerge-paper").unwrap()),
        engine,
        embedded_relay: RelayCommand {
            program: "none".into(),
            args: Vec::new(),
        },
    }
}

/// Plays a scenario with these inputs.
pub fn run(
    scenario: Scenario,
    inputs: Inputs,
    interrupt: impl Future<Output = Signal>,
    watcher: impl FnMut(Progress<'_>) -> ControlFlow<String>,
) -> Result<Outcome, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(load::run(scenario, inputs, interrupt, watcher))
}

/// A relay in its own thread, so that it does not share the test's runtime. It
/// ends when it is dropped.
pub struct RelayThread {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _turn: Turn,
}

impl RelayThread {
    /// Starts the embedded `broadcast` relay.
    pub fn broadcast(config: broadcast::Config) -> Self {
        Self::start(Kind::RealTime, move |listener, stop| async move {
            let stopped = async {
                let _ = stop.await;
            };
            broadcast::run(listener, stopped, config).await;
        })
    }

    /// Starts the embedded `loro` relay.
    pub fn loro(config: loro::Config) -> Self {
        Self::start(Kind::RealTime, move |listener, stop| async move {
            let stopped = async {
                let _ = stop.await;
            };
            loro::run(listener, stopped, config).await;
        })
    }

    /// Starts the embedded `broadcast` relay. For each duration sent to the
    /// returned channel, the relay stalls: it neither reads nor writes.
    pub fn stalling(config: broadcast::Config) -> (Self, mpsc::UnboundedSender<Duration>) {
        let (stall, mut stalls) = mpsc::unbounded_channel();
        let relay = Self::start(Kind::Alone, move |listener, stop| async move {
            tokio::spawn(async move {
                while let Some(duration) = stalls.recv().await {
                    // The runtime has only this thread.
                    std::thread::sleep(duration);
                }
            });
            let stopped = async {
                let _ = stop.await;
            };
            broadcast::run(listener, stopped, config).await;
        });
        (relay, stall)
    }

    /// Starts a relay that applies `fault` to the frames that it forwards.
    pub fn broken(fault: Fault) -> Self {
        Self::serving(move |listener| serve_broken(listener, fault))
    }

    /// Starts a relay that runs `serve` until it is dropped.
    pub fn serving<F: Future<Output = ()>>(
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self {
        Self::start(Kind::RealTime, move |listener, stop| async move {
            tokio::select! {
                () = serve(listener) => {}
                _ = stop => {}
            }
        })
    }

    /// Returns the settings of a scenario that loads this relay with `protocol`.
    pub fn settings(&self, protocol: ProtocolKind) -> RelaySettings {
        RelaySettings {
            protocol,
            ..RelaySettings::at(format!("ws://{}", self.address).parse().unwrap())
        }
    }

    /// Opens a client's connection to this relay.
    pub async fn connect(&self, path: &str) -> Socket {
        let names = Names {
            room: path,
            client: "peer",
        };
        let settings = self.settings(ProtocolKind::Broadcast);
        let url = settings.url.as_ref().unwrap();
        let url = url.url(names.room, names.client).unwrap();
        let tcp = Tcp::default();
        let wire = tcp.open(url.host(), url.port(), 0, ArrivalStamp::default());
        let request = request(&url, &settings, names).unwrap();
        upgrade(&url, request, wire.await.unwrap()).await.unwrap()
    }

    fn start<F>(
        kind: Kind,
        serve: impl FnOnce(TcpListener, oneshot::Receiver<()>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()>,
    {
        let turn = Turn::take(kind);
        let (bound, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, stopped).await;
            });
        });
        Self {
            address: address.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
            _turn: turn,
        }
    }
}

impl Drop for RelayThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The fault of a broken relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Loses one delivery of the nth frame.
    Drop(u64),
    /// Delivers every frame twice.
    Duplicate,
    /// Sends frames back to their sender as well.
    Echo,
    /// Delivers the nth frame to all rooms.
    CrossRooms(u64),
    /// Flips a bit in the nth frame.
    Corrupt(u64),
    /// Cuts the nth frame in half.
    Truncate(u64),
    /// Closes the connection of the sender of the nth frame.
    HangUp(u64),
    /// Greets each client with a text and an empty frame, and sends a heartbeat
    /// after each frame.
    Chatter,
}

type Members = Vec<(u64, mpsc::UnboundedSender<Bytes>)>;

struct Broken {
    fault: Fault,
    frames: u64,
    next_member: u64,
    rooms: HashMap<String, Members>,
}

impl Broken {
    /// Forwards a frame. Returns whether the sender may stay connected.
    fn forward(&mut self, room: &str, from: u64, frame: Bytes) -> bool {
        self.frames += 1;
        let nth = |n: u64| self.frames == n;
        let (mut copies, mut echo, mut everywhere, mut skip, mut stay) = (1, false, false, 0, true);
        let mut frame = frame.to_vec();
        match self.fault {
            Fault::Drop(n) => skip = usize::from(nth(n)),
            Fault::Duplicate => copies = 2,
            Fault::Echo => echo = true,
            Fault::CrossRooms(n) => everywhere = nth(n),
            Fault::Corrupt(n) if nth(n) => {
                let middle = frame.len() / 2;
                frame[middle] ^= 1;
            }
            Fault::Truncate(n) if nth(n) => frame.truncate(frame.len() / 2),
            Fault::HangUp(n) => stay = !nth(n),
            Fault::Corrupt(_) | Fault::Truncate(_) | Fault::Chatter => {}
        }
        let frame = Bytes::from(frame);
        let rooms = self
            .rooms
            .iter()
            .filter(|(name, _)| everywhere || *name == room);
        let members = rooms.flat_map(|(_, members)| members);
        for (_, queue) in members.filter(|(id, _)| echo || *id != from).skip(skip) {
            (0..copies).for_each(|_| drop(queue.send(frame.clone())));
        }
        stay
    }
}

async fn serve_broken(listener: TcpListener, fault: Fault) {
    let rooms = HashMap::new();
    let broken = Arc::new(Mutex::new(Broken {
        fault,
        frames: 0,
        next_member: 0,
        rooms,
    }));
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_client(Arc::clone(&broken), stream));
    }
}

async fn serve_client(broken: Arc<Mutex<Broken>>, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let (queue, mut queued) = mpsc::unbounded_channel();
    let (mut room, mut id) = (String::new(), 0);
    #[allow(clippy::result_large_err)] // the callback's type is tungstenite's
    let join = |request: &Request, response: Response| {
        let mut broken = broken.lock().unwrap();
        broken.next_member += 1;
        id = broken.next_member;
        room = request.uri().path().to_owned();
        broken
            .rooms
            .entry(room.clone())
            .or_default()
            .push((id, queue));
        Ok(response)
    };
    let Ok(socket) = accept_hdr_async(stream, join).await else {
        return;
    };
    let (mut sink, mut frames) = socket.split();
    let chats = broken.lock().unwrap().fault == Fault::Chatter;
    let greeting = [
        Message::text(r#"{"type":"welcome"}"#),
        Message::Binary(Bytes::new()),
    ];
    for message in greeting.into_iter().filter(|_| chats) {
        let _ = sink.send(message).await;
    }
    loop {
        tokio::select! {
            Some(frame) = queued.recv() => {
                if sink.send(Message::Binary(frame)).await.is_err() {
                    return;
                }
                if chats {
                    let _ = sink.send(Message::text("heartbeat")).await;
                }
            }
            message = frames.next() => match message {
                Some(Ok(Message::Binary(frame))) => {
                    if !broken.lock().unwrap().forward(&room, id, frame) {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            }
        }
    }
}
