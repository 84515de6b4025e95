//! One peer's copy of a document, by capability: text, versions, exchange,
//! containers, undo, cursors and history.
//!
//! [`Replica`] joins the parts. An adapter implements what its library can do
//! and leaves the other methods at their defaults, which refuse the call.

use std::any::Any;

use crate::edit::{Edit, NodeId, Span, Value};
use crate::error::EngineError;
use crate::version::{Counter, OpRange, PeerId, StateHash, VersionVector};

const NO_CALL: EngineError = EngineError::Unsupported("the engine has no such call");
const NO_TREE: EngineError = EngineError::Unsupported("the engine has no trees");
const NO_CURSORS: EngineError = EngineError::Unsupported("the engine has no cursors");

/// Refusal of an undo or redo without an undo manager.
pub(crate) const NO_UNDO: EngineError =
    EngineError::Unsupported("no steps are watched, or the engine cannot undo");

/// Refusal of bytes that do not decode to a version.
pub(crate) const NOT_A_VERSION: &str = "these bytes are not the version of a replica";

/// Returns the refusal of a cursor that points nowhere.
pub(crate) fn invalid_cursor() -> EngineError {
    EngineError::Edit("these bytes are not a position in the text".to_owned())
}

/// One peer's copy of a document, with everything that an engine may offer.
pub trait Replica: Exchange + Containers + Undo + Cursors {
    /// Returns access to past versions, or `None` if the engine keeps none.
    fn history(&mut self) -> Option<&mut dyn History> {
        None
    }
}

/// Reading and editing the text of a document.
pub trait TextDocument {
    /// Returns the peer that makes this replica's edits: the one that it was
    /// created for, or its lower bits in an engine with narrower ids.
    fn peer(&self) -> PeerId;

    /// Deletes `del` scalar values at `pos`, then inserts `ins` there. Call
    /// [`TextDocument::commit`] before the next export or import: engines
    /// differ in how those treat open splices.
    ///
    /// # Errors
    /// If `pos + del` is past the end of the text, which is then unchanged.
    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError>;

    /// Turns the text into `text` with edits that the library finds, as a
    /// client does that sees only the new content of a text field.
    ///
    /// # Errors
    /// Without [`Capability::TextDiff`](crate::Capability::TextDiff).
    fn update_text(&mut self, _text: &str) -> Result<(), EngineError> {
        Err(NO_CALL)
    }

    /// Ends the transaction that consists of the edits since the last commit.
    fn commit(&mut self);

    /// Returns the length of the text, in scalar values.
    fn text_len(&self) -> usize;

    /// Returns the text.
    fn text(&self) -> String;

    /// Builds the whole visible value in the engine's own form and drops it:
    /// the cost to an application of reading the document.
    fn materialize(&self);

    /// Returns the whole visible value as JSON.
    fn deep_value(&self) -> serde_json::Value;

    /// Returns a hash of the whole visible value. It is equal for replicas that
    /// show the same, whatever their history.
    fn state_hash(&self) -> StateHash {
        StateHash::new(&self.deep_value())
    }
}

/// The operations that a replica contains.
pub trait Versioned: TextDocument {
    /// Returns the version: all operations that the replica contains, counted
    /// as the engine counts them. Equal edits give different numbers in
    /// different engines.
    fn version_vector(&self) -> VersionVector;

    /// Returns the version as it is sent to another replica to ask for missing
    /// updates: in the library's own encoding of version vectors, if it has one.
    fn encoded_version(&self) -> Vec<u8> {
        self.version_vector().encode()
    }

    /// Returns the number of operations that this replica's own peer has made
    /// and committed, which is the counter after its last edit.
    fn own_counter(&self) -> Counter {
        self.version_vector().get(self.peer())
    }

    /// Returns whether operations wait for others that have not arrived.
    fn has_pending(&self) -> bool;
}

