//! Verification that the suites share.

use syncbench_datasets::{Check, Trace, catalog};

use super::error::WorkloadError;
use super::repetition::Outcome;
use crate::{Capabilities, Capability, Imported, Replica, VersionVector};

/// An import must have brought something, as far as the engine can tell, and
/// nothing may wait.
pub fn brought_all(imported: &Imported, capabilities: Capabilities) -> Result<(), WorkloadError> {
    if let Some(range) = imported.pending.first() {
        return Err(wrong(format!("operations {range} wait for others")));
    }
    match imported.applied.is_empty() && capabilities.has(Capability::CountsDeletions) {
        true => Err(wrong("the import applied nothing")),
        false => Ok(()),
    }
}

/// A replica must contain `version`, show `text`, and wait for nothing.
pub fn shows(
    replica: &dyn Replica,
    version: &VersionVector,
    text: &str,
) -> Result<(), WorkloadError> {
    contains(replica, version)?;
    same_text(&replica.text(), text)?;
    if replica.deep_value()["text"] != text {
        return Err(wrong("the document's value is not that of its text"));
    }
    Ok(())
}

/// Two replicas must contain and show the same.
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
        return Err(wrong("equal versions and texts, but unequal values"));
    }
    Ok(Outcome::new(encoded_bytes, state_hash))
}

/// Two texts must be equal; says where they part.
pub fn same_text(text: &str, expected: &str) -> Result<(), WorkloadError> {
    if text == expected {
        return Ok(());
    }
    let same = text.chars().zip(expected.chars());
    let parted = same.take_while(|(a, b)| a == b).count();
    Err(wrong(format!(
        "a text of {} characters where one of {} is expected, parted at {parted}",
        text.chars().count(),
        expected.chars().count(),
    )))
}

/// A replica must contain `version`, and wait for nothing.
pub fn contains(replica: &dyn Replica, version: &VersionVector) -> Result<(), WorkloadError> {
    if let Some(range) = version.missing_from(&replica.version_vector()).first() {
        return Err(wrong(format!("operations {range} are missing")));
    }
    if replica.has_pending() {
        return Err(wrong("operations wait for others"));
    }
    Ok(())
}

/// What was found, as the reason to void a row.
pub fn wrong(what: impl Into<String>) -> WorkloadError {
    WorkloadError::Wrong(what.into())
}

/// How the text at the end of a trace is judged.
pub fn recorded(trace: &Trace) -> Check {
    let entry = catalog().file_of(trace.name());
    entry.map_or(Check::Text, |entry| entry.check)
}
