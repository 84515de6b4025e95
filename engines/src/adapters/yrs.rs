//! Yrs, the Rust port of Yjs: both encodings, with and without garbage collection.
//!
//! The adapter uses it as its authors do: one transaction per commit, which makes one
//! update (what a client sends), and a state vector to ask for what is missing. A
//! transaction borrows its document, so splices are collected and applied at the
//! commit.
//!
//! - **Positions.** Yrs counts UTF-8 bytes or UTF-16 units; the adapter chooses the
//!   latter. They equal scalar values as long as no character is beyond U+FFFF. From
//!   the first such character on (or from the first import whose bytes look like one),
//!   each splice also reads the text up to its position.
//! - **Peers** are client ids of 53 bits, as wide as those that Yrs draws itself: the
//!   lower bits of a peer id.
//! - **Counters** are clocks: the number of UTF-16 units inserted. A deletion does not
//!   advance a clock. Deletions travel as a set of deleted clocks: all of them in an
//!   update for another replica, and only the new ones in the update of a commit. So
//!   neither version vectors nor `applied` show deletions.
//! - **Applied** is the difference between the state vectors before and after: one step
//!   for each client that ever wrote.
//! - **Pending** is what the state vector does not cover. Yrs integrates, and shows, an
//!   item whose neighbours are present even if earlier items of its client are not; its
//!   state vector stops at that gap, and so does ours. The update is decoded a second
//!   time only while something is missing.
//! - **Damage.** There is no checksum. The decoder panics on some damaged bytes; the
//!   panic is caught, which is safe because decoding touches no document.
//! - **Batches** are applied in one transaction, one update after another, as the Yjs
//!   documentation advises; merging the updates first takes longer.
//! - The update of a commit is encoded in the commit, whether or not it is used: Yrs
//!   can encode it nowhere else.

mod containers;
mod editor;
mod positions;

use std::hint::black_box;
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use yrs::types::ToJson;
use yrs::undo::UndoManager;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    ClientID, Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, TextRef, Transact,
    TransactionMut, Update, UpdateEvent,
};

use containers::Containers;
use positions::{byte_at, may_be_wide};

use super::waiting::Waiting;
use crate::{
    Capabilities, Capability, Counter, Cursors, Edit, Engine, EngineError, Exchange, Export,
    HeavyWork, Imported, OpRange, Pace, PeerId, Replica, Span, TextDocument, Undo, VersionVector,
    Versioned,
};

/// The width of client ids.
const CLIENT_BITS: u32 = 53;

/// Yrs in one of its modes.
#[derive(Debug, Clone, Copy)]
pub struct Yrs {
    name: &'static str,
    encoding: Encoding,
    skip_gc: bool,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    V1,
    V2,
}

impl Yrs {
    /// The first encoding, which most of its users have; deleted text is dropped.
    pub const V1: Self = Self {
        name: "yrs",
        encoding: Encoding::V1,
        skip_gc: false,
    };
    /// The second, denser encoding.
    pub const V2: Self = Self {
        name: "yrs-v2",
        encoding: Encoding::V2,
        skip_gc: false,
    };
    /// The first encoding, with deleted text kept.
    pub const NO_GC: Self = Self {
        name: "yrs-nogc",
        encoding: Encoding::V1,
        skip_gc: true,
    };
}

const LONG_TRANSACTION: &str =
    "takes a minute: in Yrs a transaction gets slower with each edit in it";
const HUGE_HISTORY: &str =
    "writing it takes hours: a hundredth of it in one transaction takes a minute";
const NO_FORKS: &str = "a copy of a Yrs document is an export and an import";
const NO_TRAVEL: &str =
    "Yrs reads the past from an export of it, and has neither checkout nor edits there";
const NO_SNAPSHOT: &str = "the state of a Yrs document is the update since nothing: see updates";
const NO_SHALLOW: &str = "Yrs cannot start from a state without the ids of what made it";
const NO_RANGE: &str = "Yrs encodes what a commit made, or what follows a version, but no range";
const NO_CAUSALITY: &str = "in Yrs an item waits only for its neighbours";
const NO_DELETIONS: &str = "in Yrs a deletion moves no clock";
const NO_MOVES: &str = "Yrs has no moves: an element is deleted here and inserted there";
const NO_TREES: &str = "Yrs has no trees whose nodes move";
const NO_COUNTER: &str = "Yrs has no counters";
const NO_CHECKSUM: &str = "Yrs updates have no checksum";
const IS_STATE: &str = "the update since nothing is the state of the document";
const GARBAGE: &str = "the update since nothing is the state, without deleted text";
const ALL_DELETIONS: &str = "every deletion ever made travels along";
const NO_JSON: &str = "Yrs has no JSON form of its operations that it can import";

