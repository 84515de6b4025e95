//! How client and relay speak: state machines without I/O, so that they are
//! tested with bytes and run over any stream.

mod broadcast;

use bytes::Bytes;

use crate::scenario::ProtocolKind;

/// One client's side of a session.
pub trait Protocol {
    /// The frame that sends `update` to the room.
    fn send(&mut self, update: Vec<u8>) -> Bytes;

    /// Takes a binary frame from the relay.
    fn receive(&mut self, frame: Bytes) -> Event;
}

/// What a frame from the relay means to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An update to import.
    Update(Bytes),
}

/// A new session of `kind`.
pub fn session(kind: ProtocolKind) -> Box<dyn Protocol> {
    match kind {
        ProtocolKind::Broadcast => Box::new(broadcast::Broadcast),
    }
}
