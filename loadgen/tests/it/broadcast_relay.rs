//! Tests of the `broadcast` relay over real sockets.

use std::time::Duration;

use crate::support::RelayThread;
use futures_util::{SinkExt, StreamExt};
use syncbench_loadgen::client::connection::Socket;
use syncbench_loadgen::relay::broadcast::Config;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

async fn join(relay: &RelayThread, room: &str) -> Socket {
    relay.connect(room).await
}

fn binary(byte: u8) -> Message {
    Message::Binary(vec![byte; 100].into())
}

async fn next(socket: &mut Socket) -> Message {
    timeout(Duration::from_secs(10), socket.next())
        .await
        .expect("a frame")
        .unwrap()
        .unwrap()
}

/// Returns whether the next frame from the relay is the answer to a ping, so that
/// nothing was forwarded before.
async fn receives_nothing(socket: &mut Socket) -> bool {
    socket.send(Message::Ping(vec![1].into())).await.unwrap();
    matches!(next(socket).await, Message::Pong(_))
}

#[tokio::test]
async fn frames_reach_all_others_in_the_room_in_order() {
    let relay = RelayThread::broadcast(Config::default());
    let (mut a, mut b, mut c) = (
        join(&relay, "r").await,
        join(&relay, "r").await,
        join(&relay, "r").await,
    );
    let mut elsewhere = join(&relay, "other").await;
    for byte in 0..50 {
        a.send(binary(byte)).await.unwrap();
    }
    for byte in 0..50 {
        assert_eq!(next(&mut b).await, binary(byte));
        assert_eq!(next(&mut c).await, binary(byte));
    }
    assert!(receives_nothing(&mut a).await, "no echo");
    assert!(receives_nothing(&mut elsewhere).await, "no leak");
}

#[tokio::test]
async fn text_is_not_forwarded_and_late_joiners_receive_nothing_earlier() {
    let relay = RelayThread::broadcast(Config::default());
    let (mut a, mut b) = (join(&relay, "r").await, join(&relay, "r").await);
    a.send(Message::Text("hello".into())).await.unwrap();
    a.send(binary(1)).await.unwrap();
    assert_eq!(next(&mut b).await, binary(1));
    let mut late = join(&relay, "r").await;
    assert!(receives_nothing(&mut late).await);
    a.send(binary(2)).await.unwrap();
    assert_eq!(next(&mut late).await, binary(2));
}

#[tokio::test]
async fn a_slow_reader_is_disconnected_and_does_not_delay_the_others() {
    let relay = RelayThread::broadcast(Config { queue_frames: 4 });
    let (mut writer, mut reader) = (join(&relay, "r").await, join(&relay, "r").await);
    let mut slow = join(&relay, "r").await;
    let large = Message::Binary(vec![7; 1 << 20].into());
    // Far more than fits into the socket buffers of a client that does not read.
    for _ in 0..64 {
        writer.send(large.clone()).await.unwrap();
        assert_eq!(next(&mut reader).await, large);
    }
    let mut received = 0;
    let last = loop {
        match slow.next().await {
            Some(Ok(Message::Binary(_))) => received += 1,
            other => break other,
        }
    };
    assert!(received < 64, "{received}");
    // If the close frame itself does not fit any more, the socket just ends.
    if let Some(Ok(Message::Close(Some(close)))) = last {
        assert_eq!(close.code, CloseCode::Policy);
    }
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_does_not_affect_the_others() {
    let relay = RelayThread::broadcast(Config::default());
    let mut garbage = tokio::net::TcpStream::connect(relay.address).await.unwrap();
    garbage.write_all(&[0xff; 4096]).await.unwrap();
    let (mut a, mut b) = (join(&relay, "r").await, join(&relay, "r").await);
    a.send(binary(1)).await.unwrap();
    assert_eq!(next(&mut b).await, binary(1));
}

#[tokio::test]
async fn shutdown_closes_all_connections_in_order() {
    let relay = RelayThread::broadcast(Config::default());
    let mut a = join(&relay, "r").await;
    tokio::task::spawn_blocking(move || drop(relay))
        .await
        .unwrap();
    let Message::Close(Some(close)) = next(&mut a).await else {
        panic!("no close frame")
    };
    assert_eq!(close.code, CloseCode::Away);
}
