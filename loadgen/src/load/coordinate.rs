//! Leading a fleet, and the relay, through the phases of a run.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::Duration;

use syncbench_reports::record::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::fleet::Fleet;
use super::tally::Tally;
use super::{LoadError, Processes, Progress};
use crate::outcome::Outcome;
use crate::relay::OwnedRelay;
use crate::scenario::{RelayFault, RelayFaultKind};
use crate::time::clock::{Clock, Nanos};
use crate::worker::{RunPhase, WorkerEvent};

/// The time between the last connection and the first edit, nanoseconds.
const START_DELAY: Nanos = 20_000_000;

/// The relay of a run, as far as the run has a hold of it.
#[derive(Default)]
pub struct RelaySide<'a> {
    /// The relay's process, where the run owns it.
    pub owned: Option<&'a mut OwnedRelay>,
    /// The faults that the scenario inflicts on it.
    pub faults: &'a [RelayFault],
    /// The processes to look at once a second.
    pub processes: Processes,
    /// The time without a new low after which a relay that the run owns has
    /// settled, once its clients have left.
    pub settle: Duration,
}

/// Leads `fleet` through the phases of a run: waits until the initial clients
/// are connected, starts the schedule, and takes events until every worker is
/// done. `interrupt` stops the run early, and promptly, with the signal that it
/// completes with, `watcher` by breaking.
///
/// # Errors
/// When the run does not get as far as its first edit.
pub async fn coordinate(
    fleet: &mut impl Fleet,
    mut tally: Tally,
    mut relay: RelaySide<'_>,
    mut interrupt: Pin<&mut impl Future<Output = Signal>>,
    watcher: &mut impl FnMut(Progress<'_>) -> ControlFlow<String>,
) -> Result<Outcome, LoadError> {
    let connecting = Instant::now();
    let owned = relay.owned.as_deref_mut();
    connect(fleet, &mut tally, owned, interrupt.as_mut(), watcher).await?;
    tally.note_connected(connecting.elapsed());
    let start = fleet.time().now() + START_DELAY;
    let clock = Clock::starting_at(fleet.time(), start);
    fleet.enter(RunPhase::Run { start });
    let mut faults = Faults::new(relay.faults);
    let mut every_second = interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stopped_at = None;
    while !tally.is_finished() {
        let mut stop = false;
        tokio::select! {
            biased;
            event = fleet.next_event() => {
                let event = event.ok_or_else(ended_early)?;
                if let ControlFlow::Break(reason) = tally.take(event, clock.now(), watcher) {
                    tally.note_aborted(clock.now(), reason);
                    stop = true;
                }
            }
            signal = &mut interrupt, if !tally.is_interrupted() => {
                tally.note_interrupted(clock.now(), signal);
                // Also where the run was stopped before: this one is urgent.
                stop = true;
                stopped_at = None;
            }
            action = faults.next() => {
                // A relay that is killed takes its last figures with it.
                relay.processes.sample(relay.owned.as_deref(), tally.rows());
                let done = faults.act(action, relay.owned.as_deref_mut()).await?;
                tally.note_fault(clock.now(), done);
            }
            ended = relay_ended(relay.owned.as_deref_mut()), if !tally.relay_is_gone() => {
                tally.note_relay_ended(clock.now(), ended.to_string());
                stop = true;
            }
            _ = every_second.tick() => {
                relay.processes.sample(relay.owned.as_deref(), tally.rows());
            }
        }
        if stopped_at.is_none() && tally.has_no_room_left() {
            tally.note_aborted(clock.now(), "no room was left".to_owned());
            stop = true;
        }
        if stopped_at.is_none() && tally.cannot_recover() && faults.is_over() {
            tally.note_unreachable(clock.now());
            stop = true;
        }
        if (stop || tally.has_failed_worker()) && stopped_at.is_none() {
            let at = *stopped_at.insert(clock.now());
            let is_urgent = tally.is_interrupted();
            fleet.enter(RunPhase::Stop {
                start,
                at,
                is_urgent,
            });
        }
    }
    relay.processes.sample(relay.owned.as_deref(), tally.rows());
    if relay.owned.is_some() && stopped_at.is_none() {
        tokio::select! {
            () = relay.processes.settle(relay.settle) => {}
            // All but this figure has been measured.
            _ = &mut interrupt => {}
        }
    }
    Ok(tally.outcome(relay.processes.used()))
}

/// Waits until every initial client is connected.
async fn connect(
    fleet: &mut impl Fleet,
    tally: &mut Tally,
    mut relay: Option<&mut OwnedRelay>,
    mut interrupt: Pin<&mut impl Future<Output = Signal>>,
    watcher: &mut impl FnMut(Progress<'_>) -> ControlFlow<String>,
) -> Result<(), LoadError> {
    while !tally.is_connected() {
        tokio::select! {
            biased;
            event = fleet.next_event() => match event.ok_or_else(ended_early)? {
                WorkerEvent::ConnectFailed(failure) => return Err(LoadError::Connect(failure)),
                WorkerEvent::Failed(reason) => return Err(LoadError::Worker(reason)),
                // Nothing has begun that could be stopped.
                event => drop(tally.take(event, 0, watcher)),
            },
            signal = &mut interrupt => return Err(LoadError::Interrupted(signal)),
            ended = relay_ended(relay.as_deref_mut()) => {
                return Err(LoadError::RelayEnded(ended));
            }
        }
    }
    Ok(())
}

fn ended_early() -> LoadError {
    LoadError::Worker("it ended early".to_owned())
}

/// Completes when the run's own relay ends; never, where there is none.
async fn relay_ended(relay: Option<&mut OwnedRelay>) -> ExitStatus {
    if let Some(relay) = relay
        && let Ok(status) = relay.ended().await
    {
        return status;
    }
    std::future::pending().await
}

/// The faults that are still to happen to the relay.
struct Faults {
    start: Instant,
    pending: VecDeque<(Duration, Action)>,
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Pause,
    Resume,
    Kill,
    Start,
}

impl Faults {
    fn new(faults: &[RelayFault]) -> Self {
        let both = |fault: &RelayFault| {
            let over = fault.at + fault.lasting.unwrap_or_default();
            match fault.kind {
                RelayFaultKind::Pause => vec![(fault.at, Action::Pause), (over, Action::Resume)],
                RelayFaultKind::Restart => vec![(fault.at, Action::Kill), (over, Action::Start)],
                RelayFaultKind::Kill => vec![(fault.at, Action::Kill)],
            }
        };
        let mut pending: Vec<_> = faults.iter().flat_map(both).collect();
        pending.sort_by_key(|(at, _)| *at);
        Self {
            start: Instant::now() + Duration::from_nanos(START_DELAY),
            pending: pending.into(),
        }
    }

    fn is_over(&self) -> bool {
        self.pending.is_empty()
    }

    async fn next(&mut self) -> Action {
        let Some(&(at, action)) = self.pending.front() else {
            return std::future::pending().await;
        };
        sleep_until(self.start + at).await;
        action
    }

    /// Does what is due, and returns a description of it.
    async fn act(
        &mut self,
        action: Action,
        relay: Option<&mut OwnedRelay>,
    ) -> Result<String, LoadError> {
        self.pending.pop_front();
        let Some(relay) = relay else {
            return Ok("no relay".to_owned());
        };
        let done = match action {
            Action::Pause => {
                relay.pause();
                "paused"
            }
            Action::Resume => {
                relay.resume();
                "resumed"
            }
            Action::Kill => {
                relay.kill().await;
                "killed"
            }
            Action::Start => {
                relay.restart().await?;
                "started again"
            }
        };
        Ok(done.to_owned())
    }
}
