//! The life of a stored document: loaded, brought up to date and stored again, or
//! loaded for a single purpose.

use std::rc::Rc;

use super::subject::{Document, TAIL};
use super::{Form, Input, Outcome, Prepared, Subject, Workload, WorkloadError, check, timed};
use crate::peer_ids::peer;
use crate::{
    Capabilities, Capability, Engine, EngineError, Export, Imported, PeerId, Replica, VersionVector,
};

/// The peer that loads the document.
const HOLDER: PeerId = peer(2);

/// The start of the history of a shallow document that is to serve peers that are
/// behind, in per cent of the txns.
const SHALLOW_FROM: usize = 50;

/// The share of the txns that a peer has that is behind, in per cent.
const PEER_HAS: usize = 90;

/// The number of inserts in the article's example of what a shallow snapshot saves.
const EXAMPLE_INSERTS: u64 = 10_000;
const EXAMPLE_TEXT: &str = "Hello, world!";

pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for (cycles, name) in [(1, "1-cycle"), (10, "10-cycles")] {
        all.extend(Form::ALL.map(|form| {
            let variant = format!("{name}/{form}");
            let row = Workload::new(Input::Sequential, variant, move |subject| {
                compact(form, cycles, subject)
            });
            row.needs(form.needs()).per(cycles as u64)
        }));
    }
    all.extend(each_form("server", Input::Sequential, bring_up_to_date));
    all.extend([Form::Snapshot, Form::Updates].map(|form| {
        let variant = format!("sync/{form}");
        let row = Workload::new(Input::Sequential, variant, move |subject| {
            let stored = subject.whole()?.bytes(form)?.to_vec();
            serve(stored, subject)
        });
        row.needs(form.needs())
    }));
    let variant = format!("sync/shallow-at-{SHALLOW_FROM}%");
    let row = Workload::new(Input::Sequential, variant, serve_from_shallow);
    all.push(row.needs([Capability::ShallowSnapshot]));
    all.extend(each_form("open", Input::Sequential, open));
    all.extend(each_form("example", Input::Synthetic, example));
    all
}

type Prepare = for<'a> fn(Form, &'a Subject) -> Prepared<'a>;

fn each_form(name: &str, input: Input, prepare: Prepare) -> [Workload; 3] {
    Form::ALL.map(|form| {
        let row = Workload::new(input, format!("{name}/{form}"), move |subject| {
            prepare(form, subject)
        });
        row.needs(form.needs())
    })
}

/// A document that was stored before the last txns of a trace, and these txns as the
/// updates that clients sent for them.
struct Behind {
    stored: Vec<u8>,
    updates: Rc<[Vec<u8>]>,
}

fn behind(form: Form, subject: &Subject) -> Result<Behind, WorkloadError> {
    let Some(start) = subject.txns().checked_sub(TAIL) else {
        return Err(subject.unsuitable(format!("it has fewer than {TAIL} txns")));
    };
    let stored = subject.document(start)?.bytes(form)?.to_vec();
    let updates = subject.txn_updates(start)?;
    Ok(Behind { stored, updates })
}

/// Imports, each of which must apply operations.
struct Imports {
    capabilities: Capabilities,
    idle: usize,
}

impl Imports {
    fn new(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            idle: 0,
        }
    }

    fn note(&mut self, imported: &Imported) {
        self.idle += usize::from(check::brought_all(imported, self.capabilities).is_err());
    }

    fn load(&mut self, replica: &mut dyn Replica, stored: &[u8]) -> Result<(), EngineError> {
        let imported = replica.import(stored)?;
        self.note(&imported);
        Ok(())
    }

    /// Applies updates in one call if the engine has such a call, otherwise one by one.
    fn apply(&mut self, replica: &mut dyn Replica, updates: &[Vec<u8>]) -> Result<(), EngineError> {
        if self.capabilities.has(Capability::Batch) {
            let updates: Vec<&[u8]> = updates.iter().map(Vec::as_slice).collect();
            let imported = replica.import_batch(&updates)?;
            self.note(&imported);
            return Ok(());
        }
        for update in updates {
            let imported = replica.import(update)?;
            self.note(&imported);
        }
        Ok(())
    }

    fn verify(&self) -> Result<(), WorkloadError> {
        match self.idle {
            0 => Ok(()),
            idle => Err(check::wrong(format!("{idle} imports applied nothing"))),
        }
    }
}

/// Loads the stored document, applies a share of the updates and stores it again,
/// `cycles` times, until all updates are applied.
fn compact(form: Form, cycles: usize, subject: &Subject) -> Prepared<'_> {
    struct Compaction {
        replicas: Vec<Box<dyn Replica>>,
        stored: Vec<u8>,
        imports: Imports,
        written: usize,
    }
    let Behind { stored, updates } = behind(form, subject)?;
    let engine = subject.engine();
    let share = updates.len().div_ceil(cycles);
    timed(
        Compaction {
            replicas: (0..cycles).map(|_| engine.replica(HOLDER)).collect(),
            stored,
            imports: Imports::new(engine.capabilities()),
            written: 0,
        },
        move |state| {
            for (replica, updates) in state.replicas.iter_mut().zip(updates.chunks(share)) {
                state.imports.load(&mut **replica, &state.stored)?;
                state.imports.apply(&mut **replica, updates)?;
                state.stored = form.export(&mut **replica)?;
                state.written += state.stored.len();
            }
            Ok(())
        },
        move |state| {
            state.imports.verify()?;
            let mut outcome = holds_all(&state.stored, subject)?;
            outcome.encoded_bytes = state.written as u64;
            Ok(outcome)
        },
    )
}

