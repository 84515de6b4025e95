//! A recorded editing history, as the other crates see it.

use std::ops::Range;

use crate::body::Body;
use crate::catalog::Counts;
use crate::check::end_of_chain;

/// The shape of a trace's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TraceKind {
    /// Every txn builds on the previous one, so the edits can be replayed one by one.
    Sequential,
    /// Txns form a graph, because agents edited at the same time.
    Concurrent,
}

impl std::fmt::Display for TraceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Sequential => "sequential",
            Self::Concurrent => "concurrent",
        })
    }
}

/// A recorded editing history that has been checked to be consistent.
///
/// All inserted text lies in one string and the edits in flat tables, so a trace
/// of 260,000 edits is a handful of allocations. A repeated trace
/// ([`Trace::repeated`]) holds its base only once. Share it behind an `Arc`.
#[derive(Debug, Clone)]
pub struct Trace {
    name: String,
    sha256: String,
    body: Body,
    heads: Vec<u32>,
    repeat: usize,
}

impl Trace {
    /// Wraps a checked body.
    pub(crate) fn new(name: &str, sha256: String, body: Body) -> Self {
        let heads = body.heads();
        Self {
            name: name.to_owned(),
            sha256,
            body,
            heads,
            repeat: 1,
        }
    }

    /// Repeats the trace `times` times in one document. Positions stay the same, and
    /// the roots of each copy build on the final version of the previous copy, so
    /// the end text is that of the base, repeated. Only the longer end text takes
    /// more memory.
    ///
    /// # Panics
    /// If `times` is zero, if the trace is already a repeated one, or if it starts
    /// from a text (a second copy could not start there).
    #[must_use]
    pub fn repeated(mut self, name: &str, times: usize) -> Self {
        assert!(
            times > 0 && self.repeat == 1 && self.body.start.is_empty(),
            "cannot repeat"
        );
        self.body.end = self.body.end.repeat(times);
        self.name = name.to_owned();
        self.repeat = times;
        self
    }

    /// Leaves out what a replay through an engine cannot send. A sequential trace loses
    /// the txns that change nothing. A concurrent one, whose agents begin with empty
    /// documents, has its start text typed by agent 0 in a txn of its own, before all
    /// others.
    #[must_use]
    pub fn for_replay(mut self) -> Self {
        match self.kind() {
            TraceKind::Sequential => self.body.drop_idle_txns(),
            TraceKind::Concurrent if !self.body.start.is_empty() => self.body.type_start(),
            TraceKind::Concurrent => return self,
        }
        self.heads = self.body.heads();
        self
    }

    /// Keeps the first `txns` txns of a sequential trace. Its end text becomes that
    /// after the last of them.
    ///
    /// # Panics
    /// If the trace is concurrent, since it does not tell the text of a merge, or if it
    /// is a repeated one.
    #[must_use]
    pub fn truncated(mut self, txns: usize) -> Self {
        assert!(
            self.kind() == TraceKind::Sequential && self.repeat == 1,
            "cannot truncate"
        );
        if txns < self.txn_count() {
            self.body.truncate(txns);
            let text = end_of_chain(&self.body).expect("the whole trace has been checked");
            self.body.end = text.to_string();
            self.heads = self.body.heads();
        }
        self
    }

    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    /// Returns the catalog name, or the path as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the sha256 of the file that the trace came from, in lower-case hex. A
    /// repeated trace has that of its base.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Returns the number of times that the base is repeated: 1 for an ordinary trace.
    pub fn repeats(&self) -> usize {
        self.repeat
    }

    /// Returns whether the trace is sequential or concurrent.
    pub fn kind(&self) -> TraceKind {
        match self.body.parents {
            None => TraceKind::Sequential,
            Some(_) => TraceKind::Concurrent,
        }
    }

    /// Returns the text before the first txn, which is usually empty.
    pub fn start_content(&self) -> &str {
        &self.body.start
    }

    /// Returns the text after the last txn, with all branches merged.
    pub fn end_content(&self) -> &str {
        &self.body.end
    }

    /// Counts the contents of the whole trace, repetitions included.
    pub fn counts(&self) -> Counts {
        let inserted = self.body.text.chars().count() * self.repeat;
        let deleted = self
            .body
            .patches
            .iter()
            .map(|patch| patch.del as usize)
            .sum::<usize>()
            * self.repeat;
        Counts {
            txns: self.txn_count(),
            patches: self.patch_count(),
            inserted,
            deleted,
            end_chars: self.body.end.chars().count(),
            end_bytes: self.body.end.len(),
            agents: self.agent_count(),
            merges: self.txns().filter(|txn| txn.parents().len() > 1).count(),
        }
    }

    /// Returns the number of txns.
    pub fn txn_count(&self) -> usize {
        self.body.txn_count() * self.repeat
    }

    /// Returns the number of patches in all txns.
    pub fn patch_count(&self) -> usize {
        self.body.patches.len() * self.repeat
    }

