//! What rooms contain before the first edit: a part of the data set, typed.

use syncbench_datasets::Trace;
use syncbench_engines::{Engine, EngineError, Export, VersionVector};

use crate::room::{FOUNDER, Ground};
use crate::scenario::{Document, DocumentForm};
use crate::typist::Typist;

/// Types what `document` says; `None` if that is nothing.
///
/// # Errors
/// When the engine refuses an edit, or cannot store it in that form.
pub fn found(
    document: &Document,
    trace: &std::sync::Arc<Trace>,
    engine: &dyn Engine,
) -> Result<Option<Ground>, EngineError> {
    let edits = (document.typed * trace.patch_count() as f64) as usize;
    if edits == 0 {
        return Ok(None);
    }
    let mut replica = engine.replica(FOUNDER);
    let mut typist = Typist::new(std::sync::Arc::clone(trace), 0, 1);
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
    Ok(Some(Ground {
        ranges: engine.ranges_of(&bytes)?,
        bytes: bytes.into(),
        version: replica.version_vector(),
    }))
}
