//! Tests the convergence checker against sabotaged relays, at full size, and
//! prints the results as Markdown. Fails if a verdict was wrong. With an argument,
//! runs only the trials whose name contains it.
#![allow(clippy::unwrap_used, missing_docs)] // the helpers are those of tests

#[path = "../tests/it/simulated/mod.rs"]
mod simulated;

use std::process::ExitCode;
use std::time::Instant;

use simulated::saboteur::Sabotage;
use simulated::trials::{Case, Expected, cases, needle};
use syncbench_reports::record::Status;

const TRIALS: u64 = 100;
const CLEAN_TRIALS: u64 = 1_000;
const DELIVERIES: u64 = 1_000_000;
const NEEDLE: &str = "one of 1,000,000 deliveries";

fn main() -> ExitCode {
    println!("| sabotage | protocol | trials | verdict expected | verdicts right | named |");
    println!("| --- | --- | ---: | --- | ---: | --- |");
    let mut wrong = 0;
    let only = std::env::args().nth(1).unwrap_or_default();
    for case in cases().iter().filter(|case| case.name.contains(&only)) {
        wrong += row(case);
    }
    if !NEEDLE.contains(&only) {
        return ExitCode::from(u8::from(wrong > 0));
    }
    println!("\n| {NEEDLE} | verdict | named | deliveries | took |");
    println!("| --- | --- | --- | ---: | ---: |");
    wrong += find_needle("dropped", Sabotage::Drop, Status::NotConverged);
    wrong += find_needle("truncated", Sabotage::Truncate, Status::NotConverged);
    wrong += find_needle("duplicated", Sabotage::Duplicate, Status::Ok);
    match wrong {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Prints the row of one kind of trial. Returns the number of wrong verdicts.
fn row(case: &Case) -> u64 {
    let trials = match case.sabotage {
        Sabotage::None => CLEAN_TRIALS,
        _ => TRIALS,
    };
    let (mut right, mut harmless) = (0, 0);
    let (mut lost, mut pending, mut duplicated, mut corrupt, mut leaked) = (0, 0, 0, 0, 0);
    for seed in 0..trials {
        match case.trial(seed) {
            Ok(named) => {
                right += 1;
                harmless += u64::from(named.lost + named.corrupt + named.leaked == 0);
                lost += named.lost;
                pending += named.pending;
                duplicated += named.duplicated;
                corrupt += named.corrupt;
                leaked += named.leaked;
            }
            Err(wrong) => eprintln!("{case:?}, seed {seed}: {wrong}"),
        }
    }
    let expected = match case.expected {
        Expected::Converged => "converged".to_owned(),
        Expected::Lost => "lost".to_owned(),
        Expected::Leaked => "leaked".to_owned(),
        Expected::CorruptOrHarmless => format!("corrupt, or harmless ({harmless})"),
    };
    let counts = [
        (lost, "lost"),
        (pending, "pending"),
        (duplicated, "duplicated"),
        (corrupt, "corrupt"),
        (leaked, "leaked"),
    ];
    let named = counts.iter().filter(|(count, _)| *count > 0);
    let named: Vec<String> = named
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let (name, protocol) = (case.name, case.protocol.name());
    let named = named.join(", ");
    println!("| {name} | {protocol} | {trials} | {expected} | {right} | {named} |");
    trials - right
}

/// Prints the row of one frame among a million. Returns 1 if the verdict was wrong.
fn find_needle(what: &str, one: impl Fn(u64) -> Sabotage, expected: Status) -> u64 {
    let began = Instant::now();
    let (outcome, touched) = needle(DELIVERIES, one, 1);
    let verdict = outcome.verdict();
    let convergence = &outcome.convergence;
    let named = match convergence.failures.first() {
        Some(failure) => format!(
            "{} {:?} {:?}",
            failure.room, failure.replicas, failure.missing
        ),
        None => format!("{} duplicated", convergence.duplicated),
    };
    let (expected_deliveries, took) = (outcome.expected, began.elapsed().as_secs_f64());
    println!(
        "| {touched} {what} | {:?} | {named} | {expected_deliveries} | {took:.0} s |",
        verdict.status
    );
    u64::from(verdict.status != expected)
}
