//! A client of a relay with a real replica.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use syncbench_engines::{Engine, Export, Loro, OpRange, PeerId, Replica, VersionVector};
use syncbench_loadgen::protocol::{Event, Frame, Protocol, UpdateId, session};
use syncbench_loadgen::scenario::ProtocolKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// A stream that a socket can be opened on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

pub struct Peer<S> {
    pub socket: WebSocketStream<S>,
    pub replica: Box<dyn Replica>,
    session: Box<dyn Protocol>,
    events: VecDeque<Event>,
    sent: UpdateId,
    /// The number of bytes in the binary frames received.
    pub received: usize,
}

impl<S: Stream> Peer<S> {
    /// Creates a peer with an empty replica, in no room yet.
    pub fn new(socket: WebSocketStream<S>, room: &str, peer: PeerId) -> Self {
        Self::speaking(ProtocolKind::Loro, socket, room, peer)
    }

    /// Creates a peer that speaks `protocol`.
    pub fn speaking(
        protocol: ProtocolKind,
        socket: WebSocketStream<S>,
        room: &str,
        peer: PeerId,
    ) -> Self {
        Self {
            socket,
            replica: Loro.replica(peer),
            session: session(protocol, room, b"loro", Vec::new()),
            events: VecDeque::new(),
            sent: 0,
            received: 0,
        }
    }

    /// Joins the room and returns the version of the relay's document.
    pub async fn join(&mut self) -> VersionVector {
        self.ask_to_join().await;
        match self.event().await {
            Event::Joined { version } => Loro.decode_version(&version).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn ask_to_join(&mut self) {
        let mut frames = Vec::new();
        self.session
            .open(self.replica.encoded_version(), &mut frames);
        self.send_all(frames).await;
    }

    /// Types at the end of the document and returns the update.
    pub fn edit(&mut self, text: &str) -> Vec<u8> {
        let start = self.replica.own_counter();
        let end = self.replica.text_len();
        self.replica.splice(end, 0, text).unwrap();
        self.replica.commit();
        let range = OpRange {
            peer: self.replica.peer(),
            counters: start..self.replica.own_counter(),
        };
        self.replica.export(Export::Range(range)).unwrap()
    }

    /// Sends an update and returns its id.
    pub async fn send(&mut self, update: Vec<u8>) -> UpdateId {
        self.sent += 1;
        let mut frames = Vec::new();
        self.session.send(self.sent, update, &mut frames);
        self.send_all(frames).await;
        self.sent
    }

    /// Types, sends the update, and waits until the relay has acknowledged it.
    pub async fn type_and_wait(&mut self, text: &str) {
        let update = self.edit(text);
        let id = self.send(update).await;
        self.import_until(&Event::Acknowledged(id)).await;
    }

    pub async fn show_presence(&mut self, state: &[u8]) {
        let key = self.replica.peer().to_string();
        let frame = self.session.presence(&key, state);
        self.send_all(frame.into_iter().collect()).await;
    }

    /// Sends a text ping and waits for its answer. Returns the events before the
    /// answer, after importing their updates.
    pub async fn everything_before_pong(&mut self) -> Vec<Event> {
        let ping = self.session.keepalive();
        self.send_all(vec![ping]).await;
        self.import_until(&Event::Alive).await
    }

    async fn import_until(&mut self, last: &Event) -> Vec<Event> {
        let mut before = Vec::new();
        loop {
            let event = self.event().await;
            if event == *last {
                return before;
            }
            self.import(&event);
            before.push(event);
        }
    }

    /// Imports updates until the replica has `version`.
    pub async fn catch_up(&mut self, version: &VersionVector) {
        while !self.replica.version_vector().includes(version) {
            let event = self.event().await;
            self.import(&event);
        }
    }

    fn import(&mut self, event: &Event) {
        if let Event::Update(update) = event {
            self.replica.import(update).unwrap();
        }
    }

    pub async fn event(&mut self) -> Event {
        while self.events.is_empty() {
            let frame = match self.message().await {
                Message::Binary(bytes) => {
                    self.received += bytes.len();
                    Frame::Binary(bytes)
                }
                Message::Text(text) => Frame::Text(text.to_string()),
                other => panic!("{other:?}"),
            };
            let mut events = Vec::new();
            self.session.receive(frame, &mut events).unwrap();
            // Every session joins the presence as well, which few tests are about.
            events.retain(|event| *event != Event::PresenceJoined);
            self.events.extend(events);
        }
        self.events.pop_front().unwrap()
    }

    pub async fn message(&mut self) -> Message {
        timeout(Duration::from_secs(30), self.socket.next())
            .await
            .expect("a message in time")
            .unwrap()
            .unwrap()
    }

    /// Reads until the relay closes the connection.
    pub async fn goodbye(&mut self) -> Option<CloseFrame> {
        loop {
            match timeout(Duration::from_secs(30), self.socket.next()).await {
                Ok(Some(Ok(Message::Close(close)))) => return close,
                Ok(Some(Ok(_))) => {}
                Ok(_) => return None,
                Err(_) => panic!("it did not hang up"),
            }
        }
    }

    pub async fn send_all(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            let message = match frame {
                Frame::Binary(bytes) => Message::Binary(bytes),
                Frame::Text(text) => Message::text(text),
                Frame::Ping => Message::Ping(Default::default()),
            };
            self.socket.send(message).await.unwrap();
        }
    }
}
