//! Tests of whole runs over real sockets: the verdict is right for a relay that
//! works, and for relays that are broken on purpose.

use std::time::Duration;

use crate::support::{Fault, RelayThread, play, play_until};
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::{ClientId, Plan};
use syncbench_loadgen::relay::{broadcast, loro};
use syncbench_loadgen::scenario::{
    Arrivals, Clients, LinkClass, LinkFault, LinkFaultKind, Phase, ProtocolKind, RelaySettings,
    RoomClass, Scenario, Workload,
};
use syncbench_loadgen::schedule::Schedule;
use syncbench_reports::record::{Signal, Status};

/// A short run that the machine sustains easily.
fn scenario(relay: &RelayThread) -> Scenario {
    Scenario {
        relay: relay.settings(ProtocolKind::Broadcast),
        clients: Clients::new(12),
        rooms: vec![RoomClass { count: 4, size: 3 }],
        workload: Workload::at_rate(200.0),
        duration: Duration::from_millis(500),
        workers: 2,
        ..Scenario::default()
    }
}

fn run(scenario: Scenario) -> Outcome {
    play(scenario).unwrap()
}

fn run_broken(fault: Fault) -> Outcome {
    let relay = RelayThread::broken(fault);
    // Frames that a broken relay has lost never arrive: a short wait suffices.
    let drain_timeout = Duration::from_secs(2);
    run(Scenario {
        drain_timeout,
        ..scenario(&relay)
    })
}

/// Asserts the parts of the verdict that do not depend on how busy the machine is.
fn assert_all_delivered(outcome: &Outcome) {
    let others = outcome.layout.clients / outcome.layout.rooms - 1;
    assert_eq!(outcome.expected, outcome.total.sent * others);
    assert_eq!(outcome.total.visible, outcome.expected);
    assert_eq!(
        outcome.convergence.converged, 4,
        "{:?}",
        outcome.convergence
    );
    assert_eq!(outcome.convergence.lost, 0);
    assert_eq!(outcome.convergence.corrupt, 0);
    assert_ne!(outcome.verdict().status, Status::NotConverged);
}

#[test]
fn every_edit_sent_becomes_visible_everywhere_else() {
    let relay = RelayThread::broadcast(broadcast::Config::default());
    for (arrivals, phase) in [
        (Arrivals::Constant, Phase::Spread),
        (Arrivals::Constant, Phase::Locked),
        (Arrivals::Poisson, Phase::Spread),
    ] {
        let mut scenario = scenario(&relay);
        scenario.workload.arrivals = arrivals;
        scenario.workload.phase = phase;
        let outcome = run(scenario.clone());
        assert_all_delivered(&outcome);
        assert_eq!(outcome.convergence.duplicated, 0);
        assert_eq!(
            outcome.total.propagation.histogram().len(),
            outcome.total.visible
        );
        assert_eq!(
            outcome.total.generator_lag.histogram().len(),
            outcome.total.sent
        );
        assert_eq!(outcome.total.connect.histogram().len(), 12);
        let plan = Plan::new(&scenario);
        let schedule = Schedule::new(&scenario, &plan, None, (0..12).map(ClientId));
        assert_eq!(outcome.scheduled, schedule.count() as u64);
    }
}

#[test]
fn the_parts_of_a_latency_are_no_longer_than_the_whole() {
    let relay = RelayThread::broadcast(broadcast::Config::default());
    let total = run(scenario(&relay)).total;
    let mean = |latency: &syncbench_loadgen::metrics::Latency| latency.histogram().mean();
    let parts = mean(&total.generator_lag)
        + mean(&total.edit)
        + mean(&total.transit)
        + mean(&total.client_queue);
    let whole = mean(&total.propagation);
    // All rooms have the same size, so means per edit and per delivery agree,
    // except for the width of a histogram bucket.
    assert!(parts < whole * 1.002, "{parts} of {whole}");
    assert!(
        whole < (parts + mean(&total.import)) * 1.5,
        "{whole} of {parts} and imports"
    );
}

#[test]
fn a_lost_frame_is_found_and_named() {
    let outcome = run_broken(Fault::Drop(30));
    assert_eq!(outcome.verdict().status, Status::NotConverged);
    assert_eq!(outcome.verdict().exit_code, 6);
    assert_eq!(outcome.convergence.converged, 3);
    assert_eq!(outcome.convergence.lost, 1);
    let failure = &outcome.convergence.failures[0];
    assert_eq!(failure.replicas.len(), 1, "{failure:?}");
    assert!(!failure.missing.is_empty(), "{failure:?}");
}

#[test]
fn duplicates_and_echoes_are_counted_and_harmless() {
    for fault in [Fault::Duplicate, Fault::Echo] {
        let outcome = run_broken(fault);
        assert_all_delivered(&outcome);
        let expected = match fault {
            Fault::Echo => outcome.total.sent,
            _ => outcome.expected,
        };
        assert_eq!(outcome.convergence.duplicated, expected, "{fault:?}");
    }
}

#[test]
fn an_update_of_another_room_is_a_leak() {
    let outcome = run_broken(Fault::CrossRooms(30));
    assert_eq!(outcome.verdict().status, Status::NotConverged);
    assert_eq!(
        outcome.convergence.converged, 1,
        "{:?}",
        outcome.convergence
    );
    assert!(outcome.convergence.leaked >= 9, "{:?}", outcome.convergence);
    let reasons = outcome.verdict().reasons.join("\n");
    assert!(reasons.contains("leaked from another room"), "{reasons}");
}

