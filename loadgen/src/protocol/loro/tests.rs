//! Tests of the client's state machine against hand-written bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn binary(digits: &str) -> Frame {
    Frame::Binary(hex::decode(digits.replace(' ', "")).unwrap().into())
}

fn received(session: &mut Loro, frame: Frame) -> Vec<Event> {
    let mut events = Vec::new();
    session.receive(frame, &mut events).unwrap();
    events
}

/// The magic bytes `%LOR` and the room `r`.
const LOR: &str = "254c4f52 0172";
/// The magic bytes `%EPH` and the room `r`.
const EPH: &str = "25455048 0172";

#[test]
fn it_opens_with_the_version_and_joins_the_presence_too() {
    let mut out = Vec::new();
    assert_eq!(
        Loro::new("r").open(vec![1, 2, 3], &mut out),
        JoinMode::Joining
    );
    assert_eq!(
        out,
        [
            binary(&format!("{LOR} 00 00 03 010203")),
            binary(&format!("{EPH} 00 00 00")),
        ]
    );
}

#[test]
fn its_joins_carry_the_credentials() {
    let mut out = Vec::new();
    let mut session = Loro::new("r").with_auth(vec![0xab, 0xcd]);
    session.open(vec![1, 2, 3], &mut out);
    assert_eq!(
        out,
        [
            binary(&format!("{LOR} 00 02 abcd 03 010203")),
            binary(&format!("{EPH} 00 02 abcd 00")),
        ]
    );
}

#[test]
fn an_update_carries_its_id_as_batch_id() {
    let mut out = Vec::new();
    Loro::new("r").send(0x0102, vec![0xaa, 0xbb], &mut out);
    assert_eq!(
        out,
        [binary(&format!("{LOR} 03 01 02 aabb 0000000000000102"))]
    );
}

#[test]
fn presence_is_a_store_with_one_key() {
    let Some(Frame::Binary(frame)) = Loro::new("r").presence("7", &[0xcc]) else {
        panic!("no frame");
    };
    let ProtocolMessage::DocUpdate {
        crdt,
        updates,
        batch_id,
        ..
    } = wire::decode(&frame).unwrap()
    else {
        panic!("no update");
    };
    assert_eq!(crdt, CrdtType::LoroEphemeralStore);
    assert_eq!(batch_id, BatchId(1_u64.to_be_bytes()));
    let store = loro::awareness::EphemeralStore::new(30_000);
    store.apply(&updates[0]).unwrap();
    assert_eq!(store.get("7"), Some(vec![0xcc_u8].into()));
    assert_eq!(store.keys(), ["7"]);
}

#[test]
fn every_frame_of_the_relay_yields_its_events() {
    let update = |byte: u8| Event::Update(vec![byte].into());
    let text = str::to_owned;
    let cases: &[(&str, Vec<Event>)] = &[
        (
            // "write", a version of two bytes, nothing extra
            "01 05 7772697465 02 0708 00",
            vec![Event::Joined {
                version: vec![7, 8],
            }],
        ),
        (
            // version_unknown, "old", a version
            "02 01 03 6f6c64 01 07",
            vec![Event::Refused(text("version unknown: old"))],
        ),
        (
            "03 02 01 0a 01 0b 0000000000000009",
            vec![update(10), update(11)],
        ),
        ("08 0000000000000102 00", vec![Event::Acknowledged(0x0102)]),
        (
            "08 0000000000000001 04",
            vec![Event::Rejected {
                id: 1,
                reason: text("invalid update"),
            }],
        ),
        (
            "06 02 03 627965",
            vec![Event::Evicted(text("evicted: bye"))],
        ),
    ];
    for (digits, events) in cases {
        let frame = binary(&format!("{LOR} {digits}"));
        assert_eq!(&received(&mut Loro::new("r"), frame), events, "{digits}");
    }
}

#[test]
fn presence_is_distinguished_from_the_document() {
    let mut session = Loro::new("r");
    let state = Loro::new("r").presence("7", &[10]).unwrap();
    let event = Event::Presence {
        key: "7".to_owned(),
        state: vec![10].into(),
    };
    assert_eq!(received(&mut session, state), [event]);
    let text = str::to_owned;
    for (digits, expected) in [
        ("08 0000000000000001 00", vec![]),
        (
            "08 0000000000000001 04",
            vec![Event::PresenceRejected(text("invalid update"))],
        ),
        ("01 05 7772697465 00 00", vec![Event::PresenceJoined]),
        (
            "02 02 02 6e6f",
            vec![Event::PresenceRefused(text(
                "authentication failed (--join-auth gives credentials): no",
            ))],
        ),
        (
            "06 02 03 627965",
            vec![Event::PresenceRefused(text("evicted: bye"))],
        ),
    ] {
        let frame = binary(&format!("{EPH} {digits}"));
        assert_eq!(received(&mut session, frame), expected, "{digits}");
    }
}

