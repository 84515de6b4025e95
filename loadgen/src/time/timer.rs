//! Waiting for a point in time, to some tens of microseconds.
//!
//! The runtime's own timers are a millisecond coarse: too coarse to pace edits
//! or to delay a link by. Here one kernel timer for each thread rings in the
//! runtime's own poll, for all who wait.

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

/// The timer of one thread. Clones are the same timer.
#[derive(Clone)]
pub struct Timer {
    source: TimeSource,
    alarm: Option<Rc<Alarm>>,
}

impl Timer {
    /// The timer of the calling thread, which must be in a `LocalSet`. Where
    /// time is simulated, or the system has no such timers, the runtime's own
    /// serve instead.
    ///
    /// # Errors
    /// When the system refuses a timer.
    pub fn new(source: TimeSource) -> io::Result<Self> {
        let alarm = match source {
            TimeSource::Simulated(_) => None,
            TimeSource::Monotonic => Alarm::start()?,
        };
        Ok(Self { source, alarm })
    }

    /// The time, by the source.
    pub fn now(&self) -> Nanos {
        self.source.now()
    }

    /// Where its time comes from.
    pub fn source(&self) -> TimeSource {
        self.source
    }

    /// Completes at `at`, by the source.
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
        // Far enough for "never", and no overflow.
        let left = left.min(Nanos::from(u32::MAX) * 1_000_000_000);
        Instant::now() + std::time::Duration::from_nanos(left)
    }
}

/// Completes at its time.
pub struct Sleep {
    source: TimeSource,
    at: Nanos,
    waiting: Waiting,
}

enum Waiting {
    /// With its place in the alarm's list, once polled.
    Alarm(Rc<Alarm>, Option<u64>),
    Runtime(Pin<Box<tokio::time::Sleep>>),
}

impl Sleep {
    /// When it completes, by the source.
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
            Waiting::Alarm(alarm, place) => {
                *place = Some(alarm.wake_at(at, *place, cx.waker()));
                Poll::Pending
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Waiting::Alarm(alarm, Some(place)) = &self.waiting {
            alarm.waiting.borrow_mut().wakers.remove(place);
        }
    }
}

/// One kernel timer, set to the earliest of all who wait.
struct Alarm {
    clock: kernel::Clock,
    waiting: RefCell<List>,
}

/// Invariant: `set_to` is at most the earliest time of an entry in `times`
/// whose id is in `wakers`.
struct List {
    times: BinaryHeap<Reverse<(Nanos, u64)>>,
    /// Who waits; a `Sleep` that was dropped is in `times` alone.
    wakers: HashMap<u64, Waker>,
    next_id: u64,
    set_to: Nanos,
}

impl Alarm {
    fn start() -> io::Result<Option<Rc<Self>>> {
        let Some(clock) = kernel::Clock::new()? else {
            return Ok(None);
        };
        let waiting = RefCell::new(List {
            times: BinaryHeap::new(),
            wakers: HashMap::new(),
            next_id: 0,
            set_to: Nanos::MAX,
        });
        let alarm = Rc::new(Self { clock, waiting });
        let ringing = Rc::downgrade(&alarm);
        tokio::task::spawn_local(async move {
            while let Some(alarm) = ringing.upgrade() {
                if alarm.clock.rings().await.is_err() {
                    return;
                }
                alarm.wake_due();
            }
        });
        Ok(Some(alarm))
    }

    /// Wakes `waker` at `at`. `place` is what the last call for it returned.
    fn wake_at(&self, at: Nanos, place: Option<u64>, waker: &Waker) -> u64 {
        let mut list = self.waiting.borrow_mut();
        if let Some(place) = place
            && let Some(known) = list.wakers.get_mut(&place)
        {
            known.clone_from(waker);
            return place;
        }
        let id = list.next_id;
        list.next_id += 1;
        list.wakers.insert(id, waker.clone());
        list.times.push(Reverse((at, id)));
        if at < list.set_to {
            list.set_to = at;
            self.clock.set(at);
        }
        id
    }

    fn wake_due(&self) {
        let now = TimeSource::Monotonic.now();
        let mut due = Vec::new();
        let mut list = self.waiting.borrow_mut();
        list.set_to = Nanos::MAX;
        while let Some(&Reverse((at, id))) = list.times.peek() {
            let gone = !list.wakers.contains_key(&id);
            if at > now && !gone {
                list.set_to = at;
                self.clock.set(at);
                break;
            }
            list.times.pop();
            due.extend(list.wakers.remove(&id));
        }
        drop(list);
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

    /// A `timerfd`: rings through the runtime's poll.
    pub struct Clock(AsyncFd<OwnedFd>);

    impl Clock {
        pub fn new() -> io::Result<Option<Self>> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // Deprecated for descriptors that are closed while registered. This
            // one is owned by the registration.
            #[allow(deprecated)]
            let registered = AsyncFd::new(fd)?;
            Ok(Some(Self(registered)))
        }

        /// Rings at `at`, and at no other time that was set before.
        pub fn set(&self, at: Nanos) {
            let time = |nanos: Nanos| Timespec {
                tv_sec: (nanos / 1_000_000_000) as i64,
                tv_nsec: (nanos % 1_000_000_000) as _,
            };
            let once = Itimerspec {
                it_interval: time(0),
                // Zero would switch it off.
                it_value: time(at.max(1)),
            };
            // The arguments are valid, so that it cannot fail.
            let _ = timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &once);
        }

        pub async fn rings(&self) -> io::Result<()> {
            let mut ready = self.0.readable().await?;
            let mut count = [0; 8];
            // Nothing to read means that it was set anew meanwhile.
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

    /// There is none.
    pub enum Clock {}

    impl Clock {
        pub fn new() -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub fn set(&self, _at: Nanos) {}

        pub async fn rings(&self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    fn in_local_set(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_times_and_never_early() {
        in_local_set(async {
            let timer = Timer::new(TimeSource::Monotonic).unwrap();
            let woken = Rc::new(RefCell::new(Vec::new()));
            let start = timer.now();
            let sleepers: Vec<_> = [7u64, 1, 5, 3, 3]
                .into_iter()
                .map(|millis| {
                    let (timer, woken) = (timer.clone(), Rc::clone(&woken));
                    spawn_local(async move {
                        let at = start + millis * 1_000_000;
                        timer.sleep_until(at).await;
                        assert!(timer.now() >= at);
                        woken.borrow_mut().push(millis);
                    })
                })
                .collect();
            for sleeper in sleepers {
                sleeper.await.unwrap();
            }
            assert_eq!(*woken.borrow(), [1, 3, 3, 5, 7]);
        });
    }

    #[test]
    fn who_stops_waiting_keeps_nobody_from_being_woken() {
        in_local_set(async {
            let timer = Timer::new(TimeSource::Monotonic).unwrap();
            let start = timer.now();
            let mut dropped = Box::pin(timer.sleep_until(start + 2_000_000));
            let polled = std::future::poll_fn(|cx| Poll::Ready(dropped.as_mut().poll(cx)));
            assert!(polled.await.is_pending());
            let kept = timer.sleep_until(start + 4_000_000);
            drop(dropped);
            kept.await;
            assert!(timer.now() >= start + 4_000_000);
        });
    }
}
