//! The storage of a trace: one text arena and flat tables of 32-bit numbers.

use std::ops::Range;

/// One edit. Its inserted text starts in the arena where that of the previous patch
/// ends, and ends at `ins_end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PatchRow {
    pub pos: u32,
    pub del: u32,
    pub ins_end: u32,
}

/// The parents of all txns, in one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parents {
    /// For each txn, the end of its parents in `list`.
    pub ends: Vec<u32>,
    pub list: Vec<u32>,
}

impl Parents {
    pub(crate) fn of(&self, txn: usize) -> &[u32] {
        let start = if txn == 0 { 0 } else { self.ends[txn - 1] };
        &self.list[start as usize..self.ends[txn] as usize]
    }

    /// Returns true if every txn builds on the previous one and on nothing else.
    pub(crate) fn is_chain(&self) -> bool {
        (0..self.ends.len()).all(|txn| match self.of(txn) {
            [] => txn == 0,
            [parent] => *parent as usize + 1 == txn,
            _ => false,
        })
    }
}

/// The value in [`Body::times`] of a txn without a time.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// The contents of a trace. Invariants: no `*_ends` or `*_end` column decreases, and
/// each ends at the length of the table that it points into; `ins_end` lies on char
/// boundaries; agents are below `agent_count`; parents are below their child.
///
/// Columns without information are left out, see [`Body::compact`]: most recorded
/// keystrokes are one patch per txn, and many traces have no times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub start: String,
    pub end: String,
    /// Inserted text of all patches, in file order.
    pub text: String,
    pub patches: Vec<PatchRow>,
    pub txn_count: u32,
    /// For each txn, the end of its patches; empty when each txn has one patch.
    pub txn_ends: Vec<u32>,
    /// The agent of each txn; empty when there is only agent 0.
    pub agents: Vec<u32>,
    pub agent_count: u32,
    /// `None` when every txn builds on the previous one.
    pub parents: Option<Parents>,
    /// Milliseconds since 1970 of each txn; empty when no txn has a time, and a
    /// single value when all txns have the same time.
    pub times: Vec<i64>,
}

impl Body {
    pub(crate) fn txn_count(&self) -> usize {
        self.txn_count as usize
    }

    pub(crate) fn patch_range(&self, txn: usize) -> Range<usize> {
        if self.txn_ends.is_empty() {
            return txn..txn + 1;
        }
        let start = if txn == 0 { 0 } else { self.txn_ends[txn - 1] };
        start as usize..self.txn_ends[txn] as usize
    }

    pub(crate) fn agent(&self, txn: usize) -> u32 {
        self.agents.get(txn).copied().unwrap_or(0)
    }

    pub(crate) fn time(&self, txn: usize) -> Option<i64> {
        let time = match self.times.as_slice() {
            [] => None,
            [all] => Some(*all),
            times => Some(times[txn]),
        };
        time.filter(|&time| time != NO_TIME)
    }

    pub(crate) fn inserted(&self, patch: usize) -> &str {
        let start = if patch == 0 {
            0
        } else {
            self.patches[patch - 1].ins_end
        };
        &self.text[start as usize..self.patches[patch].ins_end as usize]
    }

    /// Drops all txns of a chain from the given one on. The end text stays.
    pub(crate) fn truncate(&mut self, txns: usize) {
        let patches = self.patch_range(txns).start;
        self.patches.truncate(patches);
        self.text
            .truncate(self.patches.last().map_or(0, |row| row.ins_end as usize));
        self.txn_ends.truncate(txns);
        self.agents.truncate(txns);
        self.times.truncate(txns);
        self.txn_count = txns as u32;
    }

    /// Drops columns without information and frees unused capacity.
    pub(crate) fn compact(&mut self) {
        let count = self.txn_count();
        if self.patches.len() == count && self.txn_ends.iter().zip(1..).all(|(&end, n)| end == n) {
            self.txn_ends = Vec::new();
        }
        if self.agents.iter().all(|&agent| agent == 0) {
            self.agents = Vec::new();
        }
        if self.times.len() == count && self.times.iter().all(|&time| time == self.times[0]) {
            self.times.truncate(1);
        }
        if self.times == [NO_TIME] {
            self.times = Vec::new();
        }
        match &mut self.parents {
            Some(parents) if parents.is_chain() => self.parents = None,
            Some(parents) => {
                parents.ends.shrink_to_fit();
                parents.list.shrink_to_fit();
            }
            None => {}
        }
        self.start.shrink_to_fit();
        self.end.shrink_to_fit();
        self.text.shrink_to_fit();
        self.patches.shrink_to_fit();
        self.txn_ends.shrink_to_fit();
        self.agents.shrink_to_fit();
        self.times.shrink_to_fit();
    }

    /// Returns the txns that no other txn builds on: the final version.
    pub(crate) fn heads(&self) -> Vec<u32> {
        let Some(parents) = &self.parents else {
            return self.txn_count.checked_sub(1).into_iter().collect();
        };
        let mut is_head = vec![true; self.txn_count()];
        for &parent in &parents.list {
            is_head[parent as usize] = false;
        }
        (0..self.txn_count)
            .filter(|&txn| is_head[txn as usize])
            .collect()
    }
}
