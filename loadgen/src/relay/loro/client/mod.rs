//! One connection to the `loro` relay: the rooms that it is in, and the updates
//! that it has sent in part.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loro_protocol::{
    BatchId, CrdtType, JoinErrorCode, Permission, ProtocolMessage, UpdateStatusCode as Status,
};
use syncbench_engines::{Engine, EngineError, Loro, VersionVector};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::super::history::Update;
use super::super::server::{Outgoing, Queue, Session, close_frame};
use super::Relay;
use super::room::Room;
use crate::protocol::loro::fragments::{FragmentError, Fragments};
use crate::protocol::loro::wire::{self, PING, PONG};

/// The longest time from the header of an update to its last fragment.
const FRAGMENT_TIMEOUT: Duration = Duration::from_secs(10);

const NO_SUCH_CRDT: &str = "this relay serves %LOR and %EPH";
const NO_VERSION: &str = "this is not a version vector";
const TOO_OLD: &str = "the kept history begins after this version";

/// A connected client.
pub(super) struct Client {
    relay: Arc<Relay>,
    id: u64,
    queue: Queue,
    documents: HashMap<String, Arc<Room>>,
    presences: HashMap<String, Arc<Room>>,
    fragments: Fragments<Batch>,
    /// The times at which incomplete batches expire, in the order of their
    /// headers.
    deadlines: VecDeque<(Instant, Batch)>,
}

/// The key of an incomplete update. Other clients may use the same batch id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Batch {
    room: String,
    id: BatchId,
}

/// The refusal to let a client join.
struct Refusal {
    code: JoinErrorCode,
    reason: &'static str,
    /// The version of the relay's document, if that may help the client.
    version: Option<Vec<u8>>,
}

impl Client {
    /// Creates a client that is in no room yet.
    pub(super) fn new(relay: Arc<Relay>, id: u64, queue: Queue) -> Self {
        let limit = relay.config.max_update_bytes;
        Self {
            relay,
            id,
            queue,
            documents: HashMap::new(),
            presences: HashMap::new(),
            fragments: Fragments::new(limit),
            deadlines: VecDeque::new(),
        }
    }

    /// Sends an answer to the client. A full queue ends the connection; an answer
    /// that does not fit in a frame is dropped.
    fn send(&self, message: &ProtocolMessage) {
        if let Ok(frame) = wire::encode(message) {
            self.queue.push(Outgoing::One(Message::Binary(frame)));
        }
    }

    fn ack(&self, crdt: CrdtType, room: String, batch: BatchId, status: Status) {
        self.send(&ProtocolMessage::Ack {
            crdt,
            room_id: room,
            ref_id: batch,
            status,
        });
    }

    /// Takes a message, and the frame that it came in.
    fn take(&mut self, message: ProtocolMessage, frame: Bytes) {
        use ProtocolMessage as Message;
        match message {
            Message::JoinRequest {
                crdt,
                room_id,
                version,
                ..
            } => self.join(crdt, room_id, &version),
            Message::DocUpdate {
                crdt,
                room_id,
                updates,
                batch_id,
            } => {
                let batch = Batch {
                    room: room_id,
                    id: batch_id,
                };
                self.update(crdt, batch, updates, frame);
            }
            Message::DocUpdateFragmentHeader {
                crdt,
                room_id,
                batch_id,
                fragment_count,
                total_size_bytes,
            } => {
                let batch = Batch {
                    room: room_id,
                    id: batch_id,
                };
                self.begin(crdt, batch, fragment_count, total_size_bytes);
            }
            Message::DocUpdateFragment {
                room_id,
                batch_id,
                index,
                fragment,
                ..
            } => {
                let batch = Batch {
                    room: room_id,
                    id: batch_id,
                };
                self.fragment(batch, index, fragment);
            }
            Message::Leave { crdt, room_id } => self.depart(crdt, &room_id),
            // Only relays send these messages.
            Message::JoinResponseOk { .. }
            | Message::JoinError { .. }
            | Message::RoomError { .. }
            | Message::Ack { .. } => {}
        }
    }

    fn join(&mut self, crdt: CrdtType, name: String, version: &[u8]) {
        match crdt {
            CrdtType::Loro => self.join_document(name, version),
            CrdtType::LoroEphemeralStore => self.join_presence(name),
            _ => self.refuse(
                crdt,
                name,
                Refusal {
                    code: JoinErrorCode::Unknown,
                    reason: NO_SUCH_CRDT,
                    version: None,
                },
            ),
        }
    }

    fn join_document(&mut self, name: String, version: &[u8]) {
        let room = self.relay.room(&name);
        let reason = match decode_version(version) {
            Ok(version) if room.join(self.id, &self.queue, &version) => {
                self.documents.insert(name, room);
                return;
            }
            Ok(_) => TOO_OLD,
            Err(_) => NO_VERSION,
        };
        // A client that was in the room before is refused as well.
        self.depart(CrdtType::Loro, &name);
        let refusal = Refusal {
            code: JoinErrorCode::VersionUnknown,
            reason,
            version: Some(room.version()),
        };
        self.refuse(CrdtType::Loro, name, refusal);
    }

