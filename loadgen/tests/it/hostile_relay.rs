//! Tests of hostile relays: garbage, floods, closed connections, silence. A run
//! survives what a real client would survive, names the fault, and keeps its
//! measurements.

use std::time::Duration;

use crate::support::{RelayThread, play};
use futures_util::{SinkExt, StreamExt};
use syncbench_engines::{Engine, Export, Loro, VersionVector};
use syncbench_loadgen::load::LoadError;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::scenario::{Clients, ProtocolKind, RoomClass, Scenario, Workload};
use syncbench_reports::record::Status;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

/// The behaviour of a hostile relay towards each client.
#[derive(Debug, Clone, Copy)]
enum Habit {
    /// Sends meaningless bytes.
    Garbage,
    /// Sends meaningless bytes as fast as the client reads them.
    Flood,
    /// Sends an update without operations.
    Empty,
    /// Sends text.
    Chat,
    /// Asks for updates as a server of Yjs does, and ignores the answer.
    Yjs,
    /// Closes the connection as soon as the WebSocket is open.
    HangUp,
}

fn hostile(habit: Habit) -> RelayThread {
    RelayThread::serving(move |listener: TcpListener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, habit));
        }
    })
}

async fn serve(tcp: TcpStream, habit: Habit) {
    let Ok(mut socket) = accept_async(tcp).await else {
        return;
    };
    let garbage = Message::Binary(vec![0xA7; 300].into());
    match habit {
        Habit::HangUp => return,
        Habit::Garbage => drop(socket.send(garbage).await),
        Habit::Empty => {
            let everything = Export::Updates {
                since: &VersionVector::default(),
            };
            let update = Loro.replica(1).export(everything).unwrap();
            drop(socket.send(Message::Binary(update.into())).await);
        }
        Habit::Chat => drop(socket.send(Message::text("hello?")).await),
        Habit::Yjs => {
            let sync_step_1 = Message::Binary(vec![0, 0, 1, 0].into());
            drop(socket.send(sync_step_1).await);
        }
        Habit::Flood => while socket.send(garbage.clone()).await.is_ok() {},
    }
    while let Some(Ok(_)) = socket.next().await {}
}

fn run(habit: Habit, protocol: ProtocolKind) -> Result<Outcome, LoadError> {
    let relay = hostile(habit);
    play(Scenario {
        relay: relay.settings(protocol),
        rooms: vec![RoomClass { count: 2, size: 2 }],
        clients: Clients::new(4),
        workload: Workload::at_rate(40.0),
        duration: Duration::from_millis(500),
        drain_timeout: Duration::from_millis(300),
        ..Scenario::default()
    })
}

#[test]
fn a_relay_of_another_protocol_is_named_with_its_first_frame() {
    for (habit, first) in [
        (Habit::Garbage, "a binary frame of 300 bytes: a7 a7"),
        (Habit::Flood, "a binary frame of 300 bytes: a7 a7"),
        (Habit::Chat, "a text frame of 6 bytes: `hello?`"),
        (
            Habit::Yjs,
            "a binary frame of 4 bytes: 00 00 01 00 (a message of y-protocols (Yjs))",
        ),
    ] {
        let outcome = run(habit, ProtocolKind::Broadcast).unwrap();
        let verdict = outcome.verdict();
        assert_eq!(verdict.status, Status::Usage, "{habit:?}: {verdict:?}");
        assert_eq!(verdict.exit_code, 2);
        assert!(outcome.convergence.unexpected_frames >= 4, "{habit:?}");
        assert_eq!(outcome.convergence.corrupt, 0, "{habit:?}");
        assert_eq!(outcome.scheduled, 20, "{habit:?}");
        assert!(outcome.total.sent > 0, "{habit:?}");
        let reason = &verdict.reasons[0];
        assert!(reason.contains(first), "{reason}");
        assert!(reason.contains("--protocol"), "{reason}");
    }
}

#[test]
fn clients_back_off_from_a_relay_that_closes_every_connection() {
    let outcome = run(Habit::HangUp, ProtocolKind::Broadcast);
    match outcome {
        // If each client was caught up for a moment, the run begins.
        Ok(outcome) => {
            assert_ne!(outcome.verdict().status, Status::Ok);
            // In about 1.5 s, with waits of at least 0.05 s that grow.
            assert!(
                outcome.total.disconnects < 4 * 30,
                "{}",
                outcome.total.disconnects
            );
        }
        Err(error) => assert!(error.to_string().contains("clos"), "{error}"),
    }
}

#[test]
fn another_protocol_instead_of_a_join_is_named_before_the_run_begins() {
    let error = run(Habit::Yjs, ProtocolKind::Loro).err().unwrap();
    let message = error.to_string();
    for part in [
        "does it speak the loro protocol?",
        "00 00 01 00 (a message of y-protocols (Yjs))",
        "--protocol",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let LoadError::Connect(lost) = error else {
        panic!("{message}");
    };
    assert!(lost.is_other_protocol(), "{lost:?}");
}

#[test]
fn an_update_without_operations_is_no_duplicate() {
    let outcome = run(Habit::Empty, ProtocolKind::Broadcast).unwrap();
    let total = &outcome.total;
    let imports = total.import.histogram().len();
    assert!(imports > 0);
    assert_eq!((total.duplicated, total.corrupt), (0, 0));
}
