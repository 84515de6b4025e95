//! CRDT libraries behind one trait, so that suites and load tests measure the
//! same work on each.
//!
//! An [`Engine`] makes [`Replica`]s of one document. It holds a text named
//! `text`, and, where the engine has them, the containers of [`Edit`]. Positions and lengths are Unicode scalar values, as in the
//! editing-traces format. Peer ids are given, never random, so that encoded
//! sizes and allocation counts repeat exactly.

pub mod allocations;
#[cfg(feature = "automerge")]
mod automerge;
mod caps;
#[cfg(any(feature = "cola", feature = "ot"))]
mod causal;
pub mod cell;
#[cfg(feature = "cola")]
mod cola;
#[cfg(feature = "diamond-types")]
mod diamond_types;
mod edit;
mod error;
pub mod history;
mod loro;
#[cfg(feature = "loro-0-16")]
mod loro_0_16;
#[cfg(feature = "ot")]
mod ot;
pub mod replay;
mod version;
mod waiting;
pub mod workload;
#[cfg(feature = "yrs")]
mod yrs;

pub use caps::{Cap, Caps};
pub use edit::{Edit, NodeId, Span, Value};
pub use error::EngineError;
pub use loro::Loro;
pub use version::{Counter, OpRange, PeerId, StateHash, VersionVector};

/// The engines that are compiled in, in the order in which tables show them.
pub fn engines() -> &'static [&'static dyn Engine] {
    &[
        &Loro,
        #[cfg(feature = "loro-0-16")]
        &loro_0_16::Loro016,
        #[cfg(feature = "yrs")]
        &yrs::Yrs::V1,
        #[cfg(feature = "yrs")]
        &yrs::Yrs::V2,
        #[cfg(feature = "yrs")]
        &yrs::Yrs::NO_GC,
        #[cfg(feature = "automerge")]
        &automerge::Automerge,
        #[cfg(feature = "diamond-types")]
        &diamond_types::DiamondTypes,
        #[cfg(feature = "cola")]
        &cola::Cola,
        #[cfg(feature = "ot")]
        &ot::OperationalTransformation,
    ]
}

/// An engine that a build of this crate can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What [`Engine::name`] gives.
    pub name: &'static str,
    /// The library's key among the workspace's dependencies.
    pub dependency: &'static str,
    /// The cargo feature that adds it; none where every build has it.
    pub feature: Option<&'static str>,
    /// Other packages of the library that only fit each other at the same
    /// release, although their requirements say more.
    pub published_together: &'static [&'static str],
}

/// Every engine, whether or not this build has it, in the order of [`engines`].
pub const KNOWN: &[Known] = &[
    Known {
        published_together: &["loro-internal", "loro-common", "loro-kv-store"],
        ..Known::new("loro", "loro", None)
    },
    Known {
        published_together: &["loro-internal", "loro-common"],
        ..Known::new("loro-0.16", "loro_0_16", Some("loro-0-16"))
    },
    Known::new("yrs", "yrs", Some("yrs")),
    Known::new("yrs-v2", "yrs", Some("yrs")),
    Known::new("yrs-nogc", "yrs", Some("yrs")),
    Known::new("automerge", "automerge", Some("automerge")),
    Known::new("diamond-types", "diamond-types", Some("diamond-types")),
    Known::new("cola", "cola", Some("cola")),
    Known::new("ot", "operational-transform", Some("ot")),
];

impl Known {
    const fn new(
        name: &'static str,
        dependency: &'static str,
        feature: Option<&'static str>,
    ) -> Self {
        Self {
            name,
            dependency,
            feature,
            published_together: &[],
        }
    }

    /// The engine that is called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == name)
    }
}
const NO_TREE: &str = "the engine has no trees";

/// A CRDT library at a version.
pub trait Engine: Sync {
    /// Short name, as used in benchmark ids and `--engine`: `loro`.
    fn name(&self) -> &'static str;

    /// Name of the library, as Cargo knows it.
    fn library(&self) -> &'static str {
        self.name()
    }

    /// Version of the library that is linked, such as `1.17.1`.
    fn version(&self) -> &'static str;

    /// What it can do, and why not where it cannot.
    fn caps(&self) -> Caps {
        Caps::ALL
    }

    /// Why this engine's work in a row is not that of the other engines, so
    /// that times must not be compared; `None` where it is. `suite` and
    /// `variant` are those of the benchmark id, as in `import` and
    /// `snapshot+edit`.
    fn differs(&self, _suite: &str, _variant: &str) -> Option<&'static str> {
        None
    }

    /// Why it cannot open a document that is stored in `format`, a `format` of
    /// the catalog; `None` where it can.
    fn cannot_open(&self, _format: &str) -> Option<&'static str> {
        Some("another library has stored this document")
    }

    /// A new, empty document for `peer`.
    ///
    /// # Panics
    /// When `peer` is not below 2^53, which is what all engines can hold.
    fn replica(&self, peer: PeerId) -> Box<dyn Replica>;

    /// Which operations an export holds, read off its head, nothing applied:
    /// what a relay or a client without a document knows of an update.
    ///
    /// # Errors
    /// When the bytes are damaged or no export of this engine, and in engines
    /// whose exports do not tell.
    fn ranges_of(&self, _export: &[u8]) -> Result<Vec<OpRange>, EngineError> {
        Err(EngineError::Unsupported("its exports do not tell"))
    }

    /// A version as [`Replica::encoded_version`] encodes it.
    fn encode_version(&self, version: &VersionVector) -> Vec<u8> {
        version.encode()
    }

    /// The version that [`Replica::encoded_version`] encoded.
    ///
    /// # Errors
    /// When the bytes are no version.
    fn decode_version(&self, bytes: &[u8]) -> Result<VersionVector, EngineError> {
        VersionVector::decode(bytes).ok_or_else(|| EngineError::Import(NO_VERSION.to_owned()))
    }
}

