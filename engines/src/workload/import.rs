//! Opening a document: import it, read it, edit it, save it.
//!
//! Engines decode lazily, so part of the cost of an import shows only in later calls.
//! Each stage therefore contains the stages before it.

mod stored;

use std::fmt;
use std::rc::Rc;

use super::subject::Document;
use super::{Form, Input, Outcome, Prepared, Repetition, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{EngineError, HeavyWork, Imported, PeerId, Replica};

/// The peer that opens the document.
const READER: PeerId = peer(2);

/// The text that the first edit types at the start of the text.
const FIRST_EDIT: &str = "Hello world!";

pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for form in Form::ALL {
        for stage in Stage::ALL {
            let row = Workload::new(
                Input::Sequential,
                format!("{form}{stage}"),
                move |subject| Opening::prepare(form, stage, subject),
            );
            let row = row
                .needs(form.needs())
                .heavy_on("automerge-paper-x100", HeavyWork::HugeHistory);
            all.push(match (form, stage) {
                (Form::Updates, Stage::Import) => row.per_operation(),
                _ => row,
            });
        }
    }
    all.extend(stored::workloads());
    all
}

/// The last step of the opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Import,
    Value,
    Edit,
    Export,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Import, Self::Value, Self::Edit, Self::Export];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import => "",
            Self::Value => "+value",
            Self::Edit => "+edit",
            Self::Export => "+export",
        })
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

impl<'a> Opening<'a> {
    fn prepare(form: Form, stage: Stage, subject: &'a Subject) -> Prepared<'a> {
        Ok(Box::new(Self {
            form,
            stage,
            subject,
            document: subject.whole()?,
            replica: subject.engine().replica(READER),
            imported: Imported::default(),
            exported: Vec::new(),
        }))
    }
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
        check::brought_all(&self.imported, self.subject.engine().capabilities())?;
        let typed = match self.stage >= Stage::Edit {
            true => FIRST_EDIT,
            false => "",
        };
        let text = format!("{typed}{}", self.document.text);
        check::shows(&*self.replica, &self.document.version, &text)?;
        if self.stage < Stage::Export {
            let bytes = self.document.bytes(self.form)?.len();
            return Ok(Outcome::new(bytes, self.replica.state_hash()));
        }
        let mut copy = self.subject.engine().replica(peer(3));
        copy.import(&self.exported)?;
        check::same(&*self.replica, &*copy, self.exported.len())
    }
}
