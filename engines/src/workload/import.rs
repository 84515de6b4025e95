//! Opening a document: import it, read it, edit it, save it.
//!
//! Engines decode lazily, so what an import costs shows only in what comes
//! after it. Each stage contains the ones before.

use std::rc::Rc;

use super::subject::Document;
use super::{Form, Outcome, Repetition, Subject, Workload, WorkloadError, check};
use crate::{Cap, EngineError, Imported, PeerId, Replica};

/// Who opens the document.
const READER: PeerId = 2;

/// What the first edit types, at the start of the text.
const FIRST_EDIT: &str = "Hello world!";

pub fn workloads() -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> = Vec::new();
    for form in Form::ALL {
        for stage in [Stage::Import, Stage::Value, Stage::Edit, Stage::Export] {
            all.push(Box::new(Import { form, stage }));
        }
    }
    all
}

/// How far the opening goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Import,
    Value,
    Edit,
    Export,
}

struct Import {
    form: Form,
    stage: Stage,
}

impl Workload for Import {
    fn variant(&self) -> String {
        let stage = match self.stage {
            Stage::Import => "",
            Stage::Value => "+value",
            Stage::Edit => "+edit",
            Stage::Export => "+export",
        };
        format!("{}{stage}", self.form)
    }

    fn needs(&self) -> Vec<Cap> {
        self.form.needs()
    }

    fn operations(&self, ops: u64) -> Option<u64> {
        (self.form == Form::Updates && self.stage == Stage::Import).then_some(ops)
    }

    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError> {
        Ok(Box::new(Opening {
            form: self.form,
            stage: self.stage,
            subject,
            document: subject.whole()?,
            replica: subject.engine().replica(READER),
            imported: Imported::default(),
            exported: Vec::new(),
        }))
    }
}

struct Opening<'a> {
    form: Form,
    stage: Stage,
    subject: &'a Subject,
    document: Rc<Document>,
    replica: Box<dyn Replica>,
    imported: Imported,
    exported: Vec<u8>,
}

impl Repetition for Opening<'_> {
    fn run(&mut self) -> Result<(), EngineError> {
        self.imported = self.replica.import(self.document.bytes(self.form)?)?;
        if self.stage >= Stage::Value {
            self.replica.materialize();
        }
        if self.stage >= Stage::Edit {
            self.replica.splice(0, 0, FIRST_EDIT)?;
            self.replica.commit();
        }
        if self.stage >= Stage::Export {
            self.exported = self.form.export(&mut *self.replica)?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        check::brought_all(&self.imported, self.subject.engine().caps())?;
        let typed = match self.stage >= Stage::Edit {
            true => FIRST_EDIT,
            false => "",
        };
        let text = format!("{typed}{}", self.document.text);
        check::shows(&*self.replica, &self.document.version, &text)?;
        if self.stage < Stage::Export {
            let bytes = self.document.bytes(self.form)?.len();
            return Ok(Outcome {
                encoded_bytes: bytes as u64,
                state_hash: self.replica.state_hash(),
            });
        }
        let mut copy = self.subject.engine().replica(READER + 1);
        copy.import(&self.exported)?;
        check::same(&*self.replica, &*copy, self.exported.len())
    }
}
