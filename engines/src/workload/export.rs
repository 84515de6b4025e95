//! Saving and sending a document that is in use.
//!
//! `first`: nothing was exported from this replica before. `warm`: the same
//! export again, with whatever the engine kept from the one before.

use super::{Form, Outcome, Repetition, Subject, Workload, WorkloadError, check};
use crate::{Cap, EngineError, Export, PeerId, Replica, VersionVector};

/// Who holds the document.
const HOLDER: PeerId = 2;

pub fn workloads() -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> = Vec::new();
    for form in Form::ALL {
        for warm in [false, true] {
            let what = What::Whole(form);
            all.push(Box::new(Exporting { what, warm }));
        }
    }
    all.push(Box::new(Exporting {
        what: What::LastTenth,
        warm: false,
    }));
    all
}

/// What is exported.
#[derive(Debug, Clone, Copy)]
enum What {
    Whole(Form),
    /// What a replica lacks that has 90 % of the txns.
    LastTenth,
}

struct Exporting {
    what: What,
    warm: bool,
}

impl Workload for Exporting {
    fn variant(&self) -> String {
        let what = match self.what {
            What::Whole(form) => form.to_string(),
            What::LastTenth => "updates-since-90%".to_owned(),
        };
        let when = if self.warm { "warm" } else { "first" };
        format!("{what}/{when}")
    }

    fn needs(&self) -> Vec<Cap> {
        match self.what {
            What::Whole(form) => form.needs(),
            What::LastTenth => vec![Cap::FastDifference],
        }
    }

    fn operations(&self, _: u64) -> Option<u64> {
        None
    }

    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError> {
        let known = subject.txns() * 9 / 10;
        let mut repetition = Save {
            what: self.what,
            subject,
            known,
            since: subject.document(known)?.version.clone(),
            replica: subject.replica(HOLDER, subject.txns(), Form::Updates)?,
            exported: Vec::new(),
        };
        if self.warm {
            repetition.run()?;
        }
        Ok(Box::new(repetition))
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
