//! Remote operations into a replica that has others, or none.

use std::rc::Rc;

use super::subject::{Document, WRITER};
use super::{Form, Outcome, Repetition, Subject, Workload, WorkloadError, check};
use crate::{Cap, Caps, EngineError, Export, Imported, PeerId, Replica, VersionVector};

/// Who receives, and edits on its own side.
const RECEIVER: PeerId = 2;

/// Txns that [`Tail`] delivers.
const TAIL: usize = 1000;

/// Txns that [`IntoEdited`] makes locally first.
const LOCAL: usize = 100;

pub fn workloads() -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> = vec![Box::new(Blob), Box::new(Txns)];
    for form in [Form::Updates, Form::Snapshot, Form::Shallow] {
        all.push(Box::new(Tail { form }));
    }
    for txns in [10, 100, 1000] {
        all.push(Box::new(Diverged { txns }));
    }
    for (arrives, loaded) in [
        (Arriving::Snapshot, Form::Updates),
        (Arriving::Rest, Form::Updates),
        (Arriving::Rest, Form::Snapshot),
        (Arriving::Rest, Form::Shallow),
    ] {
        all.push(Box::new(IntoEdited { loaded, arrives }));
    }
    all
}

/// The whole trace as one blob of updates into an empty replica.
struct Blob;

impl Workload for Blob {
    fn variant(&self) -> String {
        "blob".to_owned()
    }

    fn needs(&self) -> Vec<Cap> {
        Vec::new()
    }

    fn operations(&self, ops: u64) -> Option<u64> {
        Some(ops)
    }

    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError> {
        let document = subject.whole()?;
        let updates = vec![document.bytes(Form::Updates)?.to_vec()].into();
        let receiver = subject.engine().replica(RECEIVER);
        let caps = subject.engine().caps();
        Ok(Box::new(Delivery::new(receiver, updates, document, caps)))
    }
}

/// The whole trace txn by txn into an empty replica.
struct Txns;

impl Workload for Txns {
    fn variant(&self) -> String {
        "txns".to_owned()
    }

    fn needs(&self) -> Vec<Cap> {
        vec![Cap::ManyImports]
    }

    fn operations(&self, ops: u64) -> Option<u64> {
        Some(ops)
    }

    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError> {
        let updates = subject.txn_updates(0)?;
        let receiver = subject.engine().replica(RECEIVER);
        let caps = subject.engine().caps();
        let end = subject.whole()?;
        Ok(Box::new(Delivery::new(receiver, updates, end, caps)))
    }
}

/// The last txns of the trace, one by one, into a replica that loaded the rest.
struct Tail {
    /// How it loaded the rest.
    form: Form,
}

impl Workload for Tail {
    fn variant(&self) -> String {
        format!("tail-{TAIL}-into-{}", self.form)
    }

    fn needs(&self) -> Vec<Cap> {
        self.form.needs()
    }

    fn operations(&self, _: u64) -> Option<u64> {
        None
    }

    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError> {
        let Some(start) = subject.txns().checked_sub(TAIL) else {
            return Err(subject.unsuitable(format!("it has fewer than {TAIL} txns")));
        };
        let receiver = subject.replica(RECEIVER, start, self.form)?;
        let updates = subject.txn_updates(start)?;
        let caps = subject.engine().caps();
        let end = subject.whole()?;
        Ok(Box::new(Delivery::new(receiver, updates, end, caps)))
    }
}

/// Updates that lead to a known document, imported in order.
struct Delivery {
    receiver: Box<dyn Replica>,
    updates: Rc<[Vec<u8>]>,
    end: Rc<Document>,
    caps: Caps,
    /// Imports that applied nothing, or left something pending.
    idle: usize,
}

impl Delivery {
    fn new(
        receiver: Box<dyn Replica>,
        updates: Rc<[Vec<u8>]>,
        end: Rc<Document>,
        caps: Caps,
    ) -> Self {
        Self {
            receiver,
            updates,
            end,
            caps,
            idle: 0,
        }
    }
}

impl Repetition for Delivery {
    fn run(&mut self) -> Result<(), EngineError> {
        for update in self.updates.iter() {
            let imported = self.receiver.import(update)?;
            self.idle += usize::from(check::brought_all(&imported, self.caps).is_err());
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
        check::shows(&*self.receiver, &self.end.version, &self.end.text)?;
        Ok(Outcome {
            encoded_bytes: self.updates.iter().map(|update| update.len() as u64).sum(),
            state_hash: self.receiver.state_hash(),
        })
    }
}

/// Two replicas share the first half of the trace; one goes on with the next
/// txns, the other with those after them. Then each sends what the other lacks.
struct Diverged {
    txns: usize,
}

impl Workload for Diverged {
    fn variant(&self) -> String {
        format!("diverged-{}", self.txns)
    }

    fn needs(&self) -> Vec<Cap> {
        vec![Cap::FastDifference]
    }

    fn operations(&self, _: u64) -> Option<u64> {
        None
    }

    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError> {
        let half = subject.txns() / 2;
        let first = half..half + self.txns;
        let second = first.end..first.end + self.txns;
        if second.end > subject.txns() {
            return Err(subject.unsuitable(format!("it has fewer than {} txns", 4 * self.txns)));
        }
        let mut a = subject.replica(WRITER, half, Form::Updates)?;
        let mut b = subject.replica(RECEIVER, half, Form::Updates)?;
        subject.play(&mut *a, first)?;
        subject.play(&mut *b, second)?;
        Ok(Box::new(Exchange {
            caps: subject.engine().caps(),
            a_version: a.version_vector(),
            b_version: b.version_vector(),
            a,
            b,
            bytes: 0,
            imported: Default::default(),
        }))
    }
}

struct Exchange {
    caps: Caps,
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
            check::brought_all(imported, self.caps)?;
        }
        check::same(&*self.a, &*self.b, self.bytes)
    }
}

/// Remote edits arrive at a replica that loaded the first half of the trace
/// and has edits of its own.
struct IntoEdited {
    /// How the replica loaded the first half.
    loaded: Form,
    arrives: Arriving,
}

/// What arrives. A shallow snapshot is not among it: Loro takes one into an
/// empty document only, and elsewhere sets its last operation aside for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arriving {
    /// The whole document as a snapshot.
    Snapshot,
    /// The second half as one blob of updates.
    Rest,
}

impl Workload for IntoEdited {
    fn variant(&self) -> String {
        let what = match self.arrives {
            Arriving::Snapshot => "snapshot",
            Arriving::Rest => "rest",
        };
        format!("{what}-into-edited-{}", self.loaded)
    }

    fn needs(&self) -> Vec<Cap> {
        let arrives = match self.arrives {
            Arriving::Snapshot => Form::Snapshot,
            Arriving::Rest => Form::Updates,
        };
        [self.loaded.needs(), arrives.needs()].concat()
    }

    fn operations(&self, _: u64) -> Option<u64> {
        None
    }

    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError> {
        let half = subject.txns() / 2;
        let since = &subject.document(half)?.version;
        let mut replica = subject.replica(RECEIVER, half, self.loaded)?;
        subject.play(&mut *replica, half..(half + LOCAL).min(subject.txns()))?;
        let own = replica.export(Export::Updates { since })?;
        let arriving = match self.arrives {
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
        check::brought_all(&self.imported, self.subject.engine().caps())?;
        let all = self.subject.txns();
        let mut reference = self.subject.replica(RECEIVER + 1, all, Form::Updates)?;
        reference.import(&self.own)?;
        check::same(&*self.replica, &*reference, self.arriving.len())
    }
}