const NO_TEXT_DIFF: &str = "Yrs has no call that turns one text into another";

impl Engine for Yrs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn library(&self) -> &'static str {
        "yrs"
    }

    fn version(&self) -> &'static str {
        "0.28.1"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::without(&[
            (Capability::TextDiff, NO_TEXT_DIFF),
            (Capability::Snapshot, NO_SNAPSHOT),
            (Capability::ShallowSnapshot, NO_SHALLOW),
            (Capability::Forks, NO_FORKS),
            (Capability::ForksAt, NO_FORKS),
            (Capability::Checkout, NO_TRAVEL),
            (Capability::TimeTravel, NO_TRAVEL),
            (Capability::Json, NO_JSON),
            (Capability::AnyRange, NO_RANGE),
            (Capability::CausalOrder, NO_CAUSALITY),
            (Capability::CountsDeletions, NO_DELETIONS),
            (Capability::DetectsDamage, NO_CHECKSUM),
            (Capability::MovableLists, NO_MOVES),
            (Capability::Trees, NO_TREES),
            (Capability::Counters, NO_COUNTER),
        ])
    }

    fn not_comparable_because(&self, suite: &str, variant: &str) -> Option<&'static str> {
        match (suite, variant) {
            ("export", "updates-since-90%/first") => Some(ALL_DELETIONS),
            ("merge", "rest-into-edited-updates") => Some(ALL_DELETIONS),
            ("merge", _) if variant.starts_with("diverged-") => Some(ALL_DELETIONS),
            ("import" | "export", _) | ("merge", "blob") => match self.skip_gc {
                true => Some(IS_STATE),
                false => Some(GARBAGE),
            },
            _ => None,
        }
    }

    fn pace(&self, work: HeavyWork) -> Pace {
        match work {
            HeavyWork::LongTransaction => Pace::Hopeless(LONG_TRANSACTION),
            HeavyWork::HugeHistory => Pace::Hopeless(HUGE_HISTORY),
            _ => Pace::Usual,
        }
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        let client = client_of(peer);
        let mut options = Options::with_guid_and_client_id("syncbench".into(), client);
        options.offset_kind = OffsetKind::Utf16;
        options.skip_gc = self.skip_gc;
        let doc = Doc::with_options(options);
        let text = doc.get_or_insert_text("text");
        let containers = Containers::new(&doc);
        Box::new(YrsReplica {
            doc,
            text,
            containers,
            client,
            encoding: self.encoding,
            wide: false,
            open: Vec::new(),
            open_len: None,
            last: None,
            waiting: Waiting::default(),
            watched: None,
            undo: None,
        })
    }
}

/// Returns the client id of a peer.
fn client_of(peer: PeerId) -> ClientID {
    ClientID::new(peer & ((1 << CLIENT_BITS) - 1))
}

/// A change that the next commit applies.
enum Open {
    Text(Splice),
    Other(containers::Open),
}

/// An edit of the text, in scalar values.
struct Splice {
    pos: usize,
    del: usize,
    ins: String,
}

struct YrsReplica {
    doc: Doc,
    text: TextRef,
    containers: Containers,
    client: ClientID,
    encoding: Encoding,
    /// True if the text may contain characters beyond U+FFFF.
    wide: bool,
    /// The changes that the next commit applies, and the length of the text with them.
    open: Vec<Open>,
    open_len: Option<usize>,
    /// The result of the last commit: its clocks, and its update.
    last: Option<(Range<Counter>, Vec<u8>)>,
    /// Operations that arrived before earlier ones of the same peer.
    waiting: Waiting,
    /// The updates of local commits, while they are watched.
    watched: Option<Arc<Mutex<Vec<Vec<u8>>>>>,
    undo: Option<UndoManager<()>>,
}

/// The origin of the transactions that import.
const REMOTE: &str = "remote";

