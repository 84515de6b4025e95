//! How late a sleeper wakes up: by the timer that paces edits and links, on an
//! idle machine and on a busy one, and by tokio's own timers.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Check;
use crate::metrics::Latency;
use crate::time::clock::{TimeSource, sharpen_timers};
use crate::time::timer::Timer;

/// From one wake-up to the next.
const PERIOD: Duration = Duration::from_millis(1);

/// After so many wake-ups the figures no longer move.
const WAKE_UPS: usize = 2_000;

/// Limits on the p99, microseconds. Idle: a good machine wakes within some tens
/// of microseconds, and above a millisecond pacing is no better than tokio's.
const IDLE: [f64; 2] = [200.0, 1_000.0];
/// Busy: the scheduler's slice is some milliseconds long.
const CONTENDED: [f64; 2] = [1_000.0, f64::INFINITY];
/// Tokio: its timers are one millisecond coarse by design.
const TOKIO: [f64; 2] = [2_500.0, f64::INFINITY];

/// Wake-up lag of the timer that paces edits.
pub fn idle(bound: Duration) -> io::Result<Latency> {
    in_thread(move || sleep_for(bound))?
}

/// The same, while a thread for each CPU does nothing but spin.
pub fn contended(bound: Duration) -> io::Result<Latency> {
    let done = AtomicBool::new(false);
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let spin = || {
            while !done.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let spinning: io::Result<Vec<_>> = (0..cpus)
            .map(|_| thread::Builder::new().spawn_scoped(scope, spin))
            .collect();
        let lag = spinning.and_then(|_| idle(bound));
        // Else the scope would never end.
        done.store(true, Ordering::Relaxed);
        lag
    })
}

/// Lag of `tokio::time::sleep_until` in a runtime that does nothing else.
pub fn tokio(bound: Duration) -> io::Result<Latency> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    in_thread(move || {
        runtime.block_on(async {
            let end = Instant::now() + bound;
            let mut lag = Latency::default();
            for _ in 0..WAKE_UPS {
                let at = Instant::now() + PERIOD;
                if at > end {
                    break;
                }
                tokio::time::sleep_until(at.into()).await;
                lag.record(at.elapsed().as_nanos() as u64);
            }
            lag
        })
    })
}

/// Runs `measure` in a thread of its own: timer slack is set by thread.
fn in_thread<T: Send + 'static>(measure: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let thread = thread::Builder::new()
        .name("doctor".to_owned())
        .spawn(measure)?;
    thread
        .join()
        .map_err(|_| io::Error::other("the measuring thread panicked"))
}

fn sleep_for(bound: Duration) -> io::Result<Latency> {
    sharpen_timers();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let timer = Timer::new(TimeSource::Monotonic)?;
        let (period, end) = (PERIOD.as_nanos() as u64, bound.as_nanos() as u64);
        let end = timer.now() + end;
        let mut lag = Latency::default();
        for _ in 0..WAKE_UPS {
            // From now, and not from the last: each wake-up stands for itself.
            let at = timer.now() + period;
            if at > end {
                break;
            }
            timer.sleep_until(at).await;
            lag.record(timer.now().saturating_sub(at));
        }
        Ok(lag)
    })
}

/// The three of them, judged.
pub fn checks(idle: &Latency, contended: &Latency, tokio: &Latency) -> [Check; 3] {
    [
        Check::of_latency(
            "wake_up",
            "wake-up lag, idle",
            idle,
            IDLE,
            "pacing is this late: end other work, fix the CPU frequency, or use a machine whose \
             CPUs are not shared",
        ),
        Check::of_latency(
            "wake_up_contended",
            "wake-up lag, all CPUs busy",
            contended,
            CONTENDED,
            "this is what pacing comes to when relay and generator take all CPUs: keep one free, \
             or put the relay on another machine",
        ),
        Check::of_latency(
            "tokio_timer",
            "tokio timer lag",
            tokio,
            TOKIO,
            "timeouts go by these timers: they are this late",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_wakes_up_before_time_and_all_within_the_bound() {
        let start = Instant::now();
        let lag = idle(Duration::from_millis(50)).unwrap();
        assert!((1..=50).contains(&lag.histogram().len()));
        assert!(start.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn the_spinning_threads_end() {
        contended(Duration::from_millis(20)).unwrap();
    }

    #[test]
    fn a_bound_below_one_period_gives_no_sample() {
        assert!(tokio(Duration::ZERO).unwrap().histogram().is_empty());
        assert!(idle(Duration::ZERO).unwrap().histogram().is_empty());
    }
}
