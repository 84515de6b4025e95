//! The pacing thread: lets each arrival go at its intended time.
//!
//! The runtime's own timers are a millisecond coarse. A thread that sleeps to
//! absolute times is late by tens of microseconds instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::clock::{Clock, Nanos, sharpen_timers};
use crate::schedule::{Arrival, Schedule};

/// Arrivals that are due but not yet taken by the worker. When the worker is
/// behind, the rest of the backlog stays in the schedule: the intended times
/// are fixed, so nothing is hidden.
const DUE_QUEUE: usize = 1024;

/// The longest uninterrupted sleep, so that a stop is noticed soon.
const LONGEST_SLEEP: Nanos = 50_000_000;

/// A running pacing thread.
#[derive(Debug)]
pub struct Pacer {
    thread: JoinHandle<u64>,
    stop_at: Arc<AtomicU64>,
}

impl Pacer {
    /// Starts to release `schedule` by `clock`. The receiver yields the
    /// arrivals and ends after the last.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start(
        schedule: Schedule,
        clock: Clock,
    ) -> std::io::Result<(Self, mpsc::Receiver<Arrival>)> {
        let (queue, due) = mpsc::channel(DUE_QUEUE);
        let stop_at = Arc::new(AtomicU64::new(Nanos::MAX));
        let stop = Arc::clone(&stop_at);
        let thread = thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pace(schedule, clock, &queue, &stop))?;
        Ok((Self { thread, stop_at }, due))
    }

    /// Releases nothing that is intended at `at` or later.
    pub fn stop_at(&self, at: Nanos) {
        self.stop_at.store(at, Ordering::Relaxed);
    }

    /// Ends the thread and returns how many arrivals, intended before the
    /// stop, it did not release. The receiver must have been closed, or read
    /// to its end.
    pub fn finish(self) -> u64 {
        // The thread runs no code that panics.
        self.thread.join().unwrap_or(0)
    }
}

fn pace(
    mut schedule: Schedule,
    clock: Clock,
    queue: &mpsc::Sender<Arrival>,
    stop_at: &AtomicU64,
) -> u64 {
    sharpen_timers();
    let stopped = |arrival: &Arrival| arrival.intended >= stop_at.load(Ordering::Relaxed);
    while let Some(arrival) = schedule.next() {
        sleep_until(&arrival, clock, stop_at);
        if stopped(&arrival) {
            return 0;
        }
        if queue.blocking_send(arrival).is_err() {
            return 1 + schedule.take_while(|arrival| !stopped(arrival)).count() as u64;
        }
    }
    0
}

fn sleep_until(arrival: &Arrival, clock: Clock, stop_at: &AtomicU64) {
    while arrival.intended < stop_at.load(Ordering::Relaxed) {
        let now = clock.now();
        if now >= arrival.intended && clock.until_start() == 0 {
            return;
        }
        clock.sleep_until(arrival.intended.min(now + LONGEST_SLEEP));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Scenario;

    fn schedule(rate: f64, duration: Duration) -> Schedule {
        let scenario = Scenario {
            clients: 4,
            rooms: 1,
            rate,
            duration,
            ..Scenario::default()
        };
        Schedule::new(&scenario, 0..4)
    }

    #[test]
    fn no_arrival_is_released_before_its_intended_time() {
        let clock = Clock::starting_in(1_000_000);
        let (pacer, mut due) =
            Pacer::start(schedule(500.0, Duration::from_millis(200)), clock).unwrap();
        let mut released = 0;
        while let Some(arrival) = due.blocking_recv() {
            assert!(clock.now() >= arrival.intended);
            released += 1;
        }
        assert_eq!(released, 100);
        assert_eq!(pacer.finish(), 0);
    }

    #[test]
    fn what_a_closed_worker_did_not_take_is_counted() {
        let clock = Clock::starting_in(0);
        let (pacer, mut due) =
            Pacer::start(schedule(1e6, Duration::from_millis(10)), clock).unwrap();
        let taken = (0..10).filter_map(|_| due.blocking_recv()).count() as u64;
        due.close();
        let mut left_in_queue = 0;
        while due.blocking_recv().is_some() {
            left_in_queue += 1;
        }
        assert_eq!(taken + left_in_queue + pacer.finish(), 10_000);
    }

    #[test]
    fn a_stop_ends_a_long_wait() {
        let clock = Clock::starting_in(0);
        let (pacer, mut due) =
            Pacer::start(schedule(0.001, Duration::from_secs(3600)), clock).unwrap();
        assert!(due.blocking_recv().is_some(), "the first arrival is at 0");
        pacer.stop_at(clock.now());
        assert!(due.blocking_recv().is_none());
        assert_eq!(pacer.finish(), 0);
    }
}
