//! The end of a room in which something panicked. It costs no other room
//! anything.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use syncbench_engines::panics::Panic;

use super::Room;
use crate::plan::{ClientId, RoomIndex};
use crate::time::clock::Nanos;

/// What a room lets the engine do: the one to name if it panics.
#[derive(Debug)]
pub(super) enum Call {
    /// Opening the document that a client starts from.
    Open,
    /// Making an edit.
    Edit,
    /// Exporting operations.
    Export,
    /// Importing an update.
    Import(Bytes),
    /// Comparing the replicas after the run.
    Compare,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("opening the initial document"),
            Self::Edit => f.write_str("making an edit"),
            Self::Export => f.write_str("exporting an update"),
            Self::Import(update) => write!(f, "importing an update of {} bytes", update.len()),
            Self::Compare => f.write_str("comparing the replicas"),
        }
    }
}

/// A room that ended before the run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRoom {
    /// The time of its end, nanoseconds since the start of the schedule.
    pub at: Nanos,
    /// The room.
    pub room: RoomIndex,
    /// The room's name in this run.
    pub name: String,
    /// The reason as a sentence without its full stop.
    pub reason: String,
    /// The update that was being imported, if one was.
    pub update: Option<Vec<u8>>,
}

impl Room {
    /// Lets the engine do `call`: a panic in it is the engine's, and not the
    /// load generator's.
    pub(super) fn engine<T>(&mut self, call: Call, with: impl FnOnce(&mut Self) -> T) -> T {
        self.call.set(Some(call));
        let result = with(self);
        self.call.set(None);
        result
    }

    /// Whether the room has ended before the run.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Ends the room because of a panic while it did something for `client`. Its
    /// clients are gone from then on, nothing is owed to them, and their replicas
    /// are never touched again.
    pub(super) fn end(&mut self, client: Option<ClientId>, panic: &Panic) {
        let call = self.call.take();
        let (reason, update) = match call {
            Some(call) => (self.blame(&call, client, panic), update_of(call)),
            None => (format!("the load generator panicked: {panic}"), None),
        };
        for slot in 0..self.members.len() {
            self.members[slot].abandon();
            self.ledger.depart(slot);
        }
        self.meter.record(|metrics| metrics.error("panic"));
        self.ended = Some(EndedRoom {
            at: self.meter.now(),
            room: self.index,
            name: self.name(),
            reason,
            update,
        });
        self.over.notify_waiters();
    }

    /// Says that the engine panicked, in what, and where.
    fn blame(&self, call: &Call, client: Option<ClientId>, panic: &Panic) -> String {
        let engine = self.context.engine;
        let (name, version) = (engine.name(), engine.version());
        let replica = client.map(|client| format!(" in the replica of {}", client.name()));
        let replica = replica.unwrap_or_default();
        format!("{name} {version} panicked while {call}{replica}: {panic}")
    }
}

fn update_of(call: Call) -> Option<Vec<u8>> {
    match call {
        Call::Import(update) => Some(update.to_vec()),
        Call::Open | Call::Edit | Call::Export | Call::Compare => None,
    }
}
