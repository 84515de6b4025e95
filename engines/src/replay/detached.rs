//! Replay with one document for all agents, which is checked out at the version that
//! each step was made on.

use super::{Merged, ReplayError, Steps, UpdateStream, peer, types_anything};
use crate::{DetachedDocument, EngineError, OpRange};

pub(super) fn replay(
    steps: &mut Steps<'_>,
    mut document: Box<dyn DetachedDocument>,
) -> Result<Merged, ReplayError> {
    // The version after each txn.
    let mut versions = vec![0; steps.trace.txn_count()];
    let mut sent = Vec::new();
    for unit in 0..steps.starts.len() {
        let txns = steps.txns(unit);
        let first = steps.trace.txn(txns.start);
        let writer = peer(first.agent());
        let parents: Vec<usize> = first.parents().map(|parent| versions[parent]).collect();
        document
            .checkout(&parents, writer)
            .map_err(|error| steps.failed(first.index(), error))?;
        let start = document.counter(writer);
        for txn in txns.clone().map(|txn| steps.trace.txn(txn)) {
            txn.patches()
                .try_for_each(|patch| document.splice(patch.pos, patch.del, patch.ins))
                .map_err(|error| steps.failed(txn.index(), error))?;
        }
        // Other agents build only on the last txn of a unit.
        versions[txns.clone()].fill(document.commit());
        let mut txns = txns.map(|txn| steps.trace.txn(txn));
        if txns.any(|txn| types_anything(&txn)) {
            let counters = start..document.counter(writer);
            let range = OpRange {
                peer: writer,
                counters,
            };
            sent.push((first.agent(), range));
        }
        steps.done(unit + 1);
    }
    let last = steps.trace.txn_count().saturating_sub(1);
    let stream = stream(&mut *document, &sent).map_err(|error| steps.failed(last, error))?;
    let fresh = text_of(steps, &stream).map_err(|error| steps.failed(last, error))?;
    Ok(Merged {
        texts: [document.latest_text(), fresh],
        stream,
    })
}

fn stream(
    document: &mut dyn DetachedDocument,
    sent: &[(usize, OpRange)],
) -> Result<UpdateStream, EngineError> {
    let mut stream = UpdateStream::new();
    for (agent, range) in sent {
        stream.push(*agent, &document.export(range)?);
    }
    Ok(stream)
}

/// Returns the text that an empty replica shows after all updates. They are imported as
/// one batch, since one by one would take as long as the replay.
fn text_of(steps: &Steps<'_>, stream: &UpdateStream) -> Result<String, EngineError> {
    let updates: Vec<&[u8]> = stream.iter().map(|(_, bytes)| bytes).collect();
    let mut fresh = steps.engine.replica(peer(steps.trace.agent_count()));
    let imported = fresh.import_batch(&updates)?;
    match imported.pending.is_empty() {
        true => Ok(fresh.text()),
        false => Err(EngineError::Import(
            "updates of the stream are missing".to_owned(),
        )),
    }
}
