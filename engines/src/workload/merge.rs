//! Merging remote operations into a replica that is empty or has operations of its own.

mod concurrent;
mod order;

use std::fmt;
use std::rc::Rc;

use super::repetition::timed;
use super::subject::{Document, TAIL, WRITER};
use super::{Form, Input, Outcome, Prepared, Repetition, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{
    Capabilities, Capability, EngineError, Export, HeavyWork, Imported, PeerId, Replica,
    VersionVector,
};

/// The peer that receives, and edits on its own side.
const RECEIVER: PeerId = peer(2);

/// The numbers of edits on each of two branches.
pub(super) const DIVERGED: [usize; 4] = [10, 100, 1000, 10_000];

/// The number of edits on each side above which work that grows with their product
/// takes minutes.
pub(super) const QUADRATIC: usize = 1000;

/// The number of txns that a replica makes on its own before the others arrive.
const LOCAL: usize = 100;

pub fn workloads() -> Vec<Workload> {
    let sequential = Input::Sequential;
    let mut all = vec![
        Workload::new(sequential, "blob", blob).per_operation(),
        Workload::new(sequential, "txns", txns)
            .needs([Capability::ManyImports])
            .per_operation(),
    ];
    for form in [Form::Updates, Form::Snapshot, Form::Shallow] {
        let variant = format!("tail-{TAIL}-into-{form}");
        let row = Workload::new(sequential, variant, move |subject| tail(form, subject));
        let row = row.heavy(HeavyWork::ManyChanges);
        all.push(row.needs(form.needs()));
    }
    for edits in DIVERGED {
        let variant = format!("diverged-{edits}");
        let row = Workload::new(sequential, variant, move |subject| diverged(edits, subject));
        let row = row.scale("diverged", edits as u64, "edits");
        all.push(match edits > QUADRATIC {
            true => row.heavy(HeavyWork::LongBranches),
            false => row,
        });
    }
    for (arrives, loaded) in [
        (Arriving::Snapshot, Form::Updates),
        (Arriving::Rest, Form::Updates),
        (Arriving::Rest, Form::Snapshot),
        (Arriving::Rest, Form::Shallow),
    ] {
        let variant = format!("{arrives}-into-edited-{loaded}");
        let row = Workload::new(sequential, variant, move |subject| {
            into_edited(arrives, loaded, subject)
        });
        all.push(row.needs(loaded.needs()).needs(arrives.form().needs()));
    }
    all.extend(order::workloads());
    all.extend(concurrent::workloads());
    all
}

/// The whole trace as one blob of updates into an empty replica.
fn blob(subject: &Subject) -> Prepared<'_> {
    let document = subject.whole()?;
    let updates = vec![document.bytes(Form::Updates)?.to_vec()].into();
    let receiver = subject.engine().replica(RECEIVER);
    Delivery::prepare(subject, receiver, updates, document)
}

/// The whole trace txn by txn into a replica that has the start text.
fn txns(subject: &Subject) -> Prepared<'_> {
    let receiver = subject.replica(RECEIVER, 0, Form::Updates)?;
    Delivery::prepare(subject, receiver, subject.txn_updates(0)?, subject.whole()?)
}

/// The last txns of the trace, one by one, into a replica that loaded the rest in
/// `form`.
fn tail(form: Form, subject: &Subject) -> Prepared<'_> {
    let Some(start) = subject.txns().checked_sub(TAIL) else {
        return Err(subject.unsuitable(format!("it has fewer than {TAIL} txns")));
    };
    let receiver = subject.replica(RECEIVER, start, form)?;
    Delivery::prepare(
        subject,
        receiver,
        subject.txn_updates(start)?,
        subject.whole()?,
    )
}

/// Two branches, each of which sends what the other lacks.
fn diverged(txns: usize, subject: &Subject) -> Prepared<'_> {
    let [a, b] = branches(txns, subject)?;
    Ok(Box::new(Exchange {
        capabilities: subject.engine().capabilities(),
        a_version: a.version_vector(),
        b_version: b.version_vector(),
        a,
        b,
        bytes: 0,
        imported: Default::default(),
    }))
}

/// Makes two replicas that share the first half of the trace. One continues with the
/// next txns, the other with those after them.
pub(super) fn branches(
    txns: usize,
    subject: &Subject,
) -> Result<[Box<dyn Replica>; 2], WorkloadError> {
    let half = subject.txns() / 2;
    let first = half..half + txns;
    let second = first.end..first.end + txns;
    if second.end > subject.txns() {
        return Err(subject.unsuitable(format!("it has fewer than {} txns", 4 * txns)));
    }
    let mut a = subject.replica(WRITER, half, Form::Updates)?;
    let mut b = subject.replica(RECEIVER, half, Form::Updates)?;
    subject.play(&mut *a, first)?;
    let before = b.own_counter();
    subject.play(&mut *b, second)?;
    match b.own_counter() > before {
        true => Ok([a, b]),
        // Deletions past the end of a text that lacks the first branch, for example.
        false => Err(subject.unsuitable("its second branch changes nothing without the first")),
    }
}

