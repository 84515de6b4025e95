//! Automerge.
//!
//! The adapter uses it as its authors do: `AutoCommit`, `splice_text`, a transaction
//! with a fixed time for each commit, and `load` if an empty replica receives a saved
//! document. Other imports use `apply_changes` (updates) and `load_incremental` (a
//! saved document into one that is in use). As in Automerge's own sync protocol, a
//! replica that has nothing is sent the saved document, and any other a sequence of
//! changes.
//!
//! Two peers that each created the object `text` would create two different ones, and
//! the same holds for the other containers. So every replica starts from the same first
//! change, made by an actor of its own that no version vector shows. A counter is the
//! sequence number of a change, not of a character. Actor ids are the eight bytes of
//! the peer id and as many again.
//!
//! The adapter adds:
//!
//! - A walk over the chunks of an import, with their checksums: `load_incremental`
//!   silently accepts the intact beginning of damaged bytes. A sequence of changes that
//!   is cut between two changes is a shorter sequence.
//! - `applied`. It costs one look-up per change while some are pending, and none
//!   otherwise. After a saved document, it costs one for each of the latest changes,
//!   and a walk over all changes if these do not account for every one.
//! - Heads. Automerge exports what follows given heads, but a version vector has none:
//!   they are found by a walk from the replica's own heads back to what the vector
//!   contains. An export of a range walks over the whole history.

mod containers;
mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::LazyLock;

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{
    ActorId, AutoCommit, AutoSerde, AutomergeError, Change, ChangeHash, ChangeMetadata, Cursor,
    ROOT, ReadDoc,
};
use sha2::{Digest, Sha256};

use containers::Containers;

use crate::{
    Capabilities, Capability, Counter, Cursors, Edit, Engine, EngineError, Exchange, Export,
    HeavyWork, Imported, OpRange, Pace, PeerId, Replica, Span, TextDocument, Undo, VersionVector,
    Versioned,
};

/// Automerge, at the version of this build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Automerge;

const HUGE_HISTORY: &str = "not run: time grows faster than size, as issue 906 of Automerge \
     reports of a trace repeated 25 times";
const NO_TRAVEL: &str =
    "Automerge reads the past in place by heads: it has neither checkout nor revert";
const NO_SNAPSHOT: &str =
    "a saved Automerge document is what a replica without anything is sent: see updates";
const NO_SHALLOW: &str = "Automerge cannot drop history";
const NO_MOVES: &str = "Automerge has no moves: an element is deleted here and inserted there";
const NO_TREES: &str = "Automerge has no trees whose nodes move";
const NO_UNDO: &str = "Automerge leaves undoing to the application";
const NO_SEAL: &str = "an Automerge update that is cut between two changes is a shorter update";
const NO_MANY: &str =
    "Automerge takes milliseconds for each update into a long document: minutes for a whole trace";
const SAVED: &str =
    "a saved document, in columns and deflated; the hash of every change is verified";
const IS_SAVED: &str = "the saved document, in columns and deflated, and not a row of changes";
const VERIFIED: &str = "the hash of every change is verified";

const NO_WATCHING: &str =
    "Automerge hands out no updates: a client asks for the last change after each commit";

/// The actor of the first change, which all replicas share.
const ORIGIN: [u8; 16] = [0xff; 16];

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const SAVED_DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;
const NO_JSON: &str = "Automerge has no JSON form of its operations that it can import";

impl Engine for Automerge {
    fn name(&self) -> &'static str {
        "automerge"
    }

    fn version(&self) -> &'static str {
        AutoCommit::new().stats().cargo_package_version
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::without(&[
            (Capability::LocalUpdates, NO_WATCHING),
            (Capability::Snapshot, NO_SNAPSHOT),
            (Capability::ShallowSnapshot, NO_SHALLOW),
            (Capability::Checkout, NO_TRAVEL),
            (Capability::TimeTravel, NO_TRAVEL),
            (Capability::Json, NO_JSON),
            (Capability::DetectsDamage, NO_SEAL),
            (Capability::MovableLists, NO_MOVES),
            (Capability::Trees, NO_TREES),
            (Capability::ManyImports, NO_MANY),
            (Capability::Undo, NO_UNDO),
        ])
    }

    fn not_comparable_because(&self, suite: &str, variant: &str) -> Option<&'static str> {
        match (suite, variant) {
            ("import", _) | ("merge", "blob") => Some(SAVED),
            ("export", "updates/first" | "updates/warm") => Some(IS_SAVED),
            ("merge" | "live", _) => Some(VERIFIED),
            _ => None,
        }
    }

    fn pace(&self, work: HeavyWork) -> Pace {
        match work {
            HeavyWork::ManyChanges => Pace::Slow, // milliseconds each in a long document
            HeavyWork::HugeHistory => Pace::Hopeless(HUGE_HISTORY),
            _ => Pace::Usual,
        }
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        let Empty { doc, containers } = &*EMPTY;
        let mut doc = doc.clone();
        doc.set_actor(actor(peer));
        Box::new(AutomergeReplica {
            doc,
            containers: containers.clone(),
            peer,
            version: BTreeMap::new(),
            waiting: Vec::new(),
        })
    }
}

