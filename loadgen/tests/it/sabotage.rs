//! Tests of the convergence checker against sabotaged relays: its verdict is
//! right, whatever happens to the frames. The example `sabotage` runs the same
//! trials at full size; docs/SABOTAGE.md has the results.

use crate::simulated::saboteur::Sabotage;
use crate::simulated::trials::{cases, needle};
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::scenario::ProtocolKind;
use syncbench_reports::record::Status;

use crate::turns::{Kind, Turn};

/// The number of seeds for each kind of trial: 10 s in the dev profile.
const SEEDS: u64 = 2;

/// Runs all trials of one protocol. Each protocol has its own test, so that two
/// threads share the work.
fn hold_all_trials(protocol: ProtocolKind) {
    let _turn = Turn::take(Kind::VirtualTime);
    for case in cases().iter().filter(|case| case.protocol == protocol) {
        for seed in 0..SEEDS {
            if let Err(wrong) = case.trial(seed) {
                panic!("{case:?}, seed {seed}: {wrong}");
            }
        }
    }
}

#[test]
fn the_verdict_on_a_broadcast_relay_is_right_whatever_is_done_to_the_frames() {
    hold_all_trials(ProtocolKind::Broadcast);
}

#[test]
fn the_verdict_on_a_loro_relay_is_right_whatever_is_done_to_the_frames() {
    hold_all_trials(ProtocolKind::Loro);
}

fn one_of_ten_thousand(one: impl Fn(u64) -> Sabotage) -> (Outcome, u64) {
    let _turn = Turn::take(Kind::VirtualTime);
    let (outcome, touched) = needle(10_000, one, 1);
    assert!((1..=2).contains(&touched), "{touched}");
    (outcome, touched)
}

#[test]
fn one_lost_delivery_of_many_is_found_and_named() {
    let (outcome, dropped) = one_of_ten_thousand(Sabotage::Drop);
    let convergence = &outcome.convergence;
    assert_eq!(outcome.verdict().status, Status::NotConverged);
    assert_eq!(convergence.lost, dropped, "{convergence:?}");
    assert!(convergence.pending > 0, "{convergence:?}");
    assert_eq!(
        outcome.expected,
        outcome.total.visible + convergence.lost + convergence.pending
    );
    let failure = &convergence.failures[0];
    let first = failure.first_lost.as_ref().unwrap();
    assert_eq!(first.operations, failure.missing[0]);
    assert_eq!(first.receiver, failure.replicas[0]);
    assert!(first.intended_ns.is_some());
    assert!(failure.reason.contains(&first.to_string()), "{failure:?}");
}

#[test]
fn one_damaged_delivery_of_many_is_found() {
    let (outcome, damaged) = one_of_ten_thousand(Sabotage::Truncate);
    assert_eq!(outcome.verdict().status, Status::NotConverged);
    assert_eq!(outcome.convergence.lost, damaged);
    assert!(outcome.convergence.corrupt >= 1);
}

#[test]
fn one_duplicate_among_many_deliveries_is_counted_and_harmless() {
    let (outcome, _) = one_of_ten_thousand(Sabotage::Duplicate);
    assert_ne!(outcome.verdict().status, Status::NotConverged);
    assert!(outcome.convergence.duplicated >= 1);
}
