//! Operational transformation (OT), which preceded CRDTs, as a baseline.
//!
//! The crate `operational-transform` transforms and composes operations, but has no
//! documents and no peers. The adapter adds these, following the literature on OT
//! without a server: each commit is one operation, composed of its splices, that
//! carries what its peer had seen, and a replica transforms each arriving operation
//! over every concurrent one (SOCT2). If branches diverged by n commits each, that is
//! n² transformations, which is what this engine is here to show.
//!
//! - **What converges.** Transformations that agree for any two operations (TP1) are
//!   enough for two writers, or with a server that orders everything. The library
//!   guarantees no more. With three writers, the result must not depend on the order of
//!   transformations either (TP2), and with positions in the visible text it does. So
//!   operations here count deleted characters as well (tombstone transformation
//!   functions): a deletion then moves nothing. If two insert at one place, the text of
//!   the lower peer comes first.
//! - **One operation at a time.** All commits of a branch could be composed into one
//!   operation, and two of them transformed once, in linear time. But then the commits
//!   are gone, and a replica that has only half of them could not be merged. What the
//!   literature compares with transforms them one by one, and so does this engine.
//! - **History.** Any operation may turn out to be concurrent with one that is still to
//!   arrive, so all are kept, both as they were made (to be sent) and as they follow
//!   each other (to be transformed over).
//! - **Updates** are operations as they were made, with what their peer had newly seen.
//!   A counter counts commits.
//!
//! The text is a rope, since the library's `apply` copies all of it.

mod executed;
mod operation;
mod tombstones;

use std::hint::black_box;
use std::rc::Rc;

use jumprope::JumpRope;
use operational_transform::{OTError, Operation as Component};

use super::causal::{Commit, History, Seen};
use crate::{
    Capabilities, Capability, Containers, Counter, Cursors, Engine, EngineError, Exchange, Export,
    HeavyWork, Imported, Pace, PeerId, Replica, TextDocument, Undo, VersionVector, Versioned,
};
use executed::Executed;
use operation::{Operation, Step};
use tombstones::Tombstones;

/// Operational transformation.
#[derive(Debug, Clone, Copy, Default)]
pub struct OperationalTransformation;

const NO_FORKS: &str = "the OT baseline copies a document by an export and an import";
const NO_TRAVEL: &str = "the OT baseline shows the latest text alone";
const NO_SNAPSHOT: &str = "this OT stores a document as its operations: see updates";
const NO_JSON: &str = "the OT baseline has one form of its operations";
const NO_SHALLOW: &str = "this OT may have to transform over any operation, so it keeps all";
const NO_BATCH: &str = "operational-transform takes one operation at a time";
const NO_DOCUMENT: &str =
    "operational-transform has operations, and no document to subscribe to, undo or point into";
const NO_DIFF: &str = "operational-transform does not compare texts";
const ONE_TEXT: &str = "operational-transform has operations on one text only";

impl Engine for OperationalTransformation {
    fn name(&self) -> &'static str {
        "ot"
    }

    fn library(&self) -> &'static str {
        "operational-transform"
    }

    fn version(&self) -> &'static str {
        "0.6.1"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::without(&[
            (Capability::Snapshot, NO_SNAPSHOT),
            (Capability::ShallowSnapshot, NO_SHALLOW),
            (Capability::Forks, NO_FORKS),
            (Capability::ForksAt, NO_FORKS),
            (Capability::Checkout, NO_TRAVEL),
            (Capability::TimeTravel, NO_TRAVEL),
            (Capability::Json, NO_JSON),
            (Capability::Batch, NO_BATCH),
            (Capability::LocalUpdates, NO_DOCUMENT),
            (Capability::TextDiff, NO_DIFF),
            (Capability::Undo, NO_DOCUMENT),
            (Capability::Cursors, NO_DOCUMENT),
        ])
        .text_only(ONE_TEXT)
    }

    fn pace(&self, work: HeavyWork) -> Pace {
        match work {
            HeavyWork::ManyWriters | HeavyWork::LongBranches => Pace::Slow,
            _ => Pace::Usual,
        }
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(OtReplica {
            history: History::new(peer),
            document: Document {
                // The rope draws the heights of its nodes at random. The seed is fixed,
                // so that allocations are the same in every run.
                text: JumpRope::new_from_seed(1),
                tombstones: Tombstones::default(),
                executed: Executed::default(),
            },
            open: Vec::new(),
        })
    }
}

