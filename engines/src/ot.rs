//! Operational transformation (OT), the way before CRDTs, as a baseline.
//!
//! The crate `operational-transform` transforms and composes operations; it has
//! no documents and no peers. Those are here, as in the literature on OT without
//! a server: each commit is an operation, composed of its splices, that carries
//! what its peer had seen, and a replica transforms an operation that arrives
//! over each concurrent one (SOCT2). Where branches diverged by n commits each,
//! that is n² transformations, which is what this engine is here to show.
//!
//! - **What converges.** Transformations that agree for any two operations
//!   (TP1) are enough for two writers, or with a server that orders everything.
//!   The library guarantees no more. For three writers the result must not
//!   depend on the order of transformations either (TP2), and with positions in
//!   the visible text it does. So operations here count deleted characters as
//!   well (tombstone transformation functions): a deletion then moves nothing.
//!   Where two insert at one place, the text of the lower peer comes first.
//! - **Op by op.** All commits of a branch could be composed to one operation,
//!   and two of them transformed once, in linear time. Then the commits are
//!   gone: nobody who has seen half of them could be merged with. What the
//!   literature compares with transforms them one by one, and so does this.
//! - **History.** Any operation may turn out to be concurrent with one that
//!   still comes, so all are kept, as they were made (to be sent) and as they
//!   follow each other (to be transformed over).
//! - **Updates** are operations as they were made, with what their peer had
//!   newly seen. A counter is a commit.
//!
//! The text is a rope, since the library's `apply` copies all of it.

mod encoding;
mod history;
mod operation;
mod tombstones;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Range;
use std::rc::Rc;

use jumprope::JumpRope;
use operational_transform::{OTError, Operation as Component};

use crate::{
    Cap, Caps, Counter, Engine, EngineError, Export, Imported, OpRange, PeerId, Replica,
    VersionVector,
};
use history::History;
use operation::{Operation, Step};
use tombstones::Tombstones;

/// Operational transformation.
#[derive(Debug, Clone, Copy, Default)]
pub struct OperationalTransformation;

const NO_SNAPSHOT: &str = "this OT stores a document as its operations: see updates";
const NO_JSON: &str = "the OT baseline has one form of its operations";
const NO_SHALLOW: &str = "this OT may have to transform over any operation, so it keeps all";
const NO_BATCH: &str = "operational-transform takes one operation at a time";
const NO_DOCUMENT: &str = "operational-transform has operations, and no document to subscribe to";
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

    fn caps(&self) -> Caps {
        Caps::without(&[
            (Cap::Snapshot, NO_SNAPSHOT),
            (Cap::ShallowSnapshot, NO_SHALLOW),
            (Cap::Json, NO_JSON),
            (Cap::Batch, NO_BATCH),
            (Cap::LocalUpdates, NO_DOCUMENT),
            (Cap::TextDiff, NO_DIFF),
        ])
        .text_only(ONE_TEXT)
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(OtReplica {
            peer,
            // The rope draws the heights of its nodes: fixed, so that
            // allocations repeat.
            text: JumpRope::new_from_seed(1),
            tombstones: Tombstones::default(),
            history: History::default(),
            logs: BTreeMap::new(),
            commits: 0,
            news: BTreeMap::new(),
            open: Vec::new(),
            waiting: BTreeMap::new(),
        })
    }
}

/// A commit as its peer made it.
#[derive(Debug)]
struct Commit {
    peer: PeerId,
    /// How many its peer had made before.
    counter: Counter,
    /// What its peer had newly seen of others since its last commit: the end
    /// of each.
    seen: Box<[(PeerId, Counter)]>,
    op: Rc<Operation>,
}

/// What one peer has made.
#[derive(Debug, Default)]
struct Log {
    /// Each commit, with its place among all that this replica contains.
    commits: Vec<(usize, Commit)>,
    /// What the peer had seen of others at its last commit.
    seen: BTreeMap<PeerId, Counter>,
}

