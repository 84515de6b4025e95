//! The monotonic clock for intended, actual and visible times.

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::time::Instant;

/// Nanoseconds, as a duration or as a time: since the start of the schedule for
/// the times of a [`Clock`], since an arbitrary zero for those of a
/// [`TimeSource`].
pub type Nanos = u64;

/// A source of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// The time since this instant in a runtime that is paused or simulated.
    Simulated(Instant),
}

impl TimeSource {
    /// Returns the source of simulated time of the current runtime.
    pub fn simulated() -> Self {
        Self::Simulated(Instant::now())
    }

    /// Returns the current time since an arbitrary zero.
    pub fn now(self) -> Nanos {
        match self {
            Self::Monotonic => nanos(clock_gettime(ClockId::Monotonic)),
            Self::Simulated(zero) => Instant::now().duration_since(zero).as_nanos() as Nanos,
        }
    }

    /// Returns the CPU time that the calling thread has used; 0 where time is
    /// simulated, as nothing takes any there.
    pub fn thread_cpu(self) -> Nanos {
        match self {
            Self::Monotonic => thread_cpu(),
            Self::Simulated(_) => 0,
        }
    }
}

/// The clock of one run, which starts with the schedule. All copies show the
/// same time, in every thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    origin: Nanos,
    source: TimeSource,
}

impl Clock {
    /// Creates a clock whose zero is `origin`, a time of `source`.
    pub fn starting_at(source: TimeSource, origin: Nanos) -> Self {
        Self { origin, source }
    }

    /// Creates a clock whose zero is `delay` nanoseconds from now.
    pub fn starting_in(source: TimeSource, delay: Nanos) -> Self {
        Self {
            origin: source.now() + delay,
            source,
        }
    }

    /// Returns the time since the schedule's start; 0 before it.
    pub fn now(self) -> Nanos {
        self.source.now().saturating_sub(self.origin)
    }

    /// Returns the source of its time.
    pub fn source(self) -> TimeSource {
        self.source
    }

    /// Converts a time of this clock to a time of the time source.
    pub fn absolute(self, at: Nanos) -> Nanos {
        self.origin.saturating_add(at)
    }

    /// Converts a time of the time source to a time of this clock; 0 if it is
    /// before the schedule's start.
    pub fn relative(self, absolute: Nanos) -> Nanos {
        absolute.saturating_sub(self.origin)
    }
}

/// Returns the CPU time that the calling thread has used, nanoseconds.
pub fn thread_cpu() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// Returns how far `CLOCK_REALTIME`, with which the kernel stamps received
/// bytes, is ahead of `CLOCK_MONOTONIC` now.
pub(crate) fn realtime_ahead() -> Nanos {
    nanos(clock_gettime(ClockId::Realtime)).saturating_sub(TimeSource::Monotonic.now())
}

fn nanos(time: Timespec) -> Nanos {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Asks the kernel not to delay the calling thread's timers in order to batch
/// them: the default slack of 50 us would dominate the pacing error.
pub(crate) fn sharpen_timers() {
    #[cfg(target_os = "linux")]
    {
        // Fails only in a sandbox that forbids prctl. Pacing is then coarser,
        // which the generator lag shows.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}
