//! Tests of runs that are not alone on their relay: with other runs, after
//! earlier ones, and among people.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use syncbench_engines::{Engine, Export, Loro, OpRange, PeerId};
use syncbench_loadgen::load::LoadError;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::{ClientId, Identity, Plan, RoomIndex};
use syncbench_loadgen::protocol::Frame;
use syncbench_loadgen::relay::{broadcast, loro};
use syncbench_loadgen::room::meter::Meter;
use syncbench_loadgen::room::{Room, RoomContext, convergence};
use syncbench_loadgen::scenario::{
    Clients, ProtocolKind, ReplicaKind, RoomClass, Scenario, Workload,
};
use syncbench_loadgen::time::clock::{Clock, TimeSource};
use syncbench_reports::record::{Convergence, Status};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::sleep;
use tokio_tungstenite::client_async;

use crate::simulated::pipes::Pipes;
use crate::simulated::{Run, in_virtual_time, play_watched, trace};
use crate::support::peer::Peer;
use crate::support::{RelayThread, play};
use crate::turns::{Kind, Turn};

/// A person's peer id.
const PERSON: PeerId = 0x0123_4567_89AB_CDEF;

fn scenario() -> Scenario {
    Scenario {
        rooms: vec![RoomClass { count: 2, size: 3 }],
        clients: Clients::new(6),
        workload: Workload::at_rate(100.0),
        duration: Duration::from_millis(500),
        workers: 1,
        ..Scenario::default()
    }
}

fn on_relay(relay: &RelayThread, protocol: ProtocolKind, run_id: &str) -> Scenario {
    Scenario {
        relay: relay.settings(protocol),
        run_id: run_id.parse().unwrap(),
        ..scenario()
    }
}

fn assert_alone(outcome: &Outcome) {
    assert_eq!(outcome.convergence.converged, 2, "{:?}", outcome.verdict());
    assert_eq!(outcome.total.visible, outcome.expected);
    assert_eq!((outcome.total.leaked, outcome.total.foreign), (0, 0));
    assert_ne!(outcome.verdict().status, Status::NotConverged);
}

#[test]
fn two_runs_at_once_on_one_relay_do_not_meet() {
    for protocol in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        let relay = match protocol {
            ProtocolKind::Broadcast => RelayThread::broadcast(broadcast::Config::default()),
            ProtocolKind::Loro => RelayThread::loro(loro::Config::default()),
        };
        let [one, other] = ["one", "other"].map(|id| on_relay(&relay, protocol, id));
        let other = std::thread::spawn(move || play(other).map(Box::new));
        let outcomes = [Box::new(play(one).unwrap()), other.join().unwrap().unwrap()];
        outcomes.iter().for_each(|outcome| assert_alone(outcome));
        let [one, other] = outcomes.map(|outcome| outcome.fingerprint);
        assert!(one.is_some() && one == other, "the same schedule");
    }
}

#[test]
fn a_relay_that_remembers_can_be_met_again() {
    let relay = RelayThread::loro(loro::Config::default());
    for (run_id, replica) in [
        ("first", ReplicaKind::Full),
        ("second", ReplicaKind::Full),
        ("third", ReplicaKind::Light),
    ] {
        let mut scenario = on_relay(&relay, ProtocolKind::Loro, run_id);
        scenario.clients.replica = replica;
        assert_alone(&play(scenario).unwrap());
    }
}

#[test]
fn a_run_id_cannot_be_used_again_on_a_relay_that_remembers() {
    let relay = RelayThread::loro(loro::Config::default());
    let run = || play(on_relay(&relay, ProtocolKind::Loro, "again"));
    assert_alone(&run().unwrap());
    let error = run().err().unwrap();
    assert!(matches!(error, LoadError::Connect(_)), "{error}");
    assert!(error.to_string().contains("--run-id"), "{error}");
}

/// Lets a person type in the first room of a run, from its first edit on.
fn run_with_a_person(protocol: ProtocolKind) -> Run {
    let _turn = Turn::take(Kind::VirtualTime);
    let mut scenario = scenario();
    scenario.relay.protocol = protocol;
    let room = Identity::new(&scenario).room_name(RoomIndex(0));
    in_virtual_time(async {
        let pipes = Pipes::to_relay(protocol);
        let (begun, begins) = oneshot::channel();
        let typing = {
            let pipes = Rc::clone(&pipes);
            spawn_local(async move {
                begins.await.unwrap();
                type_ten_words(&pipes, protocol, &room).await;
            })
        };
        let begun = || begun.send(()).unwrap();
        let plan = Plan::new(&scenario);
        let run = play_watched(scenario, plan, pipes, begun).await;
        typing.await.unwrap();
        run
    })
}

