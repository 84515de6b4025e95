//! Tests of whole runs in virtual time: thousands of them, each drawn by a seed.
//!
//! `SYNCBENCH_SEEDS` sets the number of seeds for each property, and
//! `SYNCBENCH_SEED` selects a single one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use std::time::Duration;

use crate::simulated::chance::{self, Weather};
use crate::simulated::distance::{Disturbance, play_at_a_distance};
use crate::simulated::pipes::Pipes;
use crate::simulated::{Run, in_virtual_time, play};
use syncbench_loadgen::plan::Plan;
use syncbench_loadgen::scenario::{
    Clients, LinkClass, ProtocolKind, RelaySettings, RoomClass, Scenario, Workload,
};
use syncbench_reports::record::Status;
use tokio::time::timeout;

use crate::turns::{Kind, Turn};

/// The number of seeds, with which the suite takes less than half a minute in the dev
/// profile.
const SEEDS: u64 = 100;

/// The limit on a run in virtual time, longer than any timeout in it.
const LONGEST: Duration = Duration::from_secs(120);

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap())
}

/// Checks `property` for the scenarios of all seeds.
fn for_all_seeds(protocol: ProtocolKind, weather: Weather, property: impl Fn(&Scenario)) {
    for_some_seeds(1, protocol, weather, property);
}

/// Checks `property` for one in `one_in` seeds.
fn for_some_seeds(
    one_in: u64,
    protocol: ProtocolKind,
    weather: Weather,
    property: impl Fn(&Scenario),
) {
    let _turn = Turn::take(Kind::VirtualTime);
    let seeds = match number("SYNCBENCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SYNCBENCH_SEEDS").unwrap_or(SEEDS) / one_in,
    };
    let fails = |seed: &u64| {
        let scenario = chance::scenario(protocol, weather, *seed);
        scenario.validate().unwrap();
        let checked = catch_unwind(AssertUnwindSafe(|| property(&scenario)));
        if checked.is_err() {
            eprintln!("SYNCBENCH_SEED={seed} {scenario:?}");
        }
        checked.is_err()
    };
    let failing: Vec<u64> = seeds.filter(fails).collect();
    assert!(failing.is_empty(), "failing seeds: {failing:?}");
}

fn run(scenario: &Scenario) -> Run {
    let run = in_virtual_time(async {
        let network = Pipes::to_relay(scenario.relay.protocol);
        let run = play(scenario.clone(), Plan::new(scenario), network);
        timeout(LONGEST, run).await.expect("the run ends")
    });
    assert_adds_up(&run);
    run
}

fn assert_adds_up(Run { outcome, .. }: &Run) {
    let total = &outcome.total;
    assert!(total.sent <= outcome.scheduled);
    assert!(total.visible <= outcome.expected);
    assert_eq!(outcome.course.engine_error, None);
    assert_eq!(outcome.unsent, 0, "no edit is late in virtual time");
    assert_eq!(outcome.convergence.corrupt, 0, "{:?}", total.errors);
    assert_eq!(outcome.convergence.leaked, 0);
    assert_eq!(outcome.convergence.unexpected_frames, 0);
    assert_eq!(
        total.skipped, total.skipped_joining,
        "there is always something to do"
    );
}

fn assert_converged(Run { outcome, truth }: &Run) {
    let verdict = outcome.verdict();
    assert_ne!(
        verdict.status,
        Status::NotConverged,
        "{verdict:?}\n{:?}",
        outcome.convergence
    );
    assert_eq!(outcome.convergence.converged, outcome.convergence.rooms);
    assert_eq!(outcome.expected, outcome.total.visible);
    truth.agreement().unwrap();
}

/// Asserts that all replicas agree, or that the verdict says that they do not.
fn assert_honest(Run { outcome, truth }: &Run) {
    match outcome.verdict().status {
        Status::NotConverged => assert!(!outcome.convergence.failures.is_empty()),
        _ => truth.agreement().unwrap(),
    }
}

#[test]
fn behind_slow_links_every_edit_becomes_visible_everywhere() {
    for protocol in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        for_all_seeds(protocol, Weather::Fair, |scenario| {
            let run = run(scenario);
            assert_converged(&run);
            let expected = match run.outcome.expected {
                // So short that nobody edits.
                0 => Status::Invalid,
                _ => Status::Ok,
            };
            assert_eq!(
                run.outcome.verdict().status,
                expected,
                "{:?}",
                run.outcome.verdict()
            );
        });
    }
}

