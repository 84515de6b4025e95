//! `loro`: the client's side of loro-protocol version 1.
//!
//! The document is the `%LOR` of the room, where each update is acknowledged by
//! its batch id. Presence is the `%EPH` of the same room.

pub(crate) mod fragments;
mod presence;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use bytes::Bytes;
use loro_protocol::{
    BatchId, CrdtType, JoinErrorCode, ProtocolMessage, RoomErrorCode, UpdateStatusCode,
};

use self::fragments::Fragments;
use self::wire::{PING, PONG, WireError};
use super::recognise::{is_update_without_batch, resembles_loro_protocol};
use super::{Event, Frame, JoinMode, Protocol, ProtocolError, UpdateId};

/// The limit on updates that have arrived in part, bytes: more than the snapshot
/// of any document that a browser could load.
const MAX_INCOMPLETE: u64 = 256 << 20;

/// The state of a session.
pub(super) struct Loro {
    room: String,
    /// The credentials that joins carry.
    auth: Vec<u8>,
    fragments: Fragments<BatchId>,
    /// The number of presence states sent, from which their batch ids are made.
    presences: u64,
}

impl Loro {
    /// Creates a session in `room`.
    pub(super) fn new(room: &str) -> Self {
        Self {
            room: room.to_owned(),
            auth: Vec::new(),
            fragments: Fragments::new(MAX_INCOMPLETE),
            presences: 0,
        }
    }

    /// Joins with the credentials `auth`.
    pub(super) fn with_auth(self, auth: Vec<u8>) -> Self {
        Self { auth, ..self }
    }

    fn join(&self, crdt: CrdtType, version: Vec<u8>) -> Result<Bytes, WireError> {
        wire::encode(&ProtocolMessage::JoinRequest {
            crdt,
            room_id: self.room.clone(),
            auth: self.auth.clone(),
            version,
        })
    }

    fn message(&mut self, frame: Bytes, events: &mut Vec<Event>) -> Result<(), ProtocolError> {
        let message = match wire::decode(&frame) {
            Ok(ProtocolMessage::JoinRequest { .. }) => {
                return Err(unexpected(Frame::Binary(frame)));
            }
            Ok(message) => message,
            Err(error) if is_of_this_version(&frame) => return Err(damaged(&error)),
            Err(_) => return Err(unexpected(Frame::Binary(frame))),
        };
        let (crdt, room) = about(&message);
        if room != self.room {
            return Err(damaged(&format!("it is for the room `{room}`")));
        }
        match crdt {
            CrdtType::Loro => self.document(message, events),
            CrdtType::LoroEphemeralStore => take_presence(message, events),
            _ => Err(damaged(&"it is for another kind of document")),
        }
    }

    fn document(
        &mut self,
        message: ProtocolMessage,
        events: &mut Vec<Event>,
    ) -> Result<(), ProtocolError> {
        use ProtocolMessage as Message;
        match message {
            Message::JoinResponseOk { version, .. } => events.push(Event::Joined { version }),
            Message::JoinError { code, message, .. } => {
                events.push(Event::Refused(format!("{}: {message}", refusal(code))));
            }
            Message::DocUpdate { updates, .. } => {
                events.extend(
                    updates
                        .into_iter()
                        .map(|update| Event::Update(update.into())),
                );
            }
            Message::DocUpdateFragmentHeader {
                batch_id,
                fragment_count,
                total_size_bytes,
                ..
            } => self
                .fragments
                .begin(batch_id, fragment_count, total_size_bytes)
                .map_err(|error| damaged(&error))?,
            Message::DocUpdateFragment {
                batch_id,
                index,
                fragment,
                ..
            } => {
                let whole = self.fragments.add(&batch_id, index, fragment);
                let whole = whole.map_err(|error| damaged(&error))?;
                events.extend(whole.map(|update| Event::Update(update.into())));
            }
            Message::Ack { ref_id, status, .. } => events.push(answer(ref_id, status)),
            Message::RoomError { code, message, .. } => {
                events.push(Event::Evicted(format!("{}: {message}", eviction(code))));
            }
            Message::JoinRequest { .. } | Message::Leave { .. } => {
                return Err(damaged(&"only clients send this message"));
            }
        }
        Ok(())
    }
}

impl Protocol for Loro {
    fn open(&mut self, version: Vec<u8>, out: &mut Vec<Frame>) -> JoinMode {
        self.fragments.clear();
        // A version of some 20,000 peers does not fit in a frame. An empty
        // version is always correct: the relay then sends everything.
        let document = self
            .join(CrdtType::Loro, version)
            .or_else(|_| self.join(CrdtType::Loro, Vec::new()));
        let presence = self.join(CrdtType::LoroEphemeralStore, Vec::new());
        out.extend(
            [document, presence]
                .into_iter()
                .flatten()
                .map(Frame::Binary),
        );
        JoinMode::Joining
    }

    fn send(&mut self, id: UpdateId, update: Vec<u8>, out: &mut Vec<Frame>) {
        let frames = wire::update_frames(&self.room, BatchId(id.to_be_bytes()), update);
        out.extend(frames.into_iter().flatten().map(Frame::Binary));
    }

