//! Statistics of a trace: sizes of edits, rhythm of typing, degree of concurrency.

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde::Serialize;

use crate::catalog::Counts;
use crate::causal::{runs, visit_versions};
use crate::trace::{Trace, TraceKind, Txn};

/// The maximum number of points in [`Stats::length`].
const MAX_LENGTH_POINTS: usize = 500;

/// Statistics of a trace.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// The size of the trace.
    pub counts: Counts,
    /// Characters per patch that inserts, in scalar values.
    pub insert_chars: Spread,
    /// Characters per patch that deletes, in scalar values.
    pub delete_chars: Spread,
    /// Patches per run of typing: consecutive patches of one agent, each of which
    /// starts where the previous one left the cursor.
    pub typing_run_patches: Spread,
    /// Milliseconds between consecutive txns of an agent, where both have times.
    /// Absent when no txn has a time, or all times are equal.
    pub pause_ms: Option<Spread>,
    /// The degree to which edits overlap. Absent for sequential traces.
    pub concurrency: Option<Concurrency>,
    /// Length of the text in scalar values, by number of patches. For a concurrent
    /// trace it is the number of inserted characters minus the number of deleted
    /// ones, in file order: a character that two agents deleted is subtracted twice.
    pub length: Vec<(u64, i64)>,
}

/// The degree to which the edits of a trace overlap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Concurrency {
    /// Mean number of other branches per inserted or deleted character (event), in
    /// file order. This is the measure of the Eg-walker paper.
    pub mean_other_branches: f64,
    /// The maximum number of simultaneous branches, in file order.
    pub most_branches: usize,
    /// Mean number of other events that are concurrent with an event.
    pub mean_concurrent_events: f64,
    /// The number of txns with more than one parent.
    pub merges: usize,
    /// The number of runs of txns, see [`runs`].
    pub runs: usize,
}

/// Summary of a distribution of values.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The number of values.
    pub count: u64,
    /// The mean; 0 when there are no values.
    pub mean: f64,
    /// The median: the smallest value that half of all values do not exceed.
    pub p50: u64,
    /// The 90th percentile of the values.
    pub p90: u64,
    /// The 99th percentile of the values.
    pub p99: u64,
    /// The largest of the values.
    pub max: u64,
    /// The number of values from each power of two up to the next, ascending:
    /// `(1, a), (2, b), (4, c)` means that `a` values are 1, `b` values are 2 or 3
    /// and `c` values are 4 to 7. Zero has an entry of its own.
    pub octaves: Vec<(u64, u64)>,
}

/// Computes the statistics of a trace.
pub fn stats(trace: &Trace) -> Stats {
    let mut sizes = Sizes::default();
    let mut length = Length::new(trace);
    let mut typing = Typing::new(trace.agent_count());
    for txn in trace.txns() {
        typing.pause_before(txn.agent(), txn.time());
        for patch in txn.patches() {
            let inserted = patch.ins.chars().count();
            sizes.add(inserted, patch.del);
            length.add(inserted, patch.del);
            typing.add(txn.agent(), patch.pos, patch.del, inserted);
        }
    }
    Stats {
        counts: trace.counts(),
        insert_chars: sizes.inserts.spread(),
        delete_chars: sizes.deletes.spread(),
        typing_run_patches: typing.finish_runs(),
        pause_ms: (typing.pauses.largest() > 0).then(|| typing.pauses.spread()),
        concurrency: (trace.kind() == TraceKind::Concurrent).then(|| concurrency(trace)),
        length: length.points,
    }
}

/// The number of occurrences of each value.
#[derive(Default)]
struct Tally(BTreeMap<u64, u64>);

impl Tally {
    fn add(&mut self, value: u64) {
        *self.0.entry(value).or_default() += 1;
    }

    fn largest(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(&value, _)| value)
    }

    fn spread(&self) -> Spread {
        let count: u64 = self.0.values().sum();
        let sum: f64 = self
            .0
            .iter()
            .map(|(&value, &times)| value as f64 * times as f64)
            .sum();
        Spread {
            count,
            mean: if count == 0 { 0.0 } else { sum / count as f64 },
            p50: self.quantile(count, 50),
            p90: self.quantile(count, 90),
            p99: self.quantile(count, 99),
            max: self.largest(),
            octaves: self.octaves(),
        }
    }

    /// Returns the smallest value that `percent` of all values do not exceed.
    fn quantile(&self, count: u64, percent: u64) -> u64 {
        let rank = (count * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.0.iter().find(|&(_, &times)| {
            seen += times;
            seen >= rank
        });
        found.map_or(0, |(&value, _)| value)
    }

    fn octaves(&self) -> Vec<(u64, u64)> {
        let mut octaves = BTreeMap::new();
        for (&value, &times) in &self.0 {
            let from = if value == 0 { 0 } else { 1 << value.ilog2() };
            *octaves.entry(from).or_default() += times;
        }
        octaves.into_iter().collect()
    }
}

#[derive(Default)]
struct Sizes {
    inserts: Tally,
    deletes: Tally,
}

