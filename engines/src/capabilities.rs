//! What an engine can do, and why not where it cannot.

/// A power that not every engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A form of the whole document apart from its updates: `Export::Snapshot`.
    Snapshot,
    /// The state without the history before it, or before an earlier version:
    /// `Export::ShallowSnapshot`, `ShallowSnapshotAt`, `StateOnly`.
    ShallowSnapshot,
    /// Operations as JSON: `Export::Json`.
    Json,
    /// Any run of one peer's operations as `Export::Range`. Without it, that
    /// of the replica's own last commit is exported, and no other.
    AnyRange,
    /// Updates that come before those they build on are kept, and applied when
    /// these have come. Without it, the import is refused.
    KeepsEarly,
    /// An operation waits for everything that its writer had seen. Without it,
    /// only for what it touches.
    CausalOrder,
    /// A deletion has counters of its own, so that version vectors and
    /// [`Imported::applied`](crate::Imported::applied) tell of it.
    CountsDeletions,
    /// Damaged or shortened bytes are always refused. Without it, some pass
    /// for another valid update.
    DetectsDamage,
    /// Importing hundreds of thousands of updates one by one ends within a
    /// minute.
    ManyImports,
    /// Many updates in one call: `Replica::import_batch`.
    Batch,
    /// The update of each commit as the library hands it to a subscriber:
    /// `Replica::watch_local_updates`.
    LocalUpdates,
    /// The difference of two texts as edits: `Replica::update_text`.
    TextDiff,
    /// Copies of a document as it is: `History::fork`.
    Forks,
    /// Copies of a document as it was: `History::fork_at`.
    ForksAt,
    /// Showing a document as it was: `History::checkout`, `checkout_latest`.
    Checkout,
    /// Comparing, reverting and editing what was: the rest of `History`.
    TimeTravel,
    /// Taking back one's own commits: `Replica::watch_undo`, `undo`, `redo`.
    Undo,
    /// Places in the text that stay where they are as others edit:
    /// `Replica::cursor`, `Replica::cursor_pos`.
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

/// What an engine lacks, with the reason for each.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    lacking: &'static [(Capability, &'static str)],
    /// Why it has a text and nothing else, if so.
    text_only: Option<&'static str>,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self::without(&[]);

    /// Everything but these.
    pub const fn without(lacking: &'static [(Capability, &'static str)]) -> Self {
        let text_only = None;
        Self { lacking, text_only }
    }

    /// Also nothing that is about more than one text.
    pub const fn text_only(mut self, reason: &'static str) -> Self {
        self.text_only = Some(reason);
        self
    }

    /// Whether the engine can do it.
    pub fn has(&self, capability: Capability) -> bool {
        self.unsupported_because(capability).is_none()
    }

    /// Why the engine cannot do it, if it cannot.
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
    /// Whether it is about more than one plain text.
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
