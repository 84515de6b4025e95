//! Version vectors of a trace's txns, and runs of keystrokes.

use crate::trace::{Trace, Txn};

/// Calls `visit` for each txn in file order with the version that the txn builds on:
/// for each agent, the number of its txns in that version. An agent's txns build on
/// one another, so the number identifies them.
///
/// A version is kept only as long as a later txn builds on it.
///
/// # Errors
/// Returns the first error of `visit`, and does not visit the rest of the trace.
pub fn visit_versions<'a, E>(
    trace: &'a Trace,
    mut visit: impl FnMut(Txn<'a>, &[u32]) -> Result<(), E>,
) -> Result<(), E> {
    let mut waiting = children(trace);
    let mut versions: Vec<Option<Vec<u32>>> = vec![None; trace.txn_count()];
    for txn in trace.txns() {
        let mut version = vec![0; trace.agent_count()];
        for parent in txn.parents() {
            waiting[parent] -= 1;
            let last_use = waiting[parent] == 0;
            let known = if last_use {
                versions[parent].take()
            } else {
                versions[parent].clone()
            };
            version = join(version, known.unwrap_or_default());
        }
        visit(txn, &version)?;
        version[txn.agent()] += 1;
        if waiting[txn.index()] > 0 {
            versions[txn.index()] = Some(version);
        }
    }
    Ok(())
}

/// Counts, for each txn, the txns that name it as a parent.
pub(crate) fn children(trace: &Trace) -> Vec<u32> {
    let mut children = vec![0; trace.txn_count()];
    for parent in trace.txns().flat_map(|txn| txn.parents()) {
        children[parent] += 1;
    }
    children
}

/// Returns the smallest version that contains both.
fn join(mut left: Vec<u32>, right: Vec<u32>) -> Vec<u32> {
    for (left, right) in left.iter_mut().zip(right) {
        *left = (*left).max(right);
    }
    left
}

/// Splits a trace into runs and returns the index of each run's first txn. Within a
/// run, consecutive txns in file order are by one agent, each builds on the previous
/// one, and no other txn does. A run of keystrokes is the unit that a client would
/// send.
pub fn runs(trace: &Trace) -> Vec<usize> {
    let children = children(trace);
    let mut starts = Vec::new();
    let mut before: Option<Txn<'_>> = None;
    for txn in trace.txns() {
        let goes_on = before.is_some_and(|before| {
            before.agent() == txn.agent()
                && children[before.index()] == 1
                && txn.parents().eq([before.index()])
        });
        if !goes_on {
            starts.push(txn.index());
        }
        before = Some(txn);
    }
    starts
}