    fn join_presence(&mut self, name: String) {
        let room = self.relay.room(&name);
        self.send(&ProtocolMessage::JoinResponseOk {
            crdt: CrdtType::LoroEphemeralStore,
            room_id: name.clone(),
            permission: Permission::Write,
            version: Vec::new(),
            extra: None,
        });
        room.join_presence(self.id, &self.queue);
        self.presences.insert(name, room);
    }

    fn refuse(&self, crdt: CrdtType, room: String, refusal: Refusal) {
        self.send(&ProtocolMessage::JoinError {
            crdt,
            room_id: room,
            code: refusal.code,
            message: refusal.reason.to_owned(),
            receiver_version: refusal.version,
            app_code: None,
        });
    }

    fn depart(&mut self, crdt: CrdtType, name: &str) {
        match crdt {
            CrdtType::Loro => {
                let room = self.documents.remove(name);
                room.into_iter().for_each(|room| room.depart(self.id));
            }
            CrdtType::LoroEphemeralStore => {
                let room = self.presences.remove(name);
                room.into_iter()
                    .for_each(|room| room.leave_presence(self.id));
            }
            _ => {}
        }
    }

    fn update(&mut self, crdt: CrdtType, batch: Batch, updates: Vec<Vec<u8>>, frame: Bytes) {
        let status = match crdt {
            CrdtType::Loro => self.keep(&batch.room, updates, &[frame]),
            CrdtType::LoroEphemeralStore => self.show_presence(&batch.room, frame),
            _ => Status::PermissionDenied,
        };
        self.ack(crdt, batch.room, batch.id, status);
    }

    fn show_presence(&self, room: &str, frame: Bytes) -> Status {
        let Some(room) = self.presences.get(room) else {
            return Status::PermissionDenied;
        };
        room.show_presence(self.id, frame);
        Status::Ok
    }

    /// Passes all updates or none to the room, together with the frames that carry
    /// them to the others.
    fn keep(&self, room: &str, updates: Vec<Vec<u8>>, frames: &[Bytes]) -> Status {
        let Some(room) = self.documents.get(room) else {
            return Status::PermissionDenied;
        };
        let updates = updates
            .into_iter()
            .map(|update| Update::read(update.into()));
        let Ok(updates) = updates.collect() else {
            return Status::InvalidUpdate;
        };
        room.update(self.id, updates, frames);
        Status::Ok
    }

    fn begin(&mut self, crdt: CrdtType, batch: Batch, count: u64, total: u64) {
        self.forget(&batch);
        let status = match crdt {
            CrdtType::Loro if self.documents.contains_key(&batch.room) => {
                match self.fragments.begin(batch.clone(), count, total) {
                    Ok(()) => {
                        let deadline = Instant::now() + FRAGMENT_TIMEOUT;
                        self.deadlines.push_back((deadline, batch));
                        return;
                    }
                    Err(FragmentError::TooLarge) => Status::PayloadTooLarge,
                    Err(_) => Status::InvalidUpdate,
                }
            }
            CrdtType::LoroEphemeralStore if self.presences.contains_key(&batch.room) => {
                Status::PayloadTooLarge
            }
            _ => Status::PermissionDenied,
        };
        self.ack(crdt, batch.room, batch.id, status);
    }

    fn fragment(&mut self, batch: Batch, index: u64, fragment: Vec<u8>) {
        let status = match self.fragments.add(&batch, index, fragment) {
            Ok(None) => return,
            // Its batch was refused or has expired, and the client was notified.
            Err(FragmentError::Unknown) => return,
            Ok(Some(update)) => self.keep_whole(&batch, update),
            Err(_) => Status::InvalidUpdate,
        };
        self.forget(&batch);
        self.ack(CrdtType::Loro, batch.room, batch.id, status);
    }

    fn keep_whole(&self, batch: &Batch, update: Vec<u8>) -> Status {
        match wire::update_frames(&batch.room, batch.id, update.clone()) {
            Ok(frames) => self.keep(&batch.room, vec![update], &frames),
            Err(_) => Status::Unknown,
        }
    }

    fn forget(&mut self, batch: &Batch) -> bool {
        self.deadlines.retain(|(_, waiting)| waiting != batch);
        self.fragments.forget(batch)
    }
}

/// Decodes the version of a joiner. No bytes mean an empty document.
fn decode_version(bytes: &[u8]) -> Result<VersionVector, EngineError> {
    match bytes {
        [] => Ok(VersionVector::new()),
        _ => Loro.decode_version(bytes),
    }
}

impl Session for Client {
    fn receive(&mut self, message: Message) -> Result<(), CloseFrame> {
        match message {
            Message::Text(text) if text.as_str() == PING => {
                self.queue.push(Outgoing::One(Message::text(PONG)));
            }
            Message::Binary(frame) => {
                let message = wire::decode(&frame).map_err(|_| {
                    close_frame(
                        CloseCode::Protocol,
                        "this is not a frame of loro-protocol 1",
                    )
                })?;
                self.take(message, frame);
            }
            // Other text has no meaning, and the library answers WebSocket pings.
            _ => {}
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    fn expire(&mut self) {
        let Some((_, batch)) = self.deadlines.pop_front() else {
            return;
        };
        if self.fragments.forget(&batch) {
            let status = Status::FragmentTimeout;
            self.ack(CrdtType::Loro, batch.room, batch.id, status);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.documents
            .values()
            .for_each(|room| room.depart(self.id));
        self.presences
            .values()
            .for_each(|room| room.leave_presence(self.id));
    }
}
