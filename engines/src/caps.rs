//! What an engine can do, and why not where it cannot.

/// A power that not every engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// A form of the whole document apart from its updates: `Export::Snapshot`.
    Snapshot,
    /// The state without the history before it: `Export::ShallowSnapshot`.
    ShallowSnapshot,
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
    /// What another replica lacks is found from its version vector without a
    /// walk over the whole history.
    FastDifference,
    /// Damaged or shortened bytes are always refused. Without it, some pass
    /// for another valid update.
    DetectsDamage,
    /// Importing hundreds of thousands of updates one by one ends within a
    /// minute.
    ManyImports,
}

/// What an engine lacks, with the reason for each.
#[derive(Debug, Clone, Copy)]
pub struct Caps(&'static [(Cap, &'static str)]);

impl Caps {
    /// Everything.
    pub const ALL: Self = Self(&[]);

    /// Everything but these.
    pub const fn without(lacking: &'static [(Cap, &'static str)]) -> Self {
        Self(lacking)
    }

    /// Whether the engine can do it.
    pub fn has(&self, cap: Cap) -> bool {
        self.reason_against(cap).is_none()
    }

    /// Why the engine cannot do it, if it cannot.
    pub fn reason_against(&self, cap: Cap) -> Option<&'static str> {
        let lacking = self.0.iter().find(|(lacking, _)| *lacking == cap);
        lacking.map(|&(_, reason)| reason)
    }
}