#[test]
fn a_relay_with_a_history_loses_nothing_whatever_the_links_do() {
    for_all_seeds(ProtocolKind::Loro, Weather::Foul, |scenario| {
        assert_converged(&run(scenario));
    });
}

#[test]
fn a_relay_without_a_history_is_never_wrongly_reported_as_converged() {
    for_all_seeds(ProtocolKind::Broadcast, Weather::Foul, |scenario| {
        assert_honest(&run(scenario));
    });
}

#[test]
fn edits_of_clients_that_wait_for_the_document_are_counted_apart() {
    let _turn = Turn::take(Kind::VirtualTime);
    let slow = LinkClass {
        name: "slow".to_owned(),
        delay: Duration::from_millis(100),
        share: 1.0,
        ..LinkClass::default()
    };
    let scenario = Scenario {
        relay: RelaySettings {
            protocol: ProtocolKind::Loro,
            ..RelaySettings::default()
        },
        rooms: vec![RoomClass { count: 1, size: 2 }],
        clients: Clients {
            late: 2,
            ..Clients::new(2)
        },
        links: vec![slow],
        workload: Workload::at_rate(100.0),
        duration: Duration::from_secs(1),
        workers: 1,
        ..Scenario::default()
    };
    let Run { outcome, .. } = run(&scenario);
    assert!(outcome.total.skipped_joining > 10, "{:?}", outcome.total);
    let verdict = outcome.verdict();
    assert_eq!(verdict.status, Status::Invalid);
    let reasons = verdict.reasons.join("\n");
    assert!(
        reasons.contains("did not have the document yet"),
        "{reasons}"
    );
}

/// The share of seeds for runs on turmoil, which is slow: one in this number.
const ONE_IN_ON_TURMOIL: u64 = 10;

#[test]
fn delayed_segments_are_not_lost() {
    for protocol in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        for_some_seeds(ONE_IN_ON_TURMOIL, protocol, Weather::Fair, |scenario| {
            let run = play_at_a_distance(scenario, Disturbance::Hold, 3);
            assert_adds_up(&run);
            assert_converged(&run);
        });
    }
}

#[test]
fn clients_reconnect_to_a_relay_with_a_history_after_a_partition() {
    for_some_seeds(
        ONE_IN_ON_TURMOIL,
        ProtocolKind::Loro,
        Weather::Fair,
        |scenario| {
            // No one is notified that the connection is dead. Finding out takes
            // time, and the run must not end before.
            let patient = Scenario {
                drain_timeout: Duration::from_secs(60),
                ..scenario.clone()
            };
            let run = play_at_a_distance(&patient, Disturbance::Partition, 3);
            assert_adds_up(&run);
            assert_converged(&run);
        },
    );
}

#[test]
fn losses_by_a_partition_are_found() {
    for_some_seeds(
        ONE_IN_ON_TURMOIL,
        ProtocolKind::Broadcast,
        Weather::Fair,
        |scenario| {
            let run = play_at_a_distance(scenario, Disturbance::Partition, 3);
            assert_adds_up(&run);
            assert_honest(&run);
        },
    );
}

/// In fair weather, two runs are equal down to the byte. If connections are cut,
/// they depend on the order of tasks that are due at the same instant, which the
/// runtime draws at random.
#[test]
fn the_same_seed_makes_the_same_run() {
    for protocol in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        let summary = |scenario: &Scenario| {
            let outcome = run(scenario).outcome;
            let total = outcome.total;
            let bytes = (total.bytes_in, total.bytes_out, total.bytes_typed);
            let intended = (outcome.fingerprint, outcome.scheduled);
            (
                intended,
                (total.sent, outcome.expected, total.visible, bytes),
            )
        };
        for_some_seeds(10, protocol, Weather::Fair, |scenario| {
            assert_eq!(summary(scenario), summary(scenario));
        });
        for_some_seeds(10, protocol, Weather::Foul, |scenario| {
            assert_eq!(summary(scenario).0, summary(scenario).0);
        });
    }
}