impl YrsReplica {
    fn encode_since(&self, known: &StateVector) -> Vec<u8> {
        let txn = self.doc.transact();
        match self.encoding {
            Encoding::V1 => txn.encode_state_as_update_v1(known),
            Encoding::V2 => txn.encode_state_as_update_v2(known),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Update, EngineError> {
        let encoding = self.encoding;
        let decoded = catch_unwind(|| match encoding {
            Encoding::V1 => Update::decode_v1(bytes),
            Encoding::V2 => Update::decode_v2(bytes),
        });
        match decoded {
            Ok(Ok(update)) => Ok(update),
            Ok(Err(e)) => Err(EngineError::Import(e.to_string())),
            Err(_) => Err(EngineError::Import("the decoder panicked".to_owned())),
        }
    }

    /// Returns the operations of an update that `version` does not contain.
    fn outside(&self, update: &[u8], version: &VersionVector) -> Result<Vec<OpRange>, EngineError> {
        let ids = self.decode(update)?.insertions(true);
        let mut outside = Vec::new();
        for (client, ranges) in ids.iter() {
            let peer = client.get();
            let known = version.get(peer);
            let beyond = ranges.iter().filter(|range| range.end > known);
            outside.extend(beyond.map(|range| OpRange {
                peer,
                counters: range.start.max(known)..range.end,
            }));
        }
        outside.sort_by_key(|range| (range.peer, range.counters.start));
        Ok(outside)
    }
}

impl TextDocument for YrsReplica {
    fn peer(&self) -> PeerId {
        self.client.get()
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        let len = self.check_bounds(pos, del)?;
        let ascii = ins.is_ascii();
        self.wide |= !ascii && ins.chars().any(|c| c.len_utf16() > 1);
        let inserted = if ascii {
            ins.len()
        } else {
            ins.chars().count()
        };
        self.open_len = Some(len - del + inserted);
        let ins = ins.to_owned();
        self.open.push(Open::Text(Splice { pos, del, ins }));
        Ok(())
    }

    fn commit(&mut self) {
        let open = std::mem::take(&mut self.open);
        let mut txn = self.doc.transact_mut();
        let start = txn.before_state().get(&self.client);
        for edit in open {
            match edit {
                Open::Text(splice) => self.apply(&mut txn, &splice),
                Open::Other(containers::Open::Bold(start, len)) => {
                    let (start, len) = self.units(&txn, start, len);
                    containers::bold(&self.text, &mut txn, start, len);
                }
                Open::Other(edit) => self.containers.apply(&mut txn, edit),
            }
        }
        let end = txn.state_vector().get(&self.client);
        // While updates are watched, Yrs encodes this one for the watcher.
        let update = match (&self.watched, self.encoding) {
            (Some(_), _) => None,
            (None, Encoding::V1) => Some(txn.encode_update_v1()),
            (None, Encoding::V2) => Some(txn.encode_update_v2()),
        };
        drop(txn);
        self.open_len = None;
        self.containers.committed();
        let update = update.or_else(|| locked(self.watched.as_ref()?).last().cloned());
        let update = update.unwrap_or_default();
        self.last = Some((start..end, update));
    }

    fn text_len(&self) -> usize {
        if let Some(len) = self.open_len {
            return len;
        }
        let txn = self.doc.transact();
        match self.wide {
            true => self.text.get_string(&txn).chars().count(),
            false => self.text.len(&txn) as usize,
        }
    }

    fn text(&self) -> String {
        let mut text = self.text.get_string(&self.doc.transact());
        for open in &self.open {
            let Open::Text(Splice { pos, del, ins }) = open else {
                continue;
            };
            let start = byte_at(&text, *pos);
            let end = start + byte_at(&text[start..], *del);
            text.replace_range(start..end, ins);
        }
        text
    }

    fn materialize(&self) {
        black_box(self.doc.to_json(&self.doc.transact()));
    }

    fn deep_value(&self) -> serde_json::Value {
        let txn = self.doc.transact();
        serde_json::json!({
            "text": self.text(),
            "map": self.containers.map_json(&txn),
            "list": self.containers.list_json(&txn),
        })
    }
}

impl Versioned for YrsReplica {
    fn version_vector(&self) -> VersionVector {
        version(&self.doc.transact().state_vector())
    }

    fn encoded_version(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    fn own_counter(&self) -> Counter {
        self.doc.transact().state_vector().get(&self.client)
    }

    fn has_pending(&self) -> bool {
        !self.waiting.is_empty() || self.doc.transact().has_missing_updates()
    }
}

impl Exchange for YrsReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        match what {
            Export::Snapshot => Err(EngineError::Unsupported(NO_SNAPSHOT)),
            Export::ShallowSnapshot | Export::ShallowSnapshotAt { .. } | Export::StateOnly => {
                Err(EngineError::Unsupported(NO_SHALLOW))
            }
            Export::Json { .. } => Err(EngineError::Unsupported(NO_JSON)),
            Export::Updates { since } => {
                let known: StateVector = since
                    .iter()
                    .map(|(peer, end)| (client_of(peer), end))
                    .collect();
                Ok(self.encode_since(&known))
            }
            Export::Range(OpRange { peer, counters }) => match &self.last {
                Some((made, update)) if client_of(peer) == self.client && counters == *made => {
                    Ok(update.clone())
                }
                _ => Err(EngineError::Unsupported(NO_RANGE)),
            },
        }
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        self.import_batch(&[bytes])
    }

    fn import_batch(&mut self, updates: &[&[u8]]) -> Result<Imported, EngineError> {
        let decoded = updates.iter().map(|bytes| self.decode(bytes));
        let decoded = decoded.collect::<Result<Vec<_>, _>>()?;
        let starts: Vec<_> = decoded.iter().map(Update::state_vector_lower).collect();
        let mut txn = self.doc.transact_mut_with(REMOTE);
        let before = version(txn.before_state());
        for update in decoded {
            txn.apply_update(update)
                .map_err(|e| EngineError::Import(e.to_string()))?;
        }
        let clocks = txn.state_vector();
        let mut starts = starts.iter().flat_map(|start| start.iter());
        let follows = starts.all(|(id, &start)| start <= clocks.get(id));
        let complete = follows && !txn.has_missing_updates();
        drop(txn);
        let after = version(&clocks);
        let mut pending = Vec::new();
        if !complete {
            for update in updates {
                pending.extend(self.outside(update, &after)?);
            }
            pending.sort_by_key(|range| (range.peer, range.counters.start));
        }
        self.waiting.note(&pending);
        self.waiting.settle(|peer| after.get(peer));
        self.wide = self.wide || updates.iter().any(|bytes| may_be_wide(bytes));
        self.last = None;
        Ok(Imported {
            applied: after.missing_from(&before),
            pending,
        })
    }

    fn export_missing(&mut self, version: &[u8]) -> Result<Vec<u8>, EngineError> {
        let since = StateVector::decode_v1(version);
        let since = since.map_err(|e| EngineError::Export(e.to_string()))?;
        Ok(self.encode_since(&since))
    }

    fn watch_local_updates(&mut self) -> Result<(), EngineError> {
        let updates = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&updates);
        let keep = move |txn: &TransactionMut<'_>, event: &UpdateEvent| {
            if txn.origin() != Some(&REMOTE.into()) {
                locked(&kept).push(event.update.clone());
            }
        };
        let watching = match self.encoding {
            Encoding::V1 => self.doc.observe_update_v1("watch", keep),
            Encoding::V2 => self.doc.observe_update_v2("watch", keep),
        };
        watching.map_err(|e| EngineError::Edit(e.to_string()))?;
        self.watched = Some(updates);
        Ok(())
    }

    fn take_local_updates(&mut self) -> Vec<Vec<u8>> {
        let watched = self.watched.as_ref();
        watched.map_or_else(Vec::new, |updates| std::mem::take(&mut *locked(updates)))
    }
}

