//! Whole runs in virtual time: the real clients, the real relay, and between
//! them a network that is simulated. A run of seconds takes milliseconds, and
//! nothing else on the machine has a say in it.
#![allow(dead_code)] // each test uses its part

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
use syncbench_loadgen::load::Usage;
use syncbench_loadgen::net::network::Network;
use syncbench_loadgen::outcome::{Outcome, Tally};
use syncbench_loadgen::plan::{Plan, RoomIndex};
use syncbench_loadgen::room::initial_document;
use syncbench_loadgen::scenario::Scenario;
use syncbench_loadgen::time::clock::{Clock, TimeSource};
use syncbench_loadgen::worker::{self, Assignment, RunPhase, WorkerEvent};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

use truth::{Truth, Watched};

/// Between the last connection and the first edit, nanoseconds.
const START_DELAY: u64 = 20_000_000;

/// What a run says it came to, and what the replicas really contain.
pub struct Run {
    pub outcome: Outcome,
    pub truth: Truth,
}

/// What everyone types. Loaded once: that takes longer than a run.
fn trace() -> Arc<Trace> {
    static TRACE: OnceLock<Arc<Trace>> = OnceLock::new();
    let load = || Arc::new(syncbench_datasets::load("automerge-paper").unwrap());
    Arc::clone(TRACE.get_or_init(load))
}

/// Runs `test` in a runtime of its own whose time passes only when everyone
/// waits.
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
    play_and_tell(scenario, plan, network, || {}).await
}

/// The same; tells when everyone is connected and the first edit is near.
pub async fn play_and_tell(
    scenario: Scenario,
    plan: Plan,
    network: Rc<dyn Network>,
    begun: impl FnOnce(),
) -> Run {
    let (scenario, plan) = (Arc::new(scenario), Arc::new(plan));
    let initial_document = initial_document::prepare(&scenario, &plan, &trace(), &Watched).unwrap();
    let assignment = Assignment {
        rooms: (0..scenario.room_count()).map(RoomIndex).collect(),
        scenario: Arc::clone(&scenario),
        plan: Arc::clone(&plan),
        trace: trace(),
        engine: &Watched,
        initial_document: initial_document.map(Arc::new),
        relay: "ws://relay:80/{room}?client={client}".parse().unwrap(),
    };
    truth::forget();
    let source = TimeSource::simulated();
    let (stage, stages) = watch::channel(RunPhase::Connect);
    let (report, reports) = mpsc::channel(16);
    let pacer = worker::play(0, assignment, network, source, stages, report);
    let worker = spawn_local(pacer);
    let tally = Tally::new(scenario, Arc::clone(&plan), 1);
    let tally = coordinate(tally, source, &stage, reports, begun).await;
    worker.await.unwrap().unwrap();
    Run {
        outcome: tally.outcome(Usage::default()),
        truth: truth::of(&plan),
    }
}

/// Lets the run begin when everyone is connected, and hears its reports.
async fn coordinate(
    mut tally: Tally,
    source: TimeSource,
    stage: &watch::Sender<RunPhase>,
    mut reports: mpsc::Receiver<WorkerEvent>,
    begun: impl FnOnce(),
) -> Tally {
    let mut begun = Some(begun);
    while let Some(report) = reports.recv().await {
        if let WorkerEvent::ConnectFailed(failure) = &report {
            panic!("{failure}");
        }
        let _ = tally.take(report, &mut |_| ControlFlow::Continue(()));
        if tally.is_connected() && *stage.borrow() == RunPhase::Connect {
            let clock = Clock::starting_in(source, START_DELAY);
            stage.send_replace(RunPhase::Run(clock));
            begun.take().into_iter().for_each(|begun| begun());
        }
    }
    assert!(tally.is_finished(), "the worker ended early");
    tally
}
