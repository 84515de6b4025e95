//! One room of the `loro` relay: a document's history, the clients that follow
//! the document, and those that follow the presence of its users.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use loro_protocol::{CrdtType, JoinErrorCode, Permission, ProtocolMessage};
use syncbench_engines::{Engine, Loro, VersionVector};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio_tungstenite::tungstenite::Message;

use super::super::history::{Backfill, Compaction, History, Limits, Update};
use super::super::server::{Outgoing, Queue, lock};
use crate::protocol::loro::wire::{self, WireError};

/// A room. It remains when all clients have left, since it holds the document.
#[derive(Debug)]
pub(super) struct Room {
    name: String,
    document: Mutex<Document>,
    presence: Mutex<Members>,
}

/// The history and the clients that follow it, under one lock, so that a joiner
/// finds each update either in the history or in its queue.
#[derive(Debug)]
struct Document {
    history: History,
    members: Members,
}

impl Room {
    pub(super) fn new(name: &str, limits: Limits) -> Self {
        Self {
            name: name.to_owned(),
            document: Mutex::new(Document {
                history: History::new(limits),
                members: Members::default(),
            }),
            presence: Mutex::default(),
        }
    }

    /// Adds a client that has the operations of `version`. Its queue receives the
    /// updates that it lacks, and then those that others send. Returns `false`,
    /// without adding it, if the updates that it lacks are no longer kept.
    pub(super) fn join(&self, id: u64, queue: &Queue, version: &VersionVector) -> bool {
        let (answer, answered) = oneshot::channel();
        let mut document = lock(&self.document);
        let Ok(backfill) = document.history.missing(version) else {
            return false;
        };
        let known = document.history.version().clone();
        if queue.push(Outgoing::Later(answered)) {
            document.members.join(id, queue);
        }
        drop(document);
        let name = self.name.clone();
        let slow = backfill.is_slow();
        // If the client has disconnected, the answer is not needed.
        let prepare = move || drop(answer.send(welcome(&name, &known, backfill)));
        match slow {
            true => drop(spawn_blocking(prepare)),
            false => prepare(),
        }
        true
    }

    /// Returns the version of the room's document, encoded.
    pub(super) fn version(&self) -> Vec<u8> {
        let version = lock(&self.document).history.version().clone();
        Loro.encode_version(&version)
    }

    pub(super) fn depart(&self, id: u64) {
        lock(&self.document).members.depart(id);
    }

    /// Keeps `updates`, and forwards the frames that carried them unless all of
    /// their operations were known.
    pub(super) fn update(self: &Arc<Self>, from: u64, updates: Vec<Update>, frames: &[Bytes]) {
        let mut document = lock(&self.document);
        if document.history.add(updates) {
            document.members.forward(from, frames);
        }
        let compaction = document.history.compaction();
        drop(document);
        if let Some(compaction) = compaction {
            tokio::spawn(Arc::clone(self).compact(compaction));
        }
    }

    async fn compact(self: Arc<Self>, compaction: Compaction) {
        let base = spawn_blocking(|| compaction.run()).await;
        // A panic of the engine counts as a failure.
        let base = base.ok().and_then(Result::ok);
        lock(&self.document).history.compacted(base);
    }

    pub(super) fn join_presence(&self, id: u64, queue: &Queue) {
        lock(&self.presence).join(id, queue);
    }

    pub(super) fn leave_presence(&self, id: u64) {
        lock(&self.presence).depart(id);
    }

    /// Forwards a frame with the presence of a user, which is not kept.
    pub(super) fn show_presence(&self, from: u64, frame: Bytes) {
        lock(&self.presence).forward(from, &[frame]);
    }
}

/// The clients that follow a document or its presence.
#[derive(Debug, Default)]
struct Members(Vec<Member>);

#[derive(Debug)]
struct Member {
    id: u64,
    queue: Queue,
}

impl Members {
    fn join(&mut self, id: u64, queue: &Queue) {
        self.depart(id);
        let queue = queue.clone();
        self.0.push(Member { id, queue });
    }

    fn depart(&mut self, id: u64) {
        self.0.retain(|member| member.id != id);
    }

    /// Queues `frames` as one entry for all clients but `from`.
    fn forward(&mut self, from: u64, frames: &[Bytes]) {
        self.0
            .retain(|member| member.id == from || member.queue.push(outgoing(frames)));
    }
}

fn outgoing(frames: &[Bytes]) -> Outgoing {
    match frames {
        [frame] => Outgoing::One(Message::Binary(frame.clone())),
        _ => Outgoing::Many(frames.iter().cloned().map(Message::Binary).collect()),
    }
}

/// Encodes the answer to a joiner and the updates that it lacks; a refusal if the
/// answer does not fit in a frame.
fn welcome(room: &str, version: &VersionVector, backfill: Backfill) -> Vec<Message> {
    let frames = welcome_frames(room, version, backfill).or_else(|error| {
        let refusal = ProtocolMessage::JoinError {
            crdt: CrdtType::Loro,
            room_id: room.to_owned(),
            code: JoinErrorCode::Unknown,
            message: error.to_string(),
            receiver_version: None,
            app_code: None,
        };
        wire::encode(&refusal).map(|frame| vec![frame])
    });
    let frames = frames.into_iter().flatten();
    frames.map(Message::Binary).collect()
}

/// Encodes the answer and the updates. Fails if the version has so many peers
/// that it does not fit in a frame.
fn welcome_frames(
    room: &str,
    version: &VersionVector,
    backfill: Backfill,
) -> Result<Vec<Bytes>, WireError> {
    let ok = wire::encode(&ProtocolMessage::JoinResponseOk {
        crdt: CrdtType::Loro,
        room_id: room.to_owned(),
        permission: Permission::Write,
        version: Loro.encode_version(version),
        extra: None,
    })?;
    let mut frames = vec![ok];
    frames.extend(wire::packed_frames(room, 0, &backfill.into_updates())?);
    Ok(frames)
}
