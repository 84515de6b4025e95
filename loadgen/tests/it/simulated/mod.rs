//! Whole runs in virtual time: real clients, the real relay, and a simulated
//! network between them. A run of seconds takes milliseconds and does not depend
//! on anything else on the machine.
#![allow(dead_code)] // the example uses only a part

pub mod chance;
pub mod distance;
pub mod pipes;
pub mod saboteur;
pub mod trials;
pub mod truth;

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use syncbench_datasets::Trace;
use syncbench_loadgen::load::{Fleet, Progress, RelaySide, Tally, coordinate};
use syncbench_loadgen::net::network::Network;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::{Identity, Plan, RoomIndex};
use syncbench_loadgen::room::initial_document;
use syncbench_loadgen::scenario::Scenario;
use syncbench_loadgen::time::clock::TimeSource;
use syncbench_loadgen::worker::{self, Assignment, RunPhase, WorkerEvent};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use truth::{Truth, Watched};

/// The outcome that a run reports, and the real contents of its replicas.
pub struct Run {
    pub outcome: Outcome,
    pub truth: Truth,
}

/// Returns the trace that all writers type. It is loaded only once, since that
/// takes longer than a run.
pub fn trace() -> Arc<Trace> {
    static TRACE: OnceLock<Arc<Trace>> = OnceLock::new();
    let load = || Arc::new(syncbench_datasets::load("automerge-paper").unwrap());
    Arc::clone(TRACE.get_or_init(load))
}

/// Runs `test` in its own runtime, whose time passes only while all tasks wait.
pub fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// Plays `scenario` by `plan`, all rooms in one worker, in the current runtime.
pub async fn play(scenario: Scenario, plan: Plan, network: Rc<dyn Network>) -> Run {
    play_watched(scenario, plan, network, || {}).await
}

/// Plays `scenario` by `plan`, and calls `begun` when all clients are connected
/// and the first edit is near.
pub async fn play_watched(
    scenario: Scenario,
    plan: Plan,
    network: Rc<dyn Network>,
    begun: impl FnOnce(),
) -> Run {
    let (scenario, plan) = (Arc::new(scenario), Arc::new(plan));
    let initial_document = initial_document::prepare(&scenario, &plan, &trace(), &Watched).unwrap();
    let assignment = Assignment {
        number: 0,
        rooms: (0..scenario.room_count()).map(RoomIndex).collect(),
        scenario: Arc::clone(&scenario),
        plan: Arc::clone(&plan),
        trace: trace(),
        engine: &Watched,
        initial_document: initial_document.map(Arc::new),
        relay: "ws://relay:80/{room}?client={client}".parse().unwrap(),
    };
    truth::forget();
    let mut fleet = VirtualFleet::start(assignment, network);
    let mut begun = Some(begun);
    let mut watcher = |progress: Progress<'_>| {
        if let Progress::Connecting { connected, of } = progress
            && connected == of
        {
            begun.take().into_iter().for_each(|begun| begun());
        }
        ControlFlow::Continue(())
    };
    let tally = Tally::new(&scenario, &plan, 1);
    let interrupt = std::pin::pin!(std::future::pending());
    let side = RelaySide::default();
    let outcome = coordinate(&mut fleet, tally, side, interrupt, &mut watcher).await;
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    fleet.worker.await.unwrap().unwrap();
    Run {
        outcome,
        truth: truth::of(Identity::new(&scenario), &plan),
    }
}

/// One worker that plays all rooms, as a task of the current runtime and in its
/// time.
struct VirtualFleet {
    source: TimeSource,
    phase: watch::Sender<RunPhase>,
    events: mpsc::Receiver<WorkerEvent>,
    worker: JoinHandle<std::io::Result<()>>,
}

impl VirtualFleet {
    fn start(assignment: Assignment, network: Rc<dyn Network>) -> Self {
        let source = TimeSource::simulated();
        let (phase, phases) = watch::channel(RunPhase::Connect);
        let (event, events) = mpsc::channel(16);
        let playing = worker::play(assignment, network, source, phases, event);
        Self {
            source,
            phase,
            events,
            worker: spawn_local(playing),
        }
    }
}

impl Fleet for VirtualFleet {
    fn workers(&self) -> usize {
        1
    }

    fn time(&self) -> TimeSource {
        self.source
    }

    fn enter(&mut self, phase: RunPhase) {
        self.phase.send_replace(phase);
    }

    async fn next_event(&mut self) -> Option<WorkerEvent> {
        self.events.recv().await
    }
}
