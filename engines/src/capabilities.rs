//! The capabilities of an engine, and the reason for each one that is missing.

/// A capability that not every engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A form of the whole document other than its updates: `Export::Snapshot`.
    Snapshot,
    /// The state without the history before it, or before an earlier version:
    /// `Export::ShallowSnapshot`, `ShallowSnapshotAt`, `StateOnly`.
    ShallowSnapshot,
    /// Operations as JSON: `Export::Json`.
    Json,
    /// Any run of one peer's operations as `Export::Range`. Without it, only the run of
    /// the replica's own last commit is exported.
    AnyRange,
    /// Updates that arrive before those that they build on are kept, and applied once
    /// these have arrived. Without it, the import is refused.
    KeepsEarly,
    /// An operation waits for everything that its writer had seen. Without it, it waits
    /// only for what it touches.
    CausalOrder,
    /// A deletion has counters of its own, so that version vectors and
    /// [`Imported::applied`](crate::Imported::applied) show it.
    CountsDeletions,
    /// Damaged or shortened bytes are always refused. Without it, some pass for another
    /// valid update.
    DetectsDamage,
    /// Importing hundreds of thousands of updates one by one takes less than a minute.
    ManyImports,
    /// Many updates in one call: `Replica::import_batch`.
    Batch,
    /// The update of each commit, passed to a subscriber:
    /// `Replica::watch_local_updates`.
    LocalUpdates,
    /// The difference of two texts as edits: `Replica::update_text`.
    TextDiff,
    /// Copies of a document at its current version: `History::fork`.
    Forks,
    /// Copies of a document at a past version: `History::fork_at`.
    ForksAt,
    /// Showing a document at a past version: `History::checkout`, `checkout_latest`.
    Checkout,
    /// Comparing, reverting and editing past versions: the rest of `History`.
    TimeTravel,
    /// Undoing one's own commits: `Replica::watch_undo`, `undo`, `redo`.
    Undo,
    /// Positions in the text that follow the edits of others: `Replica::cursor`,
    /// `Replica::cursor_pos`.
    Cursors,
    /// Maps: `Edit::MapSet`, `Edit::MapDelete`.
    Maps,
    /// Lists: `Edit::ListInsert`, `Edit::ListDelete`.
    Lists,
    /// Text that can be bold: `Edit::Bold`, `Replica::spans`.
    RichText,
    /// Lists whose elements move and are set: `Edit::MovableInsert`,
    /// `Edit::MovableSet`, `Edit::MovableMove`.
    MovableLists,
    /// Counters: `Edit::CounterAdd`.
    Counters,
    /// Trees whose nodes move: `Replica::tree_create`, `Replica::tree_move`,
    /// `Replica::tree_parent`.
    Trees,
}

/// The capabilities of an engine, with a reason for each one that is missing.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    lacking: &'static [(Capability, &'static str)],
    /// The reason why the engine has a text and nothing else, if that is so.
    text_only: Option<&'static str>,
}

impl Capabilities {
    /// All capabilities.
    pub const ALL: Self = Self::without(&[]);

    /// All capabilities except these.
    pub const fn without(lacking: &'static [(Capability, &'static str)]) -> Self {
        let text_only = None;
        Self { lacking, text_only }
    }

    /// Removes every capability that concerns more than one text.
    pub const fn text_only(mut self, reason: &'static str) -> Self {
        self.text_only = Some(reason);
        self
    }

    /// Returns true if the engine has the capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.unsupported_because(capability).is_none()
    }

    /// Returns the reason why the engine lacks the capability, or `None` if it has it.
    pub fn unsupported_because(&self, capability: Capability) -> Option<&'static str> {
        let lacking = self
            .lacking
            .iter()
            .find(|(lacking, _)| *lacking == capability);
        let reason = lacking.map(|&(_, reason)| reason);
        reason.or(self.text_only.filter(|_| capability.is_beyond_text()))
    }
}

impl Capability {
    /// Returns true if the capability concerns more than one plain text.
    fn is_beyond_text(self) -> bool {
        matches!(
            self,
            Self::Maps
                | Self::Lists
                | Self::RichText
                | Self::MovableLists
                | Self::Counters
                | Self::Trees
        )
    }
}
