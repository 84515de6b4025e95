//! One load run from its first connection to its outcome.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use syncbench_datasets::Trace;
use syncbench_engines::Engine;
use syncbench_reports::record::ProcessUse;
use tokio::sync::{mpsc, watch};

use crate::clock::{Clock, Nanos};
use crate::outcome::{Outcome, Tally};
use crate::process::{TooFewDescriptors, reserve_descriptors, usage_of, usage_since};
use crate::relay::{RelayCommand, RelayError, RelayProcess};
use crate::scenario::{RelayTarget, Scenario};
use crate::target::{UrlError, UrlTemplate};
use crate::worker::{self, Assignment, ConnectFailure, Report, Stage};

/// Between the last connection and the first edit.
const START_DELAY: Nanos = 20_000_000;

/// Reports that may wait; workers that are ahead wait for the rest.
const REPORTS: usize = 1024;

/// Everything a run needs besides its scenario.
pub struct Inputs {
    /// What the clients type.
    pub trace: Arc<Trace>,
    /// What their replicas are made of.
    pub engine: &'static dyn Engine,
    /// How to start the embedded relay, where the scenario wants it.
    pub embedded_relay: RelayCommand,
}

/// Where a run stands, for whoever watches.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Clients connect.
    Connecting {
        /// Clients connected.
        connected: u32,
    },
    /// Another second is over.
    Running {
        /// Time since the schedule's start.
        elapsed: Duration,
        /// Edits sent so far.
        sent: u64,
        /// Deliveries so far.
        visible: u64,
        /// 99th percentile of the propagation latency so far.
        p99: Duration,
    },
    /// The schedule is over; the last deliveries are awaited.
    Draining,
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Too few descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The embedded relay did not start.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The relay's address does not work.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The relay does not take the clients.
    #[error(transparent)]
    Connect(#[from] ConnectFailure),
    /// The relay died before the first edit.
    #[error("the relay process ended before the run began ({0})")]
    RelayEnded(ExitStatus),
    /// Stopped by the user before the first edit.
    #[error("interrupted before the first edit: nothing was measured")]
    Interrupted,
    /// A worker thread could not run.
    #[error("a worker thread failed: {0}")]
    Worker(String),
    /// The system refused a thread.
    #[error("cannot start a worker thread: {0}")]
    Thread(#[from] io::Error),
}

/// Runs `scenario`, which must be valid. `interrupt` ends it early when it
/// completes; what was measured until then is the outcome.
///
/// # Errors
/// When the run never got as far as its first edit.
pub async fn run(
    scenario: Scenario,
    inputs: Inputs,
    interrupt: impl Future<Output = ()>,
    mut watcher: impl FnMut(Progress),
) -> Result<Outcome, LoadError> {
    reserve_descriptors(scenario.clients)?;
    let (mut relay, url) = match &scenario.relay {
        RelayTarget::Embedded => {
            let relay = RelayProcess::start(&inputs.embedded_relay).await?;
            let url = format!("ws://{}/", relay.address()).parse()?;
            (Some(relay), url)
        }
        RelayTarget::Url(url) => (None, url.clone()),
    };
    let workers = Workers::start(Arc::new(scenario), &inputs, url)?;
    tokio::pin!(interrupt);
    let outcome = workers
        .conduct(relay.as_mut(), interrupt, &mut watcher)
        .await;
    if let Some(relay) = relay {
        relay.stop().await;
    }
    outcome
}

struct Workers {
    scenario: Arc<Scenario>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stage: watch::Sender<Stage>,
    reports: mpsc::Receiver<Report>,
}

impl Workers {
    fn start(
        scenario: Arc<Scenario>,
        inputs: &Inputs,
        url: UrlTemplate,
    ) -> Result<Self, LoadError> {
        let stage = watch::Sender::new(Stage::Connect);
        let (report, reports) = mpsc::channel(REPORTS);
        let count = scenario.workers.clamp(1, scenario.rooms as usize);
        let threads = (0..count)
            .map(|worker| {
                let assignment = Assignment {
                    scenario: Arc::clone(&scenario),
                    rooms: (worker as u32..scenario.rooms).step_by(count).collect(),
                    trace: Arc::clone(&inputs.trace),
                    engine: inputs.engine,
                    relay: url.clone(),
                };
                let (stage, report) = (stage.subscribe(), report.clone());
                std::thread::Builder::new()
                    .name(format!("worker-{worker}"))
                    .spawn(move || worker::run(assignment, stage, report))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            scenario,
            threads,
            stage,
            reports,
        })
    }

    /// Leads the workers through the stages of the run.
    async fn conduct(
        mut self,
        mut relay: Option<&mut RelayProcess>,
        mut interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
        watcher: &mut impl FnMut(Progress),
    ) -> Result<Outcome, LoadError> {
        let mut tally = Tally::new(Arc::clone(&self.scenario), self.threads.len());
        self.connect(
            &mut tally,
            relay.as_deref_mut(),
            interrupt.as_mut(),
            watcher,
        )
        .await?;
        let before = Usage::sample(relay.as_deref());
        let mut latest = before.clone();
        let clock = Clock::starting_in(START_DELAY);
        self.stage.send_replace(Stage::Run(clock));
        let mut stopped = false;
        while !tally.is_finished() {
            tokio::select! {
                biased;
                report = self.reports.recv() => match report {
                    Some(report) => tally.take(report, watcher),
                    None => return Err(self.failed()),
                },
                () = &mut interrupt, if !stopped => {
                    tally.interrupted = Some(clock.now());
                    stopped = true;
                }
                ended = relay_ended(relay.as_deref_mut()), if !tally.relay_is_gone() => {
                    tally.relay_ended = Some((clock.now(), ended));
                    stopped = true;
                }
            }
            // Everybody gone: nothing more can be measured.
            stopped |= tally.lost.len() == self.scenario.clients as usize;
            if stopped && matches!(*self.stage.borrow(), Stage::Run(_)) {
                self.stage.send_replace(Stage::Stop(clock, clock.now()));
            }
            latest.refresh(relay.as_deref());
        }
        latest.refresh(relay.as_deref());
        for thread in self.threads {
            thread
                .join()
                .map_err(|_| LoadError::Worker("it panicked".to_owned()))??;
        }
        Ok(tally.outcome(before.until(&latest)))
    }

    async fn connect(
        &mut self,
        tally: &mut Tally,
        mut relay: Option<&mut RelayProcess>,
        mut interrupt: std::pin::Pin<&mut impl Future<Output = ()>>,
        watcher: &mut impl FnMut(Progress),
    ) -> Result<(), LoadError> {
        while tally.connected < self.scenario.clients {
            tokio::select! {
                biased;
                report = self.reports.recv() => match report {
                    Some(Report::ConnectFailed(failure)) => return Err(failure.into()),
                    Some(report) => tally.take(report, watcher),
                    None => return Err(LoadError::Worker("it ended early".to_owned())),
                },
                () = &mut interrupt => return Err(LoadError::Interrupted),
                ended = relay_ended(relay.as_deref_mut()) => {
                    return Err(LoadError::RelayEnded(ended));
                }
            }
        }
        Ok(())
    }

    /// Why all workers ended without a result.
    fn failed(self) -> LoadError {
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(_) => return LoadError::Worker("it panicked".to_owned()),
            }
        }
        LoadError::Worker("it ended early".to_owned())
    }
}

