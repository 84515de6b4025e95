//! A worker: one thread that plays all clients of its rooms.
//!
//! A room lives in one worker, so its replicas, its ledger and the worker's
//! histograms need no lock, and one clock times both ends of a delivery.

mod shared;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use syncbench_datasets::Trace;
use syncbench_engines::{Engine, EngineError};
use syncbench_reports::record::Convergence;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::http::Uri;

use crate::clock::{Clock, Nanos, monotonic, thread_cpu};
use crate::connection::{ConnectError, Socket, connect};
use crate::convergence;
use crate::metrics::Metrics;
use crate::pacer::Pacer;
use crate::room::Room;
use crate::scenario::{Scenario, client_name};
use crate::schedule::{Arrival, Schedule};
use crate::session::{self, Seat};
use crate::target::{UrlError, UrlTemplate};

pub use shared::Shared;

/// Connections that one worker opens at a time.
const CONNECTING_AT_ONCE: usize = 64;

/// Edits made in a row before those who have something to read get their
/// turn. Under overload this makes the generator fall behind in sending, where
/// it shows as lag, and not in reading, where it would look like a slow relay.
const EDITS_PER_TURN: usize = 8;

/// How far past the end of the schedule a late generator may still send.
const LATE_SENDING: Nanos = 500_000_000;

/// After the last delivery: lets duplicates and strays arrive and be counted.
const SETTLE: Duration = Duration::from_millis(100);

/// What a worker needs to begin.
pub struct Assignment {
    /// The whole run.
    pub scenario: Arc<Scenario>,
    /// The rooms this worker plays.
    pub rooms: Vec<u32>,
    /// What the clients type.
    pub trace: Arc<Trace>,
    /// What their replicas are made of.
    pub engine: &'static dyn Engine,
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
    /// One more client is connected.
    Connected,
    /// A client could not connect; the worker has given up.
    ConnectFailed(ConnectFailure),
    /// A client lost its connection.
    Lost(Lost),
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
    Finished(Finished),
}

/// Why a worker could not connect its clients.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// The URL does not work for this room or client.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The relay does not take the client.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// A connection that ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
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
}

/// Plays the clients of `assignment` through the stages of the run. Ends when
/// the run does, or when nobody takes its reports any more.
///
/// # Errors
/// When the system refuses the runtime or a thread.
pub fn run(
    assignment: Assignment,
    stage: watch::Receiver<Stage>,
    reports: mpsc::Sender<Report>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, Worker::new(assignment, stage, reports).run())
}

struct Worker {
    assignment: Assignment,
    shared: Rc<Shared>,
    outgoing: Vec<Vec<Option<mpsc::Receiver<Bytes>>>>,
    stage: watch::Receiver<Stage>,
    reports: mpsc::Sender<Report>,
    close: watch::Sender<bool>,
    sessions: JoinSet<()>,
}

impl Worker {
    fn new(
        assignment: Assignment,
        stage: watch::Receiver<Stage>,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let Assignment {
            scenario,
            engine,
            trace,
            rooms,
            ..
        } = &assignment;
        let (rooms, outgoing): (Vec<_>, Vec<_>) = rooms
            .iter()
            .map(|&room| {
                let (room, outgoing) = Room::new(scenario, room, *engine, trace);
                (room, outgoing.into_iter().map(Some).collect())
            })
            .unzip();
        Self {
            shared: Rc::new(Shared::new(rooms)),
            assignment,
            outgoing,
            stage,
            reports,
            close: watch::Sender::new(false),
            sessions: JoinSet::new(),
        }
    }

    async fn run(mut self) -> std::io::Result<()> {
        if let Err(failure) = self.connect_all().await {
            self.report(Report::ConnectFailed(failure)).await;
            return Ok(());
        }
        let Some(clock) = self.started().await else {
            return Ok(());
        };
        self.shared.clock.set(Some(clock));
        let (settled, until_settled) = oneshot::channel();
        let seconds = tokio::task::spawn_local(report_seconds(
            Rc::clone(&self.shared),
            clock,
            self.reports.clone(),
            until_settled,
        ));
        sleep(Duration::from_nanos(clock.until_start())).await;
        let (cpu, start) = (thread_cpu(), clock.now());
        let unsent = self.edit_by_schedule(clock).await?;
        self.report(Report::Draining).await;
        self.drain().await;
        let (busy, elapsed) = (thread_cpu() - cpu, clock.now() - start);
        sleep(SETTLE).await;
        drop(settled);
        // Nothing in it panics; an error means that nobody listens any more.
        let _ = seconds.await;
        let finished = self.finish(unsent, busy, elapsed);
        self.close_all().await;
        self.report(Report::Finished(finished)).await;
        Ok(())
    }

    async fn report(&self, report: Report) {
        // Nobody listens any more: the run was aborted.
        let _ = self.reports.send(report).await;
    }

    async fn connect_all(&mut self) -> Result<(), ConnectFailure> {
        let mut seats = self.seats().into_iter();
        let mut connecting = FuturesUnordered::new();
        loop {
            while connecting.len() < CONNECTING_AT_ONCE
                && let Some(seat) = seats.next()
            {
                connecting.push(open(self.url(seat)?, seat));
            }
            let Some((seat, opened)) = connecting.next().await else {
                return Ok(());
            };
            let (socket, took) = opened?;
            self.shared.metrics.borrow_mut().connect.record(took);
            self.serve(seat, socket);
            self.report(Report::Connected).await;
        }
    }

    fn seats(&self) -> Vec<Seat> {
        let rooms = self.shared.rooms.borrow();
        let seats = rooms.iter().enumerate();
        seats
            .flat_map(|(room, r)| (0..r.members.len()).map(move |slot| Seat { room, slot }))
            .collect()
    }

