use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scenario::{Clients, Mix, RoomClass, Stage, Workload};

fn scenario(clients: u32, rate: f64, seconds: u64) -> Scenario {
    Scenario {
        rooms: vec![RoomClass {
            count: 1,
            size: clients,
        }],
        clients: Clients::new(clients),
        workload: Workload::at_rate(rate),
        duration: Duration::from_secs(seconds),
        ..Scenario::default()
    }
}

fn schedule(scenario: &Scenario, clients: impl IntoIterator<Item = u32>) -> Schedule {
    Schedule::new(
        scenario,
        &Plan::new(scenario),
        None,
        clients.into_iter().map(ClientId),
    )
}

fn times(scenario: &Scenario) -> Vec<Nanos> {
    let all = 0..scenario.clients.count;
    schedule(scenario, all).map(|a| a.intended).collect()
}

#[test]
fn constant_arrivals_have_the_given_rate_and_are_evenly_spread() {
    let times = times(&scenario(10, 100.0, 2));
    assert_eq!(times.len(), 200);
    for (i, &time) in times.iter().enumerate() {
        let expected = i as u64 * 10_000_000;
        assert!(time.abs_diff(expected) <= 1, "arrival {i} at {time}");
    }
}

#[test]
fn few_writers_among_many_readers_are_evenly_spread_as_well() {
    let mut scenario = scenario(40, 8.0, 1);
    scenario.clients.writers = Some(4);
    let eighths: Vec<Nanos> = (0..8).map(|n| n * 125_000_000).collect();
    assert_eq!(times(&scenario), eighths);
}

#[test]
fn locked_clients_act_at_the_same_times() {
    let mut scenario = scenario(4, 8.0, 1);
    scenario.workload.phase = Phase::Locked;
    let half = 500_000_000;
    assert_eq!(times(&scenario), [0, 0, 0, 0, half, half, half, half]);
}

#[test]
fn poisson_distances_have_the_mean_and_spread_of_the_exponential() {
    let mut scenario = scenario(1, 1_000.0, 100);
    scenario.workload.arrivals = Arrivals::Poisson;
    let times = times(&scenario);
    let gaps: Vec<_> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) as f64)
        .collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((mean / 1e6 - 1.0).abs() < 0.02, "mean {mean}");
    let deviation = variance.sqrt();
    assert!((deviation / mean - 1.0).abs() < 0.02, "{deviation}");
}

#[test]
fn stages_have_their_rates_and_ramps_change_linearly() {
    let stage = |rate, ramp| Stage {
        name: String::new(),
        duration: Duration::from_secs(10),
        rate: Some(rate),
        ramp,
        clients: None,
    };
    let scenario = Scenario {
        stages: vec![stage(100.0, false), stage(300.0, true), stage(50.0, false)],
        ..scenario(10, 100.0, 30)
    };
    let times = times(&scenario);
    let within = |from: u64, to: u64| {
        let range = from * 1_000_000_000..to * 1_000_000_000;
        times.iter().filter(|&time| range.contains(time)).count() as i64
    };
    for (from, to, expected) in [
        (0, 10, 1_000),
        (10, 15, 750),
        (15, 20, 1_250),
        (20, 30, 500),
    ] {
        let arrivals = within(from, to);
        assert!(
            (arrivals - expected).abs() <= 10,
            "{from}..{to} s: {arrivals}"
        );
    }
}

#[test]
fn a_stage_without_edits_is_silent_and_the_next_is_not() {
    let stage = |rate| Stage {
        name: String::new(),
        duration: Duration::from_secs(2),
        rate: Some(rate),
        ramp: false,
        clients: None,
    };
    let scenario = Scenario {
        stages: vec![stage(10.0), stage(0.0), stage(10.0)],
        ..scenario(1, 10.0, 6)
    };
    let times = times(&scenario);
    let silent = 2_000_000_000..4_000_000_000;
    assert!(!times.iter().any(|time| silent.contains(time)), "{times:?}");
    assert!(times.len().abs_diff(40) <= 1, "{}", times.len());
}

#[test]
fn a_client_has_no_actions_before_it_arrives_or_after_it_leaves() {
    let scenario = scenario(2, 20.0, 4);
    let mut plan = Plan::new(&scenario);
    plan.clients[1].joins = Some(1_000_000_000);
    plan.clients[1].leaves = Some(3_000_000_000);
    let arrivals: Vec<_> = Schedule::new(&scenario, &plan, None, [ClientId(1)]).collect();
    assert_eq!(arrivals.len(), 20);
    let stay = plan.clients[1].stay(0);
    assert!(
        arrivals
            .iter()
            .all(|arrival| stay.contains(&arrival.intended))
    );
}