    fn presence(&mut self, key: &str, state: &[u8]) -> Option<Frame> {
        self.presences += 1;
        let update = ProtocolMessage::DocUpdate {
            crdt: CrdtType::LoroEphemeralStore,
            room_id: self.room.clone(),
            updates: vec![presence::encode(key, state)],
            batch_id: BatchId(self.presences.to_be_bytes()),
        };
        wire::encode(&update).ok().map(Frame::Binary)
    }

    fn acknowledges(&self) -> bool {
        true
    }

    fn keepalive(&self) -> Frame {
        Frame::Text(PING.to_owned())
    }

    fn receive(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), ProtocolError> {
        match frame {
            Frame::Binary(frame) => return self.message(frame, events),
            Frame::Text(text) if text == PONG => events.push(Event::Alive),
            Frame::Text(text) if text == PING => {
                events.push(Event::Answer(Frame::Text(PONG.to_owned())));
            }
            frame => return Err(unexpected(frame)),
        }
        Ok(())
    }
}

/// Whether a frame that cannot be read is one of this protocol that was damaged
/// on its way, and not one of another protocol or version.
fn is_of_this_version(frame: &[u8]) -> bool {
    resembles_loro_protocol(frame) && !is_update_without_batch(frame)
}

/// Takes a message about presence. Nobody waits for the acceptance of a state:
/// the next one replaces it.
fn take_presence(message: ProtocolMessage, events: &mut Vec<Event>) -> Result<(), ProtocolError> {
    use ProtocolMessage as Message;
    match message {
        Message::JoinResponseOk { .. } => events.push(Event::PresenceJoined),
        Message::JoinError { code, message, .. } => {
            events.push(Event::PresenceRefused(format!(
                "{}: {message}",
                refusal(code)
            )));
        }
        Message::RoomError { code, message, .. } => {
            events.push(Event::PresenceRefused(format!(
                "{}: {message}",
                eviction(code)
            )));
        }
        Message::Ack { status, .. } => {
            let reason = rejection(status).map(str::to_owned);
            events.extend(reason.map(Event::PresenceRejected));
        }
        Message::DocUpdate { updates, .. } => {
            for update in updates {
                let states = presence::decode(&update);
                let states = states.map_err(|error| damaged(&format!("its presence: {error}")))?;
                let states = states.into_iter();
                events.extend(states.map(|(key, state)| Event::Presence { key, state }));
            }
        }
        _ => {}
    }
    Ok(())
}

fn answer(batch: BatchId, status: UpdateStatusCode) -> Event {
    let id = UpdateId::from_be_bytes(batch.0);
    match rejection(status) {
        None => Event::Acknowledged(id),
        Some(reason) => Event::Rejected {
            id,
            reason: reason.to_owned(),
        },
    }
}

/// The reason for which an update was refused; `None` if it was accepted.
fn rejection(status: UpdateStatusCode) -> Option<&'static str> {
    Some(match status {
        UpdateStatusCode::Ok => return None,
        UpdateStatusCode::Unknown => "unknown",
        UpdateStatusCode::PermissionDenied => "permission denied",
        UpdateStatusCode::InvalidUpdate => "invalid update",
        UpdateStatusCode::PayloadTooLarge => "payload too large",
        UpdateStatusCode::RateLimited => "rate limited",
        UpdateStatusCode::FragmentTimeout => "fragment timeout",
        UpdateStatusCode::AppError => "application error",
    })
}

fn refusal(code: JoinErrorCode) -> &'static str {
    match code {
        JoinErrorCode::Unknown => "unknown",
        JoinErrorCode::VersionUnknown => "version unknown",
        JoinErrorCode::AuthFailed => "authentication failed (--join-auth gives credentials)",
        JoinErrorCode::AppError => "application error",
    }
}

fn eviction(code: RoomErrorCode) -> &'static str {
    match code {
        RoomErrorCode::RejoinSuggested => "rejoin suggested",
        RoomErrorCode::Evicted => "evicted",
        RoomErrorCode::Unknown => "unknown",
    }
}

/// Returns the kind of document and the room that a message refers to.
pub(crate) fn about(message: &ProtocolMessage) -> (CrdtType, &str) {
    use ProtocolMessage as Message;
    match message {
        Message::JoinRequest { crdt, room_id, .. }
        | Message::JoinResponseOk { crdt, room_id, .. }
        | Message::JoinError { crdt, room_id, .. }
        | Message::DocUpdate { crdt, room_id, .. }
        | Message::DocUpdateFragmentHeader { crdt, room_id, .. }
        | Message::DocUpdateFragment { crdt, room_id, .. }
        | Message::RoomError { crdt, room_id, .. }
        | Message::Ack { crdt, room_id, .. }
        | Message::Leave { crdt, room_id } => (*crdt, room_id),
    }
}

fn damaged(reason: &dyn std::fmt::Display) -> ProtocolError {
    ProtocolError::Damaged {
        protocol: "loro",
        reason: reason.to_string(),
    }
}

fn unexpected(frame: Frame) -> ProtocolError {
    ProtocolError::Unexpected {
        protocol: "loro",
        frame,
    }
}