    fn url(&self, seat: Seat) -> Result<Uri, UrlError> {
        let room = &self.shared.rooms.borrow()[seat.room];
        self.assignment
            .relay
            .url(&room.name(), &client_name(room.members[seat.slot].client))
    }

    /// Starts the session of the client at `seat`.
    fn serve(&mut self, seat: Seat, socket: Socket) {
        let Some(outgoing) = self.outgoing[seat.room][seat.slot].take() else {
            return;
        };
        self.shared.set_connected(seat, true);
        let shared = Rc::clone(&self.shared);
        let reports = self.reports.clone();
        let closing = self.close.subscribe();
        self.sessions.spawn_local(async move {
            let lost = session::run(Rc::clone(&shared), seat, socket, outgoing, closing).await;
            shared.set_connected(seat, false);
            if let Some(reason) = lost {
                let client = shared.rooms.borrow()[seat.room].members[seat.slot].client;
                let at = shared.clock.get().map_or(0, Clock::now);
                let _ = reports
                    .send(Report::Lost(Lost { client, at, reason }))
                    .await;
            }
        });
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

    /// Makes every edit at its time. Returns how many came too late.
    async fn edit_by_schedule(&mut self, clock: Clock) -> std::io::Result<u64> {
        let scenario = Arc::clone(&self.assignment.scenario);
        let seats = self.seats_by_client();
        let clients = (0..)
            .zip(&seats)
            .filter_map(|(client, seat)| seat.map(|_| client));
        let (pacer, mut due) = Pacer::start(Schedule::new(&scenario, clients), clock)?;
        let end = scenario.duration.as_nanos() as Nanos;
        let mut unsent = 0;
        tokio::select! {
            () = edit_due(&self.shared, &seats, &mut due) => {}
            () = too_late(&mut self.stage, &pacer, clock, end) => {
                due.close();
                while due.recv().await.is_some() {
                    unsent += 1;
                }
            }
        }
        Ok(unsent + pacer.finish())
    }

    /// For each client of the run its seat, if it is this worker's.
    fn seats_by_client(&self) -> Vec<Option<Seat>> {
        let rooms = self.shared.rooms.borrow();
        let mut seats = vec![None; self.assignment.scenario.clients as usize];
        for seat in self.seats() {
            let client = rooms[seat.room].members[seat.slot].client;
            seats[client as usize] = Some(seat);
        }
        seats
    }

    /// Waits until every edit is visible everywhere, or no delivery has come
    /// for the scenario's drain timeout, or nobody is connected any more.
    async fn drain(&self) {
        let shared = &self.shared;
        while shared.visible.get() < shared.expected.get() && shared.connected.get() > 0 {
            let progress = shared.progress.notified();
            if timeout(self.assignment.scenario.drain_timeout, progress)
                .await
                .is_err()
            {
                return;
            }
        }
    }

    fn finish(&self, unsent: u64, busy: Nanos, elapsed: Nanos) -> Finished {
        let mut convergence = Convergence::default();
        for room in self.shared.rooms.borrow().iter() {
            convergence::check(room, &mut convergence);
        }
        let engine_error = self
            .shared
            .engine_error
            .borrow()
            .as_ref()
            .map(EngineError::to_string);
        let expected = self.shared.expected.get();
        Finished {
            unsent,
            expected,
            convergence,
            busy,
            elapsed,
            engine_error,
        }
    }

    async fn close_all(&mut self) {
        self.close.send_replace(true);
        while self.sessions.join_next().await.is_some() {}
    }
}

type Opened = Result<(Socket, Nanos), ConnectError>;

async fn open(url: Uri, seat: Seat) -> (Seat, Opened) {
    let started = monotonic();
    let socket = connect(&url).await;
    (seat, socket.map(|socket| (socket, monotonic() - started)))
}

async fn edit_due(shared: &Shared, seats: &[Option<Seat>], due: &mut mpsc::Receiver<Arrival>) {
    let mut made = 0;
    while let Some(arrival) = due.recv().await {
        if let Some(seat) = seats[arrival.client as usize] {
            shared.edit(seat, arrival.intended);
        }
        made += 1;
        if made % EDITS_PER_TURN == 0 {
            yield_now().await;
        }
    }
}

/// Completes when nothing may be sent any more: some time after the end of
/// the schedule, or after an early stop.
async fn too_late(
    stage: &mut watch::Receiver<Stage>,
    pacer: &Pacer,
    clock: Clock,
    scheduled_end: Nanos,
) {
    let left = |end: Nanos| Duration::from_nanos((end + LATE_SENDING).saturating_sub(clock.now()));
    let stop = stage.wait_for(|stage| matches!(stage, Stage::Stop(..)));
    let end = match timeout(left(scheduled_end), stop).await {
        Err(_) => return,
        Ok(stopped) => match stopped.as_deref() {
            Ok(&Stage::Stop(_, at)) => at.min(scheduled_end),
            // The run is gone, and with it everyone who wants the result.
            _ => clock.now(),
        },
    };
    pacer.stop_at(end);
    sleep(left(end)).await;
}

/// Sends what each second measured when it is over, and the rest when
/// `settled` is dropped.
async fn report_seconds(
    shared: Rc<Shared>,
    clock: Clock,
    reports: mpsc::Sender<Report>,
    mut settled: oneshot::Receiver<()>,
) {
    let start = Instant::now() + Duration::from_nanos(clock.until_start());
    for second in 0.. {
        let is_last = tokio::select! {
            () = sleep_until(start + Duration::from_secs(second + 1)) => false,
            _ = &mut settled => true,
        };
        let metrics = Box::new(shared.metrics.take());
        if reports
            .send(Report::Second { second, metrics })
            .await
            .is_err()
            || is_last
        {
            return;
        }
    }
}
