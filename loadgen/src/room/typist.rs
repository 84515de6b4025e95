//! The typing of simulated users: stretches of a real trace.

use std::ops::Range;
use std::sync::Arc;

use syncbench_datasets::Trace;

/// One edit, fitted to the replica that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit<'a> {
    /// The position, in Unicode scalar values.
    pub pos: usize,
    /// The number of scalar values to delete at `pos`.
    pub del: usize,
    /// The text to insert at `pos`.
    pub ins: &'a str,
}

/// Replays one writer's own contiguous stretch of a trace, over and over.
///
/// A patch's position counts in the trace's document, which the replica is
/// not: it starts empty and others write in it too. So the typist keeps a
/// cursor of its own and moves it as the trace's author did: by the distance
/// between the end of one patch and the start of the next, clamped to the
/// text. Runs of typing stay runs, jumps stay jumps. A patch that clamping
/// leaves without any effect (a deletion in an empty text) is skipped.
#[derive(Debug)]
pub struct Typist {
    trace: Arc<Trace>,
    stretch: Range<usize>,
    next: usize,
    /// The end of the last patch in the trace's document.
    trace_cursor: usize,
    /// The end of the last edit in the replica.
    cursor: usize,
}

impl Typist {
    /// Creates the typist of `writer`, one of `writers` that share `trace` evenly.
    /// With more writers than patches, stretches of one patch are shared.
    pub fn new(trace: Arc<Trace>, writer: usize, writers: usize) -> Self {
        let patches = trace.patch_count();
        let start = (writer * patches / writers).min(patches.saturating_sub(1));
        let end = ((writer + 1) * patches / writers)
            .clamp(start, patches)
            .max(start + 1);
        let trace_cursor = match patches {
            0 => 0,
            _ => trace.patch(start).pos,
        };
        Self {
            trace,
            stretch: start..end,
            next: start,
            trace_cursor,
            cursor: 0,
        }
    }

    /// Returns the next edit for a text of `len` scalar values, or `None` when
    /// nothing
    /// in the whole trace would change it. (Real traces have stretches of
    /// thousands of deletions: on an empty text the typist moves on to the
    /// stretch after such a one.)
    pub fn next_edit(&mut self, len: usize) -> Option<Edit<'_>> {
        let mut fruitless = 0;
        for _ in 0..=self.trace.patch_count() {
            let (index, pos, del) = self.advance(len);
            if del > 0 || !self.trace.patch(index).ins.is_empty() {
                return Some(Edit {
                    pos,
                    del,
                    ins: self.trace.patch(index).ins,
                });
            }
            fruitless += 1;
            if fruitless == self.stretch.len() {
                self.move_on();
                fruitless = 0;
            }
        }
        None
    }

    /// Moves on to the next stretch, of the same length where there is one.
    fn move_on(&mut self) {
        let patches = self.trace.patch_count();
        let start = self.stretch.end % patches;
        self.stretch = start..(start + self.stretch.len()).min(patches);
        self.next = start;
        self.trace_cursor = self.trace.patch(start).pos;
    }

    /// Moves both cursors over the next patch. Returns its index, and its
    /// position and deletion in the replica.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writer_of_the_default_run_always_has_something_to_type() {
        let trace = Arc::new(syncbench_datasets::load("automerge-paper").unwrap());
        for writer in 0..200 {
            let mut typist = Typist::new(Arc::clone(&trace), writer, 200);
            let mut len = 0;
            for round in 0..200 {
                let edit = typist
                    .next_edit(len)
                    .map(|e| (e.pos, e.del, e.ins.chars().count()));
                let (pos, del, ins) =
                    edit.unwrap_or_else(|| panic!("writer {writer}, edit {round}"));
                assert!(pos + del <= len && del + ins > 0);
                len = len - del + ins;
            }
        }
    }
}
