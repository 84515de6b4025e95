//! What a replica can do with its past.

use std::any::Any;

use crate::{EngineError, PeerId, Replica, VersionVector};

/// A replica's own form of a version.
pub struct Moment(pub(crate) Box<dyn Any>);

/// A replica's own form of what differs between two versions.
pub struct Difference(pub(crate) Box<dyn Any>);

const NOT_HERE: EngineError = EngineError::Unsupported("the engine has no such call");

/// The powers over the past, as far as an engine has them.
/// Versions must be contained in the replica, and what was edited committed.
pub trait History {
    /// The engine's own form of a version, which costs some of them a walk
    /// over the history.
    ///
    /// # Errors
    /// When the replica does not contain the version.
    fn moment(&mut self, version: &VersionVector) -> Result<Moment, EngineError>;

    /// A copy of the document with its whole history, for `peer`.
    ///
    /// # Errors
    /// Without [`Cap::Forks`](crate::Cap::Forks).
    fn fork(&mut self, peer: PeerId) -> Result<Box<dyn Replica>, EngineError>;

    /// A copy of the document as it was, for `peer`.
    ///
    /// # Errors
    /// Without [`Cap::ForksAt`](crate::Cap::ForksAt).
    fn fork_at(&mut self, at: &Moment, peer: PeerId) -> Result<Box<dyn Replica>, EngineError>;

    /// Shows the document as it was; [`History::checkout_latest`] ends it.
    ///
    /// # Errors
    /// Without [`Cap::Checkout`](crate::Cap::Checkout).
    fn checkout(&mut self, _at: &Moment) -> Result<(), EngineError> {
        Err(NOT_HERE)
    }

    /// Shows the document as it was, for `peer` to edit it there, beside what
    /// came later. [`History::checkout_latest`] merges the two.
    ///
    /// # Errors
    /// Without [`Cap::TimeTravel`](crate::Cap::TimeTravel).
    fn edit_at(&mut self, _at: &Moment, _peer: PeerId) -> Result<(), EngineError> {
        Err(NOT_HERE)
    }

    /// Shows everything that the replica contains.
    ///
    /// # Errors
    /// Without [`Cap::Checkout`](crate::Cap::Checkout).
    fn checkout_latest(&mut self) -> Result<(), EngineError> {
        Err(NOT_HERE)
    }

    /// Undoes what came after a version, by new edits.
    ///
    /// # Errors
    /// Without [`Cap::TimeTravel`](crate::Cap::TimeTravel).
    fn revert_to(&mut self, _at: &Moment) -> Result<(), EngineError> {
        Err(NOT_HERE)
    }

    /// What leads from one version to another.
    ///
    /// # Errors
    /// Without [`Cap::TimeTravel`](crate::Cap::TimeTravel).
    fn diff(&mut self, _from: &Moment, _to: &Moment) -> Result<Difference, EngineError> {
        Err(NOT_HERE)
    }

    /// Makes a difference by new edits, and commits them.
    ///
    /// # Errors
    /// Without [`Cap::TimeTravel`](crate::Cap::TimeTravel).
    fn apply_diff(&mut self, _difference: Difference) -> Result<(), EngineError> {
        Err(NOT_HERE)
    }
}

/// What a replica made itself, back from its box.
pub(crate) fn own<T: 'static>(made: &dyn Any) -> Result<&T, EngineError> {
    made.downcast_ref().ok_or_else(foreign)
}

pub(crate) fn foreign() -> EngineError {
    EngineError::Edit("this was made by a replica of another engine".to_owned())
}
