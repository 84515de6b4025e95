//! A worker: one thread that simulates all clients of its rooms.
//!
//! A room lives in one worker, so its replicas, its ledger and the worker's
//! histograms need no lock, and one clock times both ends of a delivery.

mod importer;
mod messages;
mod pacer;
mod seed_rooms;

use std::collections::VecDeque;
use std::panic;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use syncbench_datasets::Trace;
use syncbench_engines::Engine;
use syncbench_engines::panics;
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::connection::ConnectFailure;
use crate::client::dialer::Dialer;
use crate::client::disconnect::{Disconnect, LostConnection};
use crate::client::session::LONGEST_SILENCE;
use crate::client::signals::RunSignals;
use crate::client::{Client, run_client};
use crate::net::network::Network;
use crate::net::target::UrlTemplate;
use crate::plan::{ClientId, Identity, Plan, RoomIndex};
use crate::room::meter::Meter;
use crate::room::rooms::Rooms;
use crate::room::{InitialDocument, MemberRef, RoomContext};
use crate::scenario::{Arrivals, Scenario};
use crate::schedule::{Rhythm, Schedule};
use crate::time::clock::{Clock, Nanos, TimeSource, sharpen_timers, thread_cpu};
use crate::time::timer::Timer;

use importer::import_updates;
pub use messages::{Finished, RunPhase, WorkerEvent};
use pacer::{Paced, Pacer, flush_batches};
use seed_rooms::seed_rooms;

/// The time after the last delivery in which duplicates and strays may arrive
/// and be counted.
const SETTLE: Duration = Duration::from_millis(100);

/// The time that deliveries still have to arrive in once the run is urgently to
/// end.
const LAST_DELIVERIES: Duration = Duration::from_secs(1);

/// The inputs of a worker.
pub struct Assignment {
    /// The worker's number in the run, from 0.
    pub number: usize,
    /// The scenario of the whole run.
    pub scenario: Arc<Scenario>,
    /// The plan of the whole run.
    pub plan: Arc<Plan>,
    /// The rooms that this worker simulates, by their numbers in the run.
    pub rooms: Vec<RoomIndex>,
    /// The trace that the clients type.
    pub trace: Arc<Trace>,
    /// The engine that their replicas belong to.
    pub engine: &'static dyn Engine,
    /// The document that the rooms contain before the first edit.
    pub initial_document: Option<Arc<InitialDocument>>,
    /// The address of the relay.
    pub relay: UrlTemplate,
}

/// Simulates the clients of `assignment` through the phases of the run, in a
/// runtime of its own. Ends when the run does, or when nobody receives its
/// events any more.
///
/// # Errors
/// When the system refuses the runtime or a timer.
pub fn run(
    assignment: Assignment,
    network: impl Network + 'static,
    phase: watch::Receiver<RunPhase>,
    events: mpsc::Sender<WorkerEvent>,
) -> std::io::Result<()> {
    sharpen_timers();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let source = TimeSource::Monotonic;
    let network = Rc::new(network);
    runtime.block_on(play(assignment, network, source, phase, events))
}

/// Simulates the clients of `assignment` in the current runtime, which must be
/// local to its thread or in a `LocalSet`.
///
/// # Errors
/// When the system refuses a timer.
pub async fn play(
    assignment: Assignment,
    network: Rc<dyn Network>,
    source: TimeSource,
    phase: watch::Receiver<RunPhase>,
    events: mpsc::Sender<WorkerEvent>,
) -> std::io::Result<()> {
    let timer = Timer::new(source)?;
    match Worker::new(assignment, timer, network, (phase, events.clone())) {
        Ok(worker) => worker.run().await,
        Err(failure) => {
            let failed = WorkerEvent::ConnectFailed(failure.disconnect());
            // Nobody listens any more where the run was aborted.
            let _ = events.send(failed).await;
        }
    }
    Ok(())
}

/// The ends of all stages but the last, nanoseconds since the start of the
/// schedule.
fn stage_ends(scenario: &Scenario) -> Vec<Nanos> {
    let mut end = 0;
    let lasts = scenario.stages.iter().map(|stage| stage.duration);
    let ends = lasts.map(|lasts| {
        end += lasts.as_nanos() as Nanos;
        end
    });
    // Nothing is intended after the last stage.
    let mut ends: Vec<Nanos> = ends.collect();
    ends.pop();
    ends
}

