//! Decides which tests may run at the same time.
//!
//! The tests of this binary run in parallel threads. Runs in virtual time keep
//! every core busy for many seconds, and would delay the runs in real time next
//! to them. So only tests of the same kind run at the same time, and those that
//! need the machine for themselves run alone.

use std::sync::{Condvar, Mutex, PoisonError};

/// The way in which a test uses the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Real sockets and real time. The machine has capacity to spare.
    RealTime,
    /// Virtual time, at full speed.
    VirtualTime,
    /// Real time, with proportions that another test would distort.
    Alone,
}

/// The kind of the tests that run now, and their number.
static RUNNING: Mutex<Option<(Kind, usize)>> = Mutex::new(None);

/// Notified whenever the last test of a kind has ended.
static ALL_ENDED: Condvar = Condvar::new();

/// The right to run. It ends when it is dropped.
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// Waits until a test of this kind may run. A test that holds a turn may
    /// take another one of the same kind, except [`Kind::Alone`].
    pub fn take(kind: Kind) -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            *running = match *running {
                None => Some((kind, 1)),
                Some((same, count)) if same == kind && kind != Kind::Alone => {
                    Some((kind, count + 1))
                }
                Some(_) => {
                    running = ALL_ENDED
                        .wait(running)
                        .unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            };
            return Self(());
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        *running = match *running {
            Some((kind, count)) if count > 1 => Some((kind, count - 1)),
            _ => None,
        };
        if running.is_none() {
            ALL_ENDED.notify_all();
        }
    }
}
