//! Tests of the `loro` relay over real sockets.

use crate::support::RelayThread;
use crate::support::peer::Peer;
use futures_util::SinkExt;
use loro_protocol::{BatchId, CrdtType, ProtocolMessage, UpdateStatusCode, encode};
use syncbench_engines::{Export, PeerId, VersionVector};
use syncbench_loadgen::net::network::Wire;
use syncbench_loadgen::protocol::Event;
use syncbench_loadgen::relay::HistoryKind;
use syncbench_loadgen::relay::loro::{self, Config};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

async fn peer(relay: &RelayThread, peer: PeerId) -> Peer<Wire> {
    Peer::new(relay.connect("ws").await, "r", peer)
}

async fn joined(relay: &RelayThread, id: PeerId) -> Peer<Wire> {
    let mut peer = peer(relay, id).await;
    peer.join().await;
    peer
}

/// Brings `peer` up to date with `writer`, and asserts that both are equal.
async fn assert_becomes_equal(peer: &mut Peer<Wire>, writer: &Peer<Wire>) {
    peer.catch_up(&writer.replica.version_vector()).await;
    assert_eq!(peer.replica.state_hash(), writer.replica.state_hash());
}

/// Makes text that does not compress.
fn noise(chars: usize) -> String {
    let mut state = 1_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + (state >> 40) as u8 % 90)
    };
    (0..chars).map(next).collect()
}

#[tokio::test]
async fn an_update_is_acknowledged_and_reaches_all_others() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (peer(&relay, 1).await, peer(&relay, 2).await);
    assert_eq!(a.join().await, VersionVector::new());
    b.join().await;
    a.type_and_wait("hello").await;
    assert_becomes_equal(&mut b, &a).await;
    b.type_and_wait(" world").await;
    assert_becomes_equal(&mut a, &b).await;
    assert_eq!(a.everything_before_pong().await, [], "no echo");
}

#[tokio::test]
async fn a_client_that_joins_an_empty_room_receives_the_document() {
    let relay = RelayThread::loro(Config::default());
    let mut a = joined(&relay, 1).await;
    a.type_and_wait("hello").await;
    a.socket.close(None).await.unwrap();
    let mut late = peer(&relay, 2).await;
    assert_eq!(late.join().await, a.replica.version_vector());
    assert_becomes_equal(&mut late, &a).await;
}

#[tokio::test]
async fn a_returning_client_receives_only_what_it_lacks() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    a.type_and_wait(&noise(10_000)).await;
    assert_becomes_equal(&mut b, &a).await;
    b.socket.close(None).await.unwrap();
    a.type_and_wait("more").await;
    let mut back = peer(&relay, 3).await;
    std::mem::swap(&mut back.replica, &mut b.replica);
    back.join().await;
    assert_becomes_equal(&mut back, &a).await;
    assert!(back.received < 1000, "{}", back.received);
}

#[tokio::test]
async fn large_updates_are_sent_in_fragments_both_ways() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    a.type_and_wait(&noise(600_000)).await;
    assert_becomes_equal(&mut b, &a).await;
    assert!(b.received > 600_000);
    let mut late = joined(&relay, 3).await;
    assert_becomes_equal(&mut late, &a).await;
    // From the base as well, which soon contains a log of this size.
    for _ in 0..3 {
        a.type_and_wait(&noise(600_000)).await;
    }
    let mut later = joined(&relay, 4).await;
    assert_becomes_equal(&mut later, &a).await;
}

#[tokio::test]
async fn clients_do_not_notice_compactions() {
    let config = Config {
        compact_updates: 5,
        ..Config::default()
    };
    let relay = RelayThread::loro(config);
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    for round in 0..40 {
        a.type_and_wait("a").await;
        b.type_and_wait("b").await;
        if round % 4 == 0 {
            let mut late = joined(&relay, 100 + round).await;
            late.catch_up(&a.replica.version_vector()).await;
        }
    }
    let everything = a.replica.version_vector();
    b.catch_up(&everything).await;
    assert_becomes_equal(&mut a, &b).await;
    assert_becomes_equal(&mut joined(&relay, 3).await, &a).await;
}

