//! A network of in-memory pipes to a relay in the same runtime.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use syncbench_loadgen::net::network::{ArrivalStamp, ConnectFuture, Duplex, Network, Wire};
use syncbench_loadgen::relay::{broadcast, loro};
use syncbench_loadgen::scenario::ProtocolKind;
use syncbench_loadgen::time::clock::TimeSource;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;

/// The capacity of one direction of a pipe.
const PIPE_BYTES: usize = 64 * 1024;

/// A network of pipes to a relay that can be restarted.
pub struct Pipes {
    kind: ProtocolKind,
    relay: RefCell<Running>,
    source: TimeSource,
}

struct Running {
    clients: mpsc::Sender<DuplexStream>,
    /// The relay stops when this is dropped.
    _stop: oneshot::Sender<()>,
}

impl Pipes {
    /// Starts the relay of `kind` in the current `LocalSet`.
    pub fn to_relay(kind: ProtocolKind) -> Rc<Self> {
        Rc::new(Self {
            kind,
            relay: RefCell::new(start(kind)),
            source: TimeSource::simulated(),
        })
    }

    /// Ends the relay, with its state and all connections, and starts another.
    pub fn restart(&self) {
        self.relay.replace(start(self.kind));
    }

    /// Opens a connection to the relay.
    pub async fn connect(&self) -> io::Result<DuplexStream> {
        let (near, far) = duplex(PIPE_BYTES);
        let clients = self.relay.borrow().clients.clone();
        let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
        clients.send(far).await.map_err(refused)?;
        Ok(near)
    }

    /// Wraps the client's end of a connection.
    pub fn wire(&self, near: DuplexStream, arrival: ArrivalStamp) -> Wire {
        Box::new(Pipe {
            near,
            arrival,
            source: self.source,
        })
    }
}

fn start(kind: ProtocolKind) -> Running {
    let (clients, listener) = mpsc::channel(64);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    match kind {
        ProtocolKind::Broadcast => {
            let config = broadcast::Config::default();
            spawn_local(broadcast::run(listener, stopped, config));
        }
        ProtocolKind::Loro => {
            spawn_local(loro::run(listener, stopped, loro::Config::default()));
        }
    }
    Running {
        clients,
        _stop: stop,
    }
}

impl Network for Pipes {
    fn open<'a>(&'a self, _: &'a str, _: u16, _: u32, arrival: ArrivalStamp) -> ConnectFuture<'a> {
        Box::pin(async move { Ok(self.wire(self.connect().await?, arrival)) })
    }
}

/// The client's end of a pipe.
struct Pipe {
    near: DuplexStream,
    arrival: ArrivalStamp,
    source: TimeSource,
}

impl Duplex for Pipe {}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.near).poll_read(cx, into))?;
        self.arrival.set(self.source.now());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.near).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_shutdown(cx)
    }
}
