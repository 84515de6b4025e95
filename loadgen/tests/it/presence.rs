//! Presence is checked like edits: deliveries are counted, and what a relay
//! refuses or swallows is named.

use std::time::Duration;

use crate::support::{RelayThread, play};
use futures_util::{SinkExt, StreamExt};
use loro_protocol::{CrdtType, JoinErrorCode, ProtocolMessage, UpdateStatusCode, decode, encode};
use syncbench_loadgen::load::LoadError;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::relay::loro;
use syncbench_loadgen::scenario::{
    Clients, Mix, Presence, ProtocolKind, RelaySettings, RoomClass, Scenario, Workload,
};
use syncbench_reports::record::{Record, Run, Status};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};

/// Two rooms of three clients, who show themselves ten times in half a second.
fn scenario(relay: RelaySettings) -> Scenario {
    Scenario {
        relay,
        clients: Clients::new(6),
        rooms: vec![RoomClass { count: 2, size: 3 }],
        workload: Workload::at_rate(60.0),
        presence: Some(Presence {
            every: Duration::from_millis(50),
            bytes: 64,
        }),
        duration: Duration::from_millis(500),
        drain_timeout: Duration::from_secs(1),
        ..Scenario::default()
    }
}

fn record(outcome: &Outcome) -> Record {
    outcome.record(Run::default())
}

#[test]
fn every_message_arrives_at_every_other_client() {
    let relay = RelayThread::loro(loro::Config::default());
    let outcome = play(scenario(relay.settings(ProtocolKind::Loro))).unwrap();
    let record = record(&outcome);
    let counts = record.counts.unwrap();
    assert_eq!(counts.presence_sent + counts.presence_skipped, 60);
    assert_eq!(counts.presence_expected, 2 * counts.presence_sent);
    assert_eq!(counts.presence_visible, counts.presence_expected);
    assert_eq!(record.latency["presence"].count, counts.presence_visible);
    assert_eq!(counts.presence_refused, 0);
    assert!(counts.presence_sent > 0);
    assert_eq!(counts.visible, counts.expected);
}

#[test]
fn presence_in_a_mix_is_shown_to_the_others_too() {
    let relay = RelayThread::loro(loro::Config::default());
    let outcome = play(Scenario {
        presence: None,
        workload: Workload {
            mix: Some(Mix {
                text: 0.2,
                map: 0.2,
                list: 0.1,
                tree: 0.1,
                presence: 0.4,
                ..Mix::default()
            }),
            ..Workload::at_rate(300.0)
        },
        ..scenario(relay.settings(ProtocolKind::Loro))
    });
    let outcome = outcome.unwrap();
    let counts = record(&outcome).counts.unwrap();
    let edits = counts.scheduled;
    assert_eq!(edits + counts.presence_sent + counts.presence_skipped, 150);
    assert!(edits > 0 && counts.presence_sent > 0, "{counts:?}");
    assert_eq!(counts.presence_expected, 2 * counts.presence_sent);
    assert_eq!(counts.presence_visible, counts.presence_expected);
    assert_eq!(counts.visible, counts.expected);
    assert_eq!(outcome.convergence.converged, 2);
}

/// What a relay does to presence.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Habit {
    /// Refuses every message.
    Refuse,
    /// Accepts messages, and forwards none.
    Swallow,
    /// Refuses the join.
    RefuseJoin,
}

/// A relay with this habit, in front of the real one.
fn before(relay: &RelayThread, habit: Habit) -> RelayThread {
    let upstream = format!("ws://{}/", relay.address);
    RelayThread::serving(move |listener: TcpListener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, upstream.clone(), habit));
        }
    })
}

