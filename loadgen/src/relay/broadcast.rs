//! The `broadcast` relay: forwards every binary frame to all other clients in
//! the room that the URL path names.
//!
//! It keeps nothing: a client that joins late, or reconnects, receives none of
//! the earlier frames. The relays of many getting-started articles work this
//! way, and syncbench shows what that costs.
//!
//! The frames of one sender arrive everywhere in the order in which they were
//! sent.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::server::{self, Listener, Outgoing, Queue, Service, Session, lock};

/// Settings of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The number of frames that may wait for one client before it counts as a
    /// slow reader.
    pub queue_frames: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { queue_frames: 4096 }
    }
}

/// Serves until `shutdown` completes, then closes every connection with code
/// 1001 and returns.
pub async fn run(listener: impl Listener, shutdown: impl Future<Output = ()>, config: Config) {
    let relay = Relay {
        rooms: Mutex::default(),
        next_member: AtomicU64::new(0),
        config,
    };
    server::run(listener, shutdown, Arc::new(relay)).await;
}

struct Relay {
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    next_member: AtomicU64,
    config: Config,
}

#[derive(Default)]
struct Room {
    members: Mutex<Vec<Member>>,
}

struct Member {
    id: u64,
    queue: Queue,
}

impl Room {
    /// Queues `frame` for all members but `from`. The lock is held meanwhile, so
    /// that all members receive one sender's frames in the same order.
    fn forward(&self, from: u64, frame: &Bytes) {
        lock(&self.members).retain(|member| {
            member.id == from
                || member
                    .queue
                    .push(Outgoing::One(Message::Binary(frame.clone())))
        });
    }
}

impl Service for Relay {
    type Session = Membership;

    fn queue_frames(&self) -> usize {
        self.config.queue_frames
    }

    fn connect(self: &Arc<Self>, path: &str, queue: Queue) -> Membership {
        let id = self.next_member.fetch_add(1, Ordering::Relaxed);
        let mut rooms = lock(&self.rooms);
        let room = Arc::clone(rooms.entry(path.to_owned()).or_default());
        lock(&room.members).push(Member { id, queue });
        drop(rooms);
        Membership {
            relay: Arc::clone(self),
            name: path.to_owned(),
            room,
            id,
        }
    }
}

/// The membership of one client in a room, which ends when it is dropped.
struct Membership {
    relay: Arc<Relay>,
    name: String,
    room: Arc<Room>,
    id: u64,
}

impl Session for Membership {
    fn receive(&mut self, message: Message) -> Result<(), CloseFrame> {
        if let Message::Binary(frame) = message {
            self.room.forward(self.id, &frame);
        }
        Ok(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut rooms = lock(&self.relay.rooms);
        let mut members = lock(&self.room.members);
        members.retain(|member| member.id != self.id);
        if members.is_empty() {
            rooms.remove(&self.name);
        }
    }
}
