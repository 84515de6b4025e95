//! One monotonic clock for intended, actual and visible times.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds since the start of the schedule.
pub type Nanos = u64;

/// The clock of one run: `CLOCK_MONOTONIC`, counted from the schedule's start.
/// Cheap to copy; every copy tells the same time, in every thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    origin: Nanos,
}

impl Clock {
    /// A clock whose zero lies `delay` nanoseconds ahead of now.
    pub fn starting_in(delay: Nanos) -> Self {
        Self {
            origin: monotonic() + delay,
        }
    }

    /// Time since the schedule's start; 0 before it.
    pub fn now(self) -> Nanos {
        monotonic().saturating_sub(self.origin)
    }

    /// Time left until the schedule's start; 0 after it.
    pub fn until_start(self) -> Nanos {
        self.origin.saturating_sub(monotonic())
    }

    /// Blocks the thread until `at`. Sleeps to an absolute time, so that a late
    /// wake-up does not add to the next one.
    pub fn sleep_until(self, at: Nanos) {
        sleep_until_monotonic(self.origin + at);
    }
}

/// CPU time that the calling thread has used.
pub fn thread_cpu() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// `CLOCK_MONOTONIC`, from an arbitrary zero.
pub fn monotonic() -> Nanos {
    nanos(clock_gettime(ClockId::Monotonic))
}

fn nanos(time: Timespec) -> Nanos {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(target_os = "linux")]
fn sleep_until_monotonic(at: Nanos) {
    use rustix::thread::clock_nanosleep_absolute;
    let deadline = Timespec {
        tv_sec: (at / 1_000_000_000) as i64,
        tv_nsec: (at % 1_000_000_000) as _,
    };
    // A signal ends the sleep early; the deadline is absolute, so just resume.
    while clock_nanosleep_absolute(ClockId::Monotonic, &deadline).is_err() {
        if monotonic() >= at {
            return;
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn sleep_until_monotonic(at: Nanos) {
    let left = at.saturating_sub(monotonic());
    std::thread::sleep(std::time::Duration::from_nanos(left));
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
