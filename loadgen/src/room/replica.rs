//! A client's copy of the document: the document itself, or its version alone.

use std::collections::BTreeMap;
use std::ops::Range;

use syncbench_engines::{
    Counter, Engine, EngineError, Export, Imported, OpRange, PeerId, Replica, StateHash,
    VersionVector,
};

use crate::room::editor::Editor;
use crate::room::verified::Verified;
use crate::room::waiting::Waiting;

/// A client's copy of the room's document.
pub enum ClientDoc {
    /// A document that imports what it receives.
    Full(Full),
    /// The version of a document: the operations that have been received.
    VersionOnly(Box<VersionOnly>),
}

impl ClientDoc {
    /// Creates an empty copy for `peer`.
    pub fn new(engine: &'static dyn Engine, peer: PeerId, full: bool) -> Self {
        match full {
            true => Self::Full(Full::new(engine.replica(peer))),
            false => Self::VersionOnly(Box::new(VersionOnly::new(engine, peer))),
        }
    }

    /// The peer whose edits this copy makes.
    pub fn peer(&self) -> PeerId {
        match self {
            Self::Full(full) => full.replica.peer(),
            Self::VersionOnly(light) => light.peer,
        }
    }

    /// The document that edits are made in: for a version-only copy, one with its
    /// own edits alone.
    pub fn writable(&mut self) -> &mut dyn Replica {
        match self {
            Self::Full(full) => full.replica.as_mut(),
            Self::VersionOnly(light) => light.own(),
        }
    }

    /// Lets `editor` make its next edit.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn edit(&mut self, editor: &mut Editor) -> Result<(), EngineError> {
        match self {
            Self::Full(full) => editor.edit(full.replica.as_mut()).map(drop),
            Self::VersionOnly(light) => light.edit(editor),
        }
    }

    /// Lets `editor` make its next edit before its time, if the copy is
    /// version-only: such an edit builds on nothing that could still arrive. It
    /// does not count before [`edit`](Self::edit). Returns whether an edit was
    /// made.
    ///
    /// # Errors
    /// When the engine refuses it, or cannot export it.
    pub fn prepare_edit(&mut self, editor: &mut Editor) -> Result<bool, EngineError> {
        match self {
            Self::Full(_) => Ok(false),
            Self::VersionOnly(light) => light.prepare_edit(editor),
        }
    }

    /// The number of operations that its own peer has made.
    pub fn own_counter(&self) -> Counter {
        match self {
            Self::Full(full) => full.replica.own_counter(),
            Self::VersionOnly(light) => light.own_counter(),
        }
    }

    /// The version of all that it contains or has received.
    pub fn version_vector(&self) -> VersionVector {
        match self {
            Self::Full(full) => full.replica.version_vector(),
            Self::VersionOnly(light) => light.version_vector(),
        }
    }

    /// Exports the operations of its own peer from `from` to `to`.
    ///
    /// # Errors
    /// When the engine cannot export them.
    pub fn export_own(&mut self, from: Counter, to: Counter) -> Result<Vec<u8>, EngineError> {
        let counters = from..to;
        match self {
            Self::Full(full) => full.replica.export(Export::Range(OpRange {
                peer: full.replica.peer(),
                counters,
            })),
            Self::VersionOnly(light) => light.export_own(counters),
        }
    }

    /// Exports the operations that it has and a relay at `version` lacks: for a
    /// version-only copy, its own operations alone. `None` if the relay lacks
    /// nothing.
    ///
    /// # Errors
    /// When the engine cannot export it.
    pub fn export_missing(
        &mut self,
        version: &VersionVector,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        match self {
            Self::Full(Full { replica, .. }) => {
                let missing = replica.version_vector().missing_from(version);
                if missing.is_empty() {
                    return Ok(None);
                }
                replica.export(Export::Updates { since: version }).map(Some)
            }
            Self::VersionOnly(light) => {
                let (from, to) = (
                    version.get(light.peer),
                    light.version_vector().get(light.peer),
                );
                match from < to {
                    true => self.export_own(from, to).map(Some),
                    false => Ok(None),
                }
            }
        }
    }

    /// Returns true if received operations wait for others that have not arrived.
    pub fn has_pending(&self) -> bool {
        match self {
            Self::Full(full) => full.replica.has_pending(),
            Self::VersionOnly(light) => !light.out_of_order.is_empty(),
        }
    }

    /// The operations that have arrived and wait for others.
    pub fn waiting(&self) -> &Waiting {
        match self {
            Self::Full(full) => &full.waiting,
            Self::VersionOnly(light) => &light.out_of_order,
        }
    }

    /// The hash of the document's state, where there is a document.
    pub fn state_hash(&self) -> Option<StateHash> {
        match self {
            Self::Full(full) => Some(full.replica.state_hash()),
            Self::VersionOnly(light) => light.document().map(|document| document.state_hash()),
        }
    }
}

