//! A worker: one thread that plays all clients of its rooms.
//!
//! A room lives in one worker, so its replicas, its ledger and the worker's
//! histograms need no lock, and one clock times both ends of a delivery.

mod found;
mod playing;
mod shared;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use syncbench_datasets::Trace;
use syncbench_engines::{Engine, EngineError};
use syncbench_reports::record::Convergence;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout_at};

use crate::client;
use crate::clock::{Clock, Nanos, TimeSource, sharpen_timers, thread_cpu};
use crate::connection::ConnectError;
use crate::convergence;
use crate::metrics::Metrics;
use crate::network::Network;
use crate::plan::Plan;
use crate::room::{Ground, Room, Setting};
use crate::scenario::{Arrivals, RelayTarget, Scenario};
use crate::schedule::{Rhythm, Schedule};
use crate::session::{LONGEST_SILENCE, Seat};
use crate::target::{UrlError, UrlTemplate};
use crate::timer::Timer;
use crate::tls::Tls;

use playing::{Played, Playing, flush_batches};
pub use shared::Shared;

/// After the last delivery: lets duplicates and strays arrive and be counted.
const SETTLE: Duration = Duration::from_millis(100);

/// What a worker needs to begin.
pub struct Assignment {
    /// The whole run.
    pub scenario: Arc<Scenario>,
    /// Who is where, and when.
    pub plan: Arc<Plan>,
    /// The rooms this worker plays.
    pub rooms: Vec<u32>,
    /// What the clients type.
    pub trace: Arc<Trace>,
    /// What their replicas are made of.
    pub engine: &'static dyn Engine,
    /// What the rooms contain before the first edit.
    pub ground: Option<Arc<Ground>>,
    /// Where the relay is.
    pub relay: UrlTemplate,
}

/// Where the whole run stands; the workers follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connect, then wait.
    Connect,
    /// Edit by this clock until the schedule ends.
    Run(Clock),
    /// Intend nothing any more from this time of the clock on; finish.
    Stop(Clock, Nanos),
}

/// What a worker tells while it works.
pub enum Report {
    /// So many of its clients of the start are live.
    Connected {
        /// Which worker.
        worker: usize,
        /// How many.
        live: usize,
    },
    /// A client could not connect; the worker has given up.
    ConnectFailed(ConnectFailure),
    /// What was measured in one second since the schedule's start.
    Second {
        /// The second; what came before the start counts in 0.
        second: u64,
        /// The measurements.
        metrics: Box<Metrics>,
    },
    /// The schedule is over and this worker waits for deliveries.
    Draining,
    /// The worker has checked its rooms and is done.
    Finished(Box<Finished>),
}

/// Why a worker could not connect its clients.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// The URL does not work for this room or client.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The relay does not take the client.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// `wss://` cannot be spoken here.
    #[error("cannot use wss://: {0}")]
    Tls(String),
}

/// A connection that ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostConnection {
    /// Whose.
    pub client: u32,
    /// When, since the schedule's start.
    pub at: Nanos,
    /// Why.
    pub reason: String,
}

/// What a worker leaves behind.
#[derive(Debug)]
pub struct Finished {
    /// Arrivals that were due but came too late to be sent.
    pub unsent: u64,
    /// Deliveries that were due.
    pub expected: u64,
    /// The check of its rooms.
    pub convergence: Convergence,
    /// CPU time of the thread from the schedule's start until the end of the
    /// deliveries, and the wall time of that.
    pub busy: Nanos,
    /// See `busy`.
    pub elapsed: Nanos,
    /// The first refusal of an engine to make an edit, if any.
    pub engine_error: Option<String>,
    /// Why the relay refused an update, the first time it did.
    pub rejected: Option<String>,
    /// Connections that ended against the plan; the first of them.
    pub lost: Vec<LostConnection>,
    /// Sum of the fingerprints of its arrivals, if all of them were due.
    pub fingerprint: Option<u64>,
}

/// Plays the clients of `assignment` through the stages of the run, in a
/// runtime of its own. Ends when the run does, or when nobody takes its
/// reports any more.
///
/// # Errors
/// When the system refuses the runtime or a timer.
pub fn run(
    number: usize,
    assignment: Assignment,
    network: impl Network + 'static,
    stage: watch::Receiver<Stage>,
    reports: mpsc::Sender<Report>,
) -> std::io::Result<()> {
    sharpen_timers();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let source = TimeSource::Monotonic;
    let network = Rc::new(network);
    LocalSet::new().block_on(
        &runtime,
        play(number, assignment, network, source, stage, reports),
    )
}

/// Plays the clients of `assignment` in the current runtime, which must run a
/// single thread with a `LocalSet`.
///
/// # Errors
/// When the system refuses a timer.
pub async fn play(
    number: usize,
    assignment: Assignment,
    network: Rc<dyn Network>,
    source: TimeSource,
    stage: watch::Receiver<Stage>,
    reports: mpsc::Sender<Report>,
) -> std::io::Result<()> {
    let timer = Timer::new(source)?;
    let tls = match tls(&assignment.scenario) {
        Ok(tls) => tls,
        Err(error) => {
            let failure = ConnectFailure::Tls(error);
            let _ = reports.send(Report::ConnectFailed(failure)).await;
            return Ok(());
        }
    };
    let worker = Worker::new(number, assignment, timer, network, tls, stage, reports);
    worker.run().await;
    Ok(())
}

