//! Draws small scenarios from a seed.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use syncbench_loadgen::scenario::{
    Arrivals, Clients, Document, DocumentForm, EditKind, LinkClass, LinkFault, LinkFaultKind,
    Presence, ProtocolKind, RelaySettings, ReplicaKind, RoomClass, Scenario, Verify, Workload,
};

/// The amount of trouble in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// All clients are present from start to end, behind links that at worst are
    /// slow.
    Fair,
    /// Clients arrive and depart, and links fail in all ways.
    Foul,
}

/// Draws a scenario.
pub fn scenario(protocol: ProtocolKind, weather: Weather, seed: u64) -> Scenario {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let rooms = RoomClass {
        count: rng.random_range(1..=3),
        size: rng.random_range(2..=5),
    };
    let count = rooms.count * rooms.size;
    let replica = pick(&mut rng, &[ReplicaKind::Full, ReplicaKind::Light]);
    // Drawn in this order, so that a seed always draws the same scenario.
    let writers = rng.random_range(1..=count);
    let verify = pick(&mut rng, &[Verify::Sample, Verify::Versions]);
    let rate = f64::from(count) * rng.random_range(2.0..20.0);
    let duration = millis(&mut rng, 300..1_500);
    let mut scenario = Scenario {
        relay: RelaySettings {
            protocol,
            ..RelaySettings::default()
        },
        rooms: vec![rooms],
        clients: Clients {
            writers: Some(writers),
            replica,
            verify,
            ..Clients::new(count)
        },
        workload: Workload {
            arrivals: pick(&mut rng, &[Arrivals::Constant, Arrivals::Poisson]),
            edits: edits(&mut rng, replica),
            batch: match rng.random_bool(0.3) {
                true => millis(&mut rng, 1..100),
                false => Duration::ZERO,
            },
            ..Workload::at_rate(rate)
        },
        duration,
        document: document(&mut rng, replica),
        presence: presence(&mut rng, protocol),
        seed,
        workers: 1,
        ..Scenario::default()
    };
    match weather {
        Weather::Fair => scenario.links = link(&mut rng, Vec::new()),
        Weather::Foul => {
            let faults = (0..rng.random_range(0..=2)).map(|_| fault(&mut rng, duration));
            let faults = faults.collect();
            scenario.links = link(&mut rng, faults);
            scenario.clients.late = rng.random_range(0..=2);
            scenario.churn.per_second = pick(&mut rng, &[0.0, 0.0, 2.0]);
        }
    }
    scenario
}

/// Draws a kind of edits, except the kind that sends the whole document on each
/// keystroke: one such run takes as long as a thousand others.
fn edits(rng: &mut Xoshiro256PlusPlus, replica: ReplicaKind) -> EditKind {
    match replica {
        ReplicaKind::Light => EditKind::Trace,
        ReplicaKind::Full | ReplicaKind::Auto => pick(
            rng,
            &[
                EditKind::Trace,
                EditKind::Trace,
                EditKind::RichText,
                EditKind::List,
                EditKind::Map,
                EditKind::MovableList,
                EditKind::Tree,
            ],
        ),
    }
}

fn document(rng: &mut Xoshiro256PlusPlus, replica: ReplicaKind) -> Document {
    let forms: &[DocumentForm] = match replica {
        ReplicaKind::Light => &[DocumentForm::Snapshot, DocumentForm::Updates],
        ReplicaKind::Full | ReplicaKind::Auto => &[
            DocumentForm::Snapshot,
            DocumentForm::Updates,
            DocumentForm::Shallow,
        ],
    };
    Document {
        typed: pick(rng, &[0.0, 0.0, 0.0, 0.000_1]),
        form: pick(rng, forms),
        file: None,
    }
}

fn presence(rng: &mut Xoshiro256PlusPlus, protocol: ProtocolKind) -> Option<Presence> {
    let some = protocol == ProtocolKind::Loro && rng.random_bool(0.2);
    some.then(|| Presence {
        every: millis(rng, 50..500),
        bytes: rng.random_range(8..100),
    })
}

fn link(rng: &mut Xoshiro256PlusPlus, faults: Vec<LinkFault>) -> Vec<LinkClass> {
    vec![LinkClass {
        name: "drawn".to_owned(),
        delay: Duration::from_millis(rng.random_range(0..80)),
        jitter: Duration::from_millis(rng.random_range(0..40)),
        kbit: pick(rng, &[None, Some(160), Some(8_000)]),
        share: rng.random_range(0.2..=1.0),
        faults,
    }]
}

fn fault(rng: &mut Xoshiro256PlusPlus, run: Duration) -> LinkFault {
    let kinds = [
        LinkFaultKind::Stall,
        LinkFaultKind::Cut,
        LinkFaultKind::CutMidFrame,
        LinkFaultKind::Reset,
        LinkFaultKind::HalfOpen,
        LinkFaultKind::Offline,
    ];
    let lasting = millis(rng, 1..200);
    let every = rng.random_bool(0.5);
    LinkFault {
        kind: pick(rng, &kinds),
        at: (!every).then(|| run.mul_f64(rng.random_range(0.1..0.9))),
        every: every.then(|| lasting + millis(rng, 1..600)),
        lasting,
    }
}

fn millis(rng: &mut Xoshiro256PlusPlus, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

fn pick<T: Clone>(rng: &mut Xoshiro256PlusPlus, from: &[T]) -> T {
    from.choose(rng).unwrap().clone()
}