#[test]
fn damaged_frames_count_as_corrupt_and_their_edits_as_lost() {
    for fault in [Fault::Corrupt(30), Fault::Truncate(30)] {
        let outcome = run_broken(fault);
        assert_eq!(outcome.convergence.corrupt, 2, "{fault:?}");
        assert_eq!(outcome.convergence.unexpected_frames, 0, "{fault:?}");
        assert_eq!(outcome.convergence.lost, 2, "{fault:?}");
        assert_eq!(outcome.verdict().status, Status::NotConverged);
    }
}

#[test]
fn greetings_and_heartbeats_are_counted_and_harmless() {
    let outcome = run_broken(Fault::Chatter);
    assert_all_delivered(&outcome);
    assert_ne!(outcome.verdict().status, Status::Usage);
    let frames = outcome.convergence.unexpected_frames;
    assert_eq!(frames, 2 * 12 + outcome.total.visible);
    assert!(
        outcome.total.errors.is_empty(),
        "{:?}",
        outcome.total.errors
    );
    let reasons = outcome.verdict().reasons.join("\n");
    assert!(
        reasons.contains(r#"`{"type":"welcome` … (JSON)"#),
        "{reasons}"
    );
}

#[test]
fn a_client_whose_connection_the_relay_closes_is_named() {
    let outcome = run_broken(Fault::HangUp(30));
    assert_eq!(outcome.course.lost_connections.len(), 1);
    // The client reconnects immediately: whether it missed something depends on
    // the others' edits meanwhile.
    assert_ne!(outcome.verdict().status, Status::Ok);
    let reasons = outcome.verdict().reasons.join("\n");
    assert!(
        reasons.contains(&outcome.course.lost_connections[0].client),
        "{reasons}"
    );
}

#[test]
fn an_interrupted_run_keeps_its_measurements() {
    let relay = RelayThread::broadcast(broadcast::Config::default());
    let scenario = Scenario {
        duration: Duration::from_secs(3600),
        ..scenario(&relay)
    };
    let outcome = play_until(scenario, ctrl_c_after(700)).unwrap();
    assert_all_delivered(&outcome);
    assert!(outcome.total.sent > 0);
    assert!(outcome.scheduled < 3600 * 200);
    let verdict = outcome.verdict();
    assert_eq!(
        (verdict.status, verdict.exit_code),
        (Status::Interrupted, 130)
    );
    let reasons = verdict.reasons.join("\n");
    assert!(reasons.contains("interrupted by SIGINT after"), "{reasons}");
}

/// Completes with a Ctrl-C after so many milliseconds.
async fn ctrl_c_after(millis: u64) -> Signal {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Signal::Interrupt
}

/// What a relay holds back when the user ends the run is not lost.
#[test]
fn an_interrupted_run_does_not_wait_for_a_relay_that_holds_back() {
    let (relay, stall) = RelayThread::stalling(broadcast::Config::default());
    let scenario = Scenario {
        duration: Duration::from_secs(3600),
        drain_timeout: Duration::from_secs(3600),
        ..scenario(&relay)
    };
    let interrupt = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stall.send(Duration::from_secs(3)).unwrap();
        ctrl_c_after(500).await
    };
    let outcome = play_until(scenario, interrupt).unwrap();
    assert!(outcome.total.visible < outcome.expected);
    let convergence = &outcome.convergence;
    assert!(convergence.rooms < outcome.layout.rooms, "{convergence:?}");
    assert_eq!(
        (convergence.lost, convergence.rooms),
        (0, convergence.converged)
    );
    let verdict = outcome.verdict();
    assert_eq!(verdict.status, Status::Interrupted);
    let reasons = verdict.reasons.join("\n");
    assert!(reasons.contains("still on their way"), "{reasons}");
}

#[test]
fn an_interrupted_run_does_not_wait_for_absent_or_late_clients() {
    let relay = RelayThread::loro(loro::Config::default());
    let long = Scenario {
        relay: relay.settings(ProtocolKind::Loro),
        duration: Duration::from_secs(3600),
        ..scenario(&relay)
    };
    let offline = LinkFault {
        kind: LinkFaultKind::Offline,
        at: Some(Duration::from_millis(200)),
        every: None,
        lasting: Duration::from_secs(1800),
    };
    // The first late client would arrive after a quarter of an hour.
    let mut with_latecomers = long.clone();
    with_latecomers.clients.late = 3;
    let away = Scenario {
        links: vec![LinkClass {
            name: "train".to_owned(),
            share: 0.5,
            faults: vec![offline],
            ..LinkClass::default()
        }],
        // The relay remembers the first run.
        run_id: "second".parse().unwrap(),
        ..long
    };
    for scenario in [with_latecomers, away] {
        let early = ctrl_c_after(500);
        let ended = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            ended
                .0
                .send(play_until(scenario, early).map(Box::new))
                .is_ok()
        });
        let run = ended.1.recv_timeout(Duration::from_secs(60));
        let outcome = run.expect("the run ends").unwrap();
        // A busy machine may not bring the absent ones up to date in time.
        let convergence = &outcome.convergence;
        assert_eq!(convergence.lost, 0);
        assert_eq!(convergence.rooms, convergence.converged);
        assert_eq!(outcome.verdict().status, Status::Interrupted);
    }
}

#[test]
fn a_closed_port_and_a_server_without_websockets_are_distinguished() {
    let refused = Scenario {
        relay: RelaySettings::at("ws://127.0.0.1:1".parse().unwrap()),
        ..Scenario::default()
    };
    let error = play(refused).err().unwrap().to_string();
    assert!(
        error.contains("cannot connect to ws://127.0.0.1:1/"),
        "{error}"
    );

    let http = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in http.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let relay = RelaySettings::at(format!("ws://{address}").parse().unwrap());
    let scenario = Scenario {
        relay,
        ..Scenario::default()
    };
    let error = play(scenario).err().unwrap().to_string();
    assert!(
        error.contains("the relay refused the connection with HTTP 404"),
        "{error}"
    );
}
