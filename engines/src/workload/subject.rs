//! One data set in one engine, with the documents that workloads derive from it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use syncbench_datasets::{Patch, Trace};

use super::check;
use super::data::{Data, Input, StoredDocument};
use super::error::WorkloadError;
use crate::peer_ids::peer;
use crate::{Capability, Engine, EngineError, Export, OpRange, PeerId, Replica, VersionVector};

/// The peer that wrote the trace.
pub(super) const WRITER: PeerId = peer(1);

/// The number of txns at the end of a trace, for rows that are about its end.
pub(super) const TAIL: usize = 1000;

/// The number of txns from which a trace is written in a single commit, as the articles
/// did with the hundredfold trace: with a commit for each txn, the document would hold
/// more history than text.
const ONE_COMMIT_FROM: usize = 10_000_000;

/// A form in which a whole document is stored or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// History and state.
    Snapshot,
    /// The state, without the history before it.
    Shallow,
    /// The history alone.
    Updates,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Snapshot, Self::Shallow, Self::Updates];

    /// Returns the capabilities that an engine needs for the form.
    pub(super) fn needs(self) -> Vec<Capability> {
        match self {
            Self::Snapshot => vec![Capability::Snapshot],
            Self::Shallow => vec![Capability::ShallowSnapshot],
            Self::Updates => Vec::new(),
        }
    }

    /// Exports a whole document.
    ///
    /// # Errors
    /// Fails if the engine cannot export it.
    pub fn export(self, replica: &mut dyn Replica) -> Result<Vec<u8>, EngineError> {
        let nothing = VersionVector::new();
        replica.export(match self {
            Self::Snapshot => Export::Snapshot,
            Self::Shallow => Export::ShallowSnapshot,
            Self::Updates => Export::Updates { since: &nothing },
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Snapshot => "snapshot",
            Self::Shallow => "shallow",
            Self::Updates => "updates",
        })
    }
}

/// A data set and the engine in which it is measured. Documents derived from them are
/// made once, when first requested.
pub struct Subject {
    engine: &'static dyn Engine,
    data: Data,
    documents: RefCell<BTreeMap<usize, Rc<Document>>>,
    txn_updates: RefCell<BTreeMap<usize, Rc<[Vec<u8>]>>>,
    made: RefCell<BTreeMap<String, Rc<dyn Any>>>,
}

/// The document that the first txns of a trace make, in every form that the engine has.
pub(super) struct Document {
    forms: Vec<(Form, Vec<u8>)>,
    pub version: VersionVector,
    pub text: String,
}

impl Document {
    /// Returns the bytes of the document.
    ///
    /// # Errors
    /// Fails if the engine does not have that form.
    pub fn bytes(&self, form: Form) -> Result<&[u8], EngineError> {
        let mut forms = self.forms.iter();
        match forms.find(|(present, _)| *present == form) {
            Some((_, bytes)) => Ok(bytes),
            None => Err(EngineError::Unsupported("the engine has no such form")),
        }
    }
}

impl Subject {
    /// Creates a subject of a trace as engines can replay it, or of other data as it is;
    /// no document is made yet.
    pub fn new(engine: &'static dyn Engine, data: impl Into<Data>) -> Self {
        Self {
            engine,
            data: match data.into() {
                Data::Trace(trace) => trace.for_replay().into(),
                data => data,
            },
            documents: RefCell::default(),
            txn_updates: RefCell::default(),
            made: RefCell::default(),
        }
    }