/// The document that all replicas start from.
struct Empty {
    doc: AutoCommit,
    containers: Containers,
}

static EMPTY: LazyLock<Empty> =
    LazyLock::new(|| Empty::new().expect("an empty document takes any key"));

impl Empty {
    fn new() -> Result<Self, AutomergeError> {
        let mut doc = AutoCommit::new().with_actor(ActorId::from(ORIGIN));
        let containers = Containers::create(&mut doc)?;
        doc.commit_with(CommitOptions::default().with_time(0));
        Ok(Self { doc, containers })
    }
}

struct AutomergeReplica {
    doc: AutoCommit,
    containers: Containers,
    peer: PeerId,
    /// The version vector, kept here because Automerge does not expose sequence
    /// numbers.
    version: BTreeMap<PeerId, Counter>,
    /// Changes that arrived before those that they build on.
    waiting: Vec<Known>,
}

/// The part of a change that versions need.
#[derive(Clone, Copy)]
struct Known {
    hash: ChangeHash,
    peer: PeerId,
    seq: Counter,
}

impl AutomergeReplica {
    fn is_untouched(&self) -> bool {
        self.version.is_empty() && self.waiting.is_empty()
    }

    /// Loads a saved document into an empty replica, or merges it into the present
    /// document.
    fn import_document(&mut self, bytes: &[u8]) -> Result<Vec<OpRange>, EngineError> {
        let before = self.version_vector();
        if self.is_untouched() {
            let mut doc = AutoCommit::load(bytes).map_err(import_error)?;
            doc.set_actor(actor(self.peer));
            self.containers = Containers::find(&doc)?;
            self.doc = doc;
        } else {
            self.doc.load_incremental(bytes).map_err(import_error)?;
        }
        self.version = self.count_changes()?;
        self.waiting
            .retain(|change| self.version.get(&change.peer).copied() < Some(change.seq));
        Ok(self.version_vector().missing_from(&before))
    }

    /// Returns the version vector, from the latest changes if these account for all.
    fn count_changes(&mut self) -> Result<BTreeMap<PeerId, Counter>, EngineError> {
        let heads = self.doc.get_heads();
        let latest = heads
            .iter()
            .filter_map(|hash| self.doc.get_change_meta_by_hash(hash).map(|m| known(&m)))
            .collect::<Result<Vec<_>, _>>()?;
        let version = version_of(latest.into_iter().flatten());
        let counted = version.values().map(|&seq| u64::from(seq)).sum::<u64>();
        if counted + 1 == self.doc.stats().num_changes {
            return Ok(version);
        }
        let all = self.doc.get_changes_meta(&[]);
        let all = all.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        Ok(version_of(all.into_iter().flatten()))
    }

    fn import_changes(&mut self, changes: Vec<Change>) -> Result<Imported, EngineError> {
        let before = self.version_vector();
        let mut news = Vec::with_capacity(changes.len());
        for change in &changes {
            let hash = change.hash();
            if let Some((peer, seq)) = maker(change.actor_id(), change.seq())? {
                news.push(Known { hash, peer, seq });
            }
        }
        self.doc.apply_changes(changes).map_err(import_error)?;

        let complete = self.doc.get_missing_deps(&[]).is_empty();
        let arrived = news.len();
        news.append(&mut self.waiting);
        let mut pending = Vec::new();
        for (i, change) in news.into_iter().enumerate() {
            if complete || self.doc.get_change_meta_by_hash(&change.hash).is_some() {
                let end = self.version.entry(change.peer).or_default();
                *end = change.seq.max(*end);
                continue;
            }
            if i < arrived {
                pending.push(OpRange {
                    peer: change.peer,
                    counters: change.seq - 1..change.seq,
                });
            }
            self.waiting.push(change);
        }
        pending.sort_by_key(|range| (range.peer, range.counters.start));
        Ok(Imported {
            applied: self.version_vector().missing_from(&before),
            pending,
        })
    }

    /// Returns what a replica at `since` lacks.
    fn changes_since(&mut self, since: &VersionVector) -> Vec<u8> {
        let heads = self.heads_within(since);
        let changes = self.doc.get_changes(&heads);
        let bytes = changes.iter().map(|change| change.raw_bytes());
        bytes.collect::<Vec<_>>().concat()
    }

