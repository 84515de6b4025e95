//! A timer with a precision of some tens of microseconds.
//!
//! The runtime's own timers have a resolution of one millisecond: too coarse to
//! pace edits or to delay a link. Here, one kernel timer for each thread wakes
//! all its sleepers through the runtime's poll.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::time::clock::{Nanos, TimeSource};

/// The timer of one thread. Clones share the same timer.
#[derive(Clone)]
pub struct Timer {
    source: TimeSource,
    alarm: Option<Rc<Alarm>>,
}

impl Timer {
    /// Creates the timer of the calling thread, whose runtime must be local to it
    /// or in a `LocalSet`.
    /// If time is simulated, or the system has no such timers, uses the timers
    /// of the runtime.
    ///
    /// # Errors
    /// If the system refuses a timer.
    pub fn new(source: TimeSource) -> io::Result<Self> {
        let alarm = match source {
            TimeSource::Simulated(_) => None,
            TimeSource::Monotonic => Alarm::start()?,
        };
        Ok(Self { source, alarm })
    }

    /// Returns the current time of the source.
    pub fn now(&self) -> Nanos {
        self.source.now()
    }

    /// Returns the time source.
    pub fn source(&self) -> TimeSource {
        self.source
    }

    /// Completes at the time `at` of the source.
    pub fn sleep_until(&self, at: Nanos) -> Sleep {
        let waiting = match &self.alarm {
            Some(alarm) => Waiting::Alarm(Rc::clone(alarm), None),
            None => Waiting::Runtime(Box::pin(tokio::time::sleep_until(self.instant(at)))),
        };
        Sleep {
            source: self.source,
            at,
            waiting,
        }
    }

    fn instant(&self, at: Nanos) -> Instant {
        let left = at.saturating_sub(self.now());
        // Far enough away to mean "never", without overflow.
        let left = left.min(Nanos::from(u32::MAX) * 1_000_000_000);
        Instant::now() + std::time::Duration::from_nanos(left)
    }
}

/// A future that completes at a given time.
pub struct Sleep {
    source: TimeSource,
    at: Nanos,
    waiting: Waiting,
}

enum Waiting {
    /// Waits for the alarm; has an id in the alarm's list once it is polled.
    Alarm(Rc<Alarm>, Option<u64>),
    /// Waits for a timer of the runtime.
    Runtime(Pin<Box<tokio::time::Sleep>>),
}