struct Worker {
    number: usize,
    context: Rc<RoomContext>,
    rooms: Rc<Rooms>,
    signals: Rc<RunSignals>,
    dialer: Rc<Dialer>,
    timer: Timer,
    phase: watch::Receiver<RunPhase>,
    events: mpsc::Sender<WorkerEvent>,
    clients: JoinSet<()>,
}

impl Worker {
    fn new(
        assignment: Assignment,
        timer: Timer,
        network: Rc<dyn Network>,
        (phase, events): (watch::Receiver<RunPhase>, mpsc::Sender<WorkerEvent>),
    ) -> Result<Self, ConnectFailure> {
        let scenario = Arc::clone(&assignment.scenario);
        let dialer = Dialer::new(scenario, network, assignment.relay.clone(), timer.clone())?;
        let context = Rc::new(RoomContext {
            stage_ends: stage_ends(&assignment.scenario),
            identity: Identity::new(&assignment.scenario),
            scenario: assignment.scenario,
            plan: assignment.plan,
            trace: assignment.trace,
            engine: assignment.engine,
            initial_document: assignment.initial_document,
            rooms: assignment.rooms,
            verified: Rc::default(),
        });
        let before_start = Clock::starting_in(timer.source(), 0);
        let meter = Rc::new(Meter::new(before_start));
        let progress = Rc::new(Notify::new());
        Ok(Self {
            number: assignment.number,
            rooms: Rc::new(Rooms::new(Rc::clone(&context), meter, Rc::clone(&progress))),
            context,
            signals: Rc::new(RunSignals::new(before_start, progress)),
            dialer: Rc::new(dialer),
            timer,
            phase,
            events,
            clients: JoinSet::new(),
        })
    }

    async fn run(mut self) {
        let imports = spawn_local(import_updates(Rc::clone(&self.rooms)));
        self.follow_run().await;
        imports.abort();
    }

    async fn follow_run(&mut self) {
        if let Err(failure) = self.connect_all().await {
            let failure = self.dialer.explain(failure).await.disconnect();
            let failure = Disconnect::new(&failure.kind, self.without_secrets(failure.reason));
            self.report(WorkerEvent::ConnectFailed(failure)).await;
            return;
        }
        let Some(clock) = self.started().await else {
            return;
        };
        self.rooms.meter.start(clock);
        self.signals.start(clock);
        let (settled, until_settled) = oneshot::channel();
        let seconds = spawn_local(report_seconds(
            Rc::clone(&self.rooms),
            self.timer.clone(),
            self.events.clone(),
            until_settled,
        ));
        let batches = flush_batches(Rc::clone(&self.rooms), self.timer.clone());
        let batches = spawn_local(batches);
        let end = spawn_local(report_end(Rc::clone(&self.rooms), self.events.clone()));
        self.timer.sleep_until(clock.absolute(0)).await;
        let (cpu, start) = (thread_cpu(), clock.now());
        let paced = self.follow_schedule(clock).await;
        self.signals.end_plan();
        self.report(WorkerEvent::Draining).await;
        self.drain().await;
        let (busy, elapsed) = (thread_cpu() - cpu, clock.now() - start);
        sleep(SETTLE).await;
        batches.abort();
        end.abort();
        self.record_convergence_times();
        self.rooms.open_documents(self.is_cut_short());
        drop(settled);
        if let Err(failed) = seconds.await {
            panic::resume_unwind(failed.into_panic());
        }
        let finished = self.finish(paced, busy, elapsed);
        self.signals.close();
        while self.clients.join_next().await.is_some() {}
        self.report(WorkerEvent::Finished(Box::new(finished))).await;
    }

    /// Returns a reason that the relay may have given, without secrets.
    fn without_secrets(&self, reason: String) -> String {
        self.context.scenario.relay.hide_secrets(&reason)
    }