impl Log {
    fn end(&self) -> Counter {
        self.commits.len() as Counter
    }
}

struct OtReplica {
    peer: PeerId,
    text: JumpRope,
    tombstones: Tombstones,
    history: History,
    logs: BTreeMap<PeerId, Log>,
    /// Number of commits in all logs.
    commits: usize,
    /// The ends of others that changed since the own last commit.
    news: BTreeMap<PeerId, Counter>,
    /// Splices since the last commit; the text has them already.
    open: Vec<Operation>,
    /// Commits that came too early, each at one (peer, end) that it lacks.
    waiting: BTreeMap<(PeerId, Counter), Vec<Commit>>,
}

impl OtReplica {
    fn end(&self, peer: PeerId) -> Counter {
        self.logs.get(&peer).map_or(0, Log::end)
    }

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

    /// What a commit lacks, if anything: a peer and the end it has to reach.
    fn lacks(&self, commit: &Commit) -> Option<(PeerId, Counter)> {
        let own = (commit.peer, commit.counter);
        let mut needs = std::iter::once(own).chain(commit.seen.iter().copied());
        needs.find(|&(peer, end)| self.end(peer) < end)
    }

    /// Applies a commit, and what waited for it, or lets it wait.
    fn receive(
        &mut self,
        commit: Commit,
        applied: &mut BTreeMap<PeerId, Range<Counter>>,
    ) -> Result<(), EngineError> {
        let mut ready = vec![commit];
        while let Some(commit) = ready.pop() {
            if commit.counter < self.end(commit.peer) {
                continue; // known already
            }
            if let Some(lacking) = self.lacks(&commit) {
                self.waiting.entry(lacking).or_default().push(commit);
                continue;
            }
            let (peer, end) = (commit.peer, commit.counter + 1);
            self.integrate(commit)?;
            applied.entry(peer).or_insert(end - 1..end).end = end;
            if peer != self.peer {
                self.news.insert(peer, end);
            }
            ready.extend(self.waiting.remove(&(peer, end)).into_iter().flatten());
        }
        Ok(())
    }

    /// Transforms and executes a commit that lacks nothing.
    fn integrate(&mut self, commit: Commit) -> Result<(), EngineError> {
        let log = self.logs.entry(commit.peer).or_default();
        log.seen.extend(commit.seen.iter().copied());
        let seen = &self.logs[&commit.peer].seen;
        let seen = |peer: PeerId| match peer == commit.peer {
            true => commit.counter,
            false => seen.get(&peer).copied().unwrap_or(0),
        };
        let logs = self.logs.iter();
        let unseen = logs.map(|(&peer, log)| (log.end() - seen(peer)) as usize);
        let unseen = unseen.sum();
        let step = Step {
            peer: commit.peer,
            counter: commit.counter,
            op: Rc::clone(&commit.op),
        };
        let len = self.tombstones.len();
        let step = self.history.add(step, len, unseen, seen).map_err(misfit)?;
        self.execute(&step.op);
        self.log(commit);
        Ok(())
    }

    fn log(&mut self, commit: Commit) {
        let log = self.logs.entry(commit.peer).or_default();
        log.commits.push((self.commits, commit));
        self.commits += 1;
    }

    fn encode_range(&self, range: &OpRange) -> Result<Vec<u8>, EngineError> {
        let OpRange { peer, counters } = range;
        let commits = self.logs.get(peer).map_or(&[][..], |log| &log.commits);
        let (start, end) = (counters.start as usize, counters.end as usize);
        match commits.get(start..end) {
            Some(commits) => Ok(encoding::encode(commits.iter().map(|(_, commit)| commit))),
            None => Err(EngineError::Export(format!(
                "commits {start}..{end} of peer {peer} are asked for, and this document has 0..{}",
                commits.len(),
            ))),
        }
    }