async fn serve(tcp: TcpStream, upstream: String, habit: Habit) {
    let Ok(client) = accept_async(tcp).await else {
        return;
    };
    let (relay, _) = connect_async(upstream).await.unwrap();
    let (mut to_client, mut from_client) = client.split();
    let (mut to_relay, mut from_relay) = relay.split();
    loop {
        tokio::select! {
            message = from_client.next() => {
                let Some(Ok(message)) = message else { return };
                match answer(&message, habit) {
                    Some(answer) => drop(to_client.send(answer).await),
                    None => drop(to_relay.send(message).await),
                }
            }
            message = from_relay.next() => {
                let Some(Ok(message)) = message else { return };
                let _ = to_client.send(message).await;
            }
        }
    }
}

/// The answer to a message that the real relay is not to get; `None` for all
/// others.
fn answer(message: &Message, habit: Habit) -> Option<Message> {
    let Message::Binary(frame) = message else {
        return None;
    };
    let answer = match (decode(frame).unwrap(), habit) {
        (
            ProtocolMessage::DocUpdate {
                crdt: crdt @ CrdtType::LoroEphemeralStore,
                room_id,
                batch_id: ref_id,
                ..
            },
            _,
        ) => ProtocolMessage::Ack {
            crdt,
            room_id,
            ref_id,
            status: match habit {
                Habit::Refuse => UpdateStatusCode::InvalidUpdate,
                Habit::Swallow | Habit::RefuseJoin => UpdateStatusCode::Ok,
            },
        },
        (
            ProtocolMessage::JoinRequest {
                crdt: crdt @ CrdtType::LoroEphemeralStore,
                room_id,
                ..
            },
            Habit::RefuseJoin,
        ) => ProtocolMessage::JoinError {
            crdt,
            room_id,
            code: JoinErrorCode::AuthFailed,
            message: "no cursors here".to_owned(),
            receiver_version: None,
            app_code: None,
        },
        _ => return None,
    };
    Some(Message::Binary(encode(&answer).unwrap().into()))
}

fn run_before(habit: Habit) -> Result<Outcome, LoadError> {
    let relay = RelayThread::loro(loro::Config::default());
    let before = before(&relay, habit);
    play(scenario(before.settings(ProtocolKind::Loro)))
}

#[test]
fn a_relay_that_refuses_presence_fails_the_run_with_its_reason() {
    let outcome = run_before(Habit::Refuse).unwrap();
    let record = record(&outcome);
    let counts = record.counts.unwrap();
    assert_eq!(counts.presence_refused, counts.presence_sent);
    assert_eq!(counts.presence_visible, 0);
    assert!(counts.presence_expected > 0);
    // A busy machine may make the measurement invalid besides.
    assert_ne!(record.verdict.status, Status::Ok);
    let reasons = record.verdict.reasons.join("\n");
    let refused = format!(
        "the relay refused {} presence messages: invalid update",
        counts.presence_refused
    );
    assert!(reasons.contains(&refused), "{reasons}");
    assert_eq!(counts.visible, counts.expected, "edits are not concerned");
}

#[test]
fn presence_that_never_arrives_is_missed() {
    let outcome = run_before(Habit::Swallow).unwrap();
    let record = record(&outcome);
    let counts = record.counts.unwrap();
    assert_eq!((counts.presence_refused, counts.presence_visible), (0, 0));
    assert_ne!(record.verdict.status, Status::Ok);
    let reasons = record.verdict.reasons.join("\n");
    let missed = format!(
        "{0} of {0} deliveries of presence never arrived",
        counts.presence_expected
    );
    assert!(reasons.contains(&missed), "{reasons}");
}

#[test]
fn a_relay_that_lets_nobody_show_presence_is_named_before_the_run() {
    let error = run_before(Habit::RefuseJoin).err().unwrap().to_string();
    assert!(error.contains("refused presence"), "{error}");
    assert!(error.contains("no cursors here"), "{error}");
    // Whoever shows none does not care.
    let relay = RelayThread::loro(loro::Config::default());
    let before = before(&relay, Habit::RefuseJoin);
    let outcome = play(Scenario {
        presence: None,
        ..scenario(before.settings(ProtocolKind::Loro))
    });
    assert_eq!(outcome.unwrap().convergence.converged, 2);
}
