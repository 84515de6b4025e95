//! Round trips over loopback: the path of an edit to a relay and on to a client,
//! without the work of a relay.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, protocol::WebSocketConfig};
use tokio_tungstenite::{accept_async_with_config, client_async_with_config};

use super::Check;
use crate::metrics::Latency;

/// The size of a message, bytes: about that of a keystroke's update.
const SIZE: usize = 100;

/// Limits on the p99 of a round trip over TCP, microseconds.
const TCP: [f64; 2] = [200.0, 1_000.0];
/// Limits on the p99 of a round trip over a WebSocket, microseconds.
const WEBSOCKET: [f64; 2] = [400.0, 2_000.0];

/// Measures round trips over a TCP connection with two blocking ends.
pub fn tcp(bound: Duration) -> io::Result<Latency> {
    let (mut client, mut server) = pair()?;
    thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, move || {
            let mut message = [0; SIZE];
            while server.read_exact(&mut message).is_ok() && server.write_all(&message).is_ok() {}
        })?;
        let mut latency = Latency::default();
        let mut message = [7; SIZE];
        let end = Instant::now() + bound;
        while Instant::now() < end {
            let sent = Instant::now();
            client.write_all(&message)?;
            client.read_exact(&mut message)?;
            latency.record(sent.elapsed().as_nanos() as u64);
        }
        // Lets the other thread end.
        drop(client);
        Ok(latency)
    })
}

/// Measures round trips over a WebSocket, each end in its own runtime and thread.
pub fn websocket(bound: Duration) -> io::Result<Latency> {
    let (client, server) = pair()?;
    thread::scope(|scope| {
        // An error here ends the connection, and the other end reports that.
        thread::Builder::new().spawn_scoped(scope, move || run(async { echo(server).await }))?;
        run(async { ping(client, bound).await })
    })
}

/// Opens a loopback connection and returns both ends.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok((client, server))
}

fn run<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(work)
}

fn stream(stream: TcpStream) -> io::Result<tokio::net::TcpStream> {
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}

/// The WebSocket settings of the clients of a load run.
fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096)
}

async fn echo(server: TcpStream) -> io::Result<()> {
    let accepted = accept_async_with_config(stream(server)?, Some(config()));
    let mut socket = accepted.await.map_err(failed)?;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_binary() {
            socket.send(message).await.map_err(failed)?;
        }
    }
    Ok(())
}

async fn ping(client: TcpStream, bound: Duration) -> io::Result<Latency> {
    let url = "ws://127.0.0.1/echo";
    let connected = client_async_with_config(url, stream(client)?, Some(config()));
    let (mut socket, _) = connected.await.map_err(failed)?;
    let message = Message::Binary(Bytes::from_static(&[7; SIZE]));
    let mut latency = Latency::default();
    let end = Instant::now() + bound;
    while Instant::now() < end {
        let sent = Instant::now();
        socket.send(message.clone()).await.map_err(failed)?;
        match socket.next().await {
            Some(answer) => drop(answer.map_err(failed)?),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        latency.record(sent.elapsed().as_nanos() as u64);
    }
    Ok(latency)
}

fn failed(error: WsError) -> io::Error {
    io::Error::other(error)
}

/// Judges both round trips.
pub fn checks(tcp: &Latency, websocket: &Latency) -> [Check; 2] {
    let advice = "every latency over loopback includes this: stop other work, or use a machine \
                  whose CPUs are not shared";

    [
        Check::from_latency("tcp_echo", "TCP echo, loopback", tcp, TCP, advice),
        Check::from_latency(
            "websocket_echo",
            "WebSocket echo, loopback",
            websocket,
            WEBSOCKET,
            advice,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_echoes_come_back_and_end() {
        let bound = Duration::from_millis(50);
        assert!(!tcp(bound).unwrap().histogram().is_empty());
        assert!(!websocket(bound).unwrap().histogram().is_empty());
    }
}
