//! The content of rooms before the first edit: a part of the data set, typed, or a
//! document from a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncbench_datasets::Trace;
use syncbench_engines::panics::{self, Panic};
use syncbench_engines::{Engine, EngineError, Export, Replica, VersionVector};

use crate::plan::{ClientId, Identity, Plan};
use crate::room::InitialDocument;
use crate::room::typist::Typist;
use crate::scenario::{DocumentForm, EditKind, Scenario};

/// A reason why rooms cannot contain what they should.
#[derive(Debug, thiserror::Error)]
pub enum InitialDocumentError {
    /// It cannot be typed or stored.
    #[error("cannot make the document to start with: {0}")]
    Make(#[from] EngineError),
    /// The file cannot be read.
    #[error("cannot read the document to start with, {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// The file is not a document of the engine.
    #[error(
        "{} is not a document that {engine} can open: {reason}; document.file takes an export of it: \
         snapshot, shallow snapshot or updates",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// The engine's name.
        engine: &'static str,
        /// The error of the engine.
        reason: EngineError,
    },
    /// The file lacks something.
    #[error(
        "{} holds updates that build on others: document.file takes a whole document",
        path.display()
    )]
    Partial {
        /// The file.
        path: PathBuf,
    },
    /// The document's history does not reach back far enough for this run.
    #[error(
        "{} is a shallow document, and {why}: use a snapshot with its history",
        path.display()
    )]
    Shallow {
        /// The file.
        path: PathBuf,
        /// The reason why the history is needed.
        why: &'static str,
    },
    /// The engine panicked.
    #[error("cannot make the document to start with: {engine} panicked: {panic}")]
    Panicked {
        /// The engine's name and version.
        engine: String,
        /// Its panic.
        panic: Panic,
    },
    /// Somebody of the run has written in it already.
    #[error(
        "{} has edits by {}, as a run with this seed and run id makes them: give another --run-id, \
         or none",
        path.display(), client.name()
    )]
    Taken {
        /// The file.
        path: PathBuf,
        /// The client whose operations it contains.
        client: ClientId,
    },
}

/// Makes what the rooms of `scenario` contain; `None` if that is nothing.
///
/// # Errors
/// When the engine refuses an edit or the file, cannot store it in that form,
/// or the run could not edit it.
pub fn prepare(
    scenario: &Scenario,
    plan: &Plan,
    trace: &Arc<Trace>,
    engine: &dyn Engine,
) -> Result<Option<InitialDocument>, InitialDocumentError> {
    let mut replica = engine.replica(Identity::new(scenario).seeder());
    let prepared = panics::catch(|| match &scenario.document.file {
        Some(path) => open(path, scenario, plan, (engine, replica.as_mut())).map(Some),
        None => Ok(typed(scenario, trace, (engine, replica.as_mut()))?),
    });
    prepared.unwrap_or_else(|panic| {
        // It may panic again, or wait for ever, when it is dropped.
        std::mem::forget(replica);
        Err(InitialDocumentError::Panicked {
            engine: format!("{} {}", engine.name(), engine.version()),
            panic,
        })
    })
}

fn typed(
    scenario: &Scenario,
    trace: &Arc<Trace>,
    (engine, replica): (&dyn Engine, &mut dyn Replica),
) -> Result<Option<InitialDocument>, EngineError> {
    let document = &scenario.document;
    let edits = (document.typed * trace.patch_count() as f64) as usize;
    if edits == 0 {
        return Ok(None);
    }
    let mut typist = Typist::new(Arc::clone(trace), 0, 1);
    for _ in 0..edits {
        let Some(edit) = typist.next_edit(replica.text_len()) else {
            break;
        };
        replica.splice(edit.pos, edit.del, edit.ins)?;
        replica.commit();
    }
    let since = &VersionVector::new();
    let bytes = replica.export(match document.form {
        DocumentForm::Snapshot => Export::Snapshot,
        DocumentForm::Shallow => Export::ShallowSnapshot,
        DocumentForm::Updates => Export::Updates { since },
    })?;
    Ok(Some(InitialDocument {
        ranges: engine.ranges_of(&bytes)?,
        bytes: bytes.into(),
        version: replica.version_vector(),
    }))
}

fn open(
    path: &Path,
    scenario: &Scenario,
    plan: &Plan,
    (engine, replica): (&dyn Engine, &mut dyn Replica),
) -> Result<InitialDocument, InitialDocumentError> {
    let bytes = std::fs::read(path).map_err(|reason| InitialDocumentError::Read {
        path: path.to_owned(),
        reason,
    })?;
    let no_document = |reason| InitialDocumentError::Open {
        path: path.to_owned(),
        engine: engine.name(),
        reason,
    };
    let identity = Identity::new(scenario);
    replica.import(&bytes).map_err(no_document)?;
    let ranges = engine.ranges_of(&bytes).map_err(no_document)?;
    if replica.has_pending() {
        let path = path.to_owned();
        return Err(InitialDocumentError::Partial { path });
    }
    let has_light = plan.full_replicas() < plan.clients.len();
    check_history(path, replica, has_light, scenario.workload.edits)?;
    let version = replica.version_vector();
    let mut clients = (0..plan.clients.len() as u32).map(ClientId);
    if let Some(client) = clients.find(|&client| version.get(identity.peer_of(client)) > 0) {
        let path = path.to_owned();
        return Err(InitialDocumentError::Taken { path, client });
    }
    Ok(InitialDocument {
        ranges,
        bytes: bytes.into(),
        version,
    })
}

/// Refuses a document without the history that the run's edits need.
fn check_history(
    path: &Path,
    replica: &mut dyn Replica,
    has_light: bool,
    edits: EditKind,
) -> Result<(), InitialDocumentError> {
    let why = match (has_light, edits) {
        (true, _) => "light replicas make edits that do not build on it (--replica full does)",
        (_, EditKind::ReplaceAll) => "edits replace-all send the whole history",
        _ => return Ok(()),
    };
    let since = &VersionVector::new();
    match replica.export(Export::Updates { since }) {
        Ok(_) => Ok(()),
        Err(_) => Err(InitialDocumentError::Shallow {
            path: path.to_owned(),
            why,
        }),
    }
}
