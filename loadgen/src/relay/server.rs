//! The part that all embedded relays share: accepting connections, handshakes,
//! queues, the disconnection of slow readers, and orderly closes.
//!
//! Each client has a bounded queue. A client that lets its queue fill is a slow
//! reader and is disconnected with close code 1008: waiting for it would stall
//! the others, and dropping a frame would leave it behind without notice.
//!
//! A relay runs over any stream, so that a simulation can use its own network
//! and clock: see [`Listener`].

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// The longest time for a handshake, after which the client is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time for a closing connection to accept its last frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A source of client connections: a TCP port, or its counterpart in a
/// simulation.
pub trait Listener: Send {
    /// The connection of one client.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next client.
    ///
    /// # Errors
    /// If no client can be accepted at the moment; the relay tries again after
    /// 20 ms.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Otherwise, small frames would wait for the other side's delayed ack. A
        // socket that refuses is dead already, as the handshake will show.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// Accepts streams that are passed in memory. Once the last sender is dropped,
/// no more clients arrive.
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for mpsc::Receiver<S> {
    type Stream = S;

    async fn accept(&mut self) -> io::Result<S> {
        match self.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }
}

/// The protocol of a relay: it handles the frames of the clients.
pub(super) trait Service: Send + Sync + 'static {
    /// One client, from the handshake until it disconnects.
    type Session: Session;

    /// Returns the number of places in each client's queue.
    fn queue_frames(&self) -> usize;

    /// Adds a client that connects at `path`. Its handshake has not been answered
    /// yet: once a client knows that it is connected, it misses no frame.
    fn connect(self: &Arc<Self>, path: &str, queue: Queue) -> Self::Session;
}

/// One client of a relay.
pub(super) trait Session: Send + 'static {
    /// Takes a message from the client.
    ///
    /// # Errors
    /// If the connection must be closed, with this frame.
    fn receive(&mut self, message: Message) -> Result<(), CloseFrame>;

    /// Returns the time at which [`Session::expire`] must be called if no message
    /// arrives before.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Handles a deadline that has passed.
    fn expire(&mut self) {}
}

/// An entry in a client's queue.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A single message.
    One(Message),
    /// Messages that belong together.
    Many(Vec<Message>),
    /// Messages that are still being prepared. The entries behind them wait.
    Later(oneshot::Receiver<Vec<Message>>),
}

/// The sending end of the queue to one client.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    places: mpsc::Sender<Outgoing>,
    full: Arc<Notify>,
}

impl Queue {
    /// Creates a queue. Returns its two ends, and the notification that it was
    /// full.
    pub(super) fn new(places: usize) -> (Self, mpsc::Receiver<Outgoing>, Arc<Notify>) {
        let (places, queued) = mpsc::channel(places);
        let full = Arc::new(Notify::new());
        let queue = Self {
            places,
            full: Arc::clone(&full),
        };
        (queue, queued, full)
    }

    /// Adds an entry, or disconnects the client if its queue is full. Returns
    /// whether the entry was added.
    pub(super) fn push(&self, outgoing: Outgoing) -> bool {
        let queued = self.places.try_send(outgoing).is_ok();
        if !queued {
            self.full.notify_one();
        }
        queued
    }
}

/// Locks `mutex`, even if a thread panicked while it held the lock. Such a panic
/// is a bug, but not a reason to take down all other rooms: the data behind the
/// locks of the relays is valid at any time.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates the frame that closes a connection.
pub(super) fn close_frame(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame {
        code,
        reason: reason.into(),
    }
}

/// Serves until `shutdown` completes, then closes every connection with code
/// 1001 and returns.
pub(super) async fn run<L: Listener>(
    mut listener: L,
    shutdown: impl Future<Output = ()>,
    service: Arc<impl Service>,
) {
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    connections.spawn(serve(Arc::clone(&service), stream, stopped.clone()));
                }
                // Most likely, there are no descriptors left. Clients that are
                // connected stay, and the pause prevents a busy loop.
                Err(_) => sleep(Duration::from_millis(20)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(stop);
    while connections.join_next().await.is_some() {}
}

async fn serve<S>(service: Arc<impl Service>, stream: S, stopped: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (queue, queued, full) = Queue::new(service.queue_frames());
    let handshake = timeout(HANDSHAKE_TIMEOUT, handshake(&service, queue, stream));
    let Ok(Some((socket, mut session))) = handshake.await else {
        return;
    };
    let (mut sink, frames) = socket.split();
    let close = tokio::select! {
        close = read_frames(&mut session, frames) => close,
        written = write_queued(&mut sink, queued) => written.is_ok().then(slow_reader),
        () = full.notified() => Some(slow_reader()),
        () = stop_signal(stopped) => Some(close_frame(CloseCode::Away, "relay is shutting down")),
    };
    drop(session);
    // If the client closed the connection, this flushes the answer to its frame.
    let _ = timeout(CLOSE_TIMEOUT, sink.send(Message::Close(close))).await;
}

fn slow_reader() -> CloseFrame {
    close_frame(CloseCode::Policy, "slow reader")
}

async fn stop_signal(mut stopped: watch::Receiver<()>) {
    // Always an error: the sender is dropped, and never sends a value.
    let _ = stopped.changed().await;
}

async fn handshake<S, V>(
    service: &Arc<V>,
    queue: Queue,
    stream: S,
) -> Option<(WebSocketStream<S>, V::Session)>
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: Service,
{
    let mut session = None;
    #[allow(clippy::result_large_err)] // the callback's type is tungstenite's
    let on_request = |request: &Request, response: Response| {
        session = Some(service.connect(request.uri().path(), queue));
        Ok(response)
    };
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let socket = accept_hdr_async_with_config(stream, on_request, Some(config))
        .await
        .ok()?;
    Some((socket, session?))
}

/// Passes the client's messages to its session until one of them ends the
/// connection.
async fn read_frames<S>(
    session: &mut impl Session,
    mut frames: SplitStream<WebSocketStream<S>>,
) -> Option<CloseFrame>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = tokio::select! {
            message = frames.next() => message,
            () = passed(session.deadline()) => {
                session.expire();
                continue;
            }
        };
        match message? {
            Ok(message) => {
                if let Err(close) = session.receive(message) {
                    return Some(close);
                }
            }
            Err(WsError::Capacity(_)) => return Some(close_frame(CloseCode::Size, "too long")),
            Err(_) => return None,
        }
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

type Sink<S> = SplitSink<WebSocketStream<S>, Message>;

/// Writes the queued messages, with one flush for all that wait, until the queue
/// is closed.
async fn write_queued<S>(
    sink: &mut Sink<S>,
    mut queued: mpsc::Receiver<Outgoing>,
) -> Result<(), WsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(first) = queued.recv().await {
        feed(sink, first).await?;
        while let Ok(next) = queued.try_recv() {
            feed(sink, next).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

async fn feed<S>(sink: &mut Sink<S>, outgoing: Outgoing) -> Result<(), WsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let messages = match outgoing {
        Outgoing::One(message) => return sink.feed(message).await,
        Outgoing::Many(messages) => messages,
        Outgoing::Later(messages) => {
            sink.flush().await?;
            // If they will never be ready, the client must not wait for them.
            messages.await.map_err(|_| WsError::ConnectionClosed)?
        }
    };
    for message in messages {
        sink.feed(message).await?;
    }
    Ok(())
}
