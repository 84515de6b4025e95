//! `broadcast`: every binary frame is one bare update.

use super::{Event, Frame, JoinMode, Protocol, ProtocolError, UpdateId};

/// The client's side of the protocol, which has no state.
#[derive(Debug)]
pub(super) struct Broadcast;

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
            Frame::Binary(update) => events.push(Event::Update(update)),
            other => {
                return Err(ProtocolError {
                    protocol: "broadcast",
                    reason: format!("it is a text of {} bytes", other.len()),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_sent_and_received_as_a_bare_frame() {
        let mut sent = Vec::new();
        Broadcast.send(0, vec![1, 2, 3], &mut sent);
        let mut received = Vec::new();
        for frame in sent {
            Broadcast.receive(frame, &mut received).unwrap();
        }
        assert_eq!(received, [Event::Update(vec![1, 2, 3].into())]);
    }

    #[test]
    fn text_frames_are_refused() {
        let error = Broadcast.receive(Frame::Text("hello".to_owned()), &mut Vec::new());
        assert!(error.unwrap_err().to_string().contains("text"));
    }
}