/// What encrypts connections, where the relay's address asks for it.
fn tls(scenario: &Scenario) -> Result<Option<Tls>, String> {
    let url = match &scenario.relay {
        RelayTarget::Embedded => return Ok(None),
        RelayTarget::Url(url) | RelayTarget::Command { url, .. } => url,
    };
    match url.is_secure() {
        true => Tls::new(scenario.access.insecure).map(Some),
        false => Ok(None),
    }
}

struct Worker {
    number: usize,
    scenario: Arc<Scenario>,
    setting: Rc<Setting>,
    shared: Rc<Shared>,
    stage: watch::Receiver<Stage>,
    reports: mpsc::Sender<Report>,
    clients: JoinSet<()>,
}

impl Worker {
    fn new(
        number: usize,
        assignment: Assignment,
        timer: Timer,
        network: Rc<dyn Network>,
        tls: Option<Tls>,
        stage: watch::Receiver<Stage>,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let scenario = Arc::clone(&assignment.scenario);
        let setting = Rc::new(Setting {
            stage_ends: stage_ends(&scenario),
            scenario: assignment.scenario,
            plan: assignment.plan,
            trace: assignment.trace,
            engine: assignment.engine,
            ground: assignment.ground,
            rooms: assignment.rooms,
        });
        let rooms = setting.rooms.iter().map(|&room| Room::new(&setting, room));
        let rooms = rooms.collect();
        let shared = Shared::new(
            Rc::clone(&setting),
            rooms,
            timer,
            network,
            assignment.relay,
            tls,
        );
        Self {
            number,
            scenario,
            setting,
            shared: Rc::new(shared),
            stage,
            reports,
            clients: JoinSet::new(),
        }
    }

    async fn run(mut self) {
        if let Err(failure) = self.connect_all().await {
            self.report(Report::ConnectFailed(failure)).await;
            return;
        }
        let Some(clock) = self.started().await else {
            return;
        };
        self.shared.start(clock);
        let (settled, until_settled) = oneshot::channel();
        let seconds = spawn_local(report_seconds(
            Rc::clone(&self.shared),
            clock,
            self.reports.clone(),
            until_settled,
        ));
        let batches = spawn_local(flush_batches(Rc::clone(&self.shared)));
        self.shared.timer.sleep_until(clock.absolute(0)).await;
        let (cpu, start) = (thread_cpu(), clock.now());
        let played = self.follow_schedule(clock).await;
        self.shared.end_plan();
        self.report(Report::Draining).await;
        self.drain().await;
        let (busy, elapsed) = (thread_cpu() - cpu, clock.now() - start);
        sleep(SETTLE).await;
        batches.abort();
        self.record_convergence_times();
        drop(settled);
        // Nothing in it panics; an error means that nobody listens any more.
        let _ = seconds.await;
        let finished = self.finish(played, busy, elapsed);
        self.shared.close();
        while self.clients.join_next().await.is_some() {}
        self.report(Report::Finished(Box::new(finished))).await;
    }

    async fn report(&self, report: Report) {
        // Nobody listens any more: the run was aborted.
        let _ = self.reports.send(report).await;
    }

    fn seats(&self) -> Vec<Seat> {
        let rooms = self.shared.rooms.borrow();
        let seats = rooms.iter().enumerate();
        seats
            .flat_map(|(room, r)| (0..r.members.len()).map(move |slot| Seat { room, slot }))
            .collect()
    }

    /// Brings every client to life, and waits until those of the start are
    /// live.
    async fn connect_all(&mut self) -> Result<(), ConnectFailure> {
        if let Some(ground) = &self.setting.ground
            && self.scenario.protocol.remembers()
        {
            found::rooms(&self.shared, ground).await?;
        }
        let mut initial = 0;
        for seat in self.seats() {
            initial += usize::from(self.shared.plan_of(seat).joins.is_none());
            let ramp = self.ramp_up_of(seat);
            let shared = Rc::clone(&self.shared);
            self.clients.spawn_local(async move {
                if !ramp.is_zero() {
                    tokio::select! {
                        () = sleep(ramp) => {}
                        () = shared.closing() => return,
                    }
                }
                client::live(shared, seat).await;
            });
        }
        let mut told = 0;
        loop {
            let live = self.shared.initial_live.get();
            if live != told || live == initial {
                told = live;
                let worker = self.number;
                self.report(Report::Connected { worker, live }).await;
            }
            if live == initial {
                return Ok(());
            }
            if let Some(failure) = self.shared.failure.borrow_mut().take() {
                return Err(failure);
            }
            if self.reports.is_closed() {
                return Ok(());
            }
            self.shared.progress.notified().await;
        }
    }