/// Exchange of updates with other replicas.
pub trait Exchange: Versioned {
    /// Encodes the requested part of the document.
    ///
    /// # Errors
    /// If the engine lacks the [`Capability`](crate::Capability), the library
    /// cannot encode the part, or the replica does not have it: a range that it
    /// does not contain, or updates from before the start of a shallow replica.
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError>;

    /// Applies bytes that any replica of this engine exported.
    ///
    /// # Errors
    /// If the bytes are damaged or not an export of this engine. The document is
    /// then unchanged.
    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError>;

    /// Applies several updates in one call or transaction of the library.
    ///
    /// # Errors
    /// As [`Exchange::import`], and without
    /// [`Capability::Batch`](crate::Capability::Batch). After an error, engines
    /// differ in which of the updates are applied.
    fn import_batch(&mut self, _updates: &[&[u8]]) -> Result<Imported, EngineError> {
        Err(NO_CALL)
    }

    /// Encodes the operations that a replica lacks that sent this
    /// [`Versioned::encoded_version`].
    ///
    /// # Errors
    /// If the bytes are not a version, and those of [`Export::Updates`].
    fn export_missing(&mut self, version: &[u8]) -> Result<Vec<u8>, EngineError> {
        let since = VersionVector::decode(version);
        let since = &since.ok_or_else(|| EngineError::Export(NOT_A_VERSION.to_owned()))?;
        self.export(Export::Updates { since })
    }

    /// Starts to keep the update of each commit, as the library passes it to a
    /// subscriber, for [`Exchange::take_local_updates`].
    ///
    /// # Errors
    /// Without [`Capability::LocalUpdates`](crate::Capability::LocalUpdates).
    fn watch_local_updates(&mut self) -> Result<(), EngineError> {
        Err(NO_CALL)
    }

