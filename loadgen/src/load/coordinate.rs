//! Leading the workers, and the relay, through the stages of a run.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{LoadError, Processes, Progress, Workers};
use crate::outcome::{Outcome, Tally};
use crate::relay::OwnedRelay;
use crate::scenario::{RelayFault, RelayFaultKind};
use crate::time::clock::{Clock, Nanos, TimeSource};
use crate::worker::{RunPhase, WorkerEvent};

/// Between the last connection and the first edit.
const START_DELAY: Nanos = 20_000_000;

impl Workers {
    /// Leads the workers through the stages of the run.
    pub(super) async fn coordinate(
        mut self,
        mut relay: Option<&mut OwnedRelay>,
        mut processes: Processes,
        mut interrupt: Pin<&mut impl Future<Output = ()>>,
        watcher: &mut impl FnMut(Progress<'_>) -> ControlFlow<String>,
    ) -> Result<Outcome, LoadError> {
        let (scenario, plan) = (Arc::clone(&self.scenario), Arc::clone(&self.plan));
        let mut tally = Tally::new(scenario, plan, self.threads.len());
        let connecting = Instant::now();
        let connected = self.connect(
            &mut tally,
            relay.as_deref_mut(),
            interrupt.as_mut(),
            watcher,
        );
        connected.await?;
        tally.connecting = connecting.elapsed();
        let clock = Clock::starting_in(TimeSource::Monotonic, START_DELAY);
        self.stage.send_replace(RunPhase::Run(clock));
        let mut faults = Faults::new(&self.scenario.faults);
        let mut every_second = interval(Duration::from_secs(1));
        every_second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut stopped = false;
        while !tally.is_finished() {
            tokio::select! {
                biased;
                report = self.reports.recv() => match report {
                    Some(report) => {
                        if let ControlFlow::Break(reason) = tally.take(report, watcher) {
                            tally.aborted.get_or_insert((clock.now(), reason));
                            stopped = true;
                        }
                    }
                    None => return Err(self.failed()),
                },
                () = &mut interrupt, if !stopped => {
                    tally.interrupted = Some(clock.now());
                    stopped = true;
                }
                action = faults.next() => {
                    let done = faults.act(action, relay.as_deref_mut()).await?;
                    tally.faults.push((clock.now(), done));
                }
                ended = relay_ended(relay.as_deref_mut()), if !tally.relay_is_gone() => {
                    tally.relay_ended = Some((clock.now(), ended));
                    stopped = true;
                }
                _ = every_second.tick() => {
                    processes.sample(relay.as_deref(), tally.rows());
                }
            }
            if !stopped && tally.cannot_recover() && faults.is_over() {
                tally.unreachable = Some(clock.now());
                stopped = true;
            }
            if stopped && matches!(*self.stage.borrow(), RunPhase::Run(_)) {
                self.stage.send_replace(RunPhase::Stop(clock, clock.now()));
            }
        }
        processes.sample(relay.as_deref(), tally.rows());
        for thread in self.threads {
            thread
                .join()
                .map_err(|_| LoadError::Worker("it panicked".to_owned()))??;
        }
        Ok(tally.outcome(processes.used()))
    }

    async fn connect(
        &mut self,
        tally: &mut Tally,
        mut relay: Option<&mut OwnedRelay>,
        mut interrupt: Pin<&mut impl Future<Output = ()>>,
        watcher: &mut impl FnMut(Progress<'_>) -> ControlFlow<String>,
    ) -> Result<(), LoadError> {
        while !tally.is_connected() {
            tokio::select! {
                biased;
                report = self.reports.recv() => match report {
                    Some(WorkerEvent::ConnectFailed(failure)) => return Err(failure.into()),
                    // Nothing has begun that could be given up.
                    Some(report) => drop(tally.take(report, watcher)),
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

/// Completes when the own relay ends; never, where there is none.
async fn relay_ended(relay: Option<&mut OwnedRelay>) -> ExitStatus {
    if let Some(relay) = relay
        && let Ok(status) = relay.ended().await
    {
        return status;
    }
    std::future::pending().await
}

/// What is still to happen to the relay.
struct Faults {
    start: Instant,
    coming: VecDeque<(Duration, Action)>,
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
            let over = fault.at + fault.lasting;
            match fault.kind {
                RelayFaultKind::Pause => vec![(fault.at, Action::Pause), (over, Action::Resume)],
                RelayFaultKind::Restart => vec![(fault.at, Action::Kill), (over, Action::Start)],
                RelayFaultKind::Kill => vec![(fault.at, Action::Kill)],
            }
        };
        let mut coming: Vec<_> = faults.iter().flat_map(both).collect();
        coming.sort_by_key(|(at, _)| *at);
        Self {
            start: Instant::now() + Duration::from_nanos(START_DELAY),
            coming: coming.into(),
        }
    }

    fn is_over(&self) -> bool {
        self.coming.is_empty()
    }

    async fn next(&mut self) -> Action {
        let Some(&(at, action)) = self.coming.front() else {
            return std::future::pending().await;
        };
        sleep_until(self.start + at).await;
        action
    }

    /// Does what is due; in words, what that was.
    async fn act(
        &mut self,
        action: Action,
        relay: Option<&mut OwnedRelay>,
    ) -> Result<String, LoadError> {
        self.coming.pop_front();
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
