//! Tests the freedom from coordinated omission: a relay that stalls for a second
//! shows in proportion to the edits that were due in that second.
//!
//! The test asserts lower bounds and proportions only: a busy machine makes more
//! edits late, and never fewer.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::support::{RelayThread, play_watched};
use hdrhistogram::Histogram;
use syncbench_loadgen::load::Progress;
use syncbench_loadgen::relay::broadcast;
use syncbench_loadgen::scenario::{Clients, ProtocolKind, RoomClass, Scenario, Workload};

const STALL: Duration = Duration::from_secs(1);
const RUN: Duration = Duration::from_secs(5);

/// The number of clients, in pairs, so that each edit is delivered once.
const CLIENTS: u32 = 4;

/// The latency, nanoseconds, above which a delivery was delayed by the stall.
const SLOW: u64 = 100_000_000;

/// Runs at `rate` with a relay that stalls after the first second, and returns the
/// reported latencies.
fn headline_of_a_run_with_a_stall(rate: f64) -> Histogram<u64> {
    let (relay, stall) = RelayThread::stalling(broadcast::Config::default());
    let scenario = Scenario {
        relay: relay.settings(ProtocolKind::Broadcast),
        clients: Clients::new(CLIENTS),
        rooms: vec![RoomClass { count: 2, size: 2 }],
        workload: Workload::at_rate(rate),
        duration: RUN,
        workers: 1,
        ..Scenario::default()
    };
    let watcher = |progress: Progress<'_>| {
        if let Progress::Running { second, .. } = progress
            && second.second == 0
        {
            stall.send(STALL).unwrap();
        }
        ControlFlow::Continue(())
    };
    let outcome = play_watched(scenario, std::future::pending(), watcher).unwrap();
    assert_eq!(outcome.total.visible, outcome.expected);
    outcome.total.propagation.histogram().clone()
}

/// Returns the latencies that clients would report if they waited for each answer
/// before the next edit: each has one edit in the stall, the first and slowest,
/// and makes the others after it.
fn closed_loop(headline: &Histogram<u64>) -> Histogram<u64> {
    let mut naive = Histogram::new(3).unwrap();
    for step in headline
        .iter_recorded()
        .filter(|s| s.value_iterated_to() < SLOW)
    {
        let (value, count) = (step.value_iterated_to(), step.count_at_value());
        naive.record_n(value, count).unwrap();
    }
    let slowest = headline.max();
    naive.record_n(slowest, u64::from(CLIENTS)).unwrap();
    naive
}

fn slow(histogram: &Histogram<u64>) -> f64 {
    histogram.count_between(SLOW, u64::MAX) as f64
}

#[test]
fn a_stall_shows_in_proportion_to_the_edits_due_in_it_and_not_to_the_clients() {
    let mut naive_shares = Vec::new();
    for rate in [40.0, 200.0] {
        let headline = headline_of_a_run_with_a_stall(rate);
        // The first edit in the stall waits for all of it, less at most a period.
        let slowest = headline.max() as f64 / 1e9;
        assert!(slowest > STALL.as_secs_f64() - 2.0 / rate, "{slowest} s");

        // The edits of its first 0.9 s take longer than 0.1 s.
        let due = rate * (STALL.as_nanos() as f64 - SLOW as f64) / 1e9;
        let found = slow(&headline);
        assert!(found > 0.9 * due, "{found} slow edits of {due} at {rate}/s");

        // The slowest hundredth of the run was due in the stall's first 50 ms, and
        // the slowest tenth in its first half.
        let at = |histogram: &Histogram<u64>, q| histogram.value_at_quantile(q) as f64 / 1e9;
        let (p90, p99) = (at(&headline, 0.9), at(&headline, 0.99));
        assert!(p99 > 0.85, "p99 {p99} s at {rate}/s");
        assert!(p90 > 0.4, "p90 {p90} s at {rate}/s");

        let naive = closed_loop(&headline);
        let naive_p90 = at(&naive, 0.9);
        assert!(naive_p90 < p90 / 4.0, "{naive_p90} s beside {p90} s");
        naive_shares.push(slow(&naive) / naive.len() as f64);
    }
    // With five times the edits, waiting clients see a fifth of the stall.
    assert!(naive_shares[1] < naive_shares[0] / 3.0, "{naive_shares:?}");
}
