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

    /// Drops the txns of a chain that change nothing.
    pub(crate) fn drop_idle_txns(&mut self) {
        let is_idle = |txn: usize| self.patch_range(txn).all(|patch| self.is_idle(patch));
        let kept: Vec<usize> = (0..self.txn_count()).filter(|&txn| !is_idle(txn)).collect();
        if kept.len() == self.txn_count() {
            return;
        }
        let ranges = kept.iter().map(|&txn| self.patch_range(txn));
        let mut patches = Vec::new();
        let mut txn_ends = Vec::new();
        for range in ranges {
            // Only patches that insert nothing are left out, so each text still begins
            // where the one before ends.
            patches.extend_from_slice(&self.patches[range]);
            txn_ends.push(patches.len() as u32);
        }
        if !self.agents.is_empty() {
            self.agents = kept.iter().map(|&txn| self.agents[txn]).collect();
        }
        if self.times.len() > 1 {
            self.times = kept.iter().map(|&txn| self.times[txn]).collect();
        }
        self.txn_count = kept.len() as u32;
        self.patches = patches;
        self.txn_ends = txn_ends;
        self.compact();
    }

    /// Returns true if a patch changes nothing.
    fn is_idle(&self, patch: usize) -> bool {
        self.patches[patch].del == 0 && self.inserted(patch).is_empty()
    }

    /// Moves the start text into a txn of agent 0, on which every root of a graph then
    /// builds.
    pub(crate) fn type_start(&mut self) {
        let Some(parents) = &mut self.parents else {
            return;
        };
        let start = std::mem::take(&mut self.start);
        let mut with_start = Parents {
            ends: vec![0],
            list: Vec::new(),
        };
        for txn in 0..parents.ends.len() {
            let own = parents.of(txn);
            with_start.list.extend(own.iter().map(|parent| parent + 1));
            if own.is_empty() {
                with_start.list.push(0);
            }
            with_start.ends.push(with_start.list.len() as u32);
        }
        *parents = with_start;
        self.prepend_txn(&start);
    }

    /// Adds a txn that inserts `text` before all others, in every column but that of
    /// the parents.
    fn prepend_txn(&mut self, text: &str) {
        let len = text.len() as u32;
        self.text.insert_str(0, text);
        for patch in &mut self.patches {
            patch.ins_end += len;
        }
        let typed = PatchRow {
            pos: 0,
            del: 0,
            ins_end: len,
        };
        self.patches.insert(0, typed);
        if !self.txn_ends.is_empty() {
            self.txn_ends.iter_mut().for_each(|end| *end += 1);
            self.txn_ends.insert(0, 1);
        }
        if !self.agents.is_empty() {
            self.agents.insert(0, 0);
        }
        if self.times.len() > 1 {
            self.times.insert(0, NO_TIME);
        }
        self.txn_count += 1;
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