impl Sizes {
    fn add(&mut self, inserted: usize, deleted: usize) {
        if inserted > 0 {
            self.inserts.add(inserted as u64);
        }
        if deleted > 0 {
            self.deletes.add(deleted as u64);
        }
    }
}

struct Length {
    now: i64,
    patches: u64,
    every: u64,
    points: Vec<(u64, i64)>,
}

impl Length {
    fn new(trace: &Trace) -> Self {
        let now = trace.start_content().chars().count() as i64;
        let every = trace.patch_count().div_ceil(MAX_LENGTH_POINTS).max(1) as u64;
        Self {
            now,
            patches: 0,
            every,
            points: vec![(0, now)],
        }
    }

    fn add(&mut self, inserted: usize, deleted: usize) {
        self.now += inserted as i64 - deleted as i64;
        self.patches += 1;
        if self.patches.is_multiple_of(self.every) {
            self.points.push((self.patches, self.now));
        }
    }
}

/// The cursor of one agent, and the length of its current run.
#[derive(Clone, Default)]
struct Cursor {
    at: usize,
    run: u64,
    time: Option<i64>,
}

struct Typing {
    cursors: Vec<Cursor>,
    runs: Tally,
    pauses: Tally,
}

impl Typing {
    fn new(agents: usize) -> Self {
        Self {
            cursors: vec![Cursor::default(); agents],
            runs: Tally::default(),
            pauses: Tally::default(),
        }
    }

    fn pause_before(&mut self, agent: usize, time: Option<i64>) {
        let Some(time) = time else { return };
        if let Some(before) = self.cursors[agent].time.replace(time) {
            self.pauses.add(u64::try_from(time - before).unwrap_or(0));
        }
    }

    fn add(&mut self, agent: usize, pos: usize, deleted: usize, inserted: usize) {
        let cursor = &mut self.cursors[agent];
        // Typing and the delete key start at the cursor, backspace ends there.
        let goes_on = pos == cursor.at || pos + deleted == cursor.at;
        if !goes_on && cursor.run > 0 {
            self.runs.add(cursor.run);
            cursor.run = 0;
        }
        cursor.run += 1;
        cursor.at = pos + inserted;
    }

    fn finish_runs(&mut self) -> Spread {
        for cursor in self.cursors.iter().filter(|cursor| cursor.run > 0) {
            self.runs.add(cursor.run);
        }
        self.runs.spread()
    }
}

fn concurrency(trace: &Trace) -> Concurrency {
    let (most_branches, mean_other_branches) = branches(trace);
    Concurrency {
        mean_other_branches,
        most_branches,
        mean_concurrent_events: mean_concurrent_events(trace),
        merges: trace.txns().filter(|txn| txn.parents().len() > 1).count(),
        runs: runs(trace).len(),
    }
}

/// Two events are concurrent unless one is an ancestor of the other, so it is
/// enough to count the ancestors of every event.
fn mean_concurrent_events(trace: &Trace) -> f64 {
    // For each agent, the number of events in its first n txns.
    let mut events: Vec<Vec<u64>> = vec![vec![0]; trace.agent_count()];
    let mut total = 0_u64;
    for txn in trace.txns() {
        let own = event_count(txn);
        let agent = &mut events[txn.agent()];
        agent.push(agent.last().copied().unwrap_or(0) + own as u64);
        total += own as u64;
    }
    let mut ordered_pairs = 0.0;
    let Ok(()) = visit_versions::<Infallible>(trace, |txn, version| {
        let ancestors: u64 = events
            .iter()
            .zip(version)
            .map(|(events, &txns)| events[txns as usize])
            .sum();
        let agent = &events[txn.agent()];
        let known = version[txn.agent()] as usize;
        let own = (agent[known + 1] - agent[known]) as f64;
        // Events within a txn follow one another.
        ordered_pairs += own * ancestors as f64 + own * (own - 1.0) / 2.0;
        Ok(())
    });
    let total = total as f64;
    if total == 0.0 {
        0.0
    } else {
        (total * (total - 1.0) - 2.0 * ordered_pairs) / total
    }
}

/// Returns the maximum number of simultaneous branches, and the mean number of
/// other branches over all events.
fn branches(trace: &Trace) -> (usize, f64) {
    let mut is_head = vec![false; trace.txn_count()];
    let (mut heads, mut most) = (0_usize, 0);
    let (mut events, mut others) = (0_usize, 0);
    for txn in trace.txns() {
        for parent in txn.parents() {
            heads -= usize::from(std::mem::take(&mut is_head[parent]));
        }
        is_head[txn.index()] = true;
        heads += 1;
        most = most.max(heads);
        let own = event_count(txn);
        events += own;
        others += own * (heads - 1);
    }
    (most, others as f64 / events.max(1) as f64)
}

/// Counts the characters that a txn inserts or deletes.
fn event_count(txn: Txn<'_>) -> usize {
    txn.patches()
        .map(|patch| patch.del + patch.ins.chars().count())
        .sum()
}
