//! diamond-types 1.0.0.
//!
//! This release of 2022 is the only published one. The library has been rewritten
//! since, so figures of its repository, such as those of the Eg-walker paper, are of
//! another program.
//!
//! The adapter follows its documentation: a `ListCRDT` (the operations, and a branch
//! with the text), edits by `insert` and `delete_without_content`, the whole document
//! as `ENCODE_FULL`, what another replica lacks as `ENCODE_PATCH` from a version, and
//! imports by `decode_and_add` of each update and one `merge` of the branch, as
//! `merge_data_and_ff` does for a single update. Agents are named after peer ids; a
//! counter is an agent's `seq`. Positions are Unicode scalar values in the library too.
//!
//! The adapter adds a check, before each import, of the checksum at the end of each
//! file. The library checks it last, after merging, and panics on some damaged files
//! before it gets that far. A new operation gets the next local time, so an import
//! applied exactly the operations after the old end; to find them costs no more than
//! the size of the import.

use std::collections::BTreeMap;
use std::hint::black_box;

use crc::{CRC_32_ISCSI, Crc};
use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::{ENCODE_FULL, ENCODE_PATCH};
use diamond_types::list::remote_ids::RemoteId;
use diamond_types::{AgentId, LocalVersion};

use crate::{
    Capabilities, Capability, Containers, Counter, Cursors, Engine, EngineError, Exchange, Export,
    HeavyWork, Imported, OpRange, Pace, PeerId, Replica, TextDocument, Undo, VersionVector,
    Versioned,
};

static CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// diamond-types, the release of 2022.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiamondTypes;

const NO_FORKS: &str = "diamond-types 1.0 copies a text at a version, not the document";
const NO_TRAVEL: &str = "diamond-types 1.0 has the text at a version, and neither diff nor revert";
const NO_SNAPSHOT: &str = "diamond-types stores a document as its operations: see updates";
const NO_SHALLOW: &str = "diamond-types 1.0.0 cannot start from a state without its history";
const NO_RANGE: &str = "diamond-types exports all that follows a version, not a range";
const NO_EARLY: &str = "diamond-types refuses an update that builds on what it does not have";
const NO_JSON: &str = "diamond-types has no JSON form of its operations that it can import";

const NO_WATCHING: &str = "diamond-types hands out no updates: a client asks for what is new";
const NO_UNDO: &str = "diamond-types 1.0 cannot undo";
const NO_CURSORS: &str = "diamond-types 1.0 has no places that stay as the text changes";
const NO_TEXT_DIFF: &str = "diamond-types has no call that turns one text into another";

impl Engine for DiamondTypes {
    fn name(&self) -> &'static str {
        "diamond-types"
    }

    fn version(&self) -> &'static str {
        "1.0.0 (2022)"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::without(&[
            (Capability::LocalUpdates, NO_WATCHING),
            (Capability::TextDiff, NO_TEXT_DIFF),
            (Capability::Snapshot, NO_SNAPSHOT),
            (Capability::ShallowSnapshot, NO_SHALLOW),
            (Capability::Forks, NO_FORKS),
            (Capability::ForksAt, NO_FORKS),
            (Capability::Checkout, NO_TRAVEL),
            (Capability::TimeTravel, NO_TRAVEL),
            (Capability::Json, NO_JSON),
            (Capability::AnyRange, NO_RANGE),
            (Capability::KeepsEarly, NO_EARLY),
            (Capability::Undo, NO_UNDO),
            (Capability::Cursors, NO_CURSORS),
        ])
        .text_only("diamond-types 1.0 holds one text")
    }

    fn pace(&self, work: HeavyWork) -> Pace {
        match work {
            HeavyWork::ManyWriters => Pace::Slow,
            _ => Pace::Usual,
        }
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        let mut doc = ListCRDT::new();
        let agent = doc.get_or_create_agent_id(&agent_name(peer));
        Box::new(DiamondReplica {
            doc,
            peer,
            agent,
            version: BTreeMap::new(),
            committed: Mark::default(),
            last: None,
        })
    }
}

/// The agent of a peer: its id in hexadecimal.
fn agent_name(peer: PeerId) -> String {
    format!("{peer:x}")
}

/// A moment in a replica's history.
#[derive(Clone, Default)]
struct Mark {
    /// The latest operations.
    frontier: LocalVersion,
    /// The number of operations, which is the next local time.
    len: usize,
    /// The replica's own counter.
    own: Counter,
}

struct DiamondReplica {
    doc: ListCRDT,
    peer: PeerId,
    agent: AgentId,
    /// The version vector, kept here because the library does not expose next counters.
    version: BTreeMap<PeerId, Counter>,
    /// The end of the last commit or import.
    committed: Mark,
    /// The start of the last commit, until something is imported.
    last: Option<Mark>,
}

impl DiamondReplica {
    fn mark(&self) -> Mark {
        Mark {
            frontier: self.doc.oplog.local_version(),
            len: self.doc.oplog.len(),
            own: self.own_counter(),
        }
    }

    fn made(&mut self, operations: usize) {
        *self.version.entry(self.peer).or_default() += operations as Counter;
    }

    /// Returns the latest operations of a version, as far as this replica has them.
    fn frontier(&self, version: &VersionVector) -> Result<LocalVersion, EngineError> {
        let oplog = &self.doc.oplog;
        let mut frontier = LocalVersion::new();
        for (&peer, &end) in &self.version {
            let Some(last) = end.min(version.get(peer)).checked_sub(1) else {
                continue;
            };
            let id = RemoteId {
                agent: agent_name(peer).into(),
                seq: last as usize,
            };
            let time = oplog
                .try_remote_to_local_time(&id)
                .map_err(|e| EngineError::Export(format!("{id:?}: {e:?}")))?;
            frontier = oplog.version_union(&frontier, &[time]);
        }
        Ok(frontier)
    }