#[test]
fn the_rhythm_of_a_trace_keeps_its_pauses_at_the_given_rate() {
    let mut scenario = scenario(1, 10.0, 400);
    scenario.workload.arrivals = Arrivals::Trace;
    let rhythm = Rhythm(Arc::from([0.5f32, 0.5, 2.0]));
    let plan = Plan::new(&scenario);
    let times: Vec<_> = Schedule::new(&scenario, &plan, Some(&rhythm), [ClientId(0)])
        .map(|a| a.intended)
        .collect();
    assert!(times.len().abs_diff(4_000) < 10, "{}", times.len());
    assert_eq!(
        &times[..4],
        [50_000_000, 100_000_000, 300_000_000, 350_000_000]
    );
}

#[test]
fn a_trace_without_a_rhythm_says_what_it_lacks() {
    let trace = |times: [Option<&str>; 3]| {
        let txns = times.map(|time| match time {
            Some(time) => format!(r#"{{"time":"2024-01-01T00:00:{time}Z","patches":[]}}"#),
            None => r#"{"patches":[]}"#.to_owned(),
        });
        let json = format!(r#"{{"endContent":"","txns":[{}]}}"#, txns.join(","));
        syncbench_datasets::load_bytes("t", json.as_bytes()).unwrap()
    };
    for (times, lacks) in [
        ([None; 3], Some(NoRhythm::NoTimes)),
        (
            [Some("01"), None, Some("02")],
            Some(NoRhythm::TimeMissing(1)),
        ),
        ([Some("01"); 3], Some(NoRhythm::NoPauses)),
        (
            [Some("03"), Some("02"), Some("01")],
            Some(NoRhythm::NoPauses),
        ),
        ([Some("01"), Some("01"), Some("02")], None),
    ] {
        assert_eq!(Rhythm::from_trace(&trace(times)).err(), lacks, "{times:?}");
    }
}

#[test]
fn presence_has_its_share_of_a_mix_by_the_seed() {
    let actions = |seed| -> Vec<ScheduledAction> {
        let mut scenario = scenario(10, 400.0, 10);
        scenario.workload.mix = Some(Mix {
            text: 0.7,
            presence: 0.3,
            ..Mix::default()
        });
        scenario.seed = seed;
        schedule(&scenario, 0..10).collect()
    };
    let drawn = actions(7);
    assert_eq!(drawn.len(), 4_000, "the rate is that of both");
    let shown = drawn.iter().filter(|a| a.action == Action::Presence);
    let share = shown.count() as f64 / drawn.len() as f64;
    // Four standard deviations.
    assert!((share - 0.3).abs() < 0.03, "{share}");
    assert_eq!(actions(7), drawn);
    assert_ne!(actions(8), drawn);
}

fn fingerprint(arrivals: impl Iterator<Item = ScheduledAction>) -> u64 {
    arrivals.fold(0, |sum, arrival| sum.wrapping_add(arrival.fingerprint()))
}

#[test]
fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
    let with_seed = |seed| {
        let mut scenario = scenario(20, 500.0, 3);
        scenario.workload.arrivals = Arrivals::Poisson;
        scenario.seed = seed;
        fingerprint(schedule(&scenario, 0..20))
    };
    assert_eq!(with_seed(7), with_seed(7));
    assert_ne!(with_seed(7), with_seed(8));
}

proptest! {
    #[test]
    fn splitting_the_clients_splits_the_schedule_and_nothing_else(
        clients in 1u32..20, rate in 1.0f64..500.0, seed: u64, poisson: bool, mixed: bool,
    ) {
        let mut scenario = scenario(clients, rate, 3);
        scenario.workload.arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
        scenario.workload.mix = mixed.then(|| Mix { map: 0.5, presence: 0.5, ..Mix::default() });
        scenario.seed = seed;
        let whole: Vec<_> = schedule(&scenario, 0..clients).collect();
        prop_assert!(whole.is_sorted());
        let even = schedule(&scenario, (0..clients).step_by(2));
        let odd = schedule(&scenario, (1..clients).step_by(2));
        let mut parts: Vec<_> = even.chain(odd).collect();
        parts.sort_unstable();
        prop_assert_eq!(&whole, &parts);
        prop_assert_eq!(
            fingerprint(whole.into_iter()),
            fingerprint(parts.into_iter())
        );
    }
}
