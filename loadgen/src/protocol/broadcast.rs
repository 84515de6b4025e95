//! `broadcast`: every binary frame is one update, nothing around it.

use super::{Event, Frame, JoinMode, Protocol, ProtocolError, UpdateId};

/// The session has no state.
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

    fn presence(&mut self, _state: &[u8]) -> Option<Frame> {
        None
    }

    fn receive(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<(), ProtocolError> {
        match frame {
            Frame::Binary(update) => events.push(Event::Update(update)),
            other => {
                return Err(ProtocolError {
                    protocol: "broadcast",
                    reason: format!("a text of {} bytes", other.len()),
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
    fn an_update_is_the_frame_and_back() {
        let mut sent = Vec::new();
        Broadcast.send(0, vec![1, 2, 3], &mut sent);
        let mut received = Vec::new();
        for frame in sent {
            Broadcast.receive(frame, &mut received).unwrap();
        }
        assert_eq!(received, [Event::Update(vec![1, 2, 3].into())]);
    }

    #[test]
    fn text_is_not_part_of_it() {
        let error = Broadcast.receive(Frame::Text("hello".to_owned()), &mut Vec::new());
        assert!(error.unwrap_err().to_string().contains("text"));
    }
}
