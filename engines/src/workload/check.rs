//! Checks that several suites share.

use syncbench_datasets::{Check, Trace, catalog};

use super::error::WorkloadError;
use super::repetition::Outcome;
use crate::{Capabilities, Capability, Imported, Replica, VersionVector};

/// Checks that an import applied operations, as far as the engine reports it, and that
/// none are pending.
pub fn brought_all(imported: &Imported, capabilities: Capabilities) -> Result<(), WorkloadError> {
    if let Some(range) = imported.pending.first() {
        return Err(wrong(format!("operations {range} are pending")));
    }
    match imported.applied.is_empty() && capabilities.has(Capability::CountsDeletions) {
        true => Err(wrong("the import applied nothing")),
        false => Ok(()),
    }
}

/// Checks that a replica contains `version`, shows `text`, and has nothing pending.
pub fn shows(
    replica: &dyn Replica,
    version: &VersionVector,
    text: &str,
) -> Result<(), WorkloadError> {
    contains(replica, version)?;
    same_text(&replica.text(), text)?;
    if replica.deep_value()["text"] != text {
        return Err(wrong("the document's value does not contain its text"));
    }
    Ok(())
}

/// Checks that two replicas have the same version, text and value.
pub fn same(
    a: &dyn Replica,
    b: &dyn Replica,
    encoded_bytes: usize,
) -> Result<Outcome, WorkloadError> {
    contains(a, &b.version_vector())?;
    contains(b, &a.version_vector())?;
    same_text(&a.text(), &b.text())?;
    let state_hash = a.state_hash();
    if state_hash != b.state_hash() {
        return Err(wrong("versions and texts are equal, but values differ"));
    }
    Ok(Outcome::new(encoded_bytes, state_hash))
}

/// Checks that two texts are equal; the error gives the position of the first
/// difference.
pub fn same_text(text: &str, expected: &str) -> Result<(), WorkloadError> {
    if text == expected {
        return Ok(());
    }
    let same = text.chars().zip(expected.chars());
    let same_until = same.take_while(|(a, b)| a == b).count();
    Err(wrong(format!(
        "the text has {} characters instead of {}, and differs from character {same_until} on",
        text.chars().count(),
        expected.chars().count(),
    )))
}

/// Checks that a replica contains `version` and has nothing pending.
pub fn contains(replica: &dyn Replica, version: &VersionVector) -> Result<(), WorkloadError> {
    if let Some(range) = version.missing_from(&replica.version_vector()).first() {
        return Err(wrong(format!("operations {range} are missing")));
    }
    if replica.has_pending() {
        return Err(wrong("operations are pending"));
    }
    Ok(())
}

/// Makes the error that voids a row from a description of what was found.
pub fn wrong(what: impl Into<String>) -> WorkloadError {
    WorkloadError::Wrong(what.into())
}

/// Returns the check to apply to the text at the end of a trace.
pub fn recorded(trace: &Trace) -> Check {
    let entry = catalog().file_of(trace.name());
    entry.map_or(Check::Text, |entry| entry.check)
}
