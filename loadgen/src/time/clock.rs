//! One monotonic clock for intended, actual and visible times.

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::Instant;

/// Nanoseconds: since the start of the schedule where a [`Clock`] tells them,
/// since an arbitrary zero where a [`TimeSource`] does.
pub type Nanos = u64;

/// Where time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// The time of a runtime that is paused, or simulated: since this instant.
    Simulated(Instant),
}

impl TimeSource {
    /// The time of the runtime that this is called in.
    pub fn simulated() -> Self {
        Self::Simulated(Instant::now())
    }

    /// The time, from an arbitrary zero.
    pub fn now(self) -> Nanos {
        match self {
            Self::Monotonic => nanos(clock_gettime(ClockId::Monotonic)),
            Self::Simulated(zero) => Instant::now().duration_since(zero).as_nanos() as Nanos,
        }
    }
}

/// The clock of one run, counted from the schedule's start. Cheap to copy;
/// every copy tells the same time, in every thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    origin: Nanos,
    source: TimeSource,
}

impl Clock {
    /// A clock whose zero lies `delay` nanoseconds ahead of now.
    pub fn starting_in(source: TimeSource, delay: Nanos) -> Self {
        Self {
            origin: source.now() + delay,
            source,
        }
    }

    /// Time since the schedule's start; 0 before it.
    pub fn now(self) -> Nanos {
        self.source.now().saturating_sub(self.origin)
    }

    /// When `at` is, by the time source.
    pub fn absolute(self, at: Nanos) -> Nanos {
        self.origin.saturating_add(at)
    }

    /// When the time source showed `absolute`; 0 before the schedule's start.
    pub fn relative(self, absolute: Nanos) -> Nanos {
        absolute.saturating_sub(self.origin)
    }
}

/// CPU time that the calling thread has used.
pub fn thread_cpu() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// How far `CLOCK_REALTIME` is ahead of `CLOCK_MONOTONIC` now: the kernel
/// stamps what it receives with the former.
pub fn realtime_ahead() -> Nanos {
    nanos(clock_gettime(ClockId::Realtime)).saturating_sub(TimeSource::Monotonic.now())
}

fn nanos(time: Timespec) -> Nanos {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Asks the kernel not to delay the calling thread's timers to batch them:
/// the default slack of 50 us would be most of our pacing error.
pub fn sharpen_timers() {
    #[cfg(target_os = "linux")]
    {
        // Refused only where a sandbox forbids prctl; pacing is then coarser,
        // which the generator lag shows.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}
