//! What the tasks of one worker share.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use syncbench_engines::EngineError;
use tokio::sync::Notify;

use crate::clock::{Clock, Nanos};
use crate::metrics::Metrics;
use crate::room::Room;
use crate::session::Seat;

/// The rooms of one worker and what is measured there. Tasks of one thread
/// borrow it for one edit or one frame at a time, never across an await.
pub struct Shared {
    pub(super) rooms: RefCell<Vec<Room>>,
    pub(super) metrics: RefCell<Metrics>,
    pub(super) clock: Cell<Option<Clock>>,
    pub(super) expected: Cell<u64>,
    pub(super) visible: Cell<u64>,
    pub(super) connected: Cell<usize>,
    /// Rung when an edit has become visible or a connection has ended.
    pub(super) progress: Notify,
    pub(super) engine_error: RefCell<Option<EngineError>>,
}

impl Shared {
    pub(super) fn new(rooms: Vec<Room>) -> Self {
        Self {
            rooms: RefCell::new(rooms),
            metrics: RefCell::default(),
            clock: Cell::new(None),
            expected: Cell::new(0),
            visible: Cell::new(0),
            connected: Cell::new(0),
            progress: Notify::new(),
            engine_error: RefCell::new(None),
        }
    }

    /// The run's clock, or one that starts now while the run has not begun.
    fn clock(&self) -> Clock {
        self.clock.get().unwrap_or_else(|| Clock::starting_in(0))
    }

    pub(super) fn edit(&self, seat: Seat, intended: Nanos) {
        let mut rooms = self.rooms.borrow_mut();
        let room = &mut rooms[seat.room];
        let expected = room.ledger.expected();
        let made = room.edit(
            seat.slot,
            intended,
            self.clock(),
            &mut self.metrics.borrow_mut(),
        );
        self.expected
            .set(self.expected.get() + room.ledger.expected() - expected);
        if let Err(error) = made {
            self.engine_error.borrow_mut().get_or_insert(error);
        }
    }

    /// Takes a frame for the client at `seat`.
    pub fn receive(&self, seat: Seat, frame: Bytes) {
        let mut rooms = self.rooms.borrow_mut();
        let mut metrics = self.metrics.borrow_mut();
        let seen = rooms[seat.room].receive(seat.slot, frame, self.clock(), &mut metrics);
        if seen > 0 {
            self.visible.set(self.visible.get() + seen);
            self.progress.notify_one();
        }
    }

    /// The update with the edits that found the client's queue full, if any.
    pub fn backlog(&self, seat: Seat) -> Option<Bytes> {
        let mut rooms = self.rooms.borrow_mut();
        let backlog = rooms[seat.room].backlog(seat.slot, &mut self.metrics.borrow_mut());
        backlog.unwrap_or_else(|error| {
            self.engine_error.borrow_mut().get_or_insert(error);
            None
        })
    }

    pub(super) fn set_connected(&self, seat: Seat, connected: bool) {
        let change = if connected { 1 } else { -1 };
        self.connected
            .set(self.connected.get().saturating_add_signed(change));
        self.rooms.borrow_mut()[seat.room].members[seat.slot].connected = connected;
        self.progress.notify_one();
    }
}
