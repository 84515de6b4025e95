//! The `broadcast` relay: forwards every binary frame to everyone else in the
//! room that the URL path names.
//!
//! It keeps nothing: who joins late, or reconnects, gets nothing of what was
//! sent before. That is how the relay of many a getting-started article works,
//! and part of what syncbench is there to show.
//!
//! Per sender, frames arrive everywhere in the order they were sent. Each
//! client has a bounded queue; who lets it fill is a slow reader and is
//! disconnected with close code 1008, since waiting for it would stall the
//! room and dropping a frame would leave it behind without a word.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a closing connection may take to accept its last frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Settings of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Frames that may wait for one client before it counts as a slow reader.
    pub queue_frames: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { queue_frames: 4096 }
    }
}

/// Serves until `shutdown` completes, then closes every connection with code
/// 1001 and returns.
pub async fn run(listener: TcpListener, shutdown: impl Future<Output = ()>, config: Config) {
    let relay = Arc::new(Relay {
        rooms: Mutex::default(),
        next_member: AtomicU64::new(0),
        config,
    });
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Arc::clone(&relay), stream, stopped.clone()));
                }
                // Out of descriptors, most likely: those who are in stay in,
                // and a pause keeps this from becoming a busy loop.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(stop);
    while connections.join_next().await.is_some() {}
}

struct Relay {
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    next_member: AtomicU64,
    config: Config,
}

#[derive(Default)]
struct Room {
    members: Mutex<Vec<Member>>,
}

struct Member {
    id: u64,
    /// Dropped when the member is a slow reader, whose task then hangs up.
    queue: mpsc::Sender<Bytes>,
}

impl Room {
    /// Queues `frame` for everyone but `from`. Under the lock, so that all
    /// members see one sender's frames in the order sent.
    fn forward(&self, from: u64, frame: &Bytes) {
        lock(&self.members)
            .retain(|member| member.id == from || member.queue.try_send(frame.clone()).is_ok());
    }
}

/// A panic while a lock is held is a bug of ours, but no reason to take every
/// other room down: the data is a list that is valid at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client's place in a room; leaving it when dropped.
struct Membership {
    relay: Arc<Relay>,
    name: String,
    room: Arc<Room>,
    id: u64,
}

impl Membership {
    fn join(relay: &Arc<Relay>, name: &str) -> (Self, mpsc::Receiver<Bytes>) {
        let (queue, queued) = mpsc::channel(relay.config.queue_frames);
        let id = relay.next_member.fetch_add(1, Ordering::Relaxed);
        let mut rooms = lock(&relay.rooms);
        let room = Arc::clone(rooms.entry(name.to_owned()).or_default());
        lock(&room.members).push(Member { id, queue });
        drop(rooms);
        (
            Self {
                relay: Arc::clone(relay),
                name: name.to_owned(),
                room,
                id,
            },
            queued,
        )
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut rooms = lock(&self.relay.rooms);
        let mut members = lock(&self.room.members);
        members.retain(|member| member.id != self.id);
        if members.is_empty() {
            rooms.remove(&self.name);
        }
    }
}

async fn serve(relay: Arc<Relay>, stream: TcpStream, stopped: watch::Receiver<()>) {
    // Without it, small frames wait for the other side's delayed ack.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let handshake = timeout(HANDSHAKE_TIMEOUT, handshake(&relay, stream));
    let Ok(Some((socket, membership, queued))) = handshake.await else {
        return;
    };
    let (mut sink, frames) = socket.split();
    let goodbye = tokio::select! {
        () = read_frames(&membership, frames) => None,
        written = write_queued(&mut sink, queued) => match written {
            Ok(()) => Some(CloseFrame { code: CloseCode::Policy, reason: "slow reader".into() }),
            Err(_) => None,
        },
        () = stop_signal(stopped) => {
            Some(CloseFrame { code: CloseCode::Away, reason: "relay is shutting down".into() })
        }
    };
    drop(membership);
    // Where the client hung up, this flushes the answer to its own close frame.
    let _ = timeout(CLOSE_TIMEOUT, sink.send(Message::Close(goodbye))).await;
}

async fn stop_signal(mut stopped: watch::Receiver<()>) {
    // Only ever an error: nothing is sent, the sender is dropped.
    let _ = stopped.changed().await;
}

type Joined = (
    WebSocketStream<TcpStream>,
    Membership,
    mpsc::Receiver<Bytes>,
);

async fn handshake(relay: &Arc<Relay>, stream: TcpStream) -> Option<Joined> {
    let mut joined = None;
    // The client joins before it is answered: once it knows that it is
    // connected, nothing that others send can pass it by.
    #[allow(clippy::result_large_err)] // the callback's type is tungstenite's
    let on_request = |request: &Request, response: Response| {
        joined = Some(Membership::join(relay, request.uri().path()));
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let socket = accept_hdr_async_with_config(stream, on_request, Some(config))
        .await
        .ok()?;
    let (membership, queued) = joined?;
    Some((socket, membership, queued))
}

async fn read_frames(membership: &Membership, mut frames: SplitStream<WebSocketStream<TcpStream>>) {
    while let Some(Ok(message)) = frames.next().await {
        if let Message::Binary(frame) = message {
            membership.room.forward(membership.id, &frame);
        }
    }
}

/// Writes what is queued, one flush for all frames that wait, until the queue
/// is taken away.
async fn write_queued(
    sink: &mut SplitSink<WebSocketStream<TcpStream>, Message>,
    mut queued: mpsc::Receiver<Bytes>,
) -> Result<(), WsError> {
    while let Some(frame) = queued.recv().await {
        sink.feed(Message::Binary(frame)).await?;
        while let Ok(frame) = queued.try_recv() {
            sink.feed(Message::Binary(frame)).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}