    /// Returns the latest changes that `version` contains. The search stops at these,
    /// because a version that contains a change contains everything before it.
    fn heads_within(&mut self, version: &VersionVector) -> Vec<ChangeHash> {
        let mut heads = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = self.doc.get_heads();
        while let Some(hash) = open.pop() {
            if !seen.insert(hash) {
                continue;
            }
            let Some(meta) = self.doc.get_change_meta_by_hash(&hash) else {
                continue;
            };
            let lacks = |known: Known| known.seq > version.get(known.peer);
            match known(&meta).ok().flatten().is_some_and(lacks) {
                true => open.extend(meta.deps),
                false => heads.push(hash),
            }
        }
        heads
    }

    /// Returns the changes whose peer and counter satisfy a condition.
    fn changes(
        &mut self,
        wanted: impl Fn(PeerId, Counter) -> bool,
    ) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        for change in self.doc.get_changes(&[]) {
            let maker = maker(change.actor_id(), change.seq())?;
            if maker.is_some_and(|(peer, seq)| wanted(peer, seq)) {
                bytes.extend_from_slice(change.raw_bytes());
            }
        }
        Ok(bytes)
    }

    fn export_range(&mut self, range: OpRange) -> Result<Vec<u8>, EngineError> {
        let OpRange { peer, counters } = range;
        let end = self.version.get(&peer).copied().unwrap_or(0);
        if counters.start > counters.end || counters.end > end {
            return Err(EngineError::Export(format!(
                "changes {}..{} of peer {peer} are asked for, and this document has 0..{end}",
                counters.start, counters.end,
            )));
        }
        // This is what a client sends for each commit.
        if peer == self.peer && counters == (end.saturating_sub(1)..end) {
            let last = self.doc.get_last_local_change();
            return Ok(last.map_or_else(Vec::new, |change| change.raw_bytes().to_vec()));
        }
        self.changes(|maker, seq| maker == peer && counters.contains(&(seq - 1)))
    }
}

impl TextDocument for AutomergeReplica {
    fn peer(&self) -> PeerId {
        self.peer
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.text_len();
        if pos > len || del > len - pos {
            return Err(EngineError::OutOfBounds { pos, del, len });
        }
        self.doc
            .splice_text(&self.containers.text, pos, del as isize, ins)
            .map_err(|e| EngineError::Edit(e.to_string()))
    }

    fn update_text(&mut self, text: &str) -> Result<(), EngineError> {
        let updated = self.doc.update_text(&self.containers.text, text);
        updated.map_err(|e| EngineError::Edit(e.to_string()))
    }

    fn commit(&mut self) {
        let options = CommitOptions::default().with_time(0);
        if self.doc.commit_with(options).is_some() {
            *self.version.entry(self.peer).or_default() += 1;
        }
    }

    fn text_len(&self) -> usize {
        self.doc.length(&self.containers.text)
    }

    fn text(&self) -> String {
        self.doc.text(&self.containers.text).unwrap_or_default()
    }

    fn materialize(&self) {
        black_box(self.doc.hydrate(ROOT, None).ok());
    }

    fn deep_value(&self) -> serde_json::Value {
        serde_json::to_value(AutoSerde::from(&self.doc)).unwrap_or_default()
    }
}

impl Versioned for AutomergeReplica {
    fn version_vector(&self) -> VersionVector {
        let version = self.version.iter();
        version.map(|(&peer, &end)| (peer, end)).collect()
    }

    fn own_counter(&self) -> Counter {
        self.version.get(&self.peer).copied().unwrap_or(0)
    }

    fn has_pending(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Exchange for AutomergeReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        match what {
            Export::Snapshot => Err(EngineError::Unsupported(NO_SNAPSHOT)),
            Export::ShallowSnapshot | Export::ShallowSnapshotAt { .. } | Export::StateOnly => {
                Err(EngineError::Unsupported(NO_SHALLOW))
            }
            Export::Json { .. } => Err(EngineError::Unsupported(NO_JSON)),
            Export::Updates { since } if since.iter().next().is_none() => Ok(self.doc.save()),
            Export::Updates { since } => Ok(self.changes_since(since)),
            Export::Range(range) => self.export_range(range),
        }
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        self.import_batch(&[bytes])
    }

