//! The minimal cost of a load generator: clients that send and count frames,
//! without replicas, schedule, ledger or histograms. `scripts/peers.sh` compares
//! `syncbench run` with it.
//!
//! ```text
//! bare_counter URL CLIENTS ROOMS RATE SECONDS PAYLOAD    all clients send RATE frames per second at the same times
//! bare_counter --closed URL CLIENTS ROOMS SECONDS        pairs: send, wait for the answer, send again
//! ```
//!
//! Prints a line of JSON. `--closed` is a common but wrong way to measure latency: a
//! client that waits sends nothing while the relay is frozen, so that the freeze
//! counts only once (coordinated omission).

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use syncbench_loadgen::net::target::UrlTemplate;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet, coop::consume_budget};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

type Socket = WebSocketStream<TcpStream>;

type Failure = Box<dyn Error>;

/// The time between the last connection and the first frame.
const SETTLE: Duration = Duration::from_millis(500);

/// The time to wait for frames that are still in flight.
const DRAIN: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let closed = words.first().is_some_and(|word| word == "--closed");
    if closed {
        words.remove(0);
    }
    let mut words = words.into_iter();
    let relay: UrlTemplate = next(&mut words)?;
    let (clients, rooms) = (next(&mut words)?, next(&mut words)?);
    let sockets = connect_all(&relay, clients, rooms).await?;
    let line = if closed {
        let seconds = Duration::from_secs_f64(next(&mut words)?);
        LocalSet::new()
            .run_until(ping(sockets, rooms, seconds))
            .await?
    } else {
        let rate: f64 = next(&mut words)?;
        let seconds = Duration::from_secs_f64(next(&mut words)?);
        let payload = next(&mut words)?;
        LocalSet::new()
            .run_until(count(sockets, rate, seconds, payload))
            .await
    };
    println!("{line}");
    Ok(())
}

/// Parses the next argument.
fn next<T: FromStr<Err: Error + 'static>>(
    words: &mut impl Iterator<Item = String>,
) -> Result<T, Failure> {
    let word = words
        .next()
        .ok_or("too few arguments; see the top of bare_counter.rs")?;
    Ok(word.parse()?)
}

async fn connect_all(
    relay: &UrlTemplate,
    clients: usize,
    rooms: usize,
) -> Result<Vec<Socket>, Failure> {
    let mut sockets = Vec::with_capacity(clients);
    for client in 0..clients {
        let url = relay.url(
            &format!("room-{}", client % rooms),
            &format!("client-{client}"),
        )?;
        let tcp = TcpStream::connect((url.host(), url.port())).await?;
        tcp.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let (socket, _) = client_async_with_config(url.uri(), tcp, Some(config)).await?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Lets all clients send `rate` frames per second in locked phase, and counts the
/// frames that arrive.
async fn count(sockets: Vec<Socket>, rate: f64, length: Duration, payload: usize) -> String {
    let scheduled = (rate * length.as_secs_f64()).round() as u64 * sockets.len() as u64;
    let start = Instant::now() + SETTLE;
    let (sent, received) = (Rc::new(Cell::new(0u64)), Rc::new(Cell::new(0u64)));
    let frame = Bytes::from(vec![b'x'; payload]);
    for socket in sockets {
        let (sink, frames) = socket.split();
        tokio::task::spawn_local(read(frames, Rc::clone(&received)));
        tokio::task::spawn_local(write(
            sink,
            Pace {
                start,
                rate,
                length,
            },
            frame.clone(),
            Rc::clone(&sent),
        ));
    }
    sleep_until(start + length + DRAIN).await;
    let (sent, received) = (sent.get(), received.get());
    format!(r#"{{"scheduled":{scheduled},"sent":{sent},"received":{received}}}"#)
}

async fn read(mut frames: SplitStream<Socket>, received: Rc<Cell<u64>>) {
    while let Some(Ok(message)) = frames.next().await {
        received.set(received.get() + u64::from(message.is_binary()));
        consume_budget().await;
    }
}

/// The schedule of one client: `rate` messages a second for `length`.
struct Pace {
    start: Instant,
    rate: f64,
    length: Duration,
}

/// Sends the frames that are due, with one flush each time, until the end.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    pace: Pace,
    frame: Bytes,
    sent: Rc<Cell<u64>>,
) {
    let Pace {
        start,
        rate,
        length,
    } = pace;
    let mut ticks = interval_at(start, Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut done = 0;
    while start.elapsed() < length {
        ticks.tick().await;
        let due = (start.elapsed().min(length).as_secs_f64() * rate).ceil() as u64;
        while done < due {
            if sink.feed(Message::Binary(frame.clone())).await.is_err() {
                return;
            }
            done += 1;
            sent.set(sent.get() + 1);
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

/// Measures round trips, one message at a time: in each room, one client sends and
/// the other one answers.
async fn ping(sockets: Vec<Socket>, rooms: usize, length: Duration) -> Result<String, Failure> {
    if sockets.len() != 2 * rooms {
        return Err("--closed needs two clients in each room".into());
    }
    let mut sockets = sockets.into_iter();
    let answering: Vec<Socket> = sockets.by_ref().take(rooms).collect();
    for mut socket in answering {
        tokio::task::spawn_local(async move {
            while let Some(Ok(message)) = socket.next().await {
                if message.is_binary() && socket.send(message).await.is_err() {
                    break;
                }
            }
        });
    }
    sleep(SETTLE).await;
    let end = Instant::now() + length;
    let mut measuring = JoinSet::new();
    for socket in sockets {
        measuring.spawn_local(round_trips(socket, end));
    }
    let mut latency = Histogram::<u64>::new(3)?;
    while let Some(measured) = measuring.join_next().await {
        for micros in measured? {
            latency.record(micros)?;
        }
    }
    let millis = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(format!(
        r#"{{"sent":{count},"received":{count},"p50_ms":{},"p99_ms":{},"max_ms":{}}}"#,
        millis(0.5),
        millis(0.99),
        latency.max() as f64 / 1000.0,
        count = latency.len(),
    ))
}

/// Measures round-trip times in microseconds until `end`.
async fn round_trips(mut socket: Socket, end: Instant) -> Vec<u64> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let sent = Instant::now();
        let ping = Message::Binary(Bytes::from_static(b"ping"));
        if socket.send(ping).await.is_err() || socket.next().await.is_none() {
            break;
        }
        times.push(sent.elapsed().as_micros() as u64);
    }
    times
}