impl crate::Containers for YrsReplica {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<(), EngineError> {
        if let Edit::Bold { start, end } = *edit {
            self.check_bounds(start, end.saturating_sub(start))?;
        }
        let opened = self.containers.open(&self.doc, edit)?;
        self.open.extend(opened.into_iter().map(Open::Other));
        Ok(())
    }

    fn spans(&self) -> Result<Vec<Span>, EngineError> {
        Ok(containers::spans(&self.text, &self.doc.transact()))
    }
}

impl Undo for YrsReplica {
    fn watch_undo(&mut self) -> Result<(), EngineError> {
        self.undo = Some(editor::undo_manager(&self.doc, &self.text));
        Ok(())
    }

    fn undo(&mut self) -> Result<bool, EngineError> {
        Ok(self.stepping()?.undo_blocking())
    }

    fn redo(&mut self) -> Result<bool, EngineError> {
        Ok(self.stepping()?.redo_blocking())
    }
}

impl Cursors for YrsReplica {
    fn cursor(&mut self, pos: usize) -> Result<Vec<u8>, EngineError> {
        self.check_bounds(pos, 1)?;
        self.sticky(pos)
    }

    fn cursor_pos(&mut self, cursor: &[u8]) -> Result<usize, EngineError> {
        self.place(cursor)
    }
}

impl Replica for YrsReplica {}

fn version(clocks: &StateVector) -> VersionVector {
    clocks.iter().map(|(id, &end)| (id.get(), end)).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