    /// Returns the value called `name`, which is made once, when first requested, and
    /// kept. It is for what is costly and the same for every repetition of a suite.
    pub(super) fn cached<T: 'static>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<T, WorkloadError>,
    ) -> Result<Rc<T>, WorkloadError> {
        let kept = self.made.borrow().get(name).cloned();
        if let Some(kept) = kept.and_then(|kept| kept.downcast().ok()) {
            return Ok(kept);
        }
        let made = Rc::new(make()?);
        let kept: Rc<dyn Any> = Rc::clone(&made) as _;
        self.made.borrow_mut().insert(name.to_owned(), kept);
        Ok(made)
    }

    /// Returns the data set.
    pub fn data(&self) -> &Data {
        &self.data
    }

    pub(super) fn engine(&self) -> &'static dyn Engine {
        self.engine
    }

    /// Returns the document that an engine has stored.
    pub(super) fn stored(&self) -> Result<&StoredDocument, WorkloadError> {
        match &self.data {
            Data::Document(stored) => Ok(stored),
            _ => Err(self.unsuitable("it is not a stored document")),
        }
    }

    /// Returns the trace, which has no concurrency.
    pub(super) fn trace(&self) -> Result<&Trace, WorkloadError> {
        match &self.data {
            Data::Trace(trace) if self.data.input() == Input::Sequential => Ok(trace),
            _ => Err(self.unsuitable("it is not a sequential trace")),
        }
    }

    pub(super) fn txns(&self) -> usize {
        match &self.data {
            Data::Trace(trace) => trace.txn_count(),
            _ => 0,
        }
    }

    pub(super) fn unsuitable(&self, reason: impl Into<String>) -> WorkloadError {
        WorkloadError::Unsuitable {
            dataset: self.data.name().to_owned(),
            reason: reason.into(),
        }
    }

    /// Returns the document of the whole trace.
    pub(super) fn whole(&self) -> Result<Rc<Document>, WorkloadError> {
        self.document(self.txns())
    }

    /// Returns the document of the first `txns` txns, written with one commit per txn,
    /// or with a single one: see [`ONE_COMMIT_FROM`].
    pub(super) fn document(&self, txns: usize) -> Result<Rc<Document>, WorkloadError> {
        if let Some(document) = self.documents.borrow().get(&txns) {
            return Ok(Rc::clone(document));
        }
        // Writing takes an engine seconds, so one pass serves all the parts that are
        // usually requested. The whole is written without interruption.
        let whole = self.txns();
        let mut stops = vec![txns];
        if txns != whole {
            stops.extend([whole / 2, whole * 9 / 10, whole.saturating_sub(TAIL)]);
            stops.sort_unstable();
            stops.dedup();
        }
        let trace = self.trace()?;
        let mut replica = self.engine.replica(WRITER);
        replica.splice(0, 0, trace.start_content())?;
        replica.commit();
        let mut played = 0;
        for stop in stops {
            self.write(&mut *replica, played..stop)?;
            played = stop;
            let document = Rc::new(self.encode(&mut *replica)?);
            if stop == whole {
                check::same_text(&document.text, trace.end_content())?;
            }
            self.documents.borrow_mut().insert(stop, document);
        }
        Ok(Rc::clone(&self.documents.borrow()[&txns]))
    }

    /// Returns the document that a replica holds, in every form that the engine has.
    pub(super) fn encode(&self, replica: &mut dyn Replica) -> Result<Document, WorkloadError> {
        let mut forms = Vec::new();
        for form in Form::ALL {
            let needs = form.needs();
            if needs
                .iter()
                .all(|&capability| self.engine.capabilities().has(capability))
            {
                forms.push((form, form.export(&mut *replica)?));
            }
        }
        Ok(Document {
            forms,
            version: replica.version_vector(),
            text: replica.text(),
        })
    }

    /// Returns a new replica that has loaded the first `txns` txns, and the start text
    /// before them. Loaded from updates, its state is in use; loaded from a snapshot, it
    /// may still be encoded.
    pub(super) fn replica(
        &self,
        peer: PeerId,
        txns: usize,
        form: Form,
    ) -> Result<Box<dyn Replica>, WorkloadError> {
        let mut replica = self.engine.replica(peer);
        if txns > 0 || !self.trace()?.start_content().is_empty() {
            replica.import(self.document(txns)?.bytes(form)?)?;
        }
        Ok(replica)
    }

    /// Returns what a replica with the first `txns` txns lacks, as one blob.
    pub(super) fn updates_since(&self, txns: usize) -> Result<Vec<u8>, WorkloadError> {
        let since = &self.document(txns)?.version;
        let mut whole = self.replica(WRITER, self.txns(), Form::Updates)?;
        Ok(whole.export(Export::Updates { since })?)
    }

    /// Applies txns to the replica that writes a document.
    fn write(&self, replica: &mut dyn Replica, txns: Range<usize>) -> Result<(), WorkloadError> {
        if self.txns() < ONE_COMMIT_FROM {
            return self.play(replica, txns);
        }
        let trace = self.trace()?;
        for patch in txns.flat_map(|txn| trace.txn(txn).patches()) {
            replica.splice(patch.pos, patch.del, patch.ins)?;
        }
        replica.commit();
        Ok(())
    }

    /// Applies txns to a replica, one commit each. If the replica differs from the
    /// trace at that point, positions are cut to its length.
    pub(super) fn play(
        &self,
        replica: &mut dyn Replica,
        txns: Range<usize>,
    ) -> Result<(), WorkloadError> {
        let trace = self.trace()?;
        for txn in txns {
            for patch in trace.txn(txn).patches() {
                splice_clamped(replica, patch)?;
            }
            replica.commit();
        }
        Ok(())
    }

    /// Returns the txns from `start` on, each as the update that a client sends for it.
    pub(super) fn txn_updates(&self, start: usize) -> Result<Rc<[Vec<u8>]>, WorkloadError> {
        if let Some(updates) = self.txn_updates.borrow().get(&start) {
            return Ok(Rc::clone(updates));
        }
        let mut writer = self.replica(WRITER, start, Form::Updates)?;
        let mut updates = Vec::with_capacity(self.txns() - start);
        for txn in start..self.txns() {
            let start = writer.own_counter();
            self.play(&mut *writer, txn..txn + 1)?;
            let (peer, counters) = (writer.peer(), start..writer.own_counter());
            updates.push(writer.export(Export::Range(OpRange { peer, counters }))?);
        }
        let updates: Rc<[Vec<u8>]> = updates.into();
        self.txn_updates
            .borrow_mut()
            .insert(start, Rc::clone(&updates));
        Ok(updates)
    }
}

fn splice_clamped(replica: &mut dyn Replica, patch: Patch<'_>) -> Result<(), EngineError> {
    let len = replica.text_len();
    let pos = patch.pos.min(len);
    let del = patch.del.min(len - pos);
    replica.splice(pos, del, patch.ins)
}
