//! cola, a text CRDT that holds no text: it computes where edits go, and its user keeps
//! the content.
//!
//! The adapter follows its README: `inserted` and `deleted` return an edit to send, and
//! `integrate_insertion` and `integrate_deletion` return its effect on the text, here a
//! rope. cola leaves the unit of text open, so positions are Unicode scalar values.
//!
//! Like any application on top of cola, the adapter adds the text of each insertion,
//! and the edits that were made: cola can encode its state for a new replica, but not
//! what an older one lacks. Edits travel in commits that say what their peer had seen.
//! Commits that arrive early wait outside of cola, whose own backlog panics if it is
//! given the same edit twice.
//!
//! A replica that returned under the same id would count its characters from 0 again,
//! and others would take them for known ones. So a peer uses a new id each time that it
//! returns, which costs a copy of the state before the first edit.

use std::hint::black_box;

use ::cola::{AnchorBias, Deletion, Insertion, Replica as Crdt};
use jumprope::JumpRope;
use serde::{Serialize, de::DeserializeOwned};

use super::causal::{History, Payload, Reader, put};
use crate::{
    Capabilities, Capability, Containers, Counter, Cursors, Engine, EngineError, Exchange, Export,
    Imported, PeerId, Replica, TextDocument, Undo, VersionVector, Versioned,
};

/// cola, at the version of this build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cola;

const NO_FORKS: &str = "a copy of a cola replica is an encoding without its edits";
const NO_TRAVEL: &str = "cola keeps no past";
const NO_SNAPSHOT: &str = "an encoded cola replica has no text and no edits that could be sent on";
const NO_JSON: &str = "cola has no JSON form";
const NO_BATCH: &str = "cola takes one edit at a time";
const NO_EVENTS: &str = "cola has no subscriptions: each edit is what its call returns";
const NO_DIFF: &str = "cola does not know the text";
const KEPT: &str = "the adapter keeps the edits that cola returned, and sends those again";

/// The number of lower bits of a peer's ids, which are the same in all its lives.
const PEER_BITS: u32 = 53;

/// The empty document of which all replicas are forks.
const ORIGIN: u64 = u64::MAX;

impl Engine for Cola {
    fn name(&self) -> &'static str {
        "cola"
    }

    fn version(&self) -> &'static str {
        "0.5.1"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::without(&[
            (Capability::Snapshot, NO_SNAPSHOT),
            (Capability::ShallowSnapshot, NO_SNAPSHOT),
            (Capability::Forks, NO_FORKS),
            (Capability::ForksAt, NO_FORKS),
            (Capability::Checkout, NO_TRAVEL),
            (Capability::TimeTravel, NO_TRAVEL),
            (Capability::Json, NO_JSON),
            (Capability::Batch, NO_BATCH),
            (Capability::LocalUpdates, NO_EVENTS),
            (Capability::TextDiff, NO_DIFF),
            (Capability::Undo, NO_TRAVEL),
        ])
        .text_only("cola is about one text")
    }

    fn not_comparable_because(&self, suite: &str, variant: &str) -> Option<&'static str> {
        match (suite, variant) {
            ("export", _) => Some(KEPT),
            ("import", _) if variant.ends_with("+export") => Some(KEPT),
            _ => None,
        }
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(ColaReplica {
            history: History::new(peer),
            document: Document {
                crdt: Crdt::new(ORIGIN, 0).fork(id(peer, 0)),
                // The rope draws the heights of its nodes at random. The seed is fixed,
                // so that allocations are the same in every run.
                text: JumpRope::new_from_seed(1),
                peer,
                life: 0,
                came_back: false,
            },
            open: Vec::new(),
        })
    }
}

/// An edit as cola made it.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Insertion, String),
    Delete(Deletion),
}

struct Document {
    crdt: Crdt,
    text: JumpRope,
    peer: PeerId,
    /// The number of times that this peer has returned before, as far as is known.
    life: u64,
    /// True if this replica has edits of an earlier life and none of this one.
    came_back: bool,
}

impl Document {
    /// Ensures that the next edit has an id of this life.
    fn live(&mut self) {
        if self.came_back {
            self.life += 1;
            self.crdt = self.crdt.fork(id(self.peer, self.life));
            self.came_back = false;
        }
    }

    fn integrate(&mut self, edit: &Edit) -> Result<(), EngineError> {
        let maker = match edit {
            Edit::Insert(insertion, text) => {
                let Some(pos) = self.crdt.integrate_insertion(insertion) else {
                    let message = "an insertion has no place in the document it was made on";
                    return Err(EngineError::Import(message.to_owned()));
                };
                self.text.insert(pos, text);
                insertion.inserted_by()
            }
            Edit::Delete(deletion) => {
                for range in self.crdt.integrate_deletion(deletion).into_iter().rev() {
                    self.text.remove(range);
                }
                deletion.deleted_by()
            }
        };
        if let Some(life) = life_of(self.peer, maker) {
            self.came_back = true;
            self.life = self.life.max(life);
        }
        Ok(())
    }
}

