//! What every embedded relay does alike: it accepts connections, shakes hands,
//! queues what a client is to get, hangs up on slow readers, and says goodbye.
//!
//! Each client has a bounded queue; who lets it fill is a slow reader and is
//! disconnected with close code 1008, since waiting for it would stall the
//! others and dropping a frame would leave it behind without a word.
//!
//! A relay runs over any stream, so that a simulation can put it on a network
//! and a clock of its own: see [`Listener`].

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

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a closing connection may take to accept its last frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where clients come from: a TCP port, or what stands for one in a simulation.
pub trait Listener: Send {
    /// One client's connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next client.
    ///
    /// # Errors
    /// When none can be taken at the moment; the relay tries again after 20 ms.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Without it, small frames wait for the other side's delayed ack. A
        // socket that refuses is dead already, as the handshake will find.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// Streams that are handed over in memory. After the last sender is gone,
/// nobody comes any more.
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for mpsc::Receiver<S> {
    type Stream = S;

    async fn accept(&mut self) -> io::Result<S> {
        match self.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }
}

/// What makes a relay of the server: what it does with its clients' frames.
pub(super) trait Service: Send + Sync + 'static {
    /// One client, from the handshake on. Dropped when it is gone.
    type Session: Session;

    /// Places in each client's queue.
    fn queue_frames(&self) -> usize;

    /// A client comes in at `path`. It has not been answered yet: once it knows
    /// that it is connected, nothing that others send can pass it by.
    fn connect(self: &Arc<Self>, path: &str, queue: Queue) -> Self::Session;
}

/// One client of a relay.
pub(super) trait Session: Send + 'static {
    /// Takes a message from the client, or hangs up on it.
    fn receive(&mut self, message: Message) -> Result<(), CloseFrame>;

    /// When to call [`Session::expire`], if nothing comes before.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has passed.
    fn expire(&mut self) {}
}

/// What takes one place in a client's queue.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message.
    One(Message),
    /// Messages that belong together.
    Many(Vec<Message>),
    /// Messages that are still being made. What is queued behind waits.
    Later(oneshot::Receiver<Vec<Message>>),
}

/// The way to one client.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    places: mpsc::Sender<Outgoing>,
    full: Arc<Notify>,
}

impl Queue {
    /// A queue, its end, and what tells that it was full.
    pub(super) fn new(places: usize) -> (Self, mpsc::Receiver<Outgoing>, Arc<Notify>) {
        let (places, queued) = mpsc::channel(places);
        let full = Arc::new(Notify::new());
        let queue = Self {
            places,
            full: Arc::clone(&full),
        };
        (queue, queued, full)
    }

    /// Queues for the client; hangs up on it if its queue is full. Whether it
    /// will get this.
    pub(super) fn push(&self, outgoing: Outgoing) -> bool {
        let queued = self.places.try_send(outgoing).is_ok();
        if !queued {
            self.full.notify_one();
        }
        queued
    }
}

/// A panic while a lock is held is a bug of ours, but no reason to take every
/// other room down: what the locks here guard is valid at any time.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reason to hang up.
pub(super) fn goodbye(code: CloseCode, reason: &'static str) -> CloseFrame {
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
                // Out of descriptors, most likely: those who are in stay in,
                // and a pause keeps this from becoming a busy loop.
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
    let goodbye = tokio::select! {
        goodbye = read_frames(&mut session, frames) => goodbye,
        written = write_queued(&mut sink, queued) => written.is_ok().then(slow_reader),
        () = full.notified() => Some(slow_reader()),
        () = stop_signal(stopped) => Some(goodbye(CloseCode::Away, "relay is shutting down")),
    };
    drop(session);
    // Where the client hung up, this flushes the answer to its own close frame.
    let _ = timeout(CLOSE_TIMEOUT, sink.send(Message::Close(goodbye))).await;
}

fn slow_reader() -> CloseFrame {
    goodbye(CloseCode::Policy, "slow reader")
}

async fn stop_signal(mut stopped: watch::Receiver<()>) {
    // Only ever an error: nothing is sent, the sender is dropped.
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

/// Hands the client's messages to its session, until one of them has enough.
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
                if let Err(goodbye) = session.receive(message) {
                    return Some(goodbye);
                }
            }
            Err(WsError::Capacity(_)) => return Some(goodbye(CloseCode::Size, "too long")),
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

/// Writes what is queued, one flush for all that waits, until the queue is
/// taken away.
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
            // Nobody makes them any more: better no client than one that waits.
            messages.await.map_err(|_| WsError::ConnectionClosed)?
        }
    };
    for message in messages {
        sink.feed(message).await?;
    }
    Ok(())
}
