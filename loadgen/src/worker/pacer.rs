//! Pacing the schedule: each action at its time, until the run is stopped.

use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::watch;
use tokio::task::yield_now;

use super::RunPhase;
use crate::room::MemberRef;
use crate::room::rooms::Rooms;
use crate::schedule::{Action, Schedule, ScheduledAction};
use crate::time::clock::{Clock, Nanos};
use crate::time::timer::Timer;

/// The number of edits made in a row before clients with something to read get
/// their turn. Under overload this makes the generator fall behind in sending, where
/// it shows as lag, and not in reading, where it would look like a slow relay.
const EDITS_PER_TURN: u32 = 32;

/// A pause in the schedule that is long enough to prepare edits in, nanoseconds.
const LONG_PAUSE: Nanos = 300_000;

/// The last part of a pause, in which no edit is prepared any more, nanoseconds.
const READY_BEFORE: Nanos = 100_000;

/// The time after the end of the schedule in which a late generator may still
/// send, nanoseconds.
const LATE_SENDING: Nanos = 500_000_000;

/// The result of pacing a schedule.
#[derive(Debug, Default)]
pub struct Paced {
    /// The number of edits that were due but came too late to be sent.
    pub unsent: u64,
    /// The sum of the fingerprints of the actions taken.
    pub fingerprint: u64,
    /// True if the schedule was paced to its end.
    pub is_complete: bool,
}

/// The state of a worker's schedule while it runs.
pub struct Pacer {
    pub rooms: Rc<Rooms>,
    pub timer: Timer,
    pub phase: watch::Receiver<RunPhase>,
    pub clock: Clock,
    /// The place of each client of the run in this worker, if it has one.
    pub members: Vec<Option<MemberRef>>,
    /// The time from which nothing is intended any more.
    pub end: Nanos,
    pub paced: Paced,
    /// The clients whose next edit may be prepared when there is a pause.
    pub ahead: VecDeque<MemberRef>,
}

impl Pacer {
    /// Takes every action at its time.
    pub async fn play(&mut self, schedule: Schedule) {
        let mut in_a_row = 0;
        for arrival in schedule {
            if !self.wait_for(arrival.intended).await {
                return;
            }
            self.paced.fingerprint = self.paced.fingerprint.wrapping_add(arrival.fingerprint());
            if self.clock.now() >= self.end + LATE_SENDING {
                self.miss(arrival.action);
                continue;
            }
            self.act(arrival);
            in_a_row += 1;
            if in_a_row % EDITS_PER_TURN == 0 {
                yield_now().await;
                // A generator that is never early notices a stop here.
                self.notice_stop();
            }
        }
        self.paced.is_complete = true;
        // Clients may arrive after the last edit, and lose their connections.
        self.wait_for(self.end).await;
    }

    /// Counts an action that came too late.
    fn miss(&mut self, action: Action) {
        match action {
            Action::Edit => self.paced.unsent += 1,
            Action::Presence => {
                let meter = &self.rooms.meter;
                meter.record(|metrics| metrics.presence_skipped += 1);
            }
        }
    }

    fn act(&mut self, arrival: ScheduledAction) {
        if let Some(member) = self.members[arrival.client.0 as usize] {
            self.rooms.act(member, arrival);
            let is_light = !self.rooms.context.plan.client(arrival.client).full;
            // A schedule without pauses must not fill the memory.
            let has_room = self.ahead.len() < self.members.len();
            if arrival.action == Action::Edit && is_light && has_room {
                self.ahead.push_back(member);
            }
        }
    }

    /// Waits for the intended time. Returns false if the run is stopped before.
    async fn wait_for(&mut self, intended: Nanos) -> bool {
        let at = self.clock.absolute(intended);
        self.work_ahead(at).await;
        self.sleep_until(at).await;
        intended < self.end
    }

    async fn sleep_until(&mut self, at: Nanos) {
        if self.timer.now() < at {
            tokio::select! {
                biased;
                () = stopped(&mut self.phase) => {}
                () = self.timer.sleep_until(at) => {}
            }
            self.notice_stop();
        }
    }

    /// Prepares edits in the pause until `at`: in its second half, as the first
    /// belongs to the consequences of the last edits, and one by one, so that
    /// frames that arrive meanwhile are read.
    async fn work_ahead(&mut self, at: Nanos) {
        let now = self.timer.now();
        if self.ahead.is_empty() || at.saturating_sub(now) < LONG_PAUSE {
            return;
        }
        self.sleep_until(now + (at - now) / 2).await;
        while self.timer.now() + READY_BEFORE < at
            && let Some(member) = self.ahead.pop_front()
        {
            self.rooms.prepare_edit(member);
            yield_now().await;
        }
    }

    fn notice_stop(&mut self) {
        if let RunPhase::Stop { at, .. } = *self.phase.borrow() {
            self.end = self.end.min(at);
        }
        if self.phase.has_changed().is_err() {
            // The run is gone, and nobody waits for the result.
            self.end = 0;
        }
    }
}

async fn stopped(phase: &mut watch::Receiver<RunPhase>) {
    // An error means that the run is gone, which is a stop as well.
    let _ = phase
        .wait_for(|phase| matches!(phase, RunPhase::Stop { .. }))
        .await;
}

/// Sends batches of edits when they are due.
pub async fn flush_batches(rooms: Rc<Rooms>, timer: Timer) {
    loop {
        let batch = rooms.next_batch().await;
        timer.sleep_until(batch.due).await;
        rooms.flush_batch();
    }
}