#[test]
fn pings_go_both_ways_as_text() {
    let mut session = Loro::new("r");
    let text = |text: &str| Frame::Text(text.to_owned());
    assert_eq!(session.keepalive(), text("ping"));
    assert_eq!(received(&mut session, text("pong")), [Event::Alive]);
    assert_eq!(
        received(&mut session, text("ping")),
        [Event::Answer(text("pong"))]
    );
}

#[test]
fn frames_that_no_relay_may_send_are_errors() {
    let damaged = [
        binary(&format!("{LOR} 09")),
        binary(&format!("{LOR} 03 01 02 aabb 00")), // half a batch id
        binary("254c4f53 0172 03 01 02 aabb 0000000000000001"), // a damaged magic
        binary("254c"),
        binary("254c4f52 0173 08 0000000000000001 00"), // another room
        binary("25594a53 0172 08 0000000000000001 00"), // of Yjs
        binary(&format!("{LOR} 05 0000000000000001 00 01 aa")), // unknown batch
        binary(&format!("{LOR} 04 0000000000000001 01 ffffffff7f")), // 32 GiB
        binary(&format!("{EPH} 03 01 02 aabb 0000000000000001")), // no store
    ];
    let unexpected = [
        binary(""),
        binary("00000000"),
        binary(&format!("{LOR} 03 01 02 aabb")), // no batch id, as in version 0
        binary(&format!("{LOR} 00 00 00")),      // a join
        Frame::Text("hello".to_owned()),
        Frame::Binary(vec![0; 262_145].into()),
    ];
    let damaged = damaged.into_iter().map(|frame| (frame, true));
    let unexpected = unexpected.into_iter().map(|frame| (frame, false));
    for (frame, is_damaged) in damaged.chain(unexpected) {
        let mut events = Vec::new();
        let error = Loro::new("r").receive(frame.clone(), &mut events);
        let error = error.expect_err(&format!("{frame:?} gave {events:?}"));
        let is_as_expected = match error {
            ProtocolError::Damaged { .. } => is_damaged,
            ProtocolError::Unexpected { frame: other, .. } => !is_damaged && other == frame,
        };
        assert!(is_as_expected, "{frame:?}");
    }
}

#[test]
fn a_new_session_forgets_fragments_of_the_last_one() {
    let mut session = Loro::new("r");
    let header = binary(&format!("{LOR} 04 0000000000000001 02 02"));
    assert_eq!(received(&mut session, header), []);
    session.open(Vec::new(), &mut Vec::new());
    let fragment = binary(&format!("{LOR} 05 0000000000000001 00 01 aa"));
    assert!(session.receive(fragment, &mut Vec::new()).is_err());
}

/// Sizes near the limits of frames and fragments, and far from them.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..2000_usize,
        262_100..262_160_usize,
        491_500..491_540_usize,
        0..2_000_000_usize,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn updates_of_any_size_arrive_whole_whatever_the_order_of_fragments(
        size in sizes(),
        seed in any::<u64>(),
        order in prop::collection::vec(any::<u16>(), 16),
    ) {
        let update: Bytes = (0..size as u64)
            .map(|at| (at.wrapping_mul(seed | 1) >> 7) as u8)
            .collect();
        let mut frames = Vec::new();
        Loro::new("r").send(seed, update.to_vec(), &mut frames);
        // The header stays the first.
        let mut fragments: Vec<_> = order.into_iter().zip(frames.split_off(1)).collect();
        fragments.sort_by_key(|(place, _)| *place);
        let shuffled = fragments.into_iter().map(|(_, fragment)| fragment);
        let mut receiver = Loro::new("r");
        let mut events = Vec::new();
        for frame in frames.into_iter().chain(shuffled) {
            let Frame::Binary(bytes) = &frame else { panic!("{frame:?}") };
            prop_assert!(bytes.len() <= 262_144);
            receiver.receive(frame, &mut events).unwrap();
        }
        prop_assert_eq!(events, vec![Event::Update(update)]);
    }
}