/// A document, and the operations that wait in it: engines tell what an import
/// leaves waiting, and have no call that tells it later.
pub struct Full {
    replica: Box<dyn Replica>,
    waiting: Waiting,
}

impl Full {
    fn new(replica: Box<dyn Replica>) -> Self {
        Self {
            replica,
            waiting: Waiting::default(),
        }
    }

    /// Imports an update.
    ///
    /// # Errors
    /// When the update is damaged.
    pub fn import(&mut self, update: &[u8]) -> Result<Imported, EngineError> {
        let imported = self.replica.import(update)?;
        self.waiting.follow(&imported);
        Ok(imported)
    }
}

/// The operations that have been received, and the client's own.
pub struct VersionOnly {
    engine: &'static dyn Engine,
    peer: PeerId,
    received: BTreeMap<PeerId, Counter>,
    /// Operations that arrived before their predecessors.
    out_of_order: Waiting,
    /// A document with the client's own edits, once there are any: a client that
    /// never writes needs none.
    own: Option<Box<dyn Replica>>,
    prepared: Option<PreparedEdit>,
    /// What is compared as a document after the run, if that is to be.
    verified: Option<Verified>,
}

/// The last edit of a version-only copy, if it was made before its time.
struct PreparedEdit {
    counters: Range<Counter>,
    update: Vec<u8>,
    /// True if its time has come; until then it does not count.
    is_due: bool,
}

impl VersionOnly {
    fn new(engine: &'static dyn Engine, peer: PeerId) -> Self {
        Self {
            engine,
            peer,
            received: BTreeMap::new(),
            out_of_order: Waiting::default(),
            own: None,
            prepared: None,
            verified: None,
        }
    }

    /// Keeps what it sends and receives from now on, to be compared as a document.
    pub fn verify(&mut self, verified: Verified) {
        self.verified = Some(verified);
    }

    /// Keeps an update for the document, if there is to be one. Without room for
    /// it, only versions are compared.
    pub fn keep(&mut self, update: &[u8]) {
        let kept = self.verified.as_mut();
        if kept.is_some_and(|verified| !verified.keep(update)) {
            self.verified = None;
        }
    }

    /// Opens the document, if there is to be one. Returns how many of the updates
    /// are damaged. `importing` is told of each update that is imported by itself,
    /// before the engine is.
    pub fn open_document(&mut self, importing: impl FnMut(&[u8])) -> u64 {
        let verified = self.verified.as_mut();
        verified.map_or(0, |verified| {
            verified.open(self.engine, self.peer, importing)
        })
    }

    fn document(&self) -> Option<&dyn Replica> {
        self.verified.as_ref()?.document()
    }

    fn own(&mut self) -> &mut dyn Replica {
        let (engine, peer) = (self.engine, self.peer);
        self.own
            .get_or_insert_with(|| engine.replica(peer))
            .as_mut()
    }

    fn edit(&mut self, editor: &mut Editor) -> Result<(), EngineError> {
        if let Some(prepared) = &mut self.prepared
            && !prepared.is_due
        {
            prepared.is_due = true;
            return Ok(());
        }
        self.prepared = None;
        editor.edit(self.own()).map(drop)
    }