    /// Returns the updates since the last call, in the order of the commits. It
    /// is empty unless updates are watched.
    fn take_local_updates(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Contents other than plain text: marks, maps, lists, counters and trees.
pub trait Containers {
    /// Applies an edit of a container or of the marks.
    ///
    /// # Errors
    /// If the engine lacks the container, or a position is past the end.
    fn edit(&mut self, _edit: &Edit<'_>) -> Result<(), EngineError> {
        Err(EngineError::Unsupported("the engine has no such container"))
    }

    /// Appends a value to the root list called `list`, as an application does
    /// that continues a stored document.
    ///
    /// # Errors
    /// In an engine that can open none of the catalog's stored documents.
    fn append(&mut self, _list: &str, _value: Value<'_>) -> Result<(), EngineError> {
        Err(EngineError::Unsupported(
            "the catalog has no stored document that this engine can open",
        ))
    }

    /// Returns the text as runs of equal marks. Commit first.
    ///
    /// # Errors
    /// Without [`Capability::RichText`](crate::Capability::RichText).
    fn spans(&self) -> Result<Vec<Span>, EngineError> {
        Err(EngineError::Unsupported("the engine has no marks"))
    }

    /// Creates a node of the tree, below `parent` or at the root.
    ///
    /// # Errors
    /// Without [`Capability::Trees`](crate::Capability::Trees), or if the parent
    /// does not exist.
    fn tree_create(&mut self, _parent: Option<NodeId>) -> Result<NodeId, EngineError> {
        Err(NO_TREE)
    }

    /// Moves a node below `parent` or to the root.
    ///
    /// # Errors
    /// Without [`Capability::Trees`](crate::Capability::Trees), if the node does
    /// not exist, or if it would become an ancestor of itself.
    fn tree_move(&mut self, _node: NodeId, _parent: Option<NodeId>) -> Result<(), EngineError> {
        Err(NO_TREE)
    }

    /// Returns the parent of a node; `None` at the root.
    ///
    /// # Errors
    /// Without [`Capability::Trees`](crate::Capability::Trees), or if the node
    /// does not exist.
    fn tree_parent(&self, _node: NodeId) -> Result<Option<NodeId>, EngineError> {
        Err(NO_TREE)
    }
}

/// Undo and redo of the replica's own commits.
pub trait Undo {
    /// Starts to record each commit of this replica as a step to undo.
    ///
    /// # Errors
    /// Without [`Capability::Undo`](crate::Capability::Undo).
    fn watch_undo(&mut self) -> Result<(), EngineError> {
        Err(NO_UNDO)
    }

    /// Undoes this replica's last step that is not undone yet, and commits. The
    /// edits of other peers stay. Returns whether there was such a step.
    ///
    /// # Errors
    /// Without [`Capability::Undo`](crate::Capability::Undo), or unless steps
    /// are watched.
    fn undo(&mut self) -> Result<bool, EngineError> {
        Err(NO_UNDO)
    }

    /// Repeats the step that the last [`undo`](Self::undo) took back, and
    /// commits. Returns whether there was such a step.
    ///
    /// # Errors
    /// Without [`Capability::Undo`](crate::Capability::Undo), or unless steps
    /// are watched.
    fn redo(&mut self) -> Result<bool, EngineError> {
        Err(NO_UNDO)
    }
}

/// Positions in the text that follow the edits of all peers.
pub trait Cursors {
    /// Returns the position before the scalar value at `pos`, encoded as a
    /// client sends it to others. Commit first.
    ///
    /// # Errors
    /// Without [`Capability::Cursors`](crate::Capability::Cursors), or if `pos`
    /// is not before the end of the text.
    fn cursor(&mut self, _pos: usize) -> Result<Vec<u8>, EngineError> {
        Err(NO_CURSORS)
    }

    /// Returns the current position of a [`cursor`](Self::cursor), in scalar
    /// values.
    ///
    /// # Errors
    /// Without [`Capability::Cursors`](crate::Capability::Cursors), or if the
    /// bytes are not a position in the text.
    fn cursor_pos(&mut self, _cursor: &[u8]) -> Result<usize, EngineError> {
        Err(NO_CURSORS)
    }
}

/// Past versions of a document, as far as an engine supports them.
///
/// The replica must contain the given versions, and its edits must be
/// committed.
pub trait History {
    /// Converts a version to the engine's own form, which costs some engines a
    /// walk over the history.
    ///
    /// # Errors
    /// If the replica does not contain the version.
    fn moment(&mut self, version: &VersionVector) -> Result<Moment, EngineError>;

    /// Returns a copy of the document with its whole history, for `peer`.
    ///
    /// # Errors
    /// Without [`Capability::Forks`](crate::Capability::Forks).
    fn fork(&mut self, peer: PeerId) -> Result<Box<dyn Replica>, EngineError>;

    /// Returns a copy of the document at a past version, for `peer`.
    ///
    /// # Errors
    /// Without [`Capability::ForksAt`](crate::Capability::ForksAt).
    fn fork_at(&mut self, at: &Moment, peer: PeerId) -> Result<Box<dyn Replica>, EngineError>;

    /// Shows the document at a past version until
    /// [`History::checkout_latest`] is called.
    ///
    /// # Errors
    /// Without [`Capability::Checkout`](crate::Capability::Checkout).
    fn checkout(&mut self, _at: &Moment) -> Result<(), EngineError> {
        Err(NO_CALL)
    }

    /// Shows the document at a past version, and lets `peer` edit it there,
    /// concurrently with later edits. [`History::checkout_latest`] merges both.
    ///
    /// # Errors
    /// Without [`Capability::TimeTravel`](crate::Capability::TimeTravel).
    fn edit_at(&mut self, _at: &Moment, _peer: PeerId) -> Result<(), EngineError> {
        Err(NO_CALL)
    }

    /// Shows everything that the replica contains.
    ///
    /// # Errors
    /// Without [`Capability::Checkout`](crate::Capability::Checkout).
    fn checkout_latest(&mut self) -> Result<(), EngineError> {
        Err(NO_CALL)
    }

    /// Reverts everything after a version with new edits.
    ///
    /// # Errors
    /// Without [`Capability::TimeTravel`](crate::Capability::TimeTravel).
    fn revert_to(&mut self, _at: &Moment) -> Result<(), EngineError> {
        Err(NO_CALL)
    }

    /// Returns the difference that turns one version into another.
    ///
    /// # Errors
    /// Without [`Capability::TimeTravel`](crate::Capability::TimeTravel).
    fn diff(&mut self, _from: &Moment, _to: &Moment) -> Result<Difference, EngineError> {
        Err(NO_CALL)
    }

    /// Applies a difference with new edits, and commits them.
    ///
    /// # Errors
    /// Without [`Capability::TimeTravel`](crate::Capability::TimeTravel).
    fn apply_diff(&mut self, _difference: Difference) -> Result<(), EngineError> {
        Err(NO_CALL)
    }
}

/// A version in the form of the engine that made it.
pub struct Moment(pub(crate) Box<dyn Any>);

/// The difference of two versions in the form of the engine that made it.
pub struct Difference(pub(crate) Box<dyn Any>);

/// Returns the engine's own value out of a [`Moment`].
///
/// # Errors
/// If another engine made it.
pub(crate) fn own<T: 'static>(made: &dyn Any) -> Result<&T, EngineError> {
    made.downcast_ref().ok_or_else(foreign)
}

/// Returns the refusal of a value that another engine made.
pub(crate) fn foreign() -> EngineError {
    EngineError::Edit("this was made by a replica of another engine".to_owned())
}

/// A document that is checked out at any of its versions and edited there, by
/// any peer: one document instead of a replica for each of hundreds of peers.
///
/// Versions are numbered: commit number `n`, from 0, ends version `n`.
pub trait DetachedDocument {
    /// Checks out the merge of `versions`, which is the empty document if there
    /// are none, to edit it as `peer`.
    ///
    /// # Errors
    /// If the library refuses.
    fn checkout(&mut self, versions: &[usize], peer: PeerId) -> Result<(), EngineError>;

