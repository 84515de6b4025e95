//! Replay with one replica per agent: each imports what its agent had seen, then types.

use syncbench_datasets::visit_versions;

use super::{Merged, ReplayError, Steps, UpdateStream, peer, types_anything};
use crate::{EngineError, Export, OpRange, Replica};

pub(super) fn replay(steps: &mut Steps<'_>) -> Result<Merged, ReplayError> {
    session(steps)?.finish(steps)
}

/// Replays the edits of all agents, each at its own replica.
pub(super) fn session(steps: &mut Steps<'_>) -> Result<Live, ReplayError> {
    let mut live = Live::new(steps);
    let mut unit = 0;
    visit_versions::<ReplayError>(steps.trace, |txn, version| {
        if steps.starts.get(unit) != Some(&txn.index()) {
            return Ok(());
        }
        live.step(steps, unit, txn.agent(), version)?;
        unit += 1;
        steps.done(unit);
        Ok(())
    })?;
    Ok(live)
}

/// An agent's replica and what it has seen.
struct Agent {
    replica: Box<dyn Replica>,
    /// By agent, the number of its updates that are known here.
    known: Vec<usize>,
}

pub(super) struct Live {
    agents: Vec<Option<Agent>>,
    /// By agent, its updates: the number of its txns up to and including each, and the
    /// update's place in the stream.
    sent: Vec<Vec<(u32, usize)>>,
    stream: UpdateStream,
}

impl Live {
    fn new(steps: &Steps<'_>) -> Self {
        let count = steps.trace.agent_count();
        Self {
            agents: (0..count).map(|_| None).collect(),
            sent: vec![Vec::new(); count],
            stream: UpdateStream::new(),
        }
    }

    fn step(
        &mut self,
        steps: &Steps<'_>,
        unit: usize,
        agent: usize,
        version: &[u32],
    ) -> Result<(), ReplayError> {
        let txns = steps.txns(unit);
        let failed = |error| steps.failed(txns.start, error);
        let Self {
            agents,
            sent,
            stream,
        } = self;
        let own = agents[agent].get_or_insert_with(|| Agent {
            replica: steps.engine.replica(peer(agent)),
            known: vec![0; sent.len()],
        });
        for update in missing(own, agent, sent, version) {
            import(own.replica.as_mut(), stream.get(update).1).map_err(failed)?;
        }
        let start = own.replica.own_counter();
        for txn in txns.clone() {
            type_txn(own.replica.as_mut(), steps, txn).map_err(|error| steps.failed(txn, error))?;
        }
        own.replica.commit();
        if !txns
            .clone()
            .any(|txn| types_anything(&steps.trace.txn(txn)))
        {
            return Ok(());
        }
        let range = OpRange {
            peer: own.replica.peer(),
            counters: start..own.replica.own_counter(),
        };
        let bytes = own.replica.export(Export::Range(range)).map_err(failed)?;
        sent[agent].push((
            version[agent] + txns.len() as u32,
            stream.push(agent, &bytes),
        ));
        Ok(())
    }

    /// Brings the replica of the first agent and an empty replica up to date.
    pub(super) fn finish(mut self, steps: &Steps<'_>) -> Result<Merged, ReplayError> {
        let last = steps.trace.txn_count().saturating_sub(1);
        let failed = |error| steps.failed(last, error);
        let mut fresh = steps.engine.replica(peer(self.agents.len()));
        for (_, bytes) in self.stream.iter() {
            import(fresh.as_mut(), bytes).map_err(failed)?;
        }
        let everything = vec![u32::MAX; self.sent.len()];
        let first = self.agents.first_mut().and_then(Option::take);
        let mut first = first.unwrap_or_else(|| Agent {
            replica: steps.engine.replica(peer(0)),
            known: vec![0; everything.len()],
        });
        for update in missing(&mut first, 0, &self.sent, &everything) {
            import(first.replica.as_mut(), self.stream.get(update).1).map_err(failed)?;
        }
        Ok(Merged {
            stream: self.stream,
            texts: [first.replica.text(), fresh.text()],
        })
    }
}

/// Returns the updates of others that a version contains and the agent has not seen, in
/// the order of the stream, and marks them as seen.
fn missing(
    own: &mut Agent,
    agent: usize,
    sent: &[Vec<(u32, usize)>],
    version: &[u32],
) -> Vec<usize> {
    let mut missing = Vec::new();
    for (other, sent) in sent.iter().enumerate().filter(|&(other, _)| other != agent) {
        let new = sent[own.known[other]..]
            .iter()
            .take_while(|&&(txns, _)| txns <= version[other]);
        let before = missing.len();
        missing.extend(new.map(|&(_, update)| update));
        own.known[other] += missing.len() - before;
    }
    missing.sort_unstable();
    missing
}

fn type_txn(replica: &mut dyn Replica, steps: &Steps<'_>, txn: usize) -> Result<(), EngineError> {
    steps
        .trace
        .txn(txn)
        .patches()
        .try_for_each(|patch| replica.splice(patch.pos, patch.del, patch.ins))
}

fn import(replica: &mut dyn Replica, bytes: &[u8]) -> Result<(), EngineError> {
    let imported = replica.import(bytes)?;
    if let Some(range) = imported.pending.first() {
        return Err(EngineError::Import(format!(
            "an update waits for others that it was sent after: {range}"
        )));
    }
    Ok(())
}
