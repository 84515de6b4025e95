//! `broadcast`: every binary frame that begins like an update is one.

use super::recognise::resembles;
use super::{Event, Frame, JoinMode, Protocol, ProtocolError, UpdateId};

/// The client's side of the protocol, which has no state.
#[derive(Debug)]
pub(super) struct Broadcast {
    /// The bytes that every update begins with.
    pub magic: &'static [u8],
}

impl Protocol for Broadcast {
    fn open(&mut self, _version: Vec<u8>, _out: &mut Vec<Frame>) -> JoinMode {
        JoinMode::Joined
    }

    fn send(&mut self, _id: UpdateId, update: Vec<u8>, out: &mut Vec<Frame>) {
        out.push(Frame::Binary(update.into()));
    }

    fn acknowledges(&self) -> bool {
        false
    }

    fn presence(&mut self, _key: &str, _state: &[u8]) -> Option<Frame> {
        None
    }

    fn receive(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), ProtocolError> {
        match frame {
            Frame::Binary(update) if resembles(&update, self.magic) => {
                events.push(Event::Update(update));
                Ok(())
            }
            frame => Err(ProtocolError::Unexpected {
                protocol: "broadcast",
                frame,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Broadcast {
        Broadcast { magic: b"up" }
    }

    #[test]
    fn an_update_is_sent_and_received_as_a_bare_frame() {
        let mut sent = Vec::new();
        session().send(0, b"update".to_vec(), &mut sent);
        let mut received = Vec::new();
        for frame in sent {
            session().receive(frame, &mut received).unwrap();
        }
        assert_eq!(received, [Event::Update(b"update".to_vec().into())]);
    }

    #[test]
    fn what_does_not_begin_like_an_update_is_none() {
        for frame in [
            Frame::Text("update".to_owned()),
            Frame::Binary(b"hello".to_vec().into()),
            Frame::Binary(Vec::new().into()),
        ] {
            let mut events = Vec::new();
            let error = session().receive(frame.clone(), &mut events).unwrap_err();
            let protocol = "broadcast";
            assert_eq!(error, ProtocolError::Unexpected { protocol, frame });
            assert!(events.is_empty());
        }
    }
}
