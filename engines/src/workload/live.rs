//! Replicas that edit at the same time: what an import costs as the history grows, and
//! what real sessions cost.
//!
//! In a round, every replica makes its edits, each with its own commit and update,
//! before it sees those of the others. Then each replica imports the others' updates
//! one by one, in the order in which they were made. So at no time do all replicas have
//! one common latest operation, since nobody pauses.

mod trace;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::repetition::timed;
use super::{Input, Outcome, Prepared, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{
    Capabilities, Capability, Edit, Engine, EngineError, Export, OpRange, Replica, Value,
    VersionVector,
};

/// The number of rounds between loading the history and the timed round. After them,
/// nothing is left to decode, and all caches are in the state of normal use.
const SETTLING: usize = 2;

/// The number of keys that the edits of the map set.
const KEYS: u32 = 100;

pub fn workloads() -> Vec<Workload> {
    let text = |replicas, overlap| Session {
        container: Container::Text,
        replicas,
        overlap,
    };
    let mut all = Vec::new();
    series(&mut all, text(2, 1), [100, 200, 400, 800]);
    series(&mut all, text(3, 1), [50, 100, 200, 400]);
    series(&mut all, text(5, 1), [25, 50, 100, 200]);
    series(&mut all, text(10, 1), [10, 20, 40, 80]);
    series(&mut all, text(3, 5), [10, 20, 40, 80]);
    series(&mut all, text(3, 25), [3, 6, 12, 24]);
    for container in [Container::List, Container::Map] {
        let session = Session {
            container,
            ..text(3, 1)
        };
        series(&mut all, session, [50, 100, 200, 400]);
    }
    all.extend(trace::workloads());
    all
}

/// Adds the rows of a session that differ in the number of rounds before the timed one.
fn series(all: &mut Vec<Workload>, session: Session, rounds: [usize; 4]) {
    for before in rounds {
        let variant = format!("{session}/history-{before}");
        let row = Workload::new(Input::Synthetic, variant, move |subject| {
            round(session, before, &rounds, subject)
        });
        let row = row.needs(session.container.needs());
        let row = row.per(session.imports() as u64);
        all.push(row.scale(session.to_string(), before as u64, "rounds"));
    }
}

/// Times the imports of one round after `before` others. The replicas load the history,
/// take part in a few rounds, and make their edits of the timed round.
fn round<'a>(
    session: Session,
    before: usize,
    sizes: &[usize],
    subject: &'a Subject,
) -> Prepared<'a> {
    let engine = subject.engine();
    let key = format!("live/{session}");
    let past = subject.cached(&key, || Ok(RefCell::new(Past::new(session, engine))))?;
    let history = past.borrow_mut().at(before, sizes)?;
    let mut replicas = session.fresh(engine);
    for replica in &mut replicas {
        replica.import(&history)?;
    }
    for round in before..before + SETTLING {
        let sent = session.edit(&mut replicas, round)?;
        deliver(&mut replicas, &sent, engine.capabilities())?;
    }
    let sent = session.edit(&mut replicas, before + SETTLING)?;
    let edits = session.edits(before + SETTLING + 1);
    let capabilities = engine.capabilities();
    timed(
        (replicas, 0),
        {
            let sent = sent.clone();
            move |(replicas, idle)| {
                *idle = deliver(replicas, &sent, capabilities)?;
                Ok(())
            }
        },
        move |(replicas, idle)| {
            if *idle > 0 {
                return Err(check::wrong(format!("{idle} imports applied nothing")));
            }
            session.container.check(&*replicas[0], edits)?;
            all_equal(replicas, bytes_of(&sent) * (session.replicas - 1))
        },
    )
}

/// The container that is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Text,
    List,
    Map,
}

impl Container {
    fn needs(self) -> Option<Capability> {
        match self {
            Self::Text => None,
            Self::List => Some(Capability::Lists),
            Self::Map => Some(Capability::Maps),
        }
    }

    /// Makes one edit at a random place among the `len` elements.
    fn edit(
        self,
        replica: &mut dyn Replica,
        rng: &mut Xoshiro256PlusPlus,
        len: usize,
    ) -> Result<(), EngineError> {
        let pos = rng.random_range(0..=len);
        match self {
            Self::Text => replica.splice(pos, 0, "a"),
            Self::List => {
                let values = &[Value::Int(len as i64)];
                replica.edit(&Edit::ListInsert { pos, values })
            }
            Self::Map => {
                let key = &format!("key {}", rng.random_range(0..KEYS));
                let value = Value::Int(len as i64);
                replica.edit(&Edit::MapSet { key, value })
            }
        }
    }

    /// Checks that the number of elements is the number of inserts.
    fn check(self, replica: &dyn Replica, edits: usize) -> Result<(), WorkloadError> {
        let elements = match self {
            Self::Text => replica.text_len(),
            Self::List => replica.deep_value()["list"].as_array().map_or(0, Vec::len),
            Self::Map => return Ok(()),
        };
        match elements == edits {
            true => Ok(()),
            false => Err(check::wrong(format!(
                "{elements} elements after {edits} insertions"
            ))),
        }
    }
}