    /// Edits the text of the version that is checked out, as
    /// [`TextDocument::splice`] does.
    ///
    /// # Errors
    /// If `pos + del` is past the end of the text.
    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError>;

    /// Commits the edits since the checkout and returns the new version.
    fn commit(&mut self) -> usize;

    /// Returns the number of operations that `peer` has made.
    fn counter(&self, peer: PeerId) -> Counter;

    /// Encodes operations of one peer.
    ///
    /// # Errors
    /// If the library refuses.
    fn export(&mut self, range: &OpRange) -> Result<Vec<u8>, EngineError>;

    /// Returns the text of all versions merged.
    fn latest_text(&mut self) -> String;
}

/// The part of a document to encode.
#[derive(Debug, Clone)]
pub enum Export<'a> {
    /// The whole history and the state.
    Snapshot,
    /// The state, without the history before it.
    ShallowSnapshot,
    /// The state, and the history from a version on.
    ShallowSnapshotAt {
        /// The start of the history. It may also start a little earlier.
        version: &'a VersionVector,
    },
    /// The state for an application that needs no history: the smallest form
    /// that can be imported.
    StateOnly,
    /// All operations that a replica at this version lacks, as JSON.
    Json {
        /// The other replica's version.
        since: &'a VersionVector,
    },
    /// All operations that a replica at this version lacks.
    Updates {
        /// The other replica's version.
        since: &'a VersionVector,
    },
    /// Exactly these operations of one peer: the update that a client sends for
    /// its own edits. Every engine exports those of the replica's own last
    /// commit, from the [`Versioned::own_counter`] before it to the one after
    /// it. Other ranges need [`Capability::AnyRange`](crate::Capability::AnyRange).
    /// If deletions have no counters, the range of a commit that only deletes
    /// is empty, and its export is not.
    Range(OpRange),
}

/// The changes that an import made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Operations that became visible by this import, ascending by peer. It is
    /// empty if all of them were known already, or are from before the start of
    /// a shallow replica, which an import ignores.
    pub applied: Vec<OpRange>,
    /// Operations that are set aside until others that they depend on arrive,
    /// ascending by peer.
    pub pending: Vec<OpRange>,
}
