//! Whole runs in virtual time, thousands of them, each drawn by a seed.
//!
//! `SYNCBENCH_SEEDS` says how many seeds each property is tried with, and
//! `SYNCBENCH_SEED` which one alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use std::time::Duration;

use crate::simulated::chance::{self, Weather};
use crate::simulated::distance::{Disturbance, play_at_a_distance};
use crate::simulated::pipes::Pipes;
use crate::simulated::{Run, in_virtual_time, play};
use syncbench_loadgen::plan::Plan;
use syncbench_loadgen::scenario::{ProtocolKind, Scenario};
use syncbench_reports::record::Status;
use tokio::time::timeout;

use crate::turns::{Kind, Turn};

/// Seeds that the suite ends with within a minute, in the dev profile.
const SEEDS: u64 = 200;

/// Longer than anyone waits for anything, in virtual time.
const LONGEST: Duration = Duration::from_secs(120);

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap())
}

/// Holds `property` to scenarios of many seeds.
fn for_all_seeds(protocol: ProtocolKind, weather: Weather, property: impl Fn(&Scenario)) {
    for_some_seeds(1, protocol, weather, property);
}

/// The same, with one in so many of the seeds.
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
        let held = catch_unwind(AssertUnwindSafe(|| property(&scenario)));
        if held.is_err() {
            eprintln!("SYNCBENCH_SEED={seed} {scenario:?}");
        }
        held.is_err()
    };
    let failing: Vec<u64> = seeds.filter(fails).collect();
    assert!(failing.is_empty(), "seeds that do not hold it: {failing:?}");
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
    assert_eq!(outcome.unsent, 0, "in virtual time nobody is late");
    assert_eq!(outcome.convergence.corrupt, 0, "{:?}", total.errors);
    assert_eq!(outcome.convergence.leaked, 0);
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

/// Either all replicas agree, or the verdict says that they do not.
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
            assert_eq!(
                run.outcome.verdict().status,
                Status::Ok,
                "{:?}",
                run.outcome.verdict()
            );
        });
    }
}

#[test]
fn a_relay_with_a_memory_loses_nothing_whatever_the_links_do() {
    for_all_seeds(ProtocolKind::Loro, Weather::Foul, |scenario| {
        assert_converged(&run(scenario));
    });
}

#[test]
fn a_relay_without_a_memory_is_never_said_to_have_converged_when_it_has_not() {
    for_all_seeds(ProtocolKind::Broadcast, Weather::Foul, |scenario| {
        assert_honest(&run(scenario));
    });
}

/// One in so many of the seeds: turmoil takes its time.
const AT_A_DISTANCE: u64 = 20;

#[test]
fn segments_that_are_held_up_are_no_loss() {
    for protocol in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        for_some_seeds(AT_A_DISTANCE, protocol, Weather::Fair, |scenario| {
            let run = play_at_a_distance(scenario, Disturbance::Hold, 3);
            assert_adds_up(&run);
            assert_converged(&run);
        });
    }
}

#[test]
fn clients_find_their_way_back_to_a_relay_with_a_memory() {
    for_some_seeds(
        AT_A_DISTANCE,
        ProtocolKind::Loro,
        Weather::Fair,
        |scenario| {
            // Nobody is told that the connection is dead: it takes its time to find
            // out, and the run must not give up before.
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
fn what_a_partition_cost_is_found() {
    for_some_seeds(
        AT_A_DISTANCE,
        ProtocolKind::Broadcast,
        Weather::Fair,
        |scenario| {
            let run = play_at_a_distance(scenario, Disturbance::Partition, 3);
            assert_adds_up(&run);
            assert_honest(&run);
        },
    );
}

/// In fair weather down to the byte. Where connections are cut, it depends on
/// which of two things that are due in the same instant is done first, and that
/// the runtime draws anew each time.
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
