//! Where clients' connections come from: TCP, or a simulated network.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::time::clock::{Nanos, TimeSource, realtime_ahead};

/// A connection's two directions of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {
    /// Makes the end of the stream, when it is dropped, a reset instead of an
    /// orderly close, where it can.
    fn reset_when_dropped(&self) {}
}

/// An open connection of any kind.
pub type Wire = Box<dyn Duplex>;

/// When what was last read from a connection had reached this machine, by the
/// time source; 0 where that is not known.
pub type ArrivalStamp = Rc<Cell<Nanos>>;

/// What [`Network::open`] gives.
pub type ConnectFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Wire>> + 'a>>;

/// Opens connections.
pub trait Network {
    /// Opens a connection to `host` for the client with this number. What is
    /// read from it notes its arrival.
    fn open<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        client: u32,
        arrival: ArrivalStamp,
    ) -> ConnectFuture<'a>;
}

/// Real connections.
#[derive(Debug, Clone, Default)]
pub struct Tcp {
    /// Addresses of this machine that the clients connect from, in turn; any
    /// if empty. A port serves once for each of them, so that several
    /// addresses allow more connections to one relay than there are ports.
    pub sources: Vec<IpAddr>,
}

impl Network for Tcp {
    fn open<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        client: u32,
        arrival: ArrivalStamp,
    ) -> ConnectFuture<'a> {
        Box::pin(async move {
            let tcp = self.connect(host, port, client).await?;
            // Without it, keystrokes wait for the relay's delayed ack.
            tcp.set_nodelay(true)?;
            Ok(Box::new(StampedTcp::new(tcp, arrival)) as Wire)
        })
    }
}

impl Tcp {
    async fn connect(&self, host: &str, port: u16, client: u32) -> io::Result<TcpStream> {
        if self.sources.is_empty() {
            return TcpStream::connect((host, port)).await;
        }
        let source = self.sources[client as usize % self.sources.len()];
        let mut failure = io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!("{source} cannot reach an address of {host}"),
        );
        for address in lookup_host((host, port)).await? {
            if address.is_ipv4() != source.is_ipv4() {
                continue;
            }
            match connect_from(source, address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

async fn connect_from(source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(to).await
}

/// A TCP connection that knows when the kernel received what it reads. So the
/// time that bytes wait for this process to read them is measured, and is not
/// taken for the relay's.
struct StampedTcp {
    tcp: TcpStream,
    arrival: ArrivalStamp,
    /// Whether the system stamps what it receives.
    stamps: bool,
    /// Where the system puts its stamp.
    stamp: Vec<u8>,
}

impl StampedTcp {
    fn new(tcp: TcpStream, arrival: ArrivalStamp) -> Self {
        let stamps = cfg!(target_os = "linux")
            && setsockopt(&tcp, sockopt::ReceiveTimestampns, &true).is_ok();
        Self {
            tcp,
            arrival,
            stamps,
            stamp: nix::cmsg_space!(nix::sys::time::TimeSpec),
        }
    }

    /// Reads what is there; `None` if that is nothing.
    fn read_stamped(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        let Self {
            tcp,
            arrival,
            stamp,
            ..
        } = self;
        let mut read = None;
        let tried = tcp.try_io(Interest::READABLE, || {
            let bytes = receive(tcp, into, stamp, arrival)?;
            read = Some(bytes);
            // Who reads less than fits has read all: saying so saves the call
            // that would find nothing.
            match bytes > 0 && bytes < into.len() {
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(()),
            }
        });
        match (tried, read) {
            (_, Some(bytes)) => Ok(Some(bytes)),
            (Err(error), None) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(None),
        }
    }
}

/// Receives from `tcp`, and notes when that arrived.
fn receive(
    tcp: &TcpStream,
    into: &mut [u8],
    stamp: &mut [u8],
    arrival: &ArrivalStamp,
) -> io::Result<usize> {
    let mut slices = [IoSliceMut::new(into)];
    let received =
        recvmsg::<SockaddrStorage>(tcp.as_raw_fd(), &mut slices, Some(stamp), MsgFlags::empty())?;
    let stamp = received
        .cmsgs()
        .into_iter()
        .flatten()
        .find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(at) => {
                Some(at.tv_sec() as Nanos * 1_000_000_000 + at.tv_nsec() as Nanos)
            }
            _ => None,
        });
    // The kernel begins to stamp a moment after it was asked to.
    arrival.set(match stamp {
        Some(realtime) => realtime.saturating_sub(realtime_ahead()),
        None => TimeSource::Monotonic.now(),
    });
    Ok(received.bytes)
}

impl AsyncRead for StampedTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.stamps {
            self.arrival.set(TimeSource::Monotonic.now());
            return Pin::new(&mut self.tcp).poll_read(cx, into);
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            if let Some(bytes) = self.read_stamped(into.initialize_unfilled())? {
                into.advance(bytes);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for StampedTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Duplex for StampedTcp {
    fn reset_when_dropped(&self) {
        let at_once = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // Where it is refused, the connection is closed in order.
        let _ = setsockopt(&self.tcp, sockopt::Linger, &at_once);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_waited_in_the_kernel_arrived_before_it_was_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let arrival = ArrivalStamp::default();
        let tcp = Tcp::default();
        let mut wire = tcp
            .open("127.0.0.1", port, 0, Rc::clone(&arrival))
            .await
            .unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        // The first ones may come before the kernel begins to stamp.
        for attempt in 0.. {
            let before = TimeSource::Monotonic.now();
            other.write_all(b"hello").await.unwrap();
            let sent = TimeSource::Monotonic.now();
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            let mut read = [0; 5];
            wire.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"hello");
            // The two clocks are read one after the other, hence the slack.
            assert!(arrival.get() + 1_000_000 > before, "{}", arrival.get());
            if arrival.get() < sent + 20_000_000 {
                return;
            }
            assert!(attempt < 50, "it waited unread, and that does not show");
        }
    }

    #[tokio::test]
    async fn clients_connect_from_the_addresses_given() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sources = ["127.0.0.2", "127.0.0.3"].map(|ip| ip.parse().unwrap());
        let tcp = Tcp {
            sources: sources.into(),
        };
        for client in 0..3 {
            let _wire = tcp
                .open("localhost", port, client, ArrivalStamp::default())
                .await
                .unwrap();
            let (_, from) = listener.accept().await.unwrap();
            assert_eq!(from.ip(), sources[client as usize % 2]);
        }
    }
}