    async fn report(&self, event: WorkerEvent) {
        // Nobody listens any more: the run was aborted.
        let _ = self.events.send(event).await;
    }

    /// Starts every client, and waits until the initial ones are live.
    async fn connect_all(&mut self) -> Result<(), ConnectFailure> {
        if let Some(document) = &self.context.initial_document
            && self.context.scenario.relay.protocol.remembers()
        {
            seed_rooms(&self.context, &self.dialer, document).await?;
        }
        let initial = self.start_clients();
        let mut reported = 0;
        loop {
            let live = self.rooms.initial_ready();
            if live != reported || live == initial {
                reported = live;
                let worker = self.number;
                self.report(WorkerEvent::Connected { worker, live }).await;
            }
            if live == initial {
                return Ok(());
            }
            if let Some(failure) = self.signals.take_failure() {
                return Err(failure);
            }
            if self.events.is_closed() {
                return Ok(());
            }
            self.rooms.progress.notified().await;
        }
    }

    /// Starts every client and returns the number of initial ones.
    fn start_clients(&mut self) -> usize {
        let mut initial = 0;
        for member in self.rooms.members() {
            initial += usize::from(self.rooms.plan_of(member).joins.is_none());
            let ramp = self.ramp_up_of(member);
            let client = Client {
                member,
                rooms: Rc::clone(&self.rooms),
                signals: Rc::clone(&self.signals),
                dialer: Rc::clone(&self.dialer),
                timer: self.timer.clone(),
            };
            let rooms = Rc::clone(&self.rooms);
            let life = async move {
                if !ramp.is_zero() {
                    tokio::select! {
                        () = sleep(ramp) => {}
                        () = client.closing() => return,
                    }
                }
                run_client(client).await;
            };
            self.clients.spawn_local(async move {
                // A client that vanishes without a word would be waited for.
                if let Err(panic) = panics::catch_in(life).await {
                    rooms.client_panicked(member, &panic);
                }
            });
        }
        initial
    }

    /// The delay of an initial client's first connection.
    fn ramp_up_of(&self, member: MemberRef) -> Duration {
        let scenario = &self.context.scenario;
        if scenario.clients.ramp_up.is_zero() || self.rooms.plan_of(member).joins.is_some() {
            return Duration::ZERO;
        }
        let client = self.rooms.client(member);
        scenario
            .clients
            .ramp_up
            .mul_f64(f64::from(client.0) / f64::from(scenario.clients.count))
    }

    /// Waits until the run starts; `None` when it never does.
    async fn started(&mut self) -> Option<Clock> {
        let has_started = |phase: &RunPhase| *phase != RunPhase::Connect;
        let phase = *self.phase.wait_for(has_started).await.ok()?;
        match phase {
            RunPhase::Run { start } | RunPhase::Stop { start, .. } => {
                Some(Clock::starting_at(self.timer.source(), start))
            }
            RunPhase::Connect => None,
        }
    }

    /// Paces the schedule to its end or the end of the run.
    async fn follow_schedule(&mut self, clock: Clock) -> Paced {
        let members = self.members_by_client();
        let clients = (0..)
            .map(ClientId)
            .zip(&members)
            .filter_map(|(client, member)| member.map(|_| client));
        let RoomContext {
            scenario,
            plan,
            trace,
            ..
        } = self.context.as_ref();
        let rhythm = match scenario.workload.arrivals {
            Arrivals::Trace => Rhythm::from_trace(trace).ok(),
            Arrivals::Constant | Arrivals::Poisson => None,
        };
        let schedule = Schedule::new(scenario, plan, rhythm.as_ref(), clients);
        let mut pacer = Pacer {
            rooms: Rc::clone(&self.rooms),
            timer: self.timer.clone(),
            phase: self.phase.clone(),
            clock,
            members,
            end: scenario.duration.as_nanos() as Nanos,
            paced: Paced::default(),
            ahead: VecDeque::new(),
        };
        pacer.play(schedule).await;
        pacer.paced
    }

    /// The place of each client of the run in this worker, if it has one.
    fn members_by_client(&self) -> Vec<Option<MemberRef>> {
        let mut members = vec![None; self.context.plan.clients.len()];
        for member in self.rooms.members() {
            members[self.rooms.client(member).0 as usize] = Some(member);
        }
        members
    }

