//! What the simulated users type: stretches of a real trace.

use std::ops::Range;
use std::sync::Arc;

use syncbench_datasets::Trace;

/// One edit, fitted to the replica that is to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit<'a> {
    /// Position, scalar values.
    pub pos: usize,
    /// Scalar values to delete at `pos`.
    pub del: usize,
    /// Text to insert at `pos`.
    pub ins: &'a str,
}

/// Replays one writer's own contiguous stretch of a trace, over and over.
///
/// A patch's position counts in the trace's document, which the replica is
/// not: it starts empty and others write in it too. So the typist keeps a
/// cursor of its own and moves it as the trace's author did: by the distance
/// between the end of one patch and the start of the next, clamped to the
/// text. Runs of typing stay runs, jumps stay jumps. A patch that clamping
/// leaves without any effect (a deletion where nothing stands) is passed over.
#[derive(Debug)]
pub struct Typist {
    trace: Arc<Trace>,
    stretch: Range<usize>,
    next: usize,
    /// Where the last patch ended in the trace's document.
    trace_cursor: usize,
    /// Where the last edit ended in the replica.
    cursor: usize,
}

impl Typist {
    /// The typist of `writer`, one of `writers` that share `trace` evenly.
    /// With more writers than patches, stretches of one patch are shared.
    pub fn new(trace: Arc<Trace>, writer: usize, writers: usize) -> Self {
        let patches = trace.patch_count();
        let start = (writer * patches / writers).min(patches.saturating_sub(1));
        let end = ((writer + 1) * patches / writers)
            .clamp(start, patches)
            .max(start + 1);
        let trace_cursor = trace.patch(start).pos;
        Self {
            trace,
            stretch: start..end,
            next: start,
            trace_cursor,
            cursor: 0,
        }
    }

    /// The next edit for a text of `len` scalar values, or `None` when no
    /// patch of the stretch would change it (a stretch of deletions only, on
    /// an empty text).
    pub fn next_edit(&mut self, len: usize) -> Option<Edit<'_>> {
        for _ in self.stretch.clone() {
            let (index, pos, del) = self.advance(len);
            if del > 0 || !self.trace.patch(index).ins.is_empty() {
                return Some(Edit {
                    pos,
                    del,
                    ins: self.trace.patch(index).ins,
                });
            }
        }
        None
    }

    /// Moves both cursors over the next patch; its index, and its position and
    /// deletion in the replica.
    fn advance(&mut self, len: usize) -> (usize, usize, usize) {
        let index = self.next;
        self.next = if index + 1 < self.stretch.end {
            index + 1
        } else {
            self.stretch.start
        };
        let patch = self.trace.patch(index);
        let moved = patch.pos as i64 - self.trace_cursor as i64;
        let pos = (self.cursor as i64 + moved).clamp(0, len as i64) as usize;
        let inserted = patch.ins.chars().count();
        self.trace_cursor = patch.pos + inserted;
        self.cursor = pos + inserted;
        (index, pos, patch.del.min(len - pos))
    }
}
