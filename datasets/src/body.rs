//! The storage of a trace: one text arena and flat tables of 32-bit numbers.

/// One edit; `ins_end` is where its text ends in the arena, the text starts
/// where the previous patch's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PatchRow {
    pub pos: u32,
    pub del: u32,
    pub ins_end: u32,
}

/// Parents of every txn, in one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parents {
    /// Txn `i`'s parents end here in `list`.
    pub ends: Vec<u32>,
    pub list: Vec<u32>,
}

impl Parents {
    pub(crate) fn of(&self, txn: usize) -> &[u32] {
        let start = if txn == 0 {
            0
        } else {
            self.ends[txn - 1] as usize
        };
        &self.list[start..self.ends[txn] as usize]
    }
}

/// Stands for a txn without a time in [`Body::times`].
pub(crate) const NO_TIME: i64 = i64::MIN;

/// A trace's contents. Invariants: every `*_ends`/`*_end` column never falls and
/// ends at the length of what it points into; `ins_end` falls on char boundaries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub start: String,
    pub end: String,
    /// Inserted text of all patches, in file order.
    pub text: String,
    pub patches: Vec<PatchRow>,
    /// Txn `i`'s patches end here.
    pub txn_ends: Vec<u32>,
    /// Agent by txn; empty when there is only agent 0.
    pub agents: Vec<u32>,
    pub agent_count: u32,
    /// `None` when every txn builds on the one before.
    pub parents: Option<Parents>,
    /// Milliseconds since 1970 by txn; empty when no txn has a time.
    pub times: Vec<i64>,
}

impl Body {
    pub(crate) fn txn_count(&self) -> usize {
        self.txn_ends.len()
    }

    pub(crate) fn patch_range(&self, txn: usize) -> std::ops::Range<usize> {
        let start = if txn == 0 {
            0
        } else {
            self.txn_ends[txn - 1] as usize
        };
        start..self.txn_ends[txn] as usize
    }

    pub(crate) fn agent(&self, txn: usize) -> u32 {
        self.agents.get(txn).copied().unwrap_or(0)
    }

    pub(crate) fn inserted(&self, patch: usize) -> &str {
        let start = if patch == 0 {
            0
        } else {
            self.patches[patch - 1].ins_end as usize
        };
        &self.text[start..self.patches[patch].ins_end as usize]
    }

    /// Gives back the room that growing left over.
    pub(crate) fn shrink(&mut self) {
        self.start.shrink_to_fit();
        self.end.shrink_to_fit();
        self.text.shrink_to_fit();
        self.patches.shrink_to_fit();
        self.txn_ends.shrink_to_fit();
        self.times.shrink_to_fit();
        self.agents.shrink_to_fit();
        if let Some(parents) = &mut self.parents {
            parents.ends.shrink_to_fit();
            parents.list.shrink_to_fit();
        }
    }

    /// Txns that no other txn builds on: the final version.
    pub(crate) fn heads(&self) -> Vec<u32> {
        let count = self.txn_count();
        let Some(parents) = &self.parents else {
            return count
                .checked_sub(1)
                .map(|last| last as u32)
                .into_iter()
                .collect();
        };
        let mut is_head = vec![true; count];
        for &parent in &parents.list {
            is_head[parent as usize] = false;
        }
        (0..count as u32)
            .filter(|&txn| is_head[txn as usize])
            .collect()
    }
}