/// Completes when the embedded relay ends; never, where there is none.
async fn relay_ended(relay: Option<&mut RelayProcess>) -> ExitStatus {
    if let Some(relay) = relay
        && let Ok(status) = relay.ended().await
    {
        return status;
    }
    std::future::pending().await
}

/// What both sides have used.
#[derive(Debug, Clone)]
pub struct Usage {
    /// This process.
    pub generator: Option<ProcessUse>,
    /// The relay's, where its pid is known.
    pub relay: Option<ProcessUse>,
}

impl Usage {
    fn sample(relay: Option<&RelayProcess>) -> Self {
        Self {
            generator: usage_of(std::process::id()),
            relay: relay.and_then(|relay| usage_of(relay.pid())),
        }
    }

    /// Samples again. Keeps the last known figures of a relay that has ended.
    fn refresh(&mut self, relay: Option<&RelayProcess>) {
        let now = Self::sample(relay);
        self.generator = now.generator.or(self.generator.take());
        self.relay = now.relay.or(self.relay.take());
    }

    fn until(&self, after: &Usage) -> Usage {
        let since = |before: &Option<ProcessUse>, after: &Option<ProcessUse>| {
            Some(usage_since(before.as_ref()?, after.as_ref()?))
        };
        Usage {
            generator: since(&self.generator, &after.generator),
            relay: since(&self.relay, &after.relay),
        }
    }
}
