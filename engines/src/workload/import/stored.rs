//! The same stages on a document that an application has stored: the first table of the
//! Loro 1.0 article.

use std::rc::Rc;

use serde_json::json;

use super::{READER, Stage};
use crate::peer_ids::peer;
use crate::workload::{
    Form, Input, Outcome, Prepared, Subject, Workload, WorkloadError, check, timed,
};
use crate::{Engine, EngineError, Imported, Replica, Value, VersionVector};

/// The list of cells that the document of latch.bio consists of.
const CELLS: &str = "cells";

/// The cell that the edit appends: a nested map with a text in it.
const CELL: Value<'_> = Value::Map(&[
    ("cellType", Value::Str("code")),
    ("source", Value::Text("Hello world!")),
]);

pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for from in [From::File, From::Updates] {
        for stage in Stage::ALL {
            let variant = format!("{}{stage}", from.name());
            let row = Workload::new(Input::Document, variant, move |subject| {
                open(from, stage, subject)
            });
            all.push(row.unless(match from {
                From::File => cannot_open,
                From::Updates => no_updates,
            }));
        }
    }
    all
}

/// The bytes that are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// The bytes of the data set.
    File,
    /// All updates, exported from the document beforehand.
    Updates,
}

impl From {
    fn name(self) -> &'static str {
        match self {
            Self::File => "import",
            Self::Updates => "updates",
        }
    }
}

fn cannot_open(engine: &dyn Engine, dataset: &str) -> Option<String> {
    let entry = syncbench_datasets::catalog().entry(dataset)?;
    let reason = engine.cannot_open(entry.format.as_deref()?);
    reason.map(str::to_owned)
}

fn no_updates(engine: &dyn Engine, dataset: &str) -> Option<String> {
    let shallow = dataset == "latch-shallow";
    let reason =
        shallow.then(|| "a shallow document does not have the updates before it".to_owned());
    cannot_open(engine, dataset).or(reason)
}

/// The content of the stored document.
struct Document {
    form: Form,
    version: VersionVector,
    cells: Vec<serde_json::Value>,
    updates: Vec<u8>,
}

impl Document {
    fn of(subject: &Subject) -> Result<Rc<Self>, WorkloadError> {
        subject.cached("stored document", || {
            let stored = subject.stored()?;
            let format = stored.entry.format.as_deref().unwrap_or_default();
            let form = match format.contains("shallow") {
                true => Form::Shallow,
                false => Form::Snapshot,
            };
            let mut replica = subject.engine().replica(READER);
            replica.import(&stored.bytes)?;
            Ok(Self {
                form,
                version: replica.version_vector(),
                cells: cells_of(&*replica)?,
                updates: match form {
                    Form::Shallow => Vec::new(),
                    _ => Form::Updates.export(&mut *replica)?,
                },
            })
        })
    }
}

/// Returns the cells that a replica shows. Other containers at the root are empty, and
/// an engine may show them or not.
fn cells_of(replica: &dyn Replica) -> Result<Vec<serde_json::Value>, WorkloadError> {
    let value = replica.deep_value();
    let cells = value[CELLS].as_array().cloned();
    cells.ok_or_else(|| check::wrong("the document has no cells"))
}

struct Opened {
    replica: Box<dyn Replica>,
    imported: Imported,
    exported: Vec<u8>,
}

fn open(from: From, stage: Stage, subject: &Subject) -> Prepared<'_> {
    let document = Document::of(subject)?;
    let (form, bytes) = match from {
        From::File => (document.form, subject.stored()?.bytes.clone()),
        From::Updates => (Form::Updates, document.updates.clone()),
    };
    let len = bytes.len();
    let opened = Opened {
        replica: subject.engine().replica(READER),
        imported: Imported::default(),
        exported: Vec::new(),
    };
    timed(
        opened,
        move |opened| run(opened, &bytes, form, stage),
        move |opened| {
            let mut outcome = verify(opened, &document, stage, subject)?;
            if stage < Stage::Export {
                outcome.encoded_bytes = len as u64;
            }
            Ok(outcome)
        },
    )
}

fn run(opened: &mut Opened, bytes: &[u8], form: Form, stage: Stage) -> Result<(), EngineError> {
    opened.imported = opened.replica.import(bytes)?;
    if stage >= Stage::Value {
        opened.replica.materialize();
    }
    if stage >= Stage::Edit {
        opened.replica.append(CELLS, CELL)?;
        opened.replica.commit();
    }
    if stage >= Stage::Export {
        opened.exported = form.export(&mut *opened.replica)?;
    }
    Ok(())
}

fn verify(
    opened: &Opened,
    document: &Document,
    stage: Stage,
    subject: &Subject,
) -> Result<Outcome, WorkloadError> {
    check::brought_all(&opened.imported, subject.engine().capabilities())?;
    check::contains(&*opened.replica, &document.version)?;
    let mut cells = document.cells.clone();
    if stage >= Stage::Edit {
        cells.push(json!({ "cellType": "code", "source": "Hello world!" }));
    }
    if cells_of(&*opened.replica)? != cells {
        return Err(check::wrong("the cells are not those that were stored"));
    }
    if stage < Stage::Export {
        return Ok(Outcome::new(0, opened.replica.state_hash()));
    }
    let mut copy = subject.engine().replica(peer(3));
    copy.import(&opened.exported)?;
    check::same(&*opened.replica, &*copy, opened.exported.len())
}
