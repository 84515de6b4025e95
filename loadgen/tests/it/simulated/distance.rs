//! A network of distant hosts, on turmoil: each segment has its own delay, and
//! hosts may be partitioned.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use syncbench_loadgen::net::network::{ArrivalStamp, ConnectFuture, Duplex, Network, Wire};
use syncbench_loadgen::plan::Plan;
use syncbench_loadgen::relay::{Listener, broadcast, loro};
use syncbench_loadgen::scenario::{ProtocolKind, Scenario};
use syncbench_loadgen::time::clock::TimeSource;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};
use turmoil::{Builder, Sim};

use super::{Run, play_watched};

const PORT: u16 = 80;

/// The capacity for segments that wait to be read: more than a run has.
const WAITING_SEGMENTS: usize = 65_536;

/// A disturbance of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Segments are delayed for a time, and then arrive.
    Hold,
    /// Segments are lost for a time, and so are the connections.
    Partition,
}

/// Plays `scenario` from the host `clients` to the host `relay`, with `times`
/// disturbances at times that are drawn by its seed.
pub fn play_at_a_distance(scenario: &Scenario, what: Disturbance, times: u32) -> Run {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(scenario.seed);
    let mut sim = Builder::new()
        .simulation_duration(Duration::from_secs(600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(rng.random_range(2..100)))
        .tcp_capacity(WAITING_SEGMENTS)
        .rng_seed(scenario.seed)
        .build();
    let protocol = scenario.relay.protocol;
    sim.host("relay", move || serve(protocol));
    let (begun, played) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(None)));
    let (begins, result) = (Rc::clone(&begun), Rc::clone(&played));
    let clients = scenario.clone();
    sim.client("clients", async move {
        let network = Rc::new(Turmoil(TimeSource::simulated()));
        let plan = Plan::new(&clients);
        let run = play_watched(clients, plan, network, || begins.set(true)).await;
        result.replace(Some(run));
        Ok(())
    });
    while !begun.get() {
        sim.step().unwrap();
    }
    for _ in 0..times {
        let calm = Duration::from_millis(rng.random_range(50..400));
        let trouble = Duration::from_millis(rng.random_range(1..400));
        disturb(&mut sim, what, calm, trouble);
    }
    sim.run().unwrap();
    drop(sim);
    played.take().expect("the clients ended")
}

fn disturb(sim: &mut Sim<'_>, what: Disturbance, calm: Duration, trouble: Duration) {
    let pass = |sim: &mut Sim<'_>, time: Duration| {
        let until = sim.elapsed() + time;
        while sim.elapsed() < until && !sim.step().unwrap() {}
    };
    pass(sim, calm);
    match what {
        Disturbance::Hold => sim.hold("clients", "relay"),
        Disturbance::Partition => sim.partition("clients", "relay"),
    }
    pass(sim, trouble);
    match what {
        Disturbance::Hold => sim.release("clients", "relay"),
        Disturbance::Partition => sim.repair("clients", "relay"),
    }
}

async fn serve(protocol: ProtocolKind) -> turmoil::Result {
    let listener = Accepting(TcpListener::bind(("0.0.0.0", PORT)).await?);
    let never = std::future::pending();
    match protocol {
        ProtocolKind::Broadcast => {
            broadcast::run(listener, never, broadcast::Config::default()).await;
        }
        ProtocolKind::Loro => loro::run(listener, never, loro::Config::default()).await,
    }
    Ok(())
}

struct Accepting(TcpListener);

impl Listener for Accepting {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        Ok(self.0.accept().await?.0)
    }
}

struct Turmoil(TimeSource);

impl Network for Turmoil {
    fn open<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        _: u32,
        arrival: ArrivalStamp,
    ) -> ConnectFuture<'a> {
        Box::pin(async move {
            let tcp = TcpStream::connect((host, port)).await?;
            let source = self.0;
            Ok(Box::new(Connection {
                tcp,
                arrival,
                source,
            }) as Wire)
        })
    }
}

struct Connection {
    tcp: TcpStream,
    arrival: ArrivalStamp,
    source: TimeSource,
}

impl Duplex for Connection {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_read(cx, into))?;
        self.arrival.set(self.source.now());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
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
