//! The workers of a run, wherever they are.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use syncbench_engines::panics;
use tokio::sync::{mpsc, watch};

use super::{Inputs, LoadError};
use crate::net::network::Tcp;
use crate::net::target::UrlTemplate;
use crate::plan::{Plan, RoomIndex};
use crate::room::initial_document;
use crate::scenario::Scenario;
use crate::time::clock::TimeSource;
use crate::worker::{self, Assignment, RunPhase, WorkerEvent};

/// The number of events that may wait; workers that are ahead wait for the
/// rest.
const EVENTS: usize = 1024;

/// The workers of one run: threads of this process, tasks in virtual time, or
/// agents on other machines. All rooms of the run are divided among them.
pub trait Fleet {
    /// The number of workers.
    fn workers(&self) -> usize;

    /// The time source that the start of the schedule is given in.
    fn time(&self) -> TimeSource;

    /// Tells every worker the phase of the run.
    fn enter(&mut self, phase: RunPhase);

    /// Waits for the next event of any worker; `None` when no worker is left.
    fn next_event(&mut self) -> impl Future<Output = Option<WorkerEvent>>;
}

/// Workers that are threads of this process.
pub struct ThreadFleet {
    threads: Vec<JoinHandle<()>>,
    phase: watch::Sender<RunPhase>,
    events: mpsc::Receiver<WorkerEvent>,
}

impl ThreadFleet {
    /// Starts the worker threads of a run against the relay at `url`. They
    /// connect at once.
    ///
    /// # Errors
    /// When the initial document cannot be made, or the system refuses a
    /// thread.
    pub fn start(
        scenario: &Arc<Scenario>,
        plan: &Arc<Plan>,
        inputs: &Inputs,
        url: UrlTemplate,
    ) -> Result<Self, LoadError> {
        let document = initial_document::prepare(scenario, plan, &inputs.trace, inputs.engine)?;
        let document = document.map(Arc::new);
        let phase = watch::Sender::new(RunPhase::Connect);
        let (event, events) = mpsc::channel(EVENTS);
        let rooms = scenario.room_count();
        let count = scenario.workers.clamp(1, rooms as usize);
        let assignments = (0..count).map(|number| Assignment {
            number,
            scenario: Arc::clone(scenario),
            plan: Arc::clone(plan),
            rooms: (number as u32..rooms)
                .step_by(count)
                .map(RoomIndex)
                .collect(),
            trace: Arc::clone(&inputs.trace),
            engine: inputs.engine,
            initial_document: document.clone(),
            relay: url.clone(),
        });
        let threads = assignments
            .map(|assignment| spawn(assignment, phase.subscribe(), event.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            threads,
            phase,
            events,
        })
    }
}

impl Fleet for ThreadFleet {
    fn workers(&self) -> usize {
        self.threads.len()
    }

    fn time(&self) -> TimeSource {
        TimeSource::Monotonic
    }

    fn enter(&mut self, phase: RunPhase) {
        self.phase.send_replace(phase);
    }

    async fn next_event(&mut self) -> Option<WorkerEvent> {
        self.events.recv().await
    }
}

/// Starts a thread whose end is always reported, also when it panics.
fn spawn(
    assignment: Assignment,
    phase: watch::Receiver<RunPhase>,
    events: mpsc::Sender<WorkerEvent>,
) -> io::Result<JoinHandle<()>> {
    let network = Tcp {
        sources: assignment.scenario.clients.sources.clone(),
    };
    let name = format!("worker-{}", assignment.number);
    std::thread::Builder::new().name(name).spawn(move || {
        let reports = events.clone();
        let run = || worker::run(assignment, network, phase, reports);
        let failure = match panics::catch(run) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("it panicked: {panic}"),
        };
        // Nobody listens any more where the run was aborted.
        let _ = events.blocking_send(WorkerEvent::Failed(failure));
    })
}