    /// Returns the number of agents, which are numbered from 0.
    pub fn agent_count(&self) -> usize {
        self.body.agent_count as usize
    }

    /// Returns the txn at `index` in file order. Parents always precede their children.
    ///
    /// # Panics
    /// If `index` is not below [`Trace::txn_count`].
    pub fn txn(&self, index: usize) -> Txn<'_> {
        assert!(
            index < self.txn_count(),
            "txn {index} of {}",
            self.txn_count()
        );
        let base = self.body.txn_count();
        Txn {
            trace: self,
            index,
            copy: index / base,
            local: index % base,
        }
    }

    /// Iterates over all txns in file order.
    pub fn txns(&self) -> impl ExactSizeIterator<Item = Txn<'_>> {
        (0..self.txn_count()).map(|index| self.txn(index))
    }

    /// Returns the patch at `index` in file order, in constant time.
    ///
    /// # Panics
    /// If `index` is not below [`Trace::patch_count`].
    #[inline]
    pub fn patch(&self, index: usize) -> Patch<'_> {
        let base = self.body.patches.len();
        let local = if index < base {
            index
        } else {
            assert!(
                index < self.patch_count(),
                "patch {index} of {}",
                self.patch_count()
            );
            index % base
        };
        let row = self.body.patches[local];
        Patch {
            pos: row.pos as usize,
            del: row.del as usize,
            ins: self.body.inserted(local),
        }
    }

    /// Iterates over all patches in file order. Applying the patches of a sequential
    /// trace to the start text one by one yields the end text.
    pub fn patches(&self) -> impl ExactSizeIterator<Item = Patch<'_>> {
        (0..self.patch_count()).map(|index| self.patch(index))
    }
}

/// One transaction: edits by one agent on top of the txn's parents.
#[derive(Debug, Clone, Copy)]
pub struct Txn<'a> {
    trace: &'a Trace,
    index: usize,
    copy: usize,
    local: usize,
}

impl<'a> Txn<'a> {
    /// Returns the position in the trace, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the number of the agent that made the edits, from 0.
    pub fn agent(&self) -> usize {
        self.trace.body.agent(self.local) as usize
    }

    /// Iterates over the indices of the txns that this one builds on; all are below
    /// its own index. A root has none, and a txn that merges branches has several.
    pub fn parents(&self) -> impl ExactSizeIterator<Item = usize> + use<'a> {
        let (list, offset) = self.parent_slice();
        ParentIter { list, offset }
    }

    fn parent_slice(&self) -> (ParentList<'a>, usize) {
        let body = &self.trace.body;
        let base = body.txn_count();
        let own = match &body.parents {
            None if self.local == 0 => ParentList::Slice(&[]),
            None => ParentList::Previous(self.local as u32 - 1),
            Some(parents) => ParentList::Slice(parents.of(self.local)),
        };
        if own.is_empty() && self.copy > 0 {
            (ParentList::Slice(&self.trace.heads), (self.copy - 1) * base)
        } else {
            (own, self.copy * base)
        }
    }

    /// Returns the time of the txn in milliseconds since 1970-01-01T00:00:00Z, if the
    /// file states it. Copies in a repeated trace have the times of the base.
    pub fn time(&self) -> Option<i64> {
        self.trace.body.time(self.local)
    }

    /// Returns the indices of the txn's patches, for [`Trace::patch`].
    pub fn patch_range(&self) -> Range<usize> {
        let range = self.trace.body.patch_range(self.local);
        let offset = self.copy * self.trace.body.patches.len();
        range.start + offset..range.end + offset
    }

    /// Iterates over the edits. Each position refers to the text that the previous
    /// edit left.
    pub fn patches(&self) -> impl ExactSizeIterator<Item = Patch<'a>> + use<'a> {
        let trace = self.trace;
        self.patch_range().map(move |index| trace.patch(index))
    }
}

#[derive(Clone, Copy)]
enum ParentList<'a> {
    Previous(u32),
    Slice(&'a [u32]),
}

impl ParentList<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Slice([]))
    }
}

struct ParentIter<'a> {
    list: ParentList<'a>,
    offset: usize,
}

impl Iterator for ParentIter<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let parent = match self.list {
            ParentList::Previous(parent) => {
                self.list = ParentList::Slice(&[]);
                parent
            }
            ParentList::Slice(slice) => {
                let (&parent, rest) = slice.split_first()?;
                self.list = ParentList::Slice(rest);
                parent
            }
        };
        Some(parent as usize + self.offset)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.list {
            ParentList::Previous(_) => 1,
            ParentList::Slice(slice) => slice.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for ParentIter<'_> {}

/// One edit: remove `del` characters at `pos`, then insert `ins` there. Positions
/// and lengths count Unicode scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch<'a> {
    /// Position in Unicode scalar values from the start of the text.
    pub pos: usize,
    /// Number of Unicode scalar values that are removed at `pos`.
    pub del: usize,
    /// Text that is inserted at `pos` afterwards.
    pub ins: &'a str,
}
