//! The `loro` relay: loro-protocol version 1, with a memory.
//!
//! Rooms are named in the frames, not by the URL; a connection may be in many.
//! Each room keeps what it was sent (see [`HistoryKind`]), so that whoever
//! joins gets what they lack, and tells senders by an ack that it has an
//! update. Where users are (`%EPH`) is forwarded and not kept.
//!
//! A joiner first gets the answer, then what it lacks, then what others send;
//! per sender in the order sent.

mod client;
mod room;

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use client::Client;
use room::Room;

use super::history::{HistoryKind, Limits};
use super::server::{self, Listener, Queue, Service, lock};

/// Settings of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Updates that may wait for one client before it counts as a slow reader.
    /// What a joiner lacks counts as one.
    pub queue_frames: usize,
    /// What is kept of a room's past.
    pub history: HistoryKind,
    /// Updates in a room's log before it is compacted.
    pub compact_updates: usize,
    /// Bytes in a room's log before it is compacted.
    pub compact_bytes: usize,
    /// What a client may have under way in fragments, bytes: the longest update
    /// that is taken.
    pub max_update_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queue_frames: 4096,
            history: HistoryKind::Full,
            compact_updates: 1024,
            compact_bytes: 1 << 20,
            max_update_bytes: 64 << 20,
        }
    }
}

/// Serves until `shutdown` completes, then closes every connection with code
/// 1001 and returns. Needs a Tokio runtime with timers.
pub async fn run(listener: impl Listener, shutdown: impl Future<Output = ()>, config: Config) {
    server::run(listener, shutdown, Arc::new(Relay::new(config))).await;
}

struct Relay {
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    next_client: AtomicU64,
    config: Config,
}

impl Relay {
    fn new(config: Config) -> Self {
        Self {
            rooms: Mutex::default(),
            next_client: AtomicU64::new(0),
            config,
        }
    }

    /// The room of that name; made if nobody was in it before.
    fn room(&self, name: &str) -> Arc<Room> {
        let mut rooms = lock(&self.rooms);
        if let Some(room) = rooms.get(name) {
            return Arc::clone(room);
        }
        let limits = Limits {
            kind: self.config.history,
            updates: self.config.compact_updates,
            bytes: self.config.compact_bytes,
        };
        let room = Arc::new(Room::new(name, limits));
        rooms.insert(name.to_owned(), Arc::clone(&room));
        room
    }
}

impl Service for Relay {
    type Session = Client;

    fn queue_frames(&self) -> usize {
        self.config.queue_frames
    }

    fn connect(self: &Arc<Self>, _path: &str, queue: Queue) -> Client {
        let id = self.next_client.fetch_add(1, Ordering::Relaxed);
        Client::new(Arc::clone(self), id, queue)
    }
}
