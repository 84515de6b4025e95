//! The connections of clients, over TCP or over a simulated network.

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

/// A connection that carries bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {
    /// Resets the connection when it is dropped, instead of closing it in
    /// order. Does nothing where that is not possible.
    fn reset_when_dropped(&self) {}
}

/// An open connection of any kind.
pub type Wire = Box<dyn Duplex>;

/// The time, by the time source, at which the bytes last read from a connection
/// reached this machine; 0 if it is not known.
pub type ArrivalStamp = Rc<Cell<Nanos>>;

/// The future that [`Network::open`] returns.
pub type ConnectFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Wire>> + 'a>>;

/// Opens connections.
pub trait Network {
    /// Opens a connection to `host` for the client number `client`. Each read
    /// from the connection updates `arrival`.
    fn open<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        client: u32,
        arrival: ArrivalStamp,
    ) -> ConnectFuture<'a>;
}

/// Real TCP connections.
#[derive(Debug, Clone, Default)]
pub struct Tcp {
    /// Addresses of this machine that the clients connect from, in turn; any
    /// address if empty. Each address has its own ports, so several addresses
    /// allow more connections to one relay than there are ports.
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
            // Otherwise, keystrokes would wait for the relay's delayed ack.
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

/// A TCP connection that records when the kernel received the bytes that it
/// reads. So the time that bytes wait for this process to read them is measured
/// and not attributed to the relay.
struct StampedTcp {
    tcp: TcpStream,
    arrival: ArrivalStamp,
    /// The system stamps the bytes that it receives.
    stamps: bool,
    /// The buffer that the system writes its stamp to.
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

    /// Reads the bytes that have arrived; `None` if there are none.
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
            // A read that does not fill the buffer has read everything:
            // reporting that saves the call that would find nothing.
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

/// Receives bytes from `tcp`, and records in `arrival` when they arrived.
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
    // The kernel begins to stamp a moment after the request.
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
        // If the system refuses, the connection is closed in order.
        let _ = setsockopt(&self.tcp, sockopt::Linger, &at_once);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn bytes_that_waited_in_the_kernel_arrived_before_they_were_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let arrival = ArrivalStamp::default();
        let tcp = Tcp::default();
        let mut wire = tcp
            .open("127.0.0.1", port, 0, Rc::clone(&arrival))
            .await
            .unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        // The first bytes may arrive before the kernel begins to stamp.
        for attempt in 0.. {
            let before = TimeSource::Monotonic.now();
            other.write_all(b"hello").await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            let mut read = [0; 5];
            let reading = TimeSource::Monotonic.now();
            wire.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"hello");
            // The two clocks are read one after the other, hence the slack.
            assert!(arrival.get() + 1_000_000 > before, "{}", arrival.get());
            // Without a stamp, the arrival is the time after the read.
            if arrival.get() < reading {
                return;
            }
            assert!(attempt < 50, "the arrival is not stamped by the kernel");
        }
    }

    #[tokio::test]
    async fn clients_connect_from_the_configured_addresses() {
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