struct ColaReplica {
    history: History<Vec<Edit>>,
    document: Document,
    /// Edits since the last commit; the document contains them already.
    open: Vec<Edit>,
}

impl TextDocument for ColaReplica {
    fn peer(&self) -> PeerId {
        self.history.peer()
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.text_len();
        if pos > len || del > len - pos {
            return Err(EngineError::OutOfBounds { pos, del, len });
        }
        self.document.live();
        let Document { crdt, text, .. } = &mut self.document;
        if del > 0 {
            text.remove(pos..pos + del);
            self.open.push(Edit::Delete(crdt.deleted(pos..pos + del)));
        }
        if !ins.is_empty() {
            text.insert(pos, ins);
            let insertion = crdt.inserted(pos, ins.chars().count());
            self.open.push(Edit::Insert(insertion, ins.to_owned()));
        }
        Ok(())
    }

    fn commit(&mut self) {
        if !self.open.is_empty() {
            self.history.commit(std::mem::take(&mut self.open));
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

impl Versioned for ColaReplica {
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

impl Exchange for ColaReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        match what {
            Export::Snapshot
            | Export::ShallowSnapshot
            | Export::ShallowSnapshotAt { .. }
            | Export::StateOnly => Err(EngineError::Unsupported(NO_SNAPSHOT)),
            Export::Json { .. } => Err(EngineError::Unsupported(NO_JSON)),
            Export::Updates { since } => Ok(self.history.encode_since(since)),
            Export::Range(range) => self.history.encode_range(&range),
        }
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        let commits = History::decode(bytes)?;
        let document = &mut self.document;
        self.history.deliver(commits, |commit, _| {
            let mut edits = commit.payload.iter();
            edits.try_for_each(|edit| document.integrate(edit))
        })
    }
}

impl Containers for ColaReplica {}

impl Undo for ColaReplica {}

impl Cursors for ColaReplica {
    fn cursor(&mut self, pos: usize) -> Result<Vec<u8>, EngineError> {
        if pos >= self.text_len() {
            return Err(crate::replica::invalid_cursor());
        }
        let anchor = self.document.crdt.create_anchor(pos, AnchorBias::Right);
        Ok(encoded(&anchor))
    }

    fn cursor_pos(&mut self, cursor: &[u8]) -> Result<usize, EngineError> {
        let anchor = postcard::from_bytes(cursor).map_err(|_| crate::replica::invalid_cursor())?;
        let pos = self.document.crdt.resolve_anchor(anchor);
        pos.ok_or_else(crate::replica::invalid_cursor)
    }
}

impl Replica for ColaReplica {}

/// Returns cola's id for a peer in one of its lives.
fn id(peer: PeerId, life: u64) -> u64 {
    (life + 1) << PEER_BITS ^ peer
}

/// The life in which a peer has the id `maker`; `None` for another peer's id.
fn life_of(peer: PeerId, maker: u64) -> Option<u64> {
    let differs = maker ^ peer;
    let life = (differs >> PEER_BITS).checked_sub(1)?;
    (differs.trailing_zeros() >= PEER_BITS).then_some(life)
}

const INSERT: u64 = 0;
const DELETE: u64 = 1;

/// The payload is cola's own encoding of each edit, with the text of insertions.
impl Payload for Vec<Edit> {
    const MAGIC: &[u8; 4] = b"COb1";

    fn put(&self, out: &mut Vec<u8>) {
        put(out, self.len() as u64);
        for edit in self {
            match edit {
                Edit::Insert(insertion, text) => {
                    put(out, (text.len() as u64) << 1 | INSERT);
                    out.extend_from_slice(text.as_bytes());
                    put_encoded(out, insertion);
                }
                Edit::Delete(deletion) => {
                    put(out, DELETE);
                    put_encoded(out, deletion);
                }
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let edits = reader.number()?;
        let edit = |_| {
            let number = reader.number()?;
            if number == DELETE {
                return Some(Edit::Delete(read_encoded(reader)?));
            }
            let text = str::from_utf8(reader.bytes((number >> 1) as usize)?).ok()?;
            let text = text.to_owned();
            Some(Edit::Insert(read_encoded(reader)?, text))
        };
        (0..edits).map(edit).collect()
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("cola encodes to bytes, which always fit")
}

fn put_encoded(out: &mut Vec<u8>, edit: &impl Serialize) {
    let bytes = encoded(edit);
    put(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

fn read_encoded<T: DeserializeOwned>(reader: &mut Reader<'_>) -> Option<T> {
    let len = reader.number()?;
    postcard::from_bytes(reader.bytes(len as usize)?).ok()
}
