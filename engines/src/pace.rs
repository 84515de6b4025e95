//! Kinds of work that take some engines far longer than others.
//!
//! A workload names the kind of work in it, and the engine answers how it copes
//! with that kind. So no workload knows an engine by name.

/// A kind of work that some engines cannot do in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeavyWork {
    /// A thousand or more changes or updates, one by one.
    ManyChanges,
    /// A hundred thousand edits or more in one transaction.
    LongTransaction,
    /// A document of tens of millions of operations.
    HugeHistory,
    /// Two branches of more than a thousand commits each that have to be merged.
    LongBranches,
    /// The updates of more than a thousand writers who have not seen each
    /// other's edits.
    ManyWriters,
    /// A tree of 100,000 nodes.
    HugeTree,
    /// A thousand steps to undo or redo.
    ManyUndoSteps,
}

/// The speed of an engine at one kind of [`HeavyWork`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Fast enough for a benchmark that repeats the work many times.
    Usual,
    /// Many seconds for one repetition or its preparation. Such rows are for
    /// cells, which measure a single repetition if need be.
    Slow,
    /// Too slow to run at all, for this reason.
    Hopeless(&'static str),
}