    fn encode_since(&self, since: &VersionVector) -> Vec<u8> {
        let logs = self.logs.iter();
        let lacking =
            logs.flat_map(|(&peer, log)| log.commits.iter().skip(since.get(peer) as usize));
        let mut lacking: Vec<_> = lacking.collect();
        lacking.sort_unstable_by_key(|(place, _)| *place);
        encoding::encode(lacking.into_iter().map(|(_, commit)| commit))
    }
}

impl Replica for OtReplica {
    fn peer(&self) -> PeerId {
        self.peer
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.text_len();
        if pos > len || del > len - pos {
            return Err(EngineError::OutOfBounds { pos, del, len });
        }
        if del > 0 || !ins.is_empty() {
            let start = self.tombstones.after_visible(pos);
            let end = match del {
                0 => start,
                del => self.tombstones.after_visible(pos + del),
            };
            let op = Operation::splice(self.tombstones.len(), start..end, ins);
            self.execute(&op);
            self.open.push(op);
        }
        Ok(())
    }

    fn commit(&mut self) {
        let open = std::mem::take(&mut self.open);
        let op = Operation::compose(&open).expect("each splice was made on what the others left");
        let Some(op) = op.map(Rc::new) else {
            return;
        };
        let log = self.logs.entry(self.peer).or_default();
        let news = std::mem::take(&mut self.news).into_iter();
        let commit = Commit {
            peer: self.peer,
            counter: log.end(),
            seen: news
                .filter(|&(peer, end)| log.seen.insert(peer, end) != Some(end))
                .collect(),
            op: Rc::clone(&op),
        };
        self.history.push(Step {
            peer: commit.peer,
            counter: commit.counter,
            op,
        });
        self.log(commit);
    }

    fn text_len(&self) -> usize {
        self.text.len_chars()
    }

    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        match what {
            Export::Snapshot => Err(EngineError::Unsupported(NO_SNAPSHOT)),
            Export::ShallowSnapshot | Export::ShallowSnapshotAt { .. } | Export::StateOnly => {
                Err(EngineError::Unsupported(NO_SHALLOW))
            }
            Export::Json { .. } => Err(EngineError::Unsupported(NO_JSON)),
            Export::Updates { since } => Ok(self.encode_since(since)),
            Export::Range(range) => self.encode_range(&range),
        }
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        let commits = encoding::decode(bytes)?;
        let mut ids: Vec<_> = commits.iter().map(|c| (c.peer, c.counter)).collect();
        let mut applied = BTreeMap::new();
        for commit in commits {
            self.receive(commit, &mut applied)?;
        }
        ids.retain(|&(peer, counter)| counter >= self.end(peer));
        let applied = applied.into_iter();
        Ok(Imported {
            applied: applied
                .map(|(peer, counters)| OpRange { peer, counters })
                .collect(),
            pending: ranges(ids),
        })
    }

    fn version_vector(&self) -> VersionVector {
        let logs = self.logs.iter();
        logs.map(|(&peer, log)| (peer, log.end())).collect()
    }

    fn own_counter(&self) -> Counter {
        self.end(self.peer)
    }

    fn has_pending(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn text(&self) -> String {
        self.text.to_string()
    }

    fn materialize(&self) {
        black_box(self.text());
    }

    fn deep_value(&self) -> serde_json::Value {
        serde_json::json!({ "text": self.text() })
    }
}

/// Commits as ranges, ascending.
fn ranges(mut commits: Vec<(PeerId, Counter)>) -> Vec<OpRange> {
    commits.sort_unstable();
    let runs = commits.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1);
    let range = |run: &[(PeerId, Counter)]| OpRange {
        peer: run[0].0,
        counters: run[0].1..run[0].1 + run.len() as Counter,
    };
    runs.map(range).collect()
}

fn misfit(_: OTError) -> EngineError {
    EngineError::Import("an operation does not fit the document it was made on".to_owned())
}
