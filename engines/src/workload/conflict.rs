//! The rows of dmonad's crdt-benchmarks, with its parameters.
//!
//! B1 has one writer and one reader, B2 two writers, B3 a great many, and B4 plays a
//! real trace. Every row has its own seed, so that its edits do not depend on which
//! other rows are run.

mod input;

use std::rc::Rc;

use input::{Change, Model, Step, word};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::commit::commit;
use super::repetition::{Prepared, timed};
use super::subject::WRITER;
use super::{Form, Input, Outcome, Size, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{
    Capability, Edit, Engine, EngineError, HeavyWork, Imported, PeerId, Replica, StateHash, Value,
    VersionVector,
};

/// The number of edits of each writer in B1 and B2, as published.
const N: usize = 6000;

/// The same in small rows.
const SMALL_N: usize = 300;

/// The number of writers in B3: 20 times the integer square root of N.
const CLIENTS: u64 = 1540;

/// The same in small rows.
const SMALL_CLIENTS: u64 = 77;

/// Smaller numbers of writers, which show how time grows if all insert at one place.
const FEWER: [u64; 4] = [48, 96, 192, 385];

/// The number of characters in the initial documents of B2.
const BASE: usize = 100;

const READER: PeerId = peer(2);

pub fn workloads(size: Size) -> Vec<Workload> {
    let (n, clients) = match size {
        Size::Published => (N, CLIENTS),
        Size::Small => (SMALL_N, SMALL_CLIENTS),
    };
    let mut all = vec![
        one_writer("B1.1-append-characters", 101, n, input::append),
        one_writer("B1.2-insert-string", 102, 1, input::string),
        one_writer("B1.3-prepend-characters", 103, n, input::prepend),
        one_writer("B1.4-random-characters", 104, n, input::character),
        one_writer("B1.5-random-words", 105, n, input::long_word),
        one_writer(
            "B1.6-insert-then-delete",
            106,
            2,
            input::string_then_nothing,
        ),
        one_writer("B1.7-random-insert-delete", 107, n, input::word_or_deletion),
    ];
    let lists = [
        one_writer("B1.8-append-numbers", 108, n, input::append_number),
        one_writer("B1.9-insert-numbers", 109, 1, input::all_numbers),
        one_writer("B1.10-prepend-numbers", 110, n, input::prepend_number),
        one_writer("B1.11-random-numbers", 111, n, input::number),
    ];
    all.extend(lists.map(|row| row.needs([Capability::Lists])));
    all.extend([
        two_writers("B2.1-strings", 201, 1, input::string),
        two_writers("B2.2-random-characters", 202, n, input::character),
        two_writers("B2.3-random-words", 203, n, input::short_word),
        two_writers("B2.4-random-insert-delete", 204, 2 * n, input::in_turn),
    ]);
    all.extend([
        many_writers("B3.1-map-numbers", clients, map_number).needs([Capability::Maps]),
        many_writers("B3.2-map-objects", clients, map_object).needs([Capability::Maps]),
        many_writers("B3.3-map-strings", clients, map_string).needs([Capability::Maps]),
    ]);
    // Smaller numbers come before the last two rows, which take some engines minutes.
    for fewer in FEWER {
        all.push(many_texts(format!("B3.5-text/clients-{fewer}"), fewer));
    }
    all.push(many_writers("B3.4-list-strings", clients, list_string).needs([Capability::Lists]));
    all.push(many_texts("B3.5-text".to_owned(), clients));
    all.push(Workload::new(Input::Sequential, "B4-trace", trace).per_operation());
    all
}

/// B1: each change is a commit, and its update goes to the reader at once.
fn one_writer(variant: &'static str, seed: u64, changes: usize, step: Step) -> Workload {
    let row = Workload::new(Input::Synthetic, variant, move |subject| {
        let input = input::Input::new(seed, "", changes, step);
        let state = OneWriter {
            writer: subject.engine().replica(WRITER),
            reader: subject.engine().replica(READER),
            changes: input.changes,
            bytes: 0,
        };
        timed(state, OneWriter::run, move |state| state.check(&input.end))
    });
    match changes < SMALL_N {
        true => row.per(changes as u64),
        false => row.per(changes as u64).heavy(HeavyWork::ManyChanges),
    }
}

struct OneWriter {
    writer: Box<dyn Replica>,
    reader: Box<dyn Replica>,
    changes: Vec<Change>,
    bytes: usize,
}

impl OneWriter {
    fn run(&mut self) -> Result<(), EngineError> {
        for change in &self.changes {
            let update = commit(&mut *self.writer, |writer| change.make(writer))?;
            self.bytes += update.len();
            self.reader.import(&update)?;
        }
        Ok(())
    }

    fn check(&mut self, end: &Model) -> Result<Outcome, WorkloadError> {
        check::same_text(&self.reader.text(), &end.text())?;
        // An empty text would not show that the writer did nothing.
        if self.writer.own_counter() == 0 {
            return Err(check::wrong("the writer made no operation"));
        }
        let list = end.list();
        if !list.is_empty() && self.reader.deep_value()["list"] != serde_json::json!(list) {
            return Err(check::wrong("the list differs from the writer's"));
        }
        let outcome = check::same(&*self.writer, &*self.reader, self.bytes)?;
        with_document(outcome, &mut *self.writer)
    }
}

/// B2: two replicas with the same text change it in one transaction each, then each
/// imports the other's update.
fn two_writers(variant: &'static str, seed: u64, changes: usize, step: Step) -> Workload {
    let row = Workload::new(Input::Synthetic, variant, move |subject| {
        let base = word(&mut Xoshiro256PlusPlus::seed_from_u64(seed), BASE..=BASE);
        let changes = |seed| input::Input::new(seed, &base, changes, step).changes;
        let mut a = subject.engine().replica(WRITER);
        let mut b = subject.engine().replica(READER);
        b.import(&commit(&mut *a, |a| a.splice(0, 0, &base))?)?;
        let state = TwoWriters {
            replicas: [a, b],
            changes: [changes(10 * seed + 1), changes(10 * seed + 2)],
            imported: Default::default(),
            bytes: 0,
        };
        let capabilities = subject.engine().capabilities();
        timed(state, TwoWriters::run, move |state| {
            for imported in &state.imported {
                check::brought_all(imported, capabilities)?;
            }
            let [a, b] = &mut state.replicas;
            with_document(check::same(&**a, &**b, state.bytes)?, &mut **a)
        })
    });
    row.per(2 * changes as u64).heavy(HeavyWork::ManyChanges)
}

struct TwoWriters {
    replicas: [Box<dyn Replica>; 2],
    changes: [Vec<Change>; 2],
    imported: [Imported; 2],
    bytes: usize,
}

impl TwoWriters {
    fn run(&mut self) -> Result<(), EngineError> {
        let [a, b] = &mut self.replicas;
        let [of_a, of_b] = &self.changes;
        let all = |changes: &[Change], replica: &mut dyn Replica| {
            changes.iter().try_for_each(|change| change.make(replica))
        };
        let from_a = commit(&mut **a, |a| all(of_a, a))?;
        let from_b = commit(&mut **b, |b| all(of_b, b))?;
        self.bytes = from_a.len() + from_b.len();
        self.imported = [a.import(&from_b)?, b.import(&from_a)?];
        Ok(())
    }
}

/// The edit that client number `i` of B3 makes.
type ClientEdit = fn(&mut dyn Replica, u64) -> Result<(), EngineError>;

/// B3: many replicas have made one edit each, and one of them imports the updates of
/// all others.
fn many_writers(variant: impl Into<String>, clients: u64, edit: ClientEdit) -> Workload {
    let variant = variant.into();
    let name = variant.clone();
    let row = Workload::new(Input::Synthetic, variant, move |subject| {
        let clients = subject.cached(&name, || Clients::new(subject.engine(), clients, edit))?;
        let mut reader = subject.engine().replica(peer(1));
        commit(&mut *reader, |reader| edit(reader, 0))?;
        let state = Reader { reader, clients };
        timed(state, Reader::run, Reader::check)
    });
    match clients < CLIENTS {
        true => row.per(clients - 1),
        false => row.per(clients - 1).heavy(HeavyWork::ManyWriters),
    }
}

/// B3.5, with the original number of clients or fewer.
fn many_texts(variant: String, clients: u64) -> Workload {
    many_writers(variant, clients, text).scale("B3.5-text", clients, "clients")
}

/// The updates of all clients but the first, and the document that they lead to.
struct Clients {
    updates: Vec<Vec<u8>>,
    version: VersionVector,
    state_hash: StateHash,
}

impl Clients {
    /// Prepares the clients. The reference imports the updates in the opposite order.
    fn new(engine: &dyn Engine, clients: u64, edit: ClientEdit) -> Result<Self, WorkloadError> {
        let mut updates = Vec::new();
        for i in 0..clients {
            let mut client = engine.replica(peer(i + 1));
            updates.push(commit(&mut *client, |client| edit(client, i))?);
        }
        let mut reference = engine.replica(peer(clients + 1));
        let reversed: Vec<_> = updates.iter().rev().map(Vec::as_slice).collect();
        match engine.capabilities().has(Capability::Batch) {
            true => drop(reference.import_batch(&reversed)?),
            false => reversed
                .iter()
                .try_for_each(|update| reference.import(update).map(drop))?,
        }
        Ok(Self {
            updates: updates.split_off(1),
            version: reference.version_vector(),
            state_hash: reference.state_hash(),
        })
    }
}

struct Reader {
    reader: Box<dyn Replica>,
    clients: Rc<Clients>,
}

impl Reader {
    fn run(&mut self) -> Result<(), EngineError> {
        for update in &self.clients.updates {
            self.reader.import(update)?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        check::contains(&*self.reader, &self.clients.version)?;
        let state_hash = self.reader.state_hash();
        if state_hash != self.clients.state_hash {
            return Err(check::wrong(
                "another order of the updates gives another document",
            ));
        }
        let bytes = self.clients.updates.iter().map(Vec::len).sum();
        with_document(Outcome::new(bytes, state_hash), &mut *self.reader)
    }
}

fn map_number(client: &mut dyn Replica, i: u64) -> Result<(), EngineError> {
    set(client, Value::Int(i as i64))
}

fn map_object(client: &mut dyn Replica, i: u64) -> Result<(), EngineError> {
    let name = i.to_string();
    let object = [("name", Value::Str(&name)), ("address", Value::Str("here"))];
    set(client, Value::Object(&object))
}

fn map_string(client: &mut dyn Replica, i: u64) -> Result<(), EngineError> {
    set(client, Value::Str(&i.to_string().repeat(CLIENTS as usize)))
}

fn set(client: &mut dyn Replica, value: Value<'_>) -> Result<(), EngineError> {
    client.edit(&Edit::MapSet { key: "v", value })
}

fn list_string(client: &mut dyn Replica, i: u64) -> Result<(), EngineError> {
    let values = &[Value::Str(&i.to_string())];
    client.edit(&Edit::ListInsert { pos: 0, values })
}

fn text(client: &mut dyn Replica, i: u64) -> Result<(), EngineError> {
    client.splice(0, 0, &i.to_string())
}

/// B4: a trace by one writer, with an update for each txn.
fn trace(subject: &Subject) -> Prepared<'_> {
    let mut writer = subject.engine().replica(WRITER);
    let trace = subject.trace()?;
    writer.splice(0, 0, trace.start_content())?;
    writer.commit();
    let run = move |(writer, bytes): &mut (Box<dyn Replica>, usize)| {
        for txn in trace.txns() {
            let update = commit(&mut **writer, |writer| {
                let mut patches = txn.patches();
                patches.try_for_each(|patch| writer.splice(patch.pos, patch.del, patch.ins))
            })?;
            *bytes += update.len();
        }
        Ok(())
    };
    timed((writer, 0), run, move |(writer, bytes)| {
        check::same_text(&writer.text(), trace.end_content())?;
        let mut copy = subject.engine().replica(READER);
        copy.import(&Form::Updates.export(&mut **writer)?)?;
        with_document(check::same(&**writer, &*copy, *bytes)?, &mut **writer)
    })
}

/// Adds the size of the whole document, as the engine stores it, to an outcome.
fn with_document(
    mut outcome: Outcome,
    replica: &mut dyn Replica,
) -> Result<Outcome, WorkloadError> {
    let document = match Form::Snapshot.export(replica) {
        Err(EngineError::Unsupported(_)) => Form::Updates.export(replica),
        document => document,
    }?;
    outcome.document_bytes = Some(document.len() as u64);
    Ok(outcome)
}