    fn prepare_edit(&mut self, editor: &mut Editor) -> Result<bool, EngineError> {
        if self
            .prepared
            .as_ref()
            .is_some_and(|prepared| !prepared.is_due)
        {
            return Ok(false);
        }
        self.prepared = None;
        let (peer, own) = (self.peer, self.own());
        let from = own.own_counter();
        editor.edit(own)?;
        let counters = from..own.own_counter();
        if counters.is_empty() {
            return Ok(false);
        }
        let update = own.export(Export::Range(OpRange {
            peer,
            counters: counters.clone(),
        }))?;
        self.prepared = Some(PreparedEdit {
            counters,
            update,
            is_due: false,
        });
        Ok(true)
    }

    /// Takes the update with these operations, if it was prepared and is due.
    fn take_prepared(&mut self, counters: Range<Counter>) -> Option<Vec<u8>> {
        let prepared = self
            .prepared
            .take_if(|prepared| prepared.is_due && prepared.counters == counters);
        prepared.map(|prepared| prepared.update)
    }

    fn export_own(&mut self, counters: Range<Counter>) -> Result<Vec<u8>, EngineError> {
        let prepared = self.take_prepared(counters.clone());
        let update = match prepared {
            Some(update) => update,
            None => {
                let peer = self.peer;
                let range = OpRange { peer, counters };
                self.own().export(Export::Range(range))?
            }
        };
        self.keep(&update);
        Ok(update)
    }

    fn own_counter(&self) -> Counter {
        match &self.prepared {
            Some(prepared) if !prepared.is_due => prepared.counters.start,
            _ => self.own.as_ref().map_or(0, |own| own.own_counter()),
        }
    }

    /// The version of what it has, or of its document once that is open.
    fn version_vector(&self) -> VersionVector {
        if let Some(document) = self.document() {
            return document.version_vector();
        }
        let own = self.own.as_ref().map(|_| (self.peer, self.own_counter()));
        let received = self.received.iter().map(|(&peer, &end)| (peer, end));
        received.chain(own).collect()
    }

    /// Takes an update with the operations of `ranges`.
    pub fn receive(&mut self, ranges: &[OpRange]) -> Imported {
        let mut imported = Imported::default();
        for range in ranges {
            self.take(range, &mut imported);
        }
        imported
    }

    fn take(&mut self, range: &OpRange, imported: &mut Imported) {
        let OpRange { peer, counters } = range;
        let known = self.known_of(*peer);
        if counters.start > known {
            if self.out_of_order.keep(range) {
                imported.pending.push(range.clone());
            }
            return;
        }
        let end = self.out_of_order.take_following(*peer, counters.end);
        if end > known {
            self.received.insert(*peer, end);
            let counters = known..end;
            imported.applied.push(OpRange {
                peer: *peer,
                counters,
            });
        }
    }

