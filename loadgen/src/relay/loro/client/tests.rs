//! Tests of timeouts, without a socket and without waiting.

use tokio::sync::mpsc;

use super::super::super::server::Queue;
use super::super::Config;
use super::*;

fn client() -> (Client, mpsc::Receiver<Outgoing>) {
    let (queue, queued, _) = Queue::new(64);
    let relay = Arc::new(Relay::new(Config::default()));
    (Client::new(relay, 1, queue), queued)
}

fn send(client: &mut Client, message: &ProtocolMessage) {
    let frame = wire::encode(message).unwrap();
    client.receive(Message::Binary(frame)).unwrap();
}

fn next_ack(queued: &mut mpsc::Receiver<Outgoing>) -> Status {
    loop {
        let Outgoing::One(Message::Binary(frame)) = queued.try_recv().unwrap() else {
            continue;
        };
        if let ProtocolMessage::Ack { status, .. } = wire::decode(&frame).unwrap() {
            return status;
        }
    }
}

#[test]
fn fragments_that_take_too_long_expire() {
    let (mut client, mut queued) = client();
    let (crdt, room_id, batch_id) = (CrdtType::Loro, "r".to_owned(), BatchId([1; 8]));
    let join = ProtocolMessage::JoinRequest {
        crdt,
        room_id: room_id.clone(),
        auth: Vec::new(),
        version: Vec::new(),
    };
    send(&mut client, &join);
    assert_eq!(client.deadline(), None);
    let header = ProtocolMessage::DocUpdateFragmentHeader {
        crdt,
        room_id: room_id.clone(),
        batch_id,
        fragment_count: 1,
        total_size_bytes: 3,
    };
    let fragment = ProtocolMessage::DocUpdateFragment {
        crdt,
        room_id,
        batch_id,
        index: 0,
        fragment: vec![1, 2, 3],
    };
    send(&mut client, &header);
    assert!(client.deadline().is_some());
    client.expire();
    assert_eq!(next_ack(&mut queued), Status::FragmentTimeout);
    assert_eq!(client.deadline(), None);
    // A late fragment is ignored: its batch was answered.
    send(&mut client, &fragment);
    assert!(queued.try_recv().is_err());
    // In time, the fragment completes an update, which is invalid.
    send(&mut client, &header);
    send(&mut client, &fragment);
    assert_eq!(next_ack(&mut queued), Status::InvalidUpdate);
    assert_eq!(client.deadline(), None);
}
