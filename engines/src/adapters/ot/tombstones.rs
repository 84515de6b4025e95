//! The visibility of all characters that were ever inserted.
//!
//! Characters are stored as runs, in blocks that know their sums: a look-up walks over
//! the blocks, and then over the runs of one block.

use std::ops::Range;

/// The number of runs at which a block is split in half.
const BLOCK: usize = 64;

/// Every character ever inserted, in order, including deleted ones.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Debug, Default)]
struct Block {
    runs: Vec<Run>,
    len: usize,
    visible: usize,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    len: usize,
    visible: bool,
}

/// A position in a run, at or before its end.
struct Place {
    block: usize,
    run: usize,
    offset: usize,
    /// The number of visible characters before it.
    visible: usize,
}

impl Run {
    fn visible_len(self) -> usize {
        match self.visible {
            true => self.len,
            false => 0,
        }
    }
}

impl Block {
    fn of(runs: Vec<Run>) -> Self {
        let mut block = Self {
            runs,
            ..Self::default()
        };
        block.count();
        block
    }

    fn count(&mut self) {
        self.len = self.runs.iter().map(|run| run.len).sum();
        self.visible = self.runs.iter().map(|run| run.visible_len()).sum();
    }
}

impl Tombstones {
    /// Returns the number of characters, including deleted ones.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the position right after the first `visible` visible characters.
    pub fn after_visible(&self, visible: usize) -> usize {
        let mut left = visible;
        let mut pos = 0;
        for block in &self.blocks {
            if left > block.visible {
                left -= block.visible;
                pos += block.len;
                continue;
            }
            for run in &block.runs {
                if left == 0 {
                    break;
                }
                pos += match run.visible {
                    true => run.len.min(left),
                    false => run.len,
                };
                left -= run.visible_len().min(left);
            }
            break;
        }
        pos
    }

    /// Adds `len` visible characters at `pos`, and returns the number of visible
    /// characters before them.
    pub fn insert(&mut self, pos: usize, len: usize) -> usize {
        let place = self.place(pos);
        self.len += len;
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let block = &mut self.blocks[place.block];
        block.len += len;
        block.visible += len;
        let new = Run { len, visible: true };
        match block.runs.get_mut(place.run) {
            None => block.runs.push(new),
            Some(run) if run.visible => run.len += len,
            Some(run) => {
                let rest = Run {
                    len: run.len - place.offset,
                    visible: false,
                };
                run.len = place.offset;
                let parts = [*run, new, rest].into_iter().filter(|run| run.len > 0);
                block.runs.splice(place.run..=place.run, parts);
            }
        }
        self.halve(place.block);
        place.visible
    }

    /// Marks a range as deleted, and returns the range of visible characters that
    /// disappear, as they were counted before.
    pub fn delete(&mut self, range: Range<usize>) -> Range<usize> {
        let start = self.place(range.start).visible;
        let mut end = start;
        let mut pos = range.start;
        while pos < range.end {
            let place = self.place(pos + 1);
            let block = &mut self.blocks[place.block];
            let run = block.runs[place.run];
            let from = place.offset - 1;
            let len = (run.len - from).min(range.end - pos);
            pos += len;
            if !run.visible {
                continue;
            }
            end += len;
            block.visible -= len;
            let part = |len, visible| Run { len, visible };
            let parts = [
                part(from, true),
                part(len, false),
                part(run.len - from - len, true),
            ];
            let parts = parts.into_iter().filter(|run| run.len > 0);
            block.runs.splice(place.run..=place.run, parts);
            join_around(&mut block.runs, place.run);
            self.halve(place.block);
        }
        start..end
    }

    /// Returns the place at `pos`, at the end of a run rather than at the start of the
    /// next one.
    fn place(&self, pos: usize) -> Place {
        let mut place = Place {
            block: 0,
            run: 0,
            offset: pos,
            visible: 0,
        };
        for block in &self.blocks {
            if place.offset <= block.len {
                break;
            }
            place.offset -= block.len;
            place.visible += block.visible;
            place.block += 1;
        }
        let Some(block) = self.blocks.get(place.block) else {
            return place;
        };
        for run in &block.runs {
            if place.offset <= run.len {
                place.visible += place.offset.min(run.visible_len());
                break;
            }
            place.offset -= run.len;
            place.visible += run.visible_len();
            place.run += 1;
        }
        place
    }

    fn halve(&mut self, block: usize) {
        let runs = &mut self.blocks[block].runs;
        if runs.len() > BLOCK {
            let second = Block::of(runs.split_off(BLOCK / 2));
            self.blocks[block].count();
            self.blocks.insert(block + 1, second);
        }
    }
}

/// Joins equal neighbours around a run that was split.
fn join_around(runs: &mut Vec<Run>, run: usize) {
    let mut at = run.saturating_sub(1);
    while at + 1 < runs.len().min(run + 4) {
        if runs[at].visible == runs[at + 1].visible {
            runs[at].len += runs.remove(at + 1).len;
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_are_those_of_a_plain_list(
            edits in prop::collection::vec((any::<bool>(), any::<usize>(), 1..9_usize), 1..400),
        ) {
            let mut tombstones = Tombstones::default();
            let mut model: Vec<bool> = Vec::new();
            for (insert, pos, len) in edits {
                let pos = pos % (model.len() + 1);
                let before = model[..pos].iter().filter(|&&visible| visible).count();
                if insert {
                    prop_assert_eq!(tombstones.insert(pos, len), before);
                    model.splice(pos..pos, std::iter::repeat_n(true, len));
                } else {
                    let end = (pos + len).min(model.len());
                    let gone = model[pos..end].iter().filter(|&&visible| visible).count();
                    prop_assert_eq!(tombstones.delete(pos..end), before..before + gone);
                    model[pos..end].fill(false);
                }
                prop_assert_eq!(tombstones.len(), model.len());
                let mut visible = 0;
                prop_assert_eq!(tombstones.after_visible(0), 0);
                for (pos, _) in model.iter().enumerate().filter(|(_, visible)| **visible) {
                    visible += 1;
                    prop_assert_eq!(tombstones.after_visible(visible), pos + 1);
                }
            }
        }
    }
}
