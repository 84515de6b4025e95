//! The CPU time that a run with full replicas spends on imports, beside the time
//! that Loro alone needs for the same updates. `scripts/peers.sh` prints the ratio.
//!
//! ```text
//! import_cost [EDITS_PER_SECOND] [SECONDS]
//! ```
//!
//! An additional client in each room of the run records every update in the order
//! of the relay. Afterwards, as many documents as in the run import the updates,
//! in the same order and at the same times. As in the run, the thread's CPU time
//! is measured around each import. Prints a line of JSON.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use loro::LoroDoc;
use syncbench_engines::{Engine, Loro, PeerId};
use syncbench_loadgen::load::{self, Inputs};
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::{ClientId, Identity, Plan, RoomIndex};
use syncbench_loadgen::relay::{RelayCommand, broadcast};
use syncbench_loadgen::scenario::{Clients, RelaySettings, RoomClass, Scenario, Workload};
use syncbench_loadgen::time::clock::thread_cpu;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const ROOMS: u32 = 8;
const ROOM_SIZE: u32 = 5;

type Failure = Box<dyn Error>;

/// An update that the relay forwarded.
struct Update {
    at: Instant,
    room: RoomIndex,
    bytes: Bytes,
}

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let rate: f64 = words.next().map_or(Ok(400.0), |word| word.parse())?;
    let seconds: f64 = words.next().map_or(Ok(10.0), |word| word.parse())?;
    let (address, stop) = start_relay()?;
    let scenario = Scenario {
        relay: RelaySettings::at(format!("ws://{address}").parse()?),
        rooms: vec![RoomClass {
            count: ROOMS,
            size: ROOM_SIZE,
        }],
        clients: Clients::new(ROOMS * ROOM_SIZE),
        workload: Workload::at_rate(rate),
        duration: Duration::from_secs_f64(seconds),
        workers: 1,
        ..Scenario::default()
    };
    let (plan, identity) = (Plan::new(&scenario), Identity::new(&scenario));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (outcome, updates) = runtime.block_on(listen_to_run(scenario, address))?;
    drop(stop);
    let (imports, bare) = bare_imports(&plan, &identity, &updates)?;
    report(&outcome, imports, bare);
    Ok(())
}

/// Starts a relay in its own thread, which runs until the sender is dropped.
fn start_relay() -> Result<(SocketAddr, oneshot::Sender<()>), Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = TcpListener::from_std(listener) else {
                return;
            };
            let stopped = async { drop(stopped.await) };
            broadcast::run(listener, stopped, broadcast::Config::default()).await;
        });
    });
    Ok((address, stop))
}

/// Runs the scenario, and collects the updates that the relay forwards.
async fn listen_to_run(
    scenario: Scenario,
    address: SocketAddr,
) -> Result<(Outcome, Vec<Update>), Failure> {
    let (forwarded, mut updates) = mpsc::unbounded_channel();
    let identity = Identity::new(&scenario);
    for room in (0..ROOMS).map(RoomIndex) {
        let url = format!("ws://{address}/{}", identity.room_name(room));
        let (mut socket, _) = connect_async(url).await?;
        let forwarded = forwarded.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Binary(bytes) = message {
                    let at = Instant::now();
                    let _ = forwarded.send(Update { at, room, bytes });
                }
            }
        });
    }
    let inputs = Inputs {
        trace: Arc::new(syncbench_datasets::load("automerge-paper")?),
        engine: &Loro,
        embedded_relay: RelayCommand {
            program: "none".into(),
            args: Vec::new(),
        },
    };
    let watcher = |_: load::Progress<'_>| ControlFlow::Continue(());
    let outcome = load::run(scenario, inputs, std::future::pending(), watcher).await?;
    let mut all = Vec::new();
    while (all.len() as u64) < outcome.total.frames_out {
        match tokio::time::timeout(Duration::from_secs(5), updates.recv()).await {
            Ok(Some(update)) => all.push(update),
            _ => return Err("the relay did not forward every update".into()),
        }
    }
    Ok((outcome, all))
}

/// Imports the updates into a document for each client. Returns the number of
/// imports, and their CPU time in nanoseconds. A client's own updates are imported
/// without being counted: in the run, they were edits.
fn bare_imports(
    plan: &Plan,
    identity: &Identity,
    updates: &[Update],
) -> Result<(u64, u64), Failure> {
    let mut rooms: HashMap<RoomIndex, Vec<(PeerId, LoroDoc)>> = HashMap::new();
    for (client, of_client) in (0..).zip(&plan.clients) {
        let documents = rooms.entry(of_client.room).or_default();
        documents.push((identity.peer_of(ClientId(client)), LoroDoc::new()));
    }
    let (mut imports, mut cpu) = (0, 0);
    let (began, first) = (Instant::now(), updates.first().map(|update| update.at));
    for Update { at, room, bytes } in updates {
        let due = first.map_or(Duration::ZERO, |first| *at - first);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let writer = Loro.ranges_of(bytes)?.first().map(|range| range.peer);
        for (peer, document) in rooms.get(room).into_iter().flatten() {
            if Some(*peer) == writer {
                document.import(bytes)?;
                continue;
            }
            let begun = thread_cpu();
            document.import(bytes)?;
            cpu += thread_cpu() - begun;
            imports += 1;
        }
    }
    Ok((imports, cpu))
}

fn report(outcome: &Outcome, imports: u64, bare: u64) {
    let total = &outcome.total;
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    println!(
        r#"{{"imports_run":{},"imports_bare":{imports},"import_cpu_s_run":{},"import_cpu_s_bare":{},"ratio":{},"worker_cpu_s":{},"exit_code":{}}}"#,
        total.import.histogram().len(),
        seconds(total.import_cpu),
        seconds(bare),
        total.import_cpu as f64 / bare as f64,
        seconds(outcome.course.workers.cpu_ns),
        outcome.verdict().exit_code,
    );
}
