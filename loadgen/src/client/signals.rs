//! Signals between a run and the clients of a worker.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::{Notify, watch};

use super::connection::ConnectFailure;
use super::disconnect::LostConnection;
use crate::time::clock::Clock;

/// The number of lost connections that are kept with their reasons.
const KEPT_LOSSES: usize = 100;

/// The signals between a worker and its clients: where the run is, and what
/// went wrong with connections.
pub struct RunSignals {
    clock: watch::Sender<Option<Clock>>,
    plan_over: watch::Sender<bool>,
    closing: watch::Sender<bool>,
    before_start: Clock,
    lost: RefCell<Vec<LostConnection>>,
    failure: RefCell<Option<ConnectFailure>>,
    progress: Rc<Notify>,
}

impl RunSignals {
    /// Creates the signals of a run that has not started, whose clients measure
    /// by `before_start` until it has. `progress` is notified of a failure.
    pub fn new(before_start: Clock, progress: Rc<Notify>) -> Self {
        Self {
            clock: watch::Sender::new(None),
            plan_over: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            before_start,
            lost: RefCell::default(),
            failure: RefCell::new(None),
            progress,
        }
    }

    /// Returns true if the run has started.
    pub fn has_started(&self) -> bool {
        self.clock.borrow().is_some()
    }

    /// Waits until the run has started, and returns its clock.
    pub async fn started(&self) -> Clock {
        let mut clock = self.clock.subscribe();
        // The sender is in `self`, so that waiting never fails.
        match clock.wait_for(Option::is_some).await {
            Ok(clock) => clock.unwrap_or(self.before_start),
            Err(_) => self.before_start,
        }
    }

    /// Starts the run.
    pub fn start(&self, clock: Clock) {
        self.clock.send_replace(Some(clock));
    }

    /// Completes when nothing happens to clients any more: the schedule is over,
    /// or the run was stopped. Clients that the scenario kept away come back
    /// then.
    pub async fn plan_over(&self) {
        let _ = self.plan_over.subscribe().wait_for(|&over| over).await;
    }

    /// Ends what the scenario does to clients.
    pub fn end_plan(&self) {
        self.plan_over.send_replace(true);
    }

    /// Completes when the run closes its connections.
    pub async fn closing(&self) {
        let _ = self.closing.subscribe().wait_for(|&closing| closing).await;
    }

    /// Closes all connections.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Keeps a connection that was lost against the plan, if there are not too
    /// many already.
    pub fn keep_loss(&self, lost: LostConnection) {
        let mut kept = self.lost.borrow_mut();
        if kept.len() < KEPT_LOSSES {
            kept.push(lost);
        }
    }

    /// Takes the lost connections that were kept.
    pub fn take_losses(&self) -> Vec<LostConnection> {
        self.lost.take()
    }

    /// Ends the run before it has started, because an initial client cannot
    /// connect.
    pub fn fail(&self, failure: ConnectFailure) {
        self.failure.borrow_mut().get_or_insert(failure);
        self.progress.notify_one();
    }

    /// Takes the reason why the run cannot start.
    pub fn take_failure(&self) -> Option<ConnectFailure> {
        self.failure.borrow_mut().take()
    }
}