    /// The counter up to which a peer's operations are known without a gap.
    fn known_of(&self, peer: PeerId) -> Counter {
        let own = match peer == self.peer {
            true => self.own_counter(),
            false => 0,
        };
        own.max(self.received.get(&peer).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::ClientId;
    use crate::scenario::Scenario;

    fn range(peer: PeerId, counters: std::ops::Range<Counter>) -> OpRange {
        OpRange { peer, counters }
    }

    #[test]
    fn a_light_copy_tells_what_is_new_known_and_too_early() {
        let engine = syncbench_engines::engines()[0];
        let mut light = VersionOnly::new(engine, 9);
        let first = light.receive(&[range(1, 0..5)]);
        assert_eq!(first.applied, [range(1, 0..5)]);
        assert!(light.receive(&[range(1, 2..4)]).applied.is_empty());
        let out_of_order = light.receive(&[range(1, 8..9)]);
        assert_eq!(
            (out_of_order.applied, out_of_order.pending),
            (vec![], vec![range(1, 8..9)])
        );
        let filled = light.receive(&[range(1, 5..8)]);
        assert_eq!(filled.applied, [range(1, 5..9)]);
        assert_eq!(light.version_vector().get(1), 9);
        assert!(light.out_of_order.is_empty());
    }

    #[test]
    fn what_came_early_is_known_when_it_comes_again() {
        let mut light = VersionOnly::new(syncbench_engines::engines()[0], 9);
        for (counters, is_new) in [(4..6, true), (8..9, true), (4..6, false), (5..8, true)] {
            let taken = light.receive(&[range(1, counters.clone())]);
            assert!(taken.applied.is_empty());
            assert_eq!(!taken.pending.is_empty(), is_new, "{counters:?}");
        }
        assert_eq!(light.receive(&[range(1, 0..4)]).applied, [range(1, 0..9)]);
        assert!(light.out_of_order.is_empty());
    }

    proptest! {
        /// Updates apply once, in whatever order and however often they arrive.
        #[test]
        fn light_copies_know_what_a_set_of_counters_would(
            updates in prop::collection::vec((0..3 as PeerId, 0..40 as Counter, 1..9 as Counter), 0..60),
        ) {
            let mut light = VersionOnly::new(syncbench_engines::engines()[0], 9);
            let mut all: BTreeMap<PeerId, BTreeSet<Counter>> = BTreeMap::new();
            for (peer, start, len) in updates {
                let counters = start..start + len;
                let seen = all.entry(peer).or_default();
                let before = without_a_gap(seen);
                let is_new = counters.clone().any(|counter| !seen.contains(&counter));
                seen.extend(counters.clone());
                let after = without_a_gap(seen);
                let taken = light.receive(&[range(peer, counters)]);
                let applied: Vec<_> = (before < after).then(|| range(peer, before..after)).into_iter().collect();
                prop_assert_eq!(&taken.applied, &applied);
                prop_assert_eq!(!taken.applied.is_empty() || !taken.pending.is_empty(), is_new);
            }
            for (peer, seen) in &all {
                prop_assert_eq!(light.version_vector().get(*peer), without_a_gap(seen));
            }
            let waits = all.values().any(|seen| without_a_gap(seen) < seen.len() as Counter);
            prop_assert_eq!(!light.out_of_order.is_empty(), waits);
        }
    }

    fn without_a_gap(seen: &BTreeSet<Counter>) -> Counter {
        (0..)
            .zip(seen)
            .take_while(|(n, counter)| n == *counter)
            .count() as Counter
    }

    #[test]
    fn an_edit_made_ahead_is_not_there_before_its_time() {
        let engine = syncbench_engines::engines()[0];
        let trace = Arc::new(syncbench_datasets::load("automerge-paper").unwrap());
        let mut editor = Editor::new(&Scenario::default(), &trace, ClientId(0), 1);
        let mut copy = ClientDoc::new(engine, 9, false);
        let mut updates = Vec::new();
        for made_ahead in [false, true, true, false] {
            let before = copy.own_counter();
            if made_ahead {
                assert!(copy.prepare_edit(&mut editor).unwrap());
                assert!(!copy.prepare_edit(&mut editor).unwrap(), "one is enough");
            }
            assert_eq!(copy.own_counter(), before);
            assert_eq!(copy.version_vector().get(9), before);
            let relay = VersionVector::from_iter([(9, before)]);
            assert_eq!(copy.export_missing(&relay).unwrap(), None);
            copy.edit(&mut editor).unwrap();
            let end = copy.own_counter();
            assert!(end > before);
            updates.push(copy.export_own(before, end).unwrap());
        }
        let mut document = engine.replica(1);
        for update in &updates {
            document.import(update).unwrap();
        }
        assert_eq!(document.version_vector(), copy.version_vector());
        assert_eq!(document.text(), copy.writable().text());
    }

    #[test]
    fn what_a_light_copy_writes_a_document_can_import() {
        let engine = syncbench_engines::engines()[0];
        let mut copy = ClientDoc::new(engine, 9, false);
        copy.writable().splice(0, 0, "hello").unwrap();
        copy.writable().commit();
        let update = copy.export_own(0, copy.own_counter()).unwrap();
        assert!(update.starts_with(engine.export_magic()));
        let mut document = engine.replica(1);
        document.import(&update).unwrap();
        assert_eq!(document.text(), "hello");
        assert_eq!(copy.version_vector(), document.version_vector());
        assert_eq!(engine.ranges_of(&update).unwrap(), [range(9, 0..5)]);
    }
}