#[tokio::test]
async fn nothing_is_lost_or_overtaken_during_a_join() {
    let config = Config {
        compact_updates: 20,
        ..Config::default()
    };
    let relay = RelayThread::loro(config);
    let mut writer = joined(&relay, 1).await;
    // Enough for a base that takes some time to open.
    writer.type_and_wait(&noise(300_000)).await;
    let types = async {
        for _ in 0..400 {
            writer.type_and_wait("more").await;
        }
    };
    let join = async {
        let mut joiners = Vec::new();
        for id in 2..40 {
            // Every second joiner returns with the document of another.
            let mut joiner = peer(&relay, id).await;
            if let (0, Some(other)) = (id % 2, joiners.last_mut()) {
                let other: &mut Peer<Wire> = other;
                other.everything_before_pong().await;
                let part = other.replica.export(Export::Snapshot).unwrap();
                joiner.replica.import(&part).unwrap();
            }
            joiner.join().await;
            joiners.push(joiner);
        }
        joiners
    };
    let ((), joiners) = tokio::join!(types, join);
    for mut joiner in joiners {
        while joiner.replica.version_vector() != writer.replica.version_vector() {
            if let Event::Update(update) = joiner.event().await {
                let imported = joiner.replica.import(&update).unwrap();
                assert_eq!(imported.pending, [], "it overtook another");
            }
        }
    }
}

#[tokio::test]
async fn a_shallow_relay_refuses_a_client_that_was_away_too_long() {
    let config = Config {
        compact_updates: 5,
        history: HistoryKind::Shallow,
        ..Config::default()
    };
    let relay = RelayThread::loro(config);
    let (mut a, mut early) = (joined(&relay, 1).await, joined(&relay, 2).await);
    a.type_and_wait("first").await;
    assert_becomes_equal(&mut early, &a).await;
    early.socket.close(None).await.unwrap();
    for _ in 0..20 {
        a.type_and_wait("more").await;
        // A round trip of another client, so that due compactions end.
        joined(&relay, 5).await.everything_before_pong().await;
    }
    let mut back = peer(&relay, 3).await;
    std::mem::swap(&mut back.replica, &mut early.replica);
    back.ask_to_join().await;
    let Event::Refused(refusal) = back.event().await else {
        panic!("let in")
    };
    assert!(refusal.starts_with("version unknown"), "{refusal}");
    assert_becomes_equal(&mut joined(&relay, 4).await, &a).await;
}

#[tokio::test]
async fn damaged_updates_are_rejected_and_not_forwarded() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    let good = a.edit("hello");
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    let id = a.send(bad).await;
    let reason = "invalid update".to_owned();
    assert_eq!(a.event().await, Event::Rejected { id, reason });
    assert_eq!(b.everything_before_pong().await, []);
    let id = a.send(good).await;
    assert_eq!(a.event().await, Event::Acknowledged(id));
    assert_becomes_equal(&mut b, &a).await;
}

#[tokio::test]
async fn only_clients_in_the_room_may_write() {
    let relay = RelayThread::loro(Config::default());
    let mut a = peer(&relay, 1).await;
    let (first, second) = (a.edit("hello"), a.edit(&noise(300_000)));
    let reason = "permission denied".to_owned();
    for update in [first, second] {
        let id = a.send(update).await;
        let reason = reason.clone();
        assert_eq!(a.event().await, Event::Rejected { id, reason });
    }
    a.join().await;
    let leave = encode(&ProtocolMessage::Leave {
        crdt: CrdtType::Loro,
        room_id: "r".to_owned(),
    });
    let leave = Message::Binary(leave.unwrap().into());
    a.socket.send(leave).await.unwrap();
    let update = a.edit("!");
    let id = a.send(update).await;
    assert_eq!(a.event().await, Event::Rejected { id, reason });
}

#[tokio::test]
async fn presence_is_forwarded_and_not_kept() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    b.everything_before_pong().await;
    a.show_presence(b"at 7").await;
    let event = Event::Presence {
        key: "1".to_owned(),
        state: "at 7".into(),
    };
    assert_eq!(b.event().await, event);
    let mut late = joined(&relay, 3).await;
    assert_eq!(late.everything_before_pong().await, []);
    assert_eq!(a.everything_before_pong().await, [], "no echo");
}

#[tokio::test]
async fn an_update_that_arrives_early_waits_for_its_predecessor() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    let (first, second) = (a.edit("one "), a.edit("two"));
    let id = a.send(second).await;
    assert_eq!(a.event().await, Event::Acknowledged(id));
    let mut between = peer(&relay, 3).await;
    assert_eq!(between.join().await, VersionVector::new());
    for peer in [&mut b, &mut between] {
        let early = peer.everything_before_pong().await;
        assert!(matches!(early[..], [Event::Update(_)]), "{early:?}");
        assert!(peer.replica.has_pending());
    }
    a.send(first).await;
    assert_becomes_equal(&mut b, &a).await;
    assert_becomes_equal(&mut between, &a).await;
    let mut late = peer(&relay, 4).await;
    assert_eq!(late.join().await, a.replica.version_vector());
    assert_becomes_equal(&mut late, &a).await;
}