/// The edited container, and the number of replicas and of edits that each makes before
/// it sees those of the others.
#[derive(Debug, Clone, Copy)]
struct Session {
    container: Container,
    replicas: usize,
    overlap: usize,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.container {
            Container::Text => "text",
            Container::List => "list",
            Container::Map => "map",
        })?;
        write!(f, "/{}-replicas", self.replicas)?;
        match self.overlap {
            1 => Ok(()),
            overlap => write!(f, "/overlap-{overlap}"),
        }
    }
}

impl Session {
    /// Returns the number of imports in a round.
    fn imports(self) -> usize {
        self.replicas * (self.replicas - 1) * self.overlap
    }

    fn edits(self, rounds: usize) -> usize {
        rounds * self.replicas * self.overlap
    }

    fn fresh(self, engine: &dyn Engine) -> Vec<Box<dyn Replica>> {
        let numbers = 1..=self.replicas as u64;
        numbers.map(|number| engine.replica(peer(number))).collect()
    }

    /// Makes every replica's edits of a round. They depend on the number of the round
    /// alone.
    fn edit(self, replicas: &mut [Box<dyn Replica>], round: usize) -> Result<Sent, EngineError> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(round as u64);
        let len = self.edits(round);
        let mut sent = Vec::with_capacity(self.edits(1));
        for own in 0..self.overlap {
            for (from, replica) in replicas.iter_mut().enumerate() {
                let replica = &mut **replica;
                let start = replica.own_counter();
                self.container.edit(replica, &mut rng, len + own)?;
                replica.commit();
                let range = OpRange {
                    peer: replica.peer(),
                    counters: start..replica.own_counter(),
                };
                sent.push((from, replica.export(Export::Range(range))?));
            }
        }
        Ok(sent)
    }
}

/// Replicas that take part in a session once, and the whole history after some numbers
/// of rounds. They import the updates of a round as one batch if the engine can: this
/// gives the same history in less time.
struct Past {
    session: Session,
    engine: &'static dyn Engine,
    replicas: Vec<Box<dyn Replica>>,
    /// The number of completed rounds.
    rounds: usize,
    histories: BTreeMap<usize, Rc<[u8]>>,
}

impl Past {
    fn new(session: Session, engine: &'static dyn Engine) -> Self {
        Self {
            session,
            engine,
            replicas: session.fresh(engine),
            rounds: 0,
            histories: BTreeMap::new(),
        }
    }

    /// Returns the history after `rounds`, and keeps that of other `sizes` on the way.
    fn at(&mut self, rounds: usize, sizes: &[usize]) -> Result<Rc<[u8]>, EngineError> {
        loop {
            if let Some(history) = self.histories.get(&rounds) {
                return Ok(Rc::clone(history));
            }
            self.live()?;
            if sizes.contains(&self.rounds) {
                let since = &VersionVector::new();
                let history = self.replicas[0].export(Export::Updates { since })?;
                self.histories.insert(self.rounds, history.into());
            }
        }
    }

    fn live(&mut self) -> Result<(), EngineError> {
        let sent = self.session.edit(&mut self.replicas, self.rounds)?;
        let capabilities = self.engine.capabilities();
        match capabilities.has(Capability::Batch) {
            true => deliver_batches(&mut self.replicas, &sent)?,
            false => drop(deliver(&mut self.replicas, &sent, capabilities)?),
        }
        self.rounds += 1;
        Ok(())
    }
}

/// Updates in the order in which they were made, each with the index of the replica
/// that made it.
type Sent = Vec<(usize, Vec<u8>)>;

fn bytes_of(sent: &Sent) -> usize {
    sent.iter().map(|(_, update)| update.len()).sum()
}

/// Makes every replica import what the others sent, one by one, and counts the imports
/// that did not apply all of their operations.
fn deliver(
    replicas: &mut [Box<dyn Replica>],
    sent: &Sent,
    capabilities: Capabilities,
) -> Result<usize, EngineError> {
    let mut idle = 0;
    for (to, replica) in replicas.iter_mut().enumerate() {
        for (_, update) in sent.iter().filter(|&&(from, _)| from != to) {
            let imported = replica.import(update)?;
            idle += usize::from(check::brought_all(&imported, capabilities).is_err());
        }
    }
    Ok(idle)
}

fn deliver_batches(replicas: &mut [Box<dyn Replica>], sent: &Sent) -> Result<(), EngineError> {
    for (to, replica) in replicas.iter_mut().enumerate() {
        let others = sent.iter().filter(|&&(from, _)| from != to);
        let others: Vec<&[u8]> = others.map(|(_, update)| update.as_slice()).collect();
        replica.import_batch(&others)?;
    }
    Ok(())
}

fn all_equal(replicas: &[Box<dyn Replica>], bytes: usize) -> Result<Outcome, WorkloadError> {
    let [first, others @ ..] = replicas else {
        return Err(check::wrong("there are no replicas"));
    };
    let mut outcome = Outcome::new(bytes, first.state_hash());
    for other in others {
        outcome = check::same(&**first, &**other, bytes)?;
    }
    Ok(outcome)
}
