//! Who knew what when: version vectors of a trace's txns.

use crate::trace::{Trace, Txn};

/// Calls `visit` for each txn in file order with the version that it was made
/// on: for each agent, how many of its txns that version contains. An agent's
/// txns build on one another, so the number says which.
///
/// A version is kept only while a later txn builds on it.
///
/// # Errors
/// The first one that `visit` gives; the rest of the trace is then left out.
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

/// By txn, how many txns name it as a parent.
pub(crate) fn children(trace: &Trace) -> Vec<u32> {
    let mut children = vec![0; trace.txn_count()];
    for parent in trace.txns().flat_map(|txn| txn.parents()) {
        children[parent] += 1;
    }
    children
}

/// The least version that contains both.
fn join(mut left: Vec<u32>, right: Vec<u32>) -> Vec<u32> {
    for (left, right) in left.iter_mut().zip(right) {
        *left = (*left).max(right);
    }
    left
}

/// Splits a trace into runs: stretches of txns in file order in which one agent
/// goes on from its own last txn and nobody else builds on it. Gives the index of
/// each run's first txn. Keystrokes so become the units that a client would send.
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