/// One peer's copy of a document.
pub trait Replica {
    /// The peer whose edits this replica makes.
    fn peer(&self) -> PeerId;

    /// Deletes `del` scalar values at `pos`, then inserts `ins` there. Call
    /// [`Replica::commit`] before the next export or import: what those do
    /// with open splices differs between engines.
    ///
    /// # Errors
    /// When `pos + del` is past the end of the text, which is then unchanged.
    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError>;

    /// Ends the transaction that the splices since the last commit form.
    fn commit(&mut self);

    /// Length of the text, in scalar values.
    fn text_len(&self) -> usize;

    /// Encodes what `what` asks for.
    ///
    /// # Errors
    /// When the engine's [`Caps`] lack it, the library cannot encode it, or the
    /// replica does not have it: a range it does not contain, or updates from
    /// before a shallow replica's start.
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError>;

    /// Applies bytes that any replica of this engine exported.
    ///
    /// # Errors
    /// When the bytes are not an export of this engine, or are damaged. The
    /// document is then as before.
    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError>;

    /// Applies updates that come together, in one call or transaction of the
    /// library.
    ///
    /// # Errors
    /// As [`Replica::import`]; which of the updates are applied then differs
    /// between engines. Also without [`Cap::Batch`].
    fn import_batch(&mut self, _updates: &[&[u8]]) -> Result<Imported, EngineError> {
        Err(EngineError::Unsupported("the engine has no such call"))
    }

    /// Makes an edit of something else than the text.
    ///
    /// # Errors
    /// When the engine's [`Caps`] lack it, or a position is past the end.
    fn edit(&mut self, _edit: &Edit<'_>) -> Result<(), EngineError> {
        Err(EngineError::Unsupported("the engine has no such container"))
    }

    /// Appends a value to the list called `list` at the root, as an application
    /// does that goes on with a document which it has stored.
    ///
    /// # Errors
    /// In an engine that can open none of the catalog's stored documents.
    fn append(&mut self, _list: &str, _value: Value<'_>) -> Result<(), EngineError> {
        Err(EngineError::Unsupported("there is no such document for it"))
    }

    /// What it can do with its past; `None` if nothing.
    fn history(&mut self) -> Option<&mut dyn history::History> {
        None
    }

    /// The text as runs of equal marks. Commit before.
    ///
    /// # Errors
    /// Without [`Cap::RichText`].
    fn spans(&self) -> Result<Vec<Span>, EngineError> {
        Err(EngineError::Unsupported("the engine has no marks"))
    }

    /// Makes a node of the tree, below `parent` or at the root.
    ///
    /// # Errors
    /// Without [`Cap::Trees`], or when there is no such parent.
    fn tree_create(&mut self, _parent: Option<NodeId>) -> Result<NodeId, EngineError> {
        Err(EngineError::Unsupported(NO_TREE))
    }

    /// Moves a node below `parent` or to the root.
    ///
    /// # Errors
    /// Without [`Cap::Trees`], when there is no such node, or when the node
    /// would become an ancestor of itself.
    fn tree_move(&mut self, _node: NodeId, _parent: Option<NodeId>) -> Result<(), EngineError> {
        Err(EngineError::Unsupported(NO_TREE))
    }

    /// What a node is below; `None` at the root.
    ///
    /// # Errors
    /// Without [`Cap::Trees`], or when there is no such node.
    fn tree_parent(&self, _node: NodeId) -> Result<Option<NodeId>, EngineError> {
        Err(EngineError::Unsupported(NO_TREE))
    }

    /// From now on keeps the update of each commit, as the library hands it to
    /// a subscriber, for [`Replica::take_local_updates`].
    ///
    /// # Errors
    /// Without [`Cap::LocalUpdates`].
    fn watch_local_updates(&mut self) -> Result<(), EngineError> {
        Err(EngineError::Unsupported("the engine has no such call"))
    }