/// The document that the operations so far have made.
struct Document {
    text: JumpRope,
    tombstones: Tombstones,
    executed: Executed,
}

impl Document {
    /// Changes text and tombstones.
    fn execute(&mut self, op: &Operation) {
        let mut pos = 0;
        for component in op.inserts.iter().flat_map(|inserts| inserts.ops()) {
            pos += match component {
                Component::Insert(text) => {
                    let len = text.chars().count();
                    self.text.insert(self.tombstones.insert(pos, len), text);
                    len
                }
                Component::Retain(len) | Component::Delete(len) => *len as usize,
            };
        }
        let mut pos = 0;
        for component in op.deletes.iter().flat_map(|deletes| deletes.ops()) {
            pos += match component {
                Component::Delete(len) => {
                    let gone = self.tombstones.delete(pos..pos + *len as usize);
                    self.text.remove(gone);
                    *len as usize
                }
                Component::Retain(len) => *len as usize,
                Component::Insert(_) => 0, // there are none among deletions
            };
        }
    }

    /// Transforms and executes a commit.
    fn integrate(
        &mut self,
        commit: &Commit<Rc<Operation>>,
        seen: &Seen<'_, Rc<Operation>>,
    ) -> Result<(), EngineError> {
        let step = Step {
            peer: commit.peer,
            counter: commit.counter,
            op: Rc::clone(&commit.payload),
        };
        let len = self.tombstones.len();
        let step = self.executed.add(step, len, seen).map_err(|OTError| {
            EngineError::Import("an operation does not fit the document it was made on".to_owned())
        })?;
        self.execute(&step.op);
        Ok(())
    }
}

struct OtReplica {
    history: History<Rc<Operation>>,
    document: Document,
    /// Splices since the last commit; the document contains them already.
    open: Vec<Operation>,
}

impl TextDocument for OtReplica {
    fn peer(&self) -> PeerId {
        self.history.peer()
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.text_len();
        if pos > len || del > len - pos {
            return Err(EngineError::OutOfBounds { pos, del, len });
        }
        if del > 0 || !ins.is_empty() {
            let tombstones = &self.document.tombstones;
            let start = tombstones.after_visible(pos);
            let end = match del {
                0 => start,
                del => tombstones.after_visible(pos + del),
            };
            let op = Operation::splice(tombstones.len(), start..end, ins);
            self.document.execute(&op);
            self.open.push(op);
        }
        Ok(())
    }

    fn commit(&mut self) {
        let open = std::mem::take(&mut self.open);
        let op = Operation::compose(&open).expect("each splice was made on what the others left");
        if let Some(op) = op.map(Rc::new) {
            self.document.executed.push(Step {
                peer: self.peer(),
                counter: self.own_counter(),
                op: Rc::clone(&op),
            });
            self.history.commit(op);
        }
    }

    fn text_len(&self) -> usize {
        self.document.text.len_chars()
    }

    fn text(&self) -> String {
        self.document.text.to_string()
    }

    fn materialize(&self) {
        black_box(self.text());
    }

    fn deep_value(&self) -> serde_json::Value {
        serde_json::json!({ "text": self.text() })
    }
}

impl Versioned for OtReplica {
    fn version_vector(&self) -> VersionVector {
        self.history.version_vector()
    }

    fn own_counter(&self) -> Counter {
        self.history.end(self.peer())
    }

    fn has_pending(&self) -> bool {
        self.history.has_waiting()
    }
}

impl Exchange for OtReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        match what {
            Export::Snapshot => Err(EngineError::Unsupported(NO_SNAPSHOT)),
            Export::ShallowSnapshot | Export::ShallowSnapshotAt { .. } | Export::StateOnly => {
                Err(EngineError::Unsupported(NO_SHALLOW))
            }
            Export::Json { .. } => Err(EngineError::Unsupported(NO_JSON)),
            Export::Updates { since } => Ok(self.history.encode_since(since)),
            Export::Range(range) => self.history.encode_range(&range),
        }
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        let commits = History::decode(bytes)?;
        let document = &mut self.document;
        self.history
            .deliver(commits, |commit, seen| document.integrate(commit, &seen))
    }
}

impl Containers for OtReplica {}

impl Undo for OtReplica {}

impl Cursors for OtReplica {}

impl Replica for OtReplica {}