/// Checks that stored bytes load into the document of the whole trace.
fn holds_all(stored: &[u8], subject: &Subject) -> Result<Outcome, WorkloadError> {
    let whole = subject.whole()?;
    let mut copy = subject.engine().replica(peer(3));
    copy.import(stored)?;
    check::shows(&*copy, &whole.version, &whole.text)?;
    Ok(Outcome {
        document_bytes: Some(stored.len() as u64),
        ..Outcome::new(stored.len(), copy.state_hash())
    })
}

/// A server brings a stored document up to date with what clients have sent since.
fn bring_up_to_date(form: Form, subject: &Subject) -> Prepared<'_> {
    let Behind { stored, updates } = behind(form, subject)?;
    let whole = subject.whole()?;
    let engine = subject.engine();
    let bytes = updates.iter().map(Vec::len).sum::<usize>() + stored.len();
    timed(
        (engine.replica(HOLDER), Imports::new(engine.capabilities())),
        move |(replica, imports)| {
            imports.load(&mut **replica, &stored)?;
            imports.apply(&mut **replica, &updates)?;
            replica.materialize();
            Ok(())
        },
        move |(replica, imports)| {
            imports.verify()?;
            loaded(&**replica, &whole, bytes)
        },
    )
}

/// A reader loads the document and shows it.
fn open(form: Form, subject: &Subject) -> Prepared<'_> {
    let whole = subject.whole()?;
    let stored = whole.bytes(form)?.to_vec();
    let engine = subject.engine();
    let bytes = stored.len();
    timed(
        (engine.replica(HOLDER), Imports::new(engine.capabilities())),
        move |(replica, imports)| {
            imports.load(&mut **replica, &stored)?;
            replica.materialize();
            Ok(())
        },
        move |(replica, imports)| {
            imports.verify()?;
            loaded(&**replica, &whole, bytes)
        },
    )
}

fn loaded(replica: &dyn Replica, whole: &Document, bytes: usize) -> Result<Outcome, WorkloadError> {
    check::shows(replica, &whole.version, &whole.text)?;
    Ok(Outcome::new(bytes, replica.state_hash()))
}

fn serve_from_shallow(subject: &Subject) -> Prepared<'_> {
    let stored = subject.cached("shallow with a tail", || {
        let start = subject.document(subject.txns() * SHALLOW_FROM / 100)?;
        let version = &start.version;
        let mut replica = subject.replica(HOLDER, subject.txns(), Form::Updates)?;
        Ok(replica.export(Export::ShallowSnapshotAt { version })?)
    })?;
    serve(stored.to_vec(), subject)
}

/// A server loads the stored document only to send a peer what it lacks; nobody reads
/// the document.
fn serve(stored: Vec<u8>, subject: &Subject) -> Prepared<'_> {
    struct Service {
        replica: Box<dyn Replica>,
        imports: Imports,
        sent: Vec<u8>,
    }
    let engine = subject.engine();
    let known = subject.txns() * PEER_HAS / 100;
    let base = subject.document(known)?;
    timed(
        Service {
            replica: engine.replica(HOLDER),
            imports: Imports::new(engine.capabilities()),
            sent: Vec::new(),
        },
        move |state| {
            state.imports.load(&mut *state.replica, &stored)?;
            let since = &base.version;
            state.sent = state.replica.export(Export::Updates { since })?;
            Ok(())
        },
        move |state| {
            state.imports.verify()?;
            let whole = subject.whole()?;
            let mut receiver = subject.replica(peer(3), known, Form::Updates)?;
            let imported = receiver.import(&state.sent)?;
            check::brought_all(&imported, engine.capabilities())?;
            loaded(&*receiver, &whole, state.sent.len())
        },
    )
}

/// Stores a document with a long history and a small state.
fn example(form: Form, subject: &Subject) -> Prepared<'_> {
    let engine = subject.engine();
    let updates = subject.cached("example", || written_example(engine))?;
    let mut replica = engine.replica(HOLDER);
    replica.import(&updates)?;
    timed(
        (replica, Vec::new()),
        move |(replica, stored)| {
            *stored = form.export(&mut **replica)?;
            Ok(())
        },
        move |(replica, stored)| {
            let mut copy = engine.replica(peer(3));
            copy.import(stored)?;
            let text = EXAMPLE_TEXT.repeat(EXAMPLE_INSERTS as usize);
            check::same_text(&copy.text(), &text)?;
            let outcome = check::same(&**replica, &*copy, stored.len())?;
            Ok(Outcome {
                document_bytes: Some(stored.len() as u64),
                ..outcome
            })
        },
    )
}

fn written_example(engine: &dyn Engine) -> Result<Vec<u8>, WorkloadError> {
    let mut replica = engine.replica(peer(1));
    for _ in 0..EXAMPLE_INSERTS {
        replica.splice(0, 0, EXAMPLE_TEXT)?;
    }
    replica.commit();
    let since = &VersionVector::new();
    Ok(replica.export(Export::Updates { since })?)
}
