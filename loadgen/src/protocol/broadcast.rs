//! `broadcast`: every binary frame is one update, nothing around it.

use bytes::Bytes;

use super::{Event, Protocol};

/// The session has no state.
#[derive(Debug)]
pub(super) struct Broadcast;

impl Protocol for Broadcast {
    fn send(&mut self, update: Vec<u8>) -> Bytes {
        update.into()
    }

    fn receive(&mut self, frame: Bytes) -> Event {
        Event::Update(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_the_frame_and_back() {
        let frame = Broadcast.send(vec![1, 2, 3]);
        assert_eq!(frame, Bytes::from_static(&[1, 2, 3]));
        assert_eq!(Broadcast.receive(frame.clone()), Event::Update(frame));
    }
}
