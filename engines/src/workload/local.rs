//! Typing: a whole trace as local edits in an empty replica.

use super::{Form, Input, Outcome, Prepared, Subject, Workload, WorkloadError, check, timed};
use crate::peer_ids::peer;
use crate::{Capability, Engine, EngineError, HeavyWork, PeerId, Replica};

/// The peer that types.
const TYPIST: PeerId = peer(1);

pub fn workloads() -> Vec<Workload> {
    let rows = [Commits::Txns, Commits::One].into_iter();
    rows.map(|commits| {
        let row = Workload::new(Input::Sequential, commits.name(), move |subject| {
            typed(commits, subject)
        });
        let row = row.per_operation();
        match commits {
            Commits::Txns => row,
            Commits::One => row.heavy_on("automerge-paper", HeavyWork::LongTransaction),
        }
    })
    .collect()
}

/// The content of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commits {
    /// One txn of the trace.
    Txns,
    /// The whole trace.
    One,
}

impl Commits {
    fn name(self) -> &'static str {
        match self {
            Self::Txns => "txns",
            Self::One => "one-commit",
        }
    }
}

fn typed(commits: Commits, subject: &Subject) -> Prepared<'_> {
    let trace = subject.trace()?;
    let mut replica = subject.engine().replica(TYPIST);
    replica.splice(0, 0, trace.start_content())?;
    replica.commit();
    timed(
        replica,
        move |replica| {
            for txn in 0..trace.txn_count() {
                for patch in trace.txn(txn).patches() {
                    replica.splice(patch.pos, patch.del, patch.ins)?;
                }
                if commits == Commits::Txns {
                    replica.commit();
                }
            }
            if commits == Commits::One {
                replica.commit();
            }
            Ok(())
        },
        |replica| verify(&mut **replica, subject),
    )
}

/// Checks that the text is the trace's, and that it was committed, so that another
/// replica can get it.
fn verify(replica: &mut dyn Replica, subject: &Subject) -> Result<Outcome, WorkloadError> {
    check::same_text(&replica.text(), subject.trace()?.end_content())?;
    let saved = most_complete(replica, subject.engine())?;
    let mut copy = subject.engine().replica(peer(2));
    copy.import(&saved)?;
    let outcome = check::same(&*replica, &*copy, 0)?;
    Ok(Outcome {
        document_bytes: Some(saved.len() as u64),
        ..outcome
    })
}

/// Exports the most complete form of the document: history and state if the engine has
/// such a form, and otherwise all updates.
fn most_complete(replica: &mut dyn Replica, engine: &dyn Engine) -> Result<Vec<u8>, EngineError> {
    let form = match engine.capabilities().has(Capability::Snapshot) {
        true => Form::Snapshot,
        false => Form::Updates,
    };
    form.export(replica)
}