    /// Waits for the last deliveries, but not for long once the run is urgently
    /// to end.
    async fn drain(&self) {
        let mut phase = self.phase.clone();
        let urged = async {
            // An error means that the run is gone, which is as urgent.
            let _ = phase.wait_for(|phase| phase.is_urgent()).await;
            sleep(LAST_DELIVERIES).await;
        };
        tokio::select! {
            () = self.last_deliveries() => {}
            () = urged => {}
        }
    }

    /// Waits until every edit is visible everywhere, or the run was stopped and
    /// no client is connected any more, or there was no progress for the
    /// scenario's drain timeout. The timeout does not begin before clients that
    /// the scenario keeps away can have noticed that their links are dead. A
    /// client that comes back only to be lost again is no progress.
    async fn last_deliveries(&self) {
        let stopped = matches!(*self.phase.borrow(), RunPhase::Stop { .. });
        let nobody = || stopped && self.rooms.nobody_is_live();
        let drain_timeout = self.context.scenario.drain_timeout;
        let (mut best, mut since) = (self.rooms.standing(), Instant::now());
        while !self.rooms.is_settled() && !nobody() {
            let patience = match self.rooms.any_away() {
                true => drain_timeout + LONGEST_SILENCE,
                false => drain_timeout,
            };
            let progress = self.rooms.progress.notified();
            if timeout_at(since + patience, progress).await.is_err() {
                return;
            }
            let standing = self.rooms.standing();
            if standing > best {
                (best, since) = (standing, Instant::now());
            }
        }
    }

    fn is_cut_short(&self) -> bool {
        self.phase.borrow().is_urgent()
    }

    fn record_convergence_times(&self) {
        self.rooms.for_each(|room| {
            if !room.has_ended()
                && let Some(time) = room.convergence_time()
            {
                let meter = &self.rooms.meter;
                meter.record(|metrics| metrics.convergence_time.record(time));
            }
        });
    }

    fn finish(&self, paced: Paced, busy: Nanos, elapsed: Nanos) -> Finished {
        let convergence = self.rooms.check(self.is_cut_short());
        let errors = self.rooms.take_errors();
        let lost = self.signals.take_losses().into_iter();
        let lost = lost.map(|lost| LostConnection {
            reason: self.without_secrets(lost.reason),
            ..lost
        });
        Finished {
            unsent: paced.unsent,
            expected: self.rooms.expected(),
            presence_expected: self.rooms.presence_expected(),
            convergence,
            busy,
            elapsed,
            engine_error: errors.engine.map(|error| error.to_string()),
            rejected: errors.rejected.map(|reason| self.without_secrets(reason)),
            presence_refused: errors
                .presence_refused
                .map(|reason| self.without_secrets(reason)),
            unexpected_frame: errors.unexpected,
            ended_rooms: self.rooms.ended(),
            lost: lost.collect(),
            fingerprint: paced.is_complete.then_some(paced.fingerprint),
        }
    }
}

/// Reports when no room of the worker is left.
async fn report_end(rooms: Rc<Rooms>, events: mpsc::Sender<WorkerEvent>) {
    rooms.none_left().await;
    // Nobody listens any more where the run was aborted.
    let _ = events.send(WorkerEvent::NoRoomLeft).await;
}

/// Reports what each second measured when it is over, and the rest when
/// `settled` is dropped.
async fn report_seconds(
    rooms: Rc<Rooms>,
    timer: Timer,
    events: mpsc::Sender<WorkerEvent>,
    mut settled: oneshot::Receiver<()>,
) {
    let clock = rooms.meter.clock();
    for second in 0.. {
        let over = clock.absolute((second + 1) * 1_000_000_000);
        let is_last = tokio::select! {
            () = timer.sleep_until(over) => false,
            _ = &mut settled => true,
        };
        let event = WorkerEvent::Second {
            second,
            metrics: Box::new(rooms.take_metrics()),
            gauges: rooms.gauges(),
        };
        if events.send(event).await.is_err() || is_last {
            return;
        }
    }
}