/// Remote edits arrive at a replica that loaded the first half of the trace in `loaded`
/// and has edits of its own.
fn into_edited(arrives: Arriving, loaded: Form, subject: &Subject) -> Prepared<'_> {
    let half = subject.txns() / 2;
    let since = &subject.document(half)?.version;
    let mut replica = subject.replica(RECEIVER, half, loaded)?;
    subject.play(&mut *replica, half..(half + LOCAL).min(subject.txns()))?;
    let own = replica.export(Export::Updates { since })?;
    let arriving = match arrives {
        Arriving::Snapshot => subject.whole()?.bytes(Form::Snapshot)?.to_vec(),
        Arriving::Rest => subject.updates_since(half)?,
    };
    Ok(Box::new(Arrival {
        subject,
        replica,
        own,
        arriving,
        imported: Imported::default(),
    }))
}

/// Updates that lead to a known document, imported in order.
pub(super) struct Delivery {
    receiver: Box<dyn Replica>,
    updates: Rc<[Vec<u8>]>,
    end: Rc<Document>,
    capabilities: Capabilities,
    /// The number of imports that applied nothing, or left something pending.
    idle: usize,
}

impl Delivery {
    pub fn prepare<'a>(
        subject: &'a Subject,
        receiver: Box<dyn Replica>,
        updates: Rc<[Vec<u8>]>,
        end: Rc<Document>,
    ) -> Prepared<'a> {
        Ok(Box::new(Self {
            receiver,
            updates,
            end,
            capabilities: subject.engine().capabilities(),
            idle: 0,
        }))
    }
}

impl Repetition for Delivery {
    fn run(&mut self) -> Result<(), EngineError> {
        for update in self.updates.iter() {
            let imported = self.receiver.import(update)?;
            self.idle += usize::from(check::brought_all(&imported, self.capabilities).is_err());
        }
        Ok(())
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        if self.idle > 0 {
            return Err(WorkloadError::Wrong(format!(
                "{} of {} updates were not applied when they came",
                self.idle,
                self.updates.len(),
            )));
        }
        arrived(&*self.receiver, &self.updates, &self.end)
    }
}

/// Imports the same updates in one batch.
pub(super) fn batch(
    receiver: Box<dyn Replica>,
    updates: Rc<[Vec<u8>]>,
    end: Rc<Document>,
    capabilities: Capabilities,
) -> Prepared<'static> {
    let all = Rc::clone(&updates);
    timed(
        (receiver, Imported::default()),
        move |(receiver, imported)| {
            let batch: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            *imported = receiver.import_batch(&batch)?;
            Ok(())
        },
        move |(receiver, imported)| {
            check::brought_all(imported, capabilities)?;
            arrived(&**receiver, &updates, &end)
        },
    )
}

/// Checks that the receiver of updates shows the document that they lead to.
fn arrived(
    receiver: &dyn Replica,
    updates: &[Vec<u8>],
    end: &Document,
) -> Result<Outcome, WorkloadError> {
    check::shows(receiver, &end.version, &end.text)?;
    let bytes = updates.iter().map(Vec::len).sum();
    Ok(Outcome::new(bytes, receiver.state_hash()))
}

struct Exchange {
    capabilities: Capabilities,
    a: Box<dyn Replica>,
    b: Box<dyn Replica>,
    a_version: VersionVector,
    b_version: VersionVector,
    bytes: usize,
    imported: [Imported; 2],
}

impl Repetition for Exchange {
    fn run(&mut self) -> Result<(), EngineError> {
        let since = &self.b_version;
        let to_b = self.a.export(Export::Updates { since })?;
        let since = &self.a_version;
        let to_a = self.b.export(Export::Updates { since })?;
        self.bytes = to_a.len() + to_b.len();
        self.imported = [self.a.import(&to_a)?, self.b.import(&to_b)?];
        Ok(())
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        for imported in &self.imported {
            check::brought_all(imported, self.capabilities)?;
        }
        check::same(&*self.a, &*self.b, self.bytes)
    }
}

/// The form of the arriving edits. A shallow snapshot is not among them: Loro imports
/// one into an empty document only, and in any other keeps its last operation pending
/// forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arriving {
    /// The whole document as a snapshot.
    Snapshot,
    /// The second half as one blob of updates.
    Rest,
}

impl Arriving {
    fn form(self) -> Form {
        match self {
            Self::Snapshot => Form::Snapshot,
            Self::Rest => Form::Updates,
        }
    }
}

impl fmt::Display for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snapshot => "snapshot",
            Self::Rest => "rest",
        })
    }
}

struct Arrival<'a> {
    subject: &'a Subject,
    replica: Box<dyn Replica>,
    /// The edits that only this replica has.
    own: Vec<u8>,
    arriving: Vec<u8>,
    imported: Imported,
}

impl Repetition for Arrival<'_> {
    fn run(&mut self) -> Result<(), EngineError> {
        self.imported = self.replica.import(&self.arriving)?;
        Ok(())
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        check::brought_all(&self.imported, self.subject.engine().capabilities())?;
        let all = self.subject.txns();
        let mut reference = self.subject.replica(peer(3), all, Form::Updates)?;
        reference.import(&self.own)?;
        check::same(&*self.replica, &*reference, self.arriving.len())
    }
}