impl Sleep {
    /// Returns the time at which it completes, by the source.
    pub fn at(&self) -> Nanos {
        self.at
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (at, now) = (self.at, self.source.now());
        match &mut self.waiting {
            Waiting::Runtime(sleep) => sleep.as_mut().poll(cx),
            Waiting::Alarm(..) if now >= at => Poll::Ready(()),
            Waiting::Alarm(alarm, id) => {
                *id = Some(alarm.wake_at(at, *id, cx.waker()));
                Poll::Pending
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Waiting::Alarm(alarm, Some(id)) = &self.waiting {
            alarm.sleepers.borrow_mut().wakers.remove(id);
        }
    }
}

/// One kernel timer, set to the time of the earliest sleeper.
struct Alarm {
    clock: kernel::Clock,
    sleepers: RefCell<Sleepers>,
}

/// The sleepers of one alarm.
///
/// Invariant: `set_to` is at most the earliest time of an entry in `times`
/// whose id is in `wakers`.
struct Sleepers {
    times: BinaryHeap<Reverse<(Nanos, u64)>>,
    /// The wakers by id. A `Sleep` that was dropped is only in `times`.
    wakers: HashMap<u64, Waker>,
    next_id: u64,
    /// The time that the kernel timer is set to; `Nanos::MAX` if it is not set.
    set_to: Nanos,
}

impl Default for Sleepers {
    fn default() -> Self {
        Self {
            times: BinaryHeap::new(),
            wakers: HashMap::new(),
            next_id: 0,
            set_to: Nanos::MAX,
        }
    }
}

impl Sleepers {
    /// Adds a sleeper, or replaces the waker of the sleeper `id`. Returns its
    /// id.
    fn add(&mut self, at: Nanos, id: Option<u64>, waker: &Waker) -> u64 {
        if let Some(id) = id
            && let Some(known) = self.wakers.get_mut(&id)
        {
            known.clone_from(waker);
            return id;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.wakers.insert(id, waker.clone());
        self.times.push(Reverse((at, id)));
        id
    }

    /// Removes the sleepers that are due at `now`, and returns their wakers in
    /// the order of their times. Afterwards, `set_to` is the time of the next
    /// sleeper.
    fn take_due(&mut self, now: Nanos) -> Vec<Waker> {
        let mut due = Vec::new();
        self.set_to = Nanos::MAX;
        while let Some(&Reverse((at, id))) = self.times.peek() {
            let dropped = !self.wakers.contains_key(&id);
            if at > now && !dropped {
                self.set_to = at;
                break;
            }
            self.times.pop();
            due.extend(self.wakers.remove(&id));
        }
        due
    }
}

impl Alarm {
    fn start() -> io::Result<Option<Rc<Self>>> {
        let Some(clock) = kernel::Clock::new()? else {
            return Ok(None);
        };
        let alarm = Rc::new(Self {
            clock,
            sleepers: RefCell::default(),
        });
        let weak = Rc::downgrade(&alarm);
        tokio::task::spawn_local(async move {
            while let Some(alarm) = weak.upgrade() {
                if alarm.clock.expired().await.is_err() {
                    return;
                }
                alarm.wake_due();
            }
        });
        Ok(Some(alarm))
    }

    /// Schedules `waker` for the time `at`. `id` is the result of the previous
    /// call for the same sleeper.
    fn wake_at(&self, at: Nanos, id: Option<u64>, waker: &Waker) -> u64 {
        let mut sleepers = self.sleepers.borrow_mut();
        let id = sleepers.add(at, id, waker);
        if at < sleepers.set_to {
            sleepers.set_to = at;
            self.clock.set(at);
        }
        id
    }

    fn wake_due(&self) {
        let mut sleepers = self.sleepers.borrow_mut();
        let due = sleepers.take_due(TimeSource::Monotonic.now());
        if sleepers.set_to < Nanos::MAX {
            self.clock.set(sleepers.set_to);
        }
        drop(sleepers);
        due.into_iter().for_each(Waker::wake);
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    use crate::time::clock::Nanos;

    /// A `timerfd` that is registered with the runtime's poll.
    pub struct Clock(AsyncFd<OwnedFd>);

    impl Clock {
        pub fn new() -> io::Result<Option<Self>> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // Deprecated because a descriptor may be closed while it is
            // registered. The registration owns this one.
            #[allow(deprecated)]
            let registered = AsyncFd::new(fd)?;
            Ok(Some(Self(registered)))
        }

        /// Sets the timer to `at`, which replaces the time that was set before.
        pub fn set(&self, at: Nanos) {
            let time = |nanos: Nanos| Timespec {
                tv_sec: (nanos / 1_000_000_000) as i64,
                tv_nsec: (nanos % 1_000_000_000) as _,
            };
            let once = Itimerspec {
                it_interval: time(0),
                // Zero would disarm the timer.
                it_value: time(at.max(1)),
            };
            // Cannot fail: the arguments are valid.
            let _ = timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &once);
        }

        /// Completes once the timer has expired.
        pub async fn expired(&self) -> io::Result<()> {
            let mut ready = self.0.readable().await?;
            let mut count = [0; 8];
            // There is nothing to read if the timer was set again meanwhile.
            let _ = rustix::io::read(&self.0, &mut count);
            ready.clear_ready();
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;

    use crate::time::clock::Nanos;

    /// Has no values: only Linux has such timers.
    pub enum Clock {}

    impl Clock {
        pub fn new() -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub fn set(&self, _at: Nanos) {}

        pub async fn expired(&self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    fn in_local_set(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    /// Records its name in a list when it is woken.
    struct Recorder {
        name: &'static str,
        woken: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Wake for Recorder {
        fn wake(self: Arc<Self>) {
            self.woken.lock().unwrap().push(self.name);
        }
    }

    #[test]
    fn sleepers_are_woken_in_the_order_of_their_times_and_never_early() {
        let woken = Arc::<Mutex<Vec<&str>>>::default();
        let waker = |name| {
            let woken = Arc::clone(&woken);
            Waker::from(Arc::new(Recorder { name, woken }))
        };
        let mut sleepers = Sleepers::default();
        for (at, name) in [(7, "7"), (1, "1"), (5, "5"), (3, "3"), (3, "3")] {
            sleepers.add(at, None, &waker(name));
        }
        for (now, expected, next) in [
            (0, &[][..], 1),
            (1, &["1"], 3),
            (4, &["3", "3"], 5),
            (9, &["5", "7"], Nanos::MAX),
        ] {
            sleepers.take_due(now).into_iter().for_each(Waker::wake);
            assert_eq!(std::mem::take(&mut *woken.lock().unwrap()), expected);
            assert_eq!(sleepers.set_to, next);
        }
    }

    #[test]
    fn a_sleeper_that_is_polled_again_is_woken_once_by_its_last_waker() {
        let woken = Arc::<Mutex<Vec<&str>>>::default();
        let waker = |name| {
            let woken = Arc::clone(&woken);
            Waker::from(Arc::new(Recorder { name, woken }))
        };
        let mut sleepers = Sleepers::default();
        let id = sleepers.add(2, None, &waker("first"));
        assert_eq!(sleepers.add(2, Some(id), &waker("second")), id);
        sleepers.take_due(2).into_iter().for_each(Waker::wake);
        assert_eq!(*woken.lock().unwrap(), ["second"]);
    }

    #[test]
    fn all_sleepers_of_a_thread_wake_and_none_of_them_early() {
        in_local_set(async {
            let timer = Timer::new(TimeSource::Monotonic).unwrap();
            let woken = Rc::new(Cell::new(0));
            let start = timer.now();
            let sleepers: Vec<_> = [7u64, 1, 5, 3, 3]
                .into_iter()
                .map(|millis| {
                    let (timer, woken) = (timer.clone(), Rc::clone(&woken));
                    spawn_local(async move {
                        let at = start + millis * 1_000_000;
                        timer.sleep_until(at).await;
                        assert!(timer.now() >= at);
                        woken.set(woken.get() + 1);
                    })
                })
                .collect();
            for sleeper in sleepers {
                sleeper.await.unwrap();
            }
            assert_eq!(woken.get(), 5);
        });
    }

    #[test]
    fn a_dropped_sleeper_does_not_keep_the_others_asleep() {
        in_local_set(async {
            let timer = Timer::new(TimeSource::Monotonic).unwrap();
            // Far enough away that the first sleeper still waits when polled.
            let start = timer.now() + 200_000_000;
            let mut dropped = Box::pin(timer.sleep_until(start));
            let polled = std::future::poll_fn(|cx| Poll::Ready(dropped.as_mut().poll(cx)));
            assert!(polled.await.is_pending());
            let kept = timer.sleep_until(start + 2_000_000);
            drop(dropped);
            kept.await;
            assert!(timer.now() >= start + 2_000_000);
        });
    }
}
