//! The instruments with which the rooms of one worker measure.

use std::cell::{Cell, RefCell};

use crate::metrics::Metrics;
use crate::time::clock::{Clock, Nanos};

/// The clock that times both ends of a delivery, and the metrics that the
/// rooms of one worker record into. A worker is one thread, so neither is
/// locked.
pub struct Meter {
    clock: Cell<Clock>,
    metrics: RefCell<Metrics>,
}

impl Meter {
    /// Creates a meter that runs on `clock` until the run starts.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock: Cell::new(clock),
            metrics: RefCell::default(),
        }
    }

    /// Switches to the clock of the run.
    pub fn start(&self, clock: Clock) {
        self.clock.set(clock);
    }

    /// The clock in force: of the run, once it has started.
    pub fn clock(&self) -> Clock {
        self.clock.get()
    }

    /// Nanoseconds since the start of the schedule; before it, 0 or the time
    /// since the worker began.
    pub fn now(&self) -> Nanos {
        self.clock.get().now()
    }

    /// The CPU time that the calling thread has used; 0 in simulated time.
    pub fn thread_cpu(&self) -> Nanos {
        self.clock.get().source().thread_cpu()
    }

    /// Lets `record` add to the metrics.
    pub fn record<T>(&self, record: impl FnOnce(&mut Metrics) -> T) -> T {
        record(&mut self.metrics.borrow_mut())
    }

    /// Takes what was recorded since the last call.
    pub fn take(&self) -> Metrics {
        self.metrics.take()
    }
}
