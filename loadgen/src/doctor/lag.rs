//! The wake-up lag of a sleeper: with the timer that paces edits and links, on an
//! idle and on a busy machine, and with tokio's own timers.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Check;
use crate::metrics::Latency;
use crate::time::clock::{TimeSource, sharpen_timers};
use crate::time::timer::Timer;

/// The time from one wake-up to the next.
const PERIOD: Duration = Duration::from_millis(1);

/// The largest number of wake-ups: with more of them, the figures no longer
/// change.
const WAKE_UPS: usize = 2_000;

/// Limits on the p99 on an idle machine, microseconds. A good machine wakes a
/// sleeper within some tens of microseconds. Above one millisecond, pacing is no
/// better than with tokio's timers.
const IDLE: [f64; 2] = [200.0, 1_000.0];
/// Limits on the p99 on a busy machine, microseconds. The scheduler's time slice
/// is some milliseconds long.
const CONTENDED: [f64; 2] = [1_000.0, f64::INFINITY];
/// Limits on the p99 of tokio's timers, microseconds. Their resolution is one
/// millisecond by design.
const TOKIO: [f64; 2] = [2_500.0, f64::INFINITY];

/// Measures the wake-up lag of the timer that paces edits.
pub fn idle(bound: Duration) -> io::Result<Latency> {
    in_thread(move || sleep_for(bound))?
}

/// Measures the same while one thread per CPU spins.
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
        // Otherwise the scope would never end.
        done.store(true, Ordering::Relaxed);
        lag
    })
}

/// Measures the lag of `tokio::time::sleep_until` in a runtime that does nothing
/// else.
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

/// Runs `measure` in its own thread, because timer slack is set per thread.
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
            // From now, not from the last one: wake-ups are independent.
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

/// Judges the three measurements.
pub fn checks(idle: &Latency, contended: &Latency, tokio: &Latency) -> [Check; 3] {
    [
        Check::from_latency(
            "wake_up",
            "wake-up lag, idle",
            idle,
            IDLE,
            "edits are paced this late: stop other work, fix the CPU frequency, or use a machine \
             whose CPUs are not shared",
        ),
        Check::from_latency(
            "wake_up_contended",
            "wake-up lag, all CPUs busy",
            contended,
            CONTENDED,
            "edits are paced this late when relay and generator use all CPUs: keep one CPU free, \
             or put the relay on another machine",
        ),
        Check::from_latency(
            "tokio_timer",
            "tokio timer lag",
            tokio,
            TOKIO,
            "timeouts use these timers: they are this late",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleepers_never_wake_early_and_use_the_whole_bound() {
        let start = Instant::now();
        let lag = idle(Duration::from_millis(50)).unwrap();
        let wake_ups = lag.histogram().len();
        assert!((1..=50).contains(&wake_ups));
        assert!(start.elapsed() >= PERIOD * wake_ups as u32);
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