    /// Returns the operations that were added from local time `start` on.
    fn added_since(&self, start: usize) -> Result<Vec<OpRange>, EngineError> {
        let oplog = &self.doc.oplog;
        if start == oplog.len() {
            return Ok(Vec::new()); // the library panics on an empty range
        }
        let mut ends: BTreeMap<PeerId, std::ops::Range<Counter>> = BTreeMap::new();
        for span in oplog.iter_mappings_range((start..oplog.len()).into()) {
            let name = oplog.get_agent_name(span.agent);
            let peer = PeerId::from_str_radix(name, 16)
                .map_err(|_| EngineError::Import(format!("agent {name:?} is not a peer id")))?;
            let (start, end) = (span.seq_range.start as u32, span.seq_range.end as u32);
            let known = ends.entry(peer).or_insert(start..end);
            known.start = known.start.min(start);
            known.end = known.end.max(end);
        }
        Ok(ends
            .into_iter()
            .map(|(peer, counters)| OpRange { peer, counters })
            .collect())
    }
}

impl TextDocument for DiamondReplica {
    fn peer(&self) -> PeerId {
        self.peer
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.doc.len();
        if pos > len || del > len - pos {
            return Err(EngineError::OutOfBounds { pos, del, len });
        }
        if del > 0 {
            self.doc.delete_without_content(self.agent, pos..pos + del);
            self.made(del);
        }
        if !ins.is_empty() {
            self.doc.insert(self.agent, pos, ins);
            self.made(ins.chars().count());
        }
        Ok(())
    }

    fn commit(&mut self) {
        let end = self.mark();
        self.last = Some(std::mem::replace(&mut self.committed, end));
    }

    fn text_len(&self) -> usize {
        self.doc.len()
    }

    fn text(&self) -> String {
        self.doc.branch.content().to_string()
    }

    fn materialize(&self) {
        black_box(self.text());
    }

    fn deep_value(&self) -> serde_json::Value {
        serde_json::json!({ "text": self.text() })
    }
}

impl Versioned for DiamondReplica {
    fn version_vector(&self) -> VersionVector {
        self.version
            .iter()
            .map(|(&peer, &end)| (peer, end))
            .collect()
    }

    fn own_counter(&self) -> Counter {
        self.version.get(&self.peer).copied().unwrap_or(0)
    }

    fn has_pending(&self) -> bool {
        false
    }
}

impl Exchange for DiamondReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        let oplog = &self.doc.oplog;
        match what {
            Export::Snapshot => Err(EngineError::Unsupported(NO_SNAPSHOT)),
            Export::ShallowSnapshot | Export::ShallowSnapshotAt { .. } | Export::StateOnly => {
                Err(EngineError::Unsupported(NO_SHALLOW))
            }
            Export::Json { .. } => Err(EngineError::Unsupported(NO_JSON)),
            Export::Updates { since } => {
                let frontier = self.frontier(since)?;
                let form = match frontier.is_empty() {
                    true => ENCODE_FULL,
                    false => ENCODE_PATCH,
                };
                Ok(oplog.encode_from(form, &frontier))
            }
            Export::Range(OpRange { peer, counters }) => match &self.last {
                Some(last)
                    if peer == self.peer
                        && counters == (last.own..self.committed.own)
                        && oplog.len() == self.committed.len =>
                {
                    Ok(oplog.encode_from(ENCODE_PATCH, &last.frontier))
                }
                _ => Err(EngineError::Unsupported(NO_RANGE)),
            },
        }
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        self.import_batch(&[bytes])
    }

    fn import_batch(&mut self, updates: &[&[u8]]) -> Result<Imported, EngineError> {
        updates.iter().try_for_each(|bytes| check_sum(bytes))?;
        let start = self.doc.oplog.len();
        let mut refused = None;
        for bytes in updates {
            if let Err(e) = self.doc.oplog.decode_and_add(bytes) {
                refused = Some(EngineError::Import(format!("{e:?}")));
                break;
            }
        }
        let latest = self.doc.oplog.local_version();
        self.doc.branch.merge(&self.doc.oplog, &latest);
        let applied = self.added_since(start)?;
        for range in &applied {
            self.version.insert(range.peer, range.counters.end);
        }
        self.committed = self.mark();
        self.last = None;
        match refused {
            Some(refused) => Err(refused),
            None => Ok(Imported {
                applied,
                pending: Vec::new(),
            }),
        }
    }
}

impl Containers for DiamondReplica {}

impl Undo for DiamondReplica {}

impl Cursors for DiamondReplica {}

impl Replica for DiamondReplica {}

/// Verifies the checksum of a file. A file ends with a chunk of type 100 and length 4
/// that holds the CRC-32C of all bytes before the chunk, little-endian.
fn check_sum(bytes: &[u8]) -> Result<(), EngineError> {
    let Some((content, [100, 4, a, b, c, d])) = bytes.split_last_chunk() else {
        return Err(EngineError::Import("the checksum is missing".to_owned()));
    };
    let expected = u32::from_le_bytes([*a, *b, *c, *d]);
    match CRC_32C.checksum(content) == expected {
        true => Ok(()),
        false => Err(EngineError::Import("checksum mismatch".to_owned())),
    }
}
