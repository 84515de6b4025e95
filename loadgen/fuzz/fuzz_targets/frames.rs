//! A session takes any frames from a relay: it never panics, and what it passes
//! on or refuses is named.
//!
//! Run it with `cargo fuzz run frames corpus/frames seeds/frames` in
//! `loadgen/fuzz`.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use syncbench_engines::{Engine, Loro};
use syncbench_loadgen::protocol::recognise::{description, recognised};
use syncbench_loadgen::protocol::{Event, Frame, ProtocolKind, session};

fuzz_target!(|messages: Vec<(bool, Vec<u8>)>| {
    for kind in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        let mut session = session(kind, "room-0", Loro.export_magic(), Vec::new());
        session.open(Vec::new(), &mut Vec::new());
        let mut events = Vec::new();
        for (is_text, bytes) in &messages {
            let frame = match is_text {
                true => Frame::Text(String::from_utf8_lossy(bytes).into_owned()),
                false => Frame::Binary(Bytes::copy_from_slice(bytes)),
            };
            assert!(!description(&frame).is_empty() && !recognised(&frame).is_empty());
            if let Err(error) = session.receive(frame, &mut events) {
                assert!(!error.to_string().is_empty());
            }
        }
        for event in events {
            if let Event::Update(update) = event {
                let _ = Loro.ranges_of(&update);
            }
        }
    }
});
