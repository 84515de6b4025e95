use proptest::prelude::*;
use syncbench_reports::record::{
    Convergence, ConvergenceFailure, Record, Run, Status, Stranger, UnexpectedFrame,
};

use super::*;
use crate::client::disconnect::{Disconnect, LostConnection};
use crate::load::Tally;
use crate::load::verdict::verdict;
use crate::metrics::{Gauges, Group, LatencyBreakdown};
use crate::plan::{ClientId, Plan, RoomIndex};
use crate::room::EndedRoom;
use crate::scenario::Scenario;
use crate::time::clock::Nanos;
use crate::worker::{Finished, RunPhase, WorkerEvent};

/// The events of one worker that reports two seconds and then finishes.
fn events(worker: usize, samples: &[(Nanos, Nanos)]) -> Vec<WorkerEvent> {
    let half = samples.len() / 2;
    let seconds = [&samples[..half], &samples[half..]];
    let seconds = (0..).zip(seconds).map(|(second, samples)| {
        let mut metrics = Box::<Metrics>::default();
        for &(latency, lag) in samples {
            metrics.sent += 1;
            metrics.visible += 1;
            metrics.presence_refused += latency & 1;
            metrics.duplicated += latency & 1;
            metrics.corrupt += latency >> 1 & 1;
            metrics.unexpected_frames += latency & 1;
            metrics.leaked += latency >> 2 & 1;
            metrics.foreign += latency >> 3 & 1;
            metrics.edit_cpu += lag;
            metrics.import_cpu += latency;
            metrics.error(["closed", "reset"][worker % 2]);
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
        presence_expected: 7 * worker as u64,
        convergence: Convergence {
            rooms: 61,
            converged: 1,
            lost: worker as u64,
            pending: 2 * worker as u64,
            failures: (0..60).map(|room| failure(worker + 5 * room)).collect(),
            foreign_operations: 15,
            strangers: (0..15).map(|room| stranger(worker + 5 * room)).collect(),
            ..Convergence::default()
        },
        busy: 1_000 * samples.len() as Nanos,
        elapsed: 2_000_000,
        engine_error: (worker > 1).then(|| format!("position {}", samples.len())),
        presence_refused: (worker > 0).then(|| format!("status {worker}")),
        unexpected_frame: (worker > 0).then(|| UnexpectedFrame {
            at_ns: samples.len() as Nanos,
            client: format!("client-{worker}"),
            frame: "an empty binary frame".to_owned(),
            looks_like: None,
        }),
        rejected: (worker < 2).then(|| format!("status {}", samples.len())),
        ended_rooms: (0..60).map(|n| ended(worker as u32 + 5 * n)).collect(),
        lost: (0..60).map(|at| lost(worker as u32, 10 * at)).collect(),
        fingerprint: Some(u64::MAX - worker as u64),
    };
    seconds
        .chain([WorkerEvent::Finished(Box::new(finished))])
        .collect()
}

fn failure(room: usize) -> ConvergenceFailure {
    ConvergenceFailure {
        room: format!("room-{room}"),
        replicas: vec!["client-1".to_owned()],
        missing: Vec::new(),
        first_lost: None,
        reason: "1 of 5 replicas lack edits that were sent".to_owned(),
    }
}

fn ended(room: u32) -> EndedRoom {
    EndedRoom {
        at: Nanos::from(room % 7),
        room: RoomIndex(room),
        name: format!("room-{room}"),
        reason: "loro panicked".to_owned(),
        update: room.is_multiple_of(2).then(|| vec![room as u8]),
    }
}

fn stranger(room: usize) -> Stranger {
    Stranger {
        room: format!("room-{room}"),
        peer: "81985529216486895".to_owned(),
        operations: 1,
    }
}

fn lost(client: u32, at: Nanos) -> LostConnection {
    LostConnection {
        client: ClientId(client),
        at,
        reason: "closed".to_owned(),
    }
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
        let (some, others) = (part(some), part(others));
        for (first, second) in [(&some, &others), (&others, &some)] {
            let mut sum = first.clone();
            sum.merge(second.clone()).unwrap();
            // Each process adds its own edits up; together they are the same.
            prop_assert_eq!(&sum, &whole);
            prop_assert_eq!(sum.record(Run::default()), whole.record(Run::default()));
        }
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
        prop_assert_eq!(verdict(&read), outcome.verdict());
        prop_assert_eq!(outcome.verdict(), record.verdict);
    }
}

#[test]
fn what_goes_wrong_in_any_process_is_in_the_verdict_on_all() {
    let mut sum = outcome(&[]);
    (sum.expected, sum.total.sent, sum.total.visible) = (1, 1, 1);
    let mut broken = sum.clone();
    broken.total.corrupt = 2;
    broken.total.leaked = 1;
    broken.count_from_total();
    assert_eq!(sum.verdict().status, Status::Ok);
    sum.merge(broken.clone()).unwrap();
    assert_eq!(sum.verdict(), broken.verdict());
    assert_eq!(sum.verdict().status, Status::NotConverged);
}

/// The outcome of a run in which all of `sent` edits reached one other client.
fn delivered(sent: u64) -> Outcome {
    let mut outcome = outcome(&[]);
    outcome.expected = sent;
    (outcome.total.sent, outcome.total.visible) = (sent, sent);
    outcome.count_from_total();
    outcome
}

/// The status of an outcome and its reasons, once `change` has happened.
fn judged(sent: u64, change: impl FnOnce(&mut Outcome)) -> (Status, String) {
    let mut outcome = delivered(sent);
    change(&mut outcome);
    outcome.count_from_total();
    let verdict = outcome.verdict();
    (verdict.status, verdict.reasons.join("\n"))
}

#[test]
fn a_run_that_measured_nothing_or_too_little_is_invalid() {
    assert_eq!(judged(1_000, |_| {}), (Status::Ok, String::new()));
    for (status, reason, (status_of, reasons)) in [
        (Status::Invalid, "no delivery was due", judged(0, |_| {})),
        (
            Status::Invalid,
            "no delivery was due",
            judged(0, |outcome| outcome.total.sent = 7),
        ),
        (
            Status::Invalid,
            "2 of 1000 scheduled edits were skipped, because the trace had nothing",
            judged(998, |outcome| outcome.total.skipped = 2),
        ),
        (
            Status::Ok,
            "",
            judged(999, |outcome| outcome.total.skipped = 1),
        ),
        (
            Status::Ok,
            "",
            judged(950, |outcome| {
                (outcome.total.skipped, outcome.total.skipped_joining) = (50, 50);
            }),
        ),
        (
            Status::Invalid,
            "51 of 1000 scheduled edits were skipped, because their clients did not have",
            judged(949, |outcome| {
                (outcome.total.skipped, outcome.total.skipped_joining) = (51, 51);
            }),
        ),
    ] {
        assert_eq!(status_of, status, "{reasons}");
        assert!(reasons.contains(reason), "{reasons}");
    }
}

#[test]
fn unexpected_frames_only_matter_if_nothing_else_came_back() {
    let greeted = |outcome: &mut Outcome| {
        outcome.total.unexpected_frames = 3;
        outcome.course.unexpected_frame = Some(UnexpectedFrame {
            at_ns: 5,
            client: "client-1".to_owned(),
            frame: "an empty binary frame".to_owned(),
            looks_like: None,
        });
    };
    let (status, reasons) = judged(10, greeted);
    assert_eq!(status, Status::Ok);
    assert!(
        reasons.contains("messages of the protocol: 3, the first an empty"),
        "{reasons}"
    );
    assert!(reasons.contains("no edit was lost"), "{reasons}");
    let mute = |outcome: &mut Outcome| {
        greeted(outcome);
        outcome.total.visible = 0;
        outcome.convergence.lost = 10;
    };
    let (status, reasons) = judged(10, mute);
    assert_eq!(status, Status::Usage);
    assert!(
        reasons.starts_with("nothing of what the clients sent"),
        "{reasons}"
    );
    let (status, reasons) = judged(10, |outcome| {
        mute(outcome);
        outcome.total.visible = 9;
    });
    assert_eq!(status, Status::NotConverged);
    assert!(reasons.contains("may have been damaged"), "{reasons}");
    let (status, reasons) = judged(10, |outcome| {
        outcome.total.visible = 0;
        outcome.total.error("closed 4401");
    });
    assert_eq!(status, Status::Usage);
    assert!(
        reasons.contains("closed connections with code 4401"),
        "{reasons}"
    );
    let (status, _) = judged(10, |outcome| {
        mute(outcome);
        outcome.course.interrupted_ns = Some(1);
    });
    assert_eq!(status, Status::Interrupted);
}

#[test]
fn what_strangers_send_is_counted_and_no_fault() {
    let (status, reasons) = judged(10, |outcome| outcome.total.foreign = 3);
    assert_eq!((status, reasons.as_str()), (Status::Ok, ""));
    let mut outcome = delivered(10);
    outcome.total.foreign = 3;
    outcome.count_from_total();
    assert_eq!(outcome.convergence.foreign, 3);
}

#[test]
fn what_a_worker_reports_survives_being_sent() {
    let mut sent = events(1, &[(1_000_000, 10), (2_000_000, 20), (3, 4)]);
    sent.extend([
        WorkerEvent::Connected { worker: 3, live: 7 },
        WorkerEvent::ConnectFailed(Disconnect::new("connect", "no relay")),
        WorkerEvent::Draining,
        WorkerEvent::Failed("it panicked".to_owned()),
    ]);
    for event in sent {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<WorkerEvent>(&text).unwrap(), event);
    }
    let (start, at) = (u64::MAX, 5_000_000_000);
    for phase in [
        RunPhase::Connect,
        RunPhase::Run { start },
        RunPhase::Stop {
            start,
            at,
            is_urgent: true,
        },
    ] {
        let text = serde_json::to_string(&phase).unwrap();
        assert_eq!(serde_json::from_str::<RunPhase>(&text).unwrap(), phase);
    }
}

/// The reasons of a run whose generator was late, and whose workers used a share of
/// their time.
fn reasons_of_lateness(busy_percent: u64) -> String {
    let mut outcome = outcome(&[events(0, &[(50_000_000, 40_000_000); 100])]);
    outcome.convergence = Convergence::default();
    let workers = &mut outcome.course.workers;
    (workers.elapsed_ns, workers.cpu_ns) = (1_000_000_000, busy_percent * 10_000_000);
    let verdict = outcome.verdict();
    assert_eq!(verdict.status, Status::Invalid);
    verdict.reasons.join("\n")
}

#[test]
fn a_lower_rate_is_the_remedy_for_busy_workers_alone() {
    let busy = reasons_of_lateness(90);
    assert!(busy.contains("used 90 % of their time"), "{busy}");
    assert!(busy.contains("lower the rate"), "{busy}");
    let idle = reasons_of_lateness(20);
    assert!(idle.contains("used 20 % of their time"), "{idle}");
    assert!(idle.contains("was not the cause"), "{idle}");
    assert!(!idle.contains("lower the rate"), "{idle}");
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
