//! A worker: one thread that plays all clients of its rooms.
//!
//! A room lives in one worker, so its replicas, its ledger and the worker's
//! histograms need no lock, and one clock times both ends of a delivery.

mod messages;
mod pacer;
mod seed_rooms;
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
use crate::client::connection::ConnectFailure;
use crate::client::session::LONGEST_SILENCE;
use crate::net::network::Network;
use crate::net::target::UrlTemplate;
use crate::net::tls::Tls;
use crate::plan::Plan;
use crate::room::convergence;
use crate::room::{InitialDocument, MemberRef, Room, RoomContext};
use crate::scenario::{Arrivals, RelayTarget, Scenario};
use crate::schedule::{Rhythm, Schedule};
use crate::time::clock::{Clock, Nanos, TimeSource, sharpen_timers, thread_cpu};
use crate::time::timer::Timer;

pub use messages::{Finished, RunPhase, WorkerEvent};
use pacer::{Paced, Pacer, flush_batches};
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
    pub initial_document: Option<Arc<InitialDocument>>,
    /// Where the relay is.
    pub relay: UrlTemplate,
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
    stage: watch::Receiver<RunPhase>,
    reports: mpsc::Sender<WorkerEvent>,
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
    stage: watch::Receiver<RunPhase>,
    reports: mpsc::Sender<WorkerEvent>,
) -> std::io::Result<()> {
    let timer = Timer::new(source)?;
    let tls = match tls(&assignment.scenario) {
        Ok(tls) => tls,
        Err(error) => {
            let failure = ConnectFailure::Tls(error);
            let _ = reports.send(WorkerEvent::ConnectFailed(failure)).await;
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
        true => Tls::new(scenario.access.insecure)
            .map(Some)
            .map_err(|error| error.to_string()),
        false => Ok(None),
    }
}

struct Worker {
    number: usize,
    scenario: Arc<Scenario>,
    context: Rc<RoomContext>,
    shared: Rc<Shared>,
    stage: watch::Receiver<RunPhase>,
    reports: mpsc::Sender<WorkerEvent>,
    clients: JoinSet<()>,
}

impl Worker {
    fn new(
        number: usize,
        assignment: Assignment,
        timer: Timer,
        network: Rc<dyn Network>,
        tls: Option<Tls>,
        stage: watch::Receiver<RunPhase>,
        reports: mpsc::Sender<WorkerEvent>,
    ) -> Self {
        let scenario = Arc::clone(&assignment.scenario);
        let context = Rc::new(RoomContext {
            stage_ends: stage_ends(&scenario),
            scenario: assignment.scenario,
            plan: assignment.plan,
            trace: assignment.trace,
            engine: assignment.engine,
            initial_document: assignment.initial_document,
            rooms: assignment.rooms,
        });
        let rooms = context.rooms.iter().map(|&room| Room::new(&context, room));
        let rooms = rooms.collect();
        let shared = Shared::new(
            Rc::clone(&context),
            rooms,
            timer,
            network,
            assignment.relay,
            tls,
        );
        Self {
            number,
            scenario,
            context,
            shared: Rc::new(shared),
            stage,
            reports,
            clients: JoinSet::new(),
        }
    }

    async fn run(mut self) {
        if let Err(failure) = self.connect_all().await {
            self.report(WorkerEvent::ConnectFailed(failure)).await;
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
        let paced = self.follow_schedule(clock).await;
        self.shared.end_plan();
        self.report(WorkerEvent::Draining).await;
        self.drain().await;
        let (busy, elapsed) = (thread_cpu() - cpu, clock.now() - start);
        sleep(SETTLE).await;
        batches.abort();
        self.record_convergence_times();
        drop(settled);
        // Nothing in it panics; an error means that nobody listens any more.
        let _ = seconds.await;
        let finished = self.finish(paced, busy, elapsed);
        self.shared.close();
        while self.clients.join_next().await.is_some() {}
        self.report(WorkerEvent::Finished(Box::new(finished))).await;
    }

    async fn report(&self, report: WorkerEvent) {
        // Nobody listens any more: the run was aborted.
        let _ = self.reports.send(report).await;
    }

    fn members(&self) -> Vec<MemberRef> {
        let rooms = self.shared.rooms.borrow();
        let members = rooms.iter().enumerate();
        members
            .flat_map(|(room, r)| (0..r.members.len()).map(move |slot| MemberRef { room, slot }))
            .collect()
    }

    /// Brings every client to life, and waits until those of the start are
    /// live.
    async fn connect_all(&mut self) -> Result<(), ConnectFailure> {
        if let Some(initial_document) = &self.context.initial_document
            && self.scenario.protocol.remembers()
        {
            seed_rooms::seed_rooms(&self.shared, initial_document).await?;
        }
        let mut initial = 0;
        for member in self.members() {
            initial += usize::from(self.shared.plan_of(member).joins.is_none());
            let ramp = self.ramp_up_of(member);
            let shared = Rc::clone(&self.shared);
            self.clients.spawn_local(async move {
                if !ramp.is_zero() {
                    tokio::select! {
                        () = sleep(ramp) => {}
                        () = shared.closing() => return,
                    }
                }
                client::run_client(shared, member).await;
            });
        }
        let mut told = 0;
        loop {
            let live = self.shared.initial_live.get();
            if live != told || live == initial {
                told = live;
                let worker = self.number;
                self.report(WorkerEvent::Connected { worker, live }).await;
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
    fn ramp_up_of(&self, member: MemberRef) -> Duration {
        let client = self.shared.client(member);
        if self.scenario.ramp_up.is_zero() || self.shared.plan_of(member).joins.is_some() {
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
            .wait_for(|stage| *stage != RunPhase::Connect)
            .await
            .ok()?;
        match *stage {
            RunPhase::Run(clock) | RunPhase::Stop(clock, _) => Some(clock),
            RunPhase::Connect => None,
        }
    }

    /// Does everything at its time.
    async fn follow_schedule(&mut self, clock: Clock) -> Paced {
        let members = self.seats_by_client();
        let clients = (0..)
            .zip(&members)
            .filter_map(|(client, member)| member.map(|_| client));
        let rhythm = match self.scenario.arrivals {
            Arrivals::Trace => Rhythm::from_trace(&self.context.trace),
            Arrivals::Constant | Arrivals::Poisson => None,
        };
        let plan = &self.context.plan;
        let schedule = Schedule::new(&self.scenario, plan, rhythm.as_ref(), clients);
        let mut pacer = Pacer {
            shared: Rc::clone(&self.shared),
            stage: self.stage.clone(),
            clock,
            members,
            end: self.scenario.duration.as_nanos() as Nanos,
            paced: Paced::default(),
            ahead: VecDeque::new(),
        };
        pacer.play(schedule).await;
        pacer.paced
    }

    /// For each client of the run its seat, if it is this worker's.
    fn seats_by_client(&self) -> Vec<Option<MemberRef>> {
        let mut members = vec![None; self.context.plan.clients.len()];
        for member in self.members() {
            members[self.shared.client(member) as usize] = Some(member);
        }
        members
    }

    /// Waits until every edit is visible everywhere, or the run was stopped and
    /// nobody is connected any more, or things have not got better for the
    /// scenario's drain timeout. That does not begin before those whom the
    /// scenario keeps away can have noticed that their links are dead; and who
    /// comes back only to be lost again makes nothing better.
    async fn drain(&self) {
        let stopped = matches!(*self.stage.borrow(), RunPhase::Stop(..));
        let nobody = || stopped && self.shared.nobody_is_live();
        let (mut best, mut since) = (self.shared.standing(), Instant::now());
        while !self.shared.is_settled() && !nobody() {
            let patience = match self.shared.any_away() {
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

    fn finish(&self, paced: Paced, busy: Nanos, elapsed: Nanos) -> Finished {
        let mut convergence = Convergence::default();
        for room in self.shared.rooms.borrow().iter() {
            convergence::check(room, &mut convergence);
        }
        let engine_error = self.shared.engine_error.borrow();
        Finished {
            unsent: paced.unsent,
            expected: self.shared.expected.get(),
            convergence,
            busy,
            elapsed,
            engine_error: engine_error.as_ref().map(EngineError::to_string),
            rejected: self.shared.rejected.take(),
            lost: self.shared.lost.take(),
            fingerprint: paced.is_complete.then_some(paced.fingerprint),
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
    reports: mpsc::Sender<WorkerEvent>,
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
        let report = WorkerEvent::Second { second, metrics };
        if reports.send(report).await.is_err() || is_last {
            return;
        }
    }
}
