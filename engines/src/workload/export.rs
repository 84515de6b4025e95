//! Saving and sending a document that is in use.
//!
//! `first`: nothing was exported from this replica before. `warm`: the same
//! export again, with whatever the engine kept from the one before.

use std::fmt;

use super::{Form, Input, Outcome, Prepared, Repetition, Subject, Workload, WorkloadError, check};
use crate::{Cap, EngineError, Export, PeerId, Replica, VersionVector};

/// Who holds the document.
const HOLDER: PeerId = 2;

pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for form in Form::ALL {
        all.push(row(What::Whole(form), false));
        all.push(row(What::Whole(form), true));
    }
    all.push(row(What::LastTenth, false));
    all
}

fn row(what: What, warm: bool) -> Workload {
    let when = if warm { "warm" } else { "first" };
    let row = Workload::new(
        Input::Sequential,
        format!("{what}/{when}"),
        move |subject| Save::prepare(what, warm, subject),
    );
    row.needs(what.needs())
}

/// What is exported.
#[derive(Debug, Clone, Copy)]
enum What {
    Whole(Form),
    /// What a replica lacks that has 90 % of the txns.
    LastTenth,
}

impl What {
    fn needs(self) -> Vec<Cap> {
        match self {
            Self::Whole(form) => form.needs(),
            Self::LastTenth => vec![Cap::FastDifference],
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(form) => write!(f, "{form}"),
            Self::LastTenth => f.write_str("updates-since-90%"),
        }
    }
}

struct Save<'a> {
    what: What,
    subject: &'a Subject,
    /// Number of txns that the receiver of the last tenth has.
    known: usize,
    since: VersionVector,
    replica: Box<dyn Replica>,
    exported: Vec<u8>,
}

impl<'a> Save<'a> {
    fn prepare(what: What, warm: bool, subject: &'a Subject) -> Prepared<'a> {
        let known = subject.txns() * 9 / 10;
        let since = match what {
            What::LastTenth => subject.document(known)?.version.clone(),
            What::Whole(_) => VersionVector::new(),
        };
        let mut repetition = Self {
            what,
            subject,
            known,
            since,
            replica: subject.replica(HOLDER, subject.txns(), Form::Updates)?,
            exported: Vec::new(),
        };
        if warm {
            repetition.run()?;
        }
        Ok(Box::new(repetition))
    }
}

impl Repetition for Save<'_> {
    fn run(&mut self) -> Result<(), EngineError> {
        self.exported = match self.what {
            What::Whole(form) => form.export(&mut *self.replica)?,
            What::LastTenth => self
                .replica
                .export(Export::Updates { since: &self.since })?,
        };
        Ok(())
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        let known = match self.what {
            What::Whole(_) => 0,
            What::LastTenth => self.known,
        };
        let mut receiver = self.subject.replica(HOLDER + 1, known, Form::Updates)?;
        let imported = receiver.import(&self.exported)?;
        check::brought_all(&imported, self.subject.engine().caps())?;
        check::same(&*self.replica, &*receiver, self.exported.len())
    }
}