    fn import_batch(&mut self, updates: &[&[u8]]) -> Result<Imported, EngineError> {
        let mut changes = Vec::with_capacity(updates.len());
        let mut documents = Vec::new();
        for bytes in updates {
            match chunks(bytes)?.as_slice() {
                [(SAVED_DOCUMENT, document)] => documents.push(*document),
                chunks => {
                    for (kind, chunk) in chunks {
                        changes.push(match *kind {
                            CHANGE => Change::try_from(*chunk).map_err(import_error)?,
                            _ => return Err(foreign("a chunk that is not a change")),
                        });
                    }
                }
            }
        }
        let before = self.version_vector();
        for document in documents {
            self.import_document(document)?;
        }
        let mut imported = self.import_changes(changes)?;
        imported.applied = self.version_vector().missing_from(&before);
        Ok(imported)
    }
}

impl crate::Containers for AutomergeReplica {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<(), EngineError> {
        self.containers.edit(&mut self.doc, edit)
    }

    fn spans(&self) -> Result<Vec<Span>, EngineError> {
        containers::spans(&self.doc, &self.containers.text)
            .map_err(|e| EngineError::Edit(e.to_string()))
    }
}

impl Undo for AutomergeReplica {}

impl Cursors for AutomergeReplica {
    fn cursor(&mut self, pos: usize) -> Result<Vec<u8>, EngineError> {
        let cursor = self.doc.get_cursor(&self.containers.text, pos, None);
        Ok(cursor
            .map_err(|_| crate::replica::invalid_cursor())?
            .to_bytes())
    }

    fn cursor_pos(&mut self, cursor: &[u8]) -> Result<usize, EngineError> {
        let cursor = Cursor::try_from(cursor).map_err(|_| crate::replica::invalid_cursor())?;
        let text = &self.containers.text;
        let pos = self.doc.get_cursor_position(text, &cursor, None);
        pos.map_err(|_| crate::replica::invalid_cursor())
    }
}

impl Replica for AutomergeReplica {
    fn history(&mut self) -> Option<&mut dyn crate::History> {
        Some(self)
    }
}

/// The actor of a peer: sixteen bytes, as many as Automerge draws itself. They are
/// the peer id and its complement, which no other actor has.
fn actor(peer: PeerId) -> ActorId {
    let halves = [peer.to_be_bytes(), (!peer).to_be_bytes()];
    ActorId::from(halves.as_flattened())
}

/// Returns the peer that made a change, and its counter after the change; `None` for
/// the shared first change.
fn maker(actor: &ActorId, seq: u64) -> Result<Option<(PeerId, Counter)>, EngineError> {
    if actor.to_bytes() == ORIGIN {
        return Ok(None);
    }
    let peer = actor.to_bytes().first_chunk().copied();
    let peer = peer.map(PeerId::from_be_bytes);
    let peer = peer.filter(|&peer| *actor == self::actor(peer));
    let peer = peer.ok_or_else(|| foreign("an actor that is not a peer"))?;
    let seq = Counter::try_from(seq).map_err(|_| foreign("too many changes"))?;
    Ok(Some((peer, seq)))
}

fn known(meta: &ChangeMetadata<'_>) -> Result<Option<Known>, EngineError> {
    let hash = meta.hash;
    let maker = maker(&meta.actor, meta.seq)?;
    Ok(maker.map(|(peer, seq)| Known { hash, peer, seq }))
}

fn version_of(changes: impl Iterator<Item = Known>) -> BTreeMap<PeerId, Counter> {
    let mut version = BTreeMap::new();
    for change in changes {
        let end = version.entry(change.peer).or_default();
        *end = change.seq.max(*end);
    }
    version
}

/// Splits an encoding into its chunks with their types. A chunk consists of magic
/// bytes, four bytes of the SHA-256 of all that follows them, type, length in LEB128,
/// and content.
fn chunks(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, EngineError> {
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let (len, kind) = chunk_header(bytes).ok_or_else(|| foreign("a damaged chunk"))?;
        let (chunk, rest) = bytes.split_at(len);
        if Sha256::digest(&chunk[8..])[..4] != chunk[4..8] {
            return Err(foreign("a chunk whose checksum is wrong"));
        }
        chunks.push((kind, chunk));
        bytes = rest;
    }
    Ok(chunks)
}

/// Returns the whole length and the type of the first chunk, if it is complete.
fn chunk_header(bytes: &[u8]) -> Option<(usize, u8)> {
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    let kind = *bytes.get(8)?;
    let mut len = 0_usize;
    for (i, byte) in bytes[9..].iter().take(5).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let end = len.checked_add(10 + i)?;
            return (end <= bytes.len()).then_some((end, kind));
        }
    }
    None
}

fn foreign(what: &str) -> EngineError {
    EngineError::Import(format!("these bytes hold {what}"))
}

fn import_error(e: impl Into<AutomergeError>) -> EngineError {
    EngineError::Import(e.into().to_string())
}