async fn type_ten_words(pipes: &Pipes, protocol: ProtocolKind, room: &str) {
    let stream = pipes.connect().await.unwrap();
    let (socket, _) = client_async(format!("ws://relay/{room}"), stream)
        .await
        .unwrap();
    let mut person = Peer::speaking(protocol, socket, room, PERSON);
    if protocol == ProtocolKind::Loro {
        person.join().await;
    }
    for _ in 0..10 {
        let update = person.edit("word ");
        person.send(update).await;
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_person_who_types_in_a_room_is_foreign_and_does_no_harm() {
    for protocol in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        let Run { outcome, truth } = run_with_a_person(protocol);
        let convergence = &outcome.convergence;
        assert_eq!(convergence.converged, 2, "{convergence:?}");
        assert_eq!((convergence.leaked, convergence.lost), (0, 0));
        // Each update at the three clients of the room.
        assert_eq!(convergence.foreign, 30, "{protocol:?}");
        assert_eq!(convergence.foreign_operations, 50);
        let [person] = &convergence.strangers[..] else {
            panic!("{convergence:?}");
        };
        assert_eq!(person.peer, PERSON.to_string());
        assert!(person.room.ends_with("-0"), "{person:?}");
        assert_eq!(outcome.verdict().status, Status::Ok);
        truth.agreement().unwrap();
    }
}

/// The first of two rooms with three clients each, all of them live, and the
/// identity of the run.
fn live_room() -> (Room, Identity) {
    let scenario = scenario();
    let identity = Identity::new(&scenario);
    let context = RoomContext {
        plan: Plan::new(&scenario).into(),
        scenario: scenario.into(),
        identity: identity.clone(),
        trace: trace(),
        engine: &Loro,
        initial_document: None,
        stage_ends: Vec::new(),
        rooms: vec![RoomIndex(0), RoomIndex(1)],
        verified: Rc::default(),
    };
    let clock = Clock::starting_in(TimeSource::Monotonic, 0);
    let mut room = Room::new(&context.into(), &Meter::new(clock).into(), RoomIndex(0));
    for slot in 0..3 {
        room.arrive(slot, 0).unwrap();
        room.begin_session(slot).unwrap();
    }
    (room, identity)
}

/// What a peer sends that types `text`, from its operation `from` on.
fn typed(peer: PeerId, text: &str, from: u32) -> Frame {
    let mut replica = Loro.replica(peer);
    replica.splice(0, 0, text).unwrap();
    replica.commit();
    let counters = from..replica.own_counter();
    let update = replica.export(Export::Range(OpRange { peer, counters }));
    Frame::Binary(Bytes::from(update.unwrap()))
}

/// Hands `frame` to the client in `slot`, which imports what it brings.
fn receive(room: &mut Room, slot: usize, frame: Frame) {
    room.receive(slot, frame);
    while room.import_next(slot) {}
}

fn check(room: &Room) -> Convergence {
    let mut convergence = Convergence::default();
    convergence::check(room, &mut convergence);
    convergence
}

#[test]
fn replicas_may_differ_in_what_strangers_sent() {
    let (mut room, _) = live_room();
    receive(&mut room, 0, typed(PERSON, "hello", 0));
    // Only the others have the same operations.
    let convergence = check(&room);
    assert_eq!((convergence.converged, convergence.compared), (1, 2));
    assert_eq!(convergence.foreign_operations, 5);
    assert_eq!(convergence.strangers[0].peer, PERSON.to_string());
}

#[test]
fn what_waits_for_a_stranger_does_not_fail_the_run() {
    let (mut room, _) = live_room();
    receive(&mut room, 1, typed(PERSON, "hello", 3));
    let convergence = check(&room);
    assert_eq!(convergence.converged, 1, "{convergence:?}");
    assert_eq!(convergence.strangers.len(), 1);
}

#[test]
fn documents_are_compared_in_a_room_with_strangers_too() {
    let (mut room, _) = live_room();
    for (slot, text) in ["one", "one", "two"].into_iter().enumerate() {
        receive(&mut room, slot, typed(PERSON, text, 0));
    }
    let convergence = check(&room);
    assert_eq!((convergence.converged, convergence.compared), (0, 3));
    let failure = &convergence.failures[0];
    assert!(
        failure.reason.contains("show another document"),
        "{failure:?}"
    );
    assert_eq!(failure.replicas.len(), 1);
}

#[test]
fn operations_of_another_room_of_the_run_are_leaked_and_not_foreign() {
    let (mut room, identity) = live_room();
    // Clients alternate between the two rooms.
    receive(
        &mut room,
        0,
        typed(identity.peer_of(ClientId(1)), "hello", 0),
    );
    let convergence = check(&room);
    assert_eq!(
        (convergence.converged, convergence.foreign_operations),
        (0, 0)
    );
    let reason = &convergence.failures[0].reason;
    assert!(reason.contains("of another room"), "{reason}");
}

#[test]
fn operations_that_a_client_of_the_room_never_made_are_found() {
    let (mut room, identity) = live_room();
    for slot in 0..3 {
        receive(
            &mut room,
            slot,
            typed(identity.peer_of(ClientId(0)), "hello", 0),
        );
    }
    let reason = &check(&room).failures[0].reason;
    assert!(
        reason.contains("another run with this --run-id"),
        "{reason}"
    );
}