    /// The updates since the last call, in the order of the commits; nothing
    /// unless they are watched.
    fn take_local_updates(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Turns the text into `text` by the edits that the library finds: what a
    /// client does that sees the new content of a text field only.
    ///
    /// # Errors
    /// Without [`Cap::TextDiff`].
    fn update_text(&mut self, _text: &str) -> Result<(), EngineError> {
        Err(EngineError::Unsupported("the engine has no such call"))
    }

    /// From now on each commit of this replica is a step that can be undone.
    ///
    /// # Errors
    /// Without [`Cap::Undo`].
    fn watch_undo(&mut self) -> Result<(), EngineError> {
        Err(EngineError::Unsupported(NO_UNDO))
    }

    /// Takes back this replica's last step that was not taken back yet, and
    /// commits; what others did stays. Says whether there was one.
    ///
    /// # Errors
    /// Without [`Cap::Undo`], or unless steps are watched.
    fn undo(&mut self) -> Result<bool, EngineError> {
        Err(EngineError::Unsupported(NO_UNDO))
    }

    /// Does again what the last [`undo`](Self::undo) took back, and commits.
    /// Says whether there was something.
    ///
    /// # Errors
    /// Without [`Cap::Undo`], or unless steps are watched.
    fn redo(&mut self) -> Result<bool, EngineError> {
        Err(EngineError::Unsupported(NO_UNDO))
    }

    /// The place before the scalar value at `pos`, encoded as a client sends it
    /// to others. Commit before.
    ///
    /// # Errors
    /// Without [`Cap::Cursors`], or when there is no scalar value at `pos`.
    fn cursor(&mut self, _pos: usize) -> Result<Vec<u8>, EngineError> {
        Err(EngineError::Unsupported(NO_CURSORS))
    }

    /// Where the place of a [`cursor`](Self::cursor) is now.
    ///
    /// # Errors
    /// Without [`Cap::Cursors`], or when these bytes are no place in the text.
    fn cursor_pos(&mut self, _cursor: &[u8]) -> Result<usize, EngineError> {
        Err(EngineError::Unsupported(NO_CURSORS))
    }

    /// All operations this replica contains, counted as the engine counts
    /// them: equal edits make other numbers in other engines.
    fn version_vector(&self) -> VersionVector;

    /// The version as it is sent to another replica, to ask for what is missing:
    /// in the library's own encoding where it has one of its version vectors.
    fn encoded_version(&self) -> Vec<u8> {
        self.version_vector().encode()
    }

    /// What a replica lacks that sent this [`Replica::encoded_version`].
    ///
    /// # Errors
    /// When the bytes are no version, and those of [`Export::Updates`].
    fn export_missing(&mut self, version: &[u8]) -> Result<Vec<u8>, EngineError> {
        let since = VersionVector::decode(version);
        let since = &since.ok_or_else(|| EngineError::Export(NO_VERSION.to_owned()))?;
        self.export(Export::Updates { since })
    }

    /// Number of operations that this replica's own peer has made and
    /// committed: the counter after its last edit.
    fn own_counter(&self) -> Counter {
        self.version_vector().get(self.peer())
    }

    /// Whether operations wait for others that have not arrived.
    fn has_pending(&self) -> bool;

    /// The text.
    fn text(&self) -> String;

    /// Builds the whole visible value in the engine's own form and drops it:
    /// what an application pays to read the document.
    fn materialize(&self);

    /// The whole visible value, as JSON.
    fn deep_value(&self) -> serde_json::Value;

    /// Hash over the whole visible value: equal for replicas that show the
    /// same, whatever their history.
    fn state_hash(&self) -> StateHash {
        StateHash::of(&self.deep_value())
    }
}

const NO_UNDO: &str = "no steps are watched, or the engine cannot undo";
const NO_CURSORS: &str = "the engine has no cursors";

/// Why a cursor is refused.
fn no_place() -> EngineError {
    EngineError::Edit("these bytes are no place in the text".to_owned())
}

/// Why there is nothing to send to whom.
const NO_VERSION: &str = "these bytes are no version of a replica";

/// What to encode.
#[derive(Debug, Clone)]
pub enum Export<'a> {
    /// The whole history and the state.
    Snapshot,
    /// The state, and no history before it.
    ShallowSnapshot,
    /// The state, and the history from a version on.
    ShallowSnapshotAt {
        /// Where the history starts, or a little before it.
        version: &'a VersionVector,
    },
    /// The state as an application starts from that needs no history: the
    /// smallest form that can be imported.
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
    /// Exactly these operations of one peer: what a client sends for its own
    /// edits. Every engine exports those of the replica's own last commit,
    /// from the [`Replica::own_counter`] before it to that after it; others
    /// need [`Cap::AnyRange`]. Where deletions have no counters, the range of
    /// a commit that only deletes is empty, and its export is not.
    Range(OpRange),
}

/// What an import changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Operations that are visible now and were not before, ascending by peer.
    /// Empty when all of them were known already, or are from before a shallow
    /// replica's start, which an import passes over in silence.
    pub applied: Vec<OpRange>,
    /// Operations kept aside until others that they depend on arrive,
    /// ascending by peer.
    pub pending: Vec<OpRange>,
}
