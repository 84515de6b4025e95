use proptest::prelude::*;
use syncbench_reports::record::{Convergence, Record, Run};

use super::*;
use crate::client::disconnect::LostConnection;
use crate::load::Tally;
use crate::load::verdict::verdict;
use crate::metrics::{Gauges, Group, LatencyBreakdown};
use crate::plan::{ClientId, Plan};
use crate::scenario::Scenario;
use crate::worker::{Finished, WorkerEvent};

/// The events of one worker that reports two seconds and then finishes.
fn events(worker: usize, samples: &[(Nanos, Nanos)]) -> Vec<WorkerEvent> {
    let half = samples.len() / 2;
    let seconds = [&samples[..half], &samples[half..]];
    let seconds = (0..).zip(seconds).map(|(second, samples)| {
        let mut metrics = Box::<Metrics>::default();
        for &(latency, lag) in samples {
            metrics.sent += 1;
            metrics.visible += 1;
            metrics.propagation.record(latency);
            metrics.generator_lag.record(lag);
            metrics.breakdown.add(&LatencyBreakdown {
                lag,
                relay: latency.saturating_sub(lag),
                ..LatencyBreakdown::default()
            });
            let group = metrics.groups.entry(Group::RoomSize(0)).or_default();
            group.record(latency);
        }
        let gauges = Gauges {
            live: 1 + worker as u64,
            ..Gauges::default()
        };
        WorkerEvent::Second {
            second,
            metrics,
            gauges,
        }
    });
    let finished = Finished {
        unsent: worker as u64,
        expected: samples.len() as u64 + worker as u64,
        convergence: Convergence {
            rooms: 1,
            converged: 1,
            lost: worker as u64,
            ..Convergence::default()
        },
        busy: 1_000 * samples.len() as Nanos,
        elapsed: 2_000_000,
        engine_error: None,
        rejected: None,
        lost: vec![LostConnection {
            client: ClientId(worker as u32),
            at: 10 + worker as Nanos,
            reason: "closed".to_owned(),
        }],
        fingerprint: Some(u64::MAX - worker as u64),
    };
    seconds
        .chain([WorkerEvent::Finished(Box::new(finished))])
        .collect()
}

/// The outcome of a process in which these workers ran.
fn outcome(workers: &[Vec<WorkerEvent>]) -> Outcome {
    let scenario = Scenario::default();
    let plan = Plan::new(&scenario);
    let mut tally = Tally::new(&scenario, &plan, workers.len());
    for event in workers.iter().flatten() {
        let _ = tally.take(event.clone(), 0, &mut |_| {
            std::ops::ControlFlow::Continue(())
        });
    }
    tally.outcome(Usage::default())
}

fn samples() -> impl Strategy<Value = Vec<Vec<(Nanos, Nanos)>>> {
    let sample = (1u64..1 << 40, 1u64..1 << 24);
    let worker = prop::collection::vec(sample, 0..20);
    prop::collection::vec(worker, 1..5)
}

proptest! {
    // A case adds up some hundred histograms.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn processes_are_judged_together_like_one(samples in samples(), seed in any::<u64>()) {
        let workers: Vec<_> = (0..)
            .zip(&samples)
            .map(|(worker, samples)| events(worker, samples))
            .collect();
        let whole = outcome(&workers);
        let (some, others): (Vec<_>, Vec<_>) = (0..)
            .zip(workers)
            .partition(|(worker, _)| seed >> worker & 1 == 0);
        let part = |workers: Vec<(u32, Vec<WorkerEvent>)>| {
            let events: Vec<_> = workers.into_iter().map(|(_, events)| events).collect();
            outcome(&events)
        };
        let mut sum = part(others);
        sum.merge(part(some)).unwrap();
        // Each process adds its own edits up; together they are the same.
        prop_assert_eq!(&sum, &whole);
        prop_assert_eq!(sum.record(Run::default()), whole.record(Run::default()));
    }

    #[test]
    fn an_outcome_and_a_verdict_survive_being_written(samples in samples()) {
        let workers: Vec<_> = (0..)
            .zip(&samples)
            .map(|(worker, samples)| events(worker, samples))
            .collect();
        let outcome = outcome(&workers);
        let text = serde_json::to_string(&outcome).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Outcome>(&text).unwrap(), &outcome);
        let record = outcome.record(Run::default());
        let text = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(verdict(&read), record.verdict);
    }
}

#[test]
fn outcomes_of_different_runs_do_not_add_up() {
    let mut one = outcome(&[events(0, &[])]);
    let mut other = one.clone();
    other.layout.clients += 1;
    assert_eq!(one.merge(other), Err(DifferentRuns));
}

#[test]
fn a_worker_that_failed_makes_the_run_a_failure() {
    let failed = vec![WorkerEvent::Failed(
        "it panicked: index out of bounds".to_owned(),
    )];
    let outcome = outcome(&[events(0, &[(1_000_000, 10)]), failed]);
    let verdict = outcome.verdict();
    assert_ne!(verdict.exit_code, 0);
    let reasons = verdict.reasons.join("\n");
    assert!(reasons.contains("index out of bounds"), "{reasons}");
    assert_eq!(outcome.total.sent, 1, "what was measured is kept");
}
