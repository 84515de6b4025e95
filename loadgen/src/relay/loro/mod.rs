//! The `loro` relay: loro-protocol version 1, with a history.
//!
//! Frames name their room, not the URL, and a connection may be in many rooms.
//! Each room keeps the updates that it received (see [`HistoryKind`]), so that a
//! joiner receives those that it lacks, and acknowledges each update to its
//! sender. Presence (`%EPH`) is forwarded and not kept.
//!
//! A joiner receives first the answer, then the updates that it lacks, and then
//! those that others send, in the order in which each sender sent them.

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
    /// The number of updates that may wait for one client before it counts as a
    /// slow reader. All updates that a joiner lacks count as one.
    pub queue_frames: usize,
    /// The part of a room's history that is kept.
    pub history: HistoryKind,
    /// The number of updates in a room's log above which it is compacted.
    pub compact_updates: usize,
    /// The number of bytes in a room's log above which it is compacted.
    pub compact_bytes: usize,
    /// The number of bytes that a client may have pending in fragments, and so
    /// the size of the longest update that is accepted.
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
/// 1001 and returns. Requires a Tokio runtime with timers.
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

    /// Returns the room of that name, and creates it if it does not exist.
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