#[tokio::test]
async fn a_known_update_is_acknowledged_and_not_forwarded_again() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    let update = a.edit("once");
    for _ in 0..3 {
        let id = a.send(update.clone()).await;
        assert_eq!(a.event().await, Event::Acknowledged(id));
    }
    assert_eq!(b.everything_before_pong().await.len(), 1);
}

#[tokio::test]
async fn a_connection_may_be_in_many_rooms_which_stay_separate() {
    let relay = RelayThread::loro(Config::default());
    let (mut a, mut b) = (joined(&relay, 1).await, joined(&relay, 2).await);
    let join = |room: &str| {
        let join = ProtocolMessage::JoinRequest {
            crdt: CrdtType::Loro,
            room_id: room.to_owned(),
            auth: Vec::new(),
            version: Vec::new(),
        };
        Message::Binary(encode(&join).unwrap().into())
    };
    let update = a.edit("elsewhere");
    let update = encode(&ProtocolMessage::DocUpdate {
        crdt: CrdtType::Loro,
        room_id: "other".to_owned(),
        updates: vec![update],
        batch_id: BatchId([7; 8]),
    });
    let update = Message::Binary(update.unwrap().into());
    a.socket.send(join("other")).await.unwrap();
    a.message().await; // presence of the first room
    a.message().await;
    a.socket.send(update.clone()).await.unwrap();
    let ack = encode(&ProtocolMessage::Ack {
        crdt: CrdtType::Loro,
        room_id: "other".to_owned(),
        ref_id: BatchId([7; 8]),
        status: UpdateStatusCode::Ok,
    });
    assert_eq!(a.message().await, Message::Binary(ack.unwrap().into()));
    assert_eq!(b.everything_before_pong().await, []);
    // A joiner of the other room receives its history.
    let mut c = peer(&relay, 3).await;
    c.socket.send(join("other")).await.unwrap();
    c.message().await;
    let Message::Binary(backfill) = c.message().await else {
        panic!("no backfill")
    };
    assert!(backfill.starts_with(b"%LOR\x05other\x03"));
}

#[tokio::test]
async fn a_slow_reader_is_disconnected_and_does_not_delay_the_others() {
    let config = Config {
        queue_frames: 4,
        ..Config::default()
    };
    let relay = RelayThread::loro(config);
    let (mut writer, mut reader) = (joined(&relay, 1).await, joined(&relay, 2).await);
    let mut slow = joined(&relay, 3).await;
    // Far more than fits into the socket buffers of a client that does not read.
    for _ in 0..40 {
        writer.type_and_wait(&noise(800_000)).await;
        reader.catch_up(&writer.replica.version_vector()).await;
    }
    // If the close frame itself does not fit any more, the socket just ends.
    if let Some(close) = slow.goodbye().await {
        assert_eq!(close.code, CloseCode::Policy);
    }
}

#[tokio::test]
async fn garbage_closes_the_connection_with_a_reason() {
    let relay = RelayThread::loro(Config::default());
    for garbage in [&b"garbage"[..], b"", &[0xff; 300_000]] {
        let mut a = joined(&relay, 1).await;
        let garbage = Message::Binary(garbage.to_vec().into());
        a.socket.send(garbage).await.unwrap();
        let close = a.goodbye().await.unwrap();
        assert_eq!(close.code, CloseCode::Protocol);
        assert!(!close.reason.is_empty());
    }
}

#[tokio::test]
async fn an_update_above_the_limit_is_refused() {
    let config = Config {
        max_update_bytes: 300_000,
        ..Config::default()
    };
    let relay = RelayThread::loro(config);
    let mut a = joined(&relay, 1).await;
    let update = a.edit(&noise(400_000));
    let id = a.send(update).await;
    let reason = "payload too large".to_owned();
    assert_eq!(a.event().await, Event::Rejected { id, reason });
    assert_eq!(a.everything_before_pong().await, [], "one answer is enough");
}

#[tokio::test]
async fn the_relay_runs_over_streams_in_memory() {
    let (streams, listener) = tokio::sync::mpsc::channel(2);
    let relay = tokio::spawn(loro::run(
        listener,
        std::future::pending(),
        Config::default(),
    ));
    let mut peers = Vec::new();
    for id in 1..=2 {
        let (near, far) = tokio::io::duplex(4096);
        streams.send(far).await.unwrap();
        let (socket, _) = client_async("ws://relay/", near).await.unwrap();
        peers.push(Peer::new(socket, "r", id));
    }
    let [a, b] = &mut peers[..] else { panic!() };
    a.join().await;
    b.join().await;
    a.type_and_wait(&noise(300_000)).await;
    b.catch_up(&a.replica.version_vector()).await;
    assert_eq!(a.replica.state_hash(), b.replica.state_hash());
    relay.abort();
}