    /// How long after the others the client of the start comes.
    fn ramp_up_of(&self, seat: Seat) -> Duration {
        let client = self.shared.client(seat);
        if self.scenario.ramp_up.is_zero() || self.shared.plan_of(seat).joins.is_some() {
            return Duration::ZERO;
        }
        self.scenario
            .ramp_up
            .mul_f64(f64::from(client) / f64::from(self.scenario.clients))
    }

    /// Waits until the run starts; `None` when it never does.
    async fn started(&mut self) -> Option<Clock> {
        let stage = self
            .stage
            .wait_for(|stage| *stage != Stage::Connect)
            .await
            .ok()?;
        match *stage {
            Stage::Run(clock) | Stage::Stop(clock, _) => Some(clock),
            Stage::Connect => None,
        }
    }

    /// Does everything at its time.
    async fn follow_schedule(&mut self, clock: Clock) -> Played {
        let seats = self.seats_by_client();
        let clients = (0..)
            .zip(&seats)
            .filter_map(|(client, seat)| seat.map(|_| client));
        let rhythm = match self.scenario.arrivals {
            Arrivals::Trace => Rhythm::of(&self.setting.trace),
            Arrivals::Constant | Arrivals::Poisson => None,
        };
        let plan = &self.setting.plan;
        let schedule = Schedule::new(&self.scenario, plan, rhythm.as_ref(), clients);
        let mut playing = Playing {
            shared: Rc::clone(&self.shared),
            stage: self.stage.clone(),
            clock,
            seats,
            end: self.scenario.duration.as_nanos() as Nanos,
            played: Played::default(),
            ahead: VecDeque::new(),
        };
        playing.play(schedule).await;
        playing.played
    }

    /// For each client of the run its seat, if it is this worker's.
    fn seats_by_client(&self) -> Vec<Option<Seat>> {
        let mut seats = vec![None; self.setting.plan.clients.len()];
        for seat in self.seats() {
            seats[self.shared.client(seat) as usize] = Some(seat);
        }
        seats
    }

    /// Waits until every edit is visible everywhere, or the run was stopped and
    /// nobody is connected any more, or things have not got better for the
    /// scenario's drain timeout. That does not begin before those whom the
    /// scenario keeps away can have noticed that their links are dead; and who
    /// comes back only to be lost again makes nothing better.
    async fn drain(&self) {
        let stopped = matches!(*self.stage.borrow(), Stage::Stop(..));
        let nobody = || stopped && self.shared.nobody_is_live();
        let (mut best, mut since) = (self.shared.standing(), Instant::now());
        while !self.shared.is_settled() && !nobody() {
            let patience = match self.shared.is_anyone_away() {
                true => self.scenario.drain_timeout + LONGEST_SILENCE,
                false => self.scenario.drain_timeout,
            };
            let progress = self.shared.progress.notified();
            if timeout_at(since + patience, progress).await.is_err() {
                return;
            }
            let standing = self.shared.standing();
            if standing > best {
                (best, since) = (standing, Instant::now());
            }
        }
    }

    fn record_convergence_times(&self) {
        let mut metrics = self.shared.metrics.borrow_mut();
        for room in self.shared.rooms.borrow().iter() {
            if let Some(time) = room.convergence_time() {
                metrics.convergence_time.record(time);
            }
        }
    }

    fn finish(&self, played: Played, busy: Nanos, elapsed: Nanos) -> Finished {
        let mut convergence = Convergence::default();
        for room in self.shared.rooms.borrow().iter() {
            convergence::check(room, &mut convergence);
        }
        let engine_error = self.shared.engine_error.borrow();
        Finished {
            unsent: played.unsent,
            expected: self.shared.expected.get(),
            convergence,
            busy,
            elapsed,
            engine_error: engine_error.as_ref().map(EngineError::to_string),
            rejected: self.shared.rejected.take(),
            lost: self.shared.lost.take(),
            fingerprint: played.is_complete.then_some(played.fingerprint),
        }
    }
}

/// Ends of the stages, since the schedule's start.
fn stage_ends(scenario: &Scenario) -> Vec<Nanos> {
    let mut end = 0;
    let lasts = scenario.stages.iter().map(|stage| stage.duration);
    let ends = lasts.map(|lasts| {
        end += lasts.as_nanos() as Nanos;
        end
    });
    // What is intended in the last stage is never after it.
    let mut ends: Vec<Nanos> = ends.collect();
    ends.pop();
    ends
}

/// Sends what each second measured when it is over, and the rest when
/// `settled` is dropped.
async fn report_seconds(
    shared: Rc<Shared>,
    clock: Clock,
    reports: mpsc::Sender<Report>,
    mut settled: oneshot::Receiver<()>,
) {
    for second in 0.. {
        let over = clock.absolute((second + 1) * 1_000_000_000);
        let is_last = tokio::select! {
            () = shared.timer.sleep_until(over) => false,
            _ = &mut settled => true,
        };
        let mut metrics = Box::new(shared.metrics.take());
        shared.sample(&mut metrics);
        let report = Report::Second { second, metrics };
        if reports.send(report).await.is_err() || is_last {
            return;
        }
    }
}
