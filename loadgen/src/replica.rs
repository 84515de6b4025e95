//! A client's copy of the document: the document itself, or its version alone.

use std::collections::BTreeMap;

use syncbench_engines::{
    Counter, Engine, EngineError, Export, Imported, OpRange, PeerId, Replica, StateHash,
    VersionVector,
};

/// A client's copy of the room's document.
pub enum Copy {
    /// A document that imports what it receives.
    Full(Box<dyn Replica>),
    /// The version of one: which operations have been received.
    Light(Box<Light>),
}

impl Copy {
    /// An empty copy for `peer`.
    pub fn new(engine: &'static dyn Engine, peer: PeerId, full: bool) -> Self {
        match full {
            true => Self::Full(engine.replica(peer)),
            false => Self::Light(Box::new(Light::new(engine, peer))),
        }
    }

    /// The peer whose edits this copy makes.
    pub fn peer(&self) -> PeerId {
        match self {
            Self::Full(replica) => replica.peer(),
            Self::Light(light) => light.peer,
        }
    }

    /// The document that edits are made in: of a light copy, one with its own
    /// edits alone.
    pub fn writable(&mut self) -> &mut dyn Replica {
        match self {
            Self::Full(replica) => replica.as_mut(),
            Self::Light(light) => light.own(),
        }
    }

    /// Number of operations that its own peer has made.
    pub fn own_counter(&self) -> Counter {
        match self {
            Self::Full(replica) => replica.own_counter(),
            Self::Light(light) => light.own.as_ref().map_or(0, |own| own.own_counter()),
        }
    }

    /// Everything it contains, or has received.
    pub fn version_vector(&self) -> VersionVector {
        match self {
            Self::Full(replica) => replica.version_vector(),
            Self::Light(light) => light.version_vector(),
        }
    }

    /// The operations of its own peer from `from` to `to`, as an update.
    ///
    /// # Errors
    /// When the engine cannot export them.
    pub fn export_own(&mut self, from: Counter, to: Counter) -> Result<Vec<u8>, EngineError> {
        let range = OpRange {
            peer: self.peer(),
            counters: from..to,
        };
        self.writable().export(Export::Range(range))
    }

    /// What it has and a relay at `version` lacks, as an update: of a light
    /// copy, its own operations alone. `None` if the relay lacks nothing.
    ///
    /// # Errors
    /// When the engine cannot export it.
    pub fn export_missing(
        &mut self,
        version: &VersionVector,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        match self {
            Self::Full(replica) => {
                let missing = replica.version_vector().missing_from(version);
                if missing.is_empty() {
                    return Ok(None);
                }
                replica.export(Export::Updates { since: version }).map(Some)
            }
            Self::Light(light) => {
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

    /// Whether something waits for operations that have not come.
    pub fn has_pending(&self) -> bool {
        match self {
            Self::Full(replica) => replica.has_pending(),
            Self::Light(light) => !light.early.is_empty(),
        }
    }

    /// Hash over the document, where there is one.
    pub fn state_hash(&self) -> Option<StateHash> {
        match self {
            Self::Full(replica) => Some(replica.state_hash()),
            Self::Light(_) => None,
        }
    }
}

/// Which operations have been received, and the own ones.
pub struct Light {
    engine: &'static dyn Engine,
    peer: PeerId,
    received: BTreeMap<PeerId, Counter>,
    /// Operations that came before those in front of them.
    early: Vec<OpRange>,
    /// A document with the own edits, once there are any: a client that never
    /// writes costs none.
    own: Option<Box<dyn Replica>>,
}

impl Light {
    fn new(engine: &'static dyn Engine, peer: PeerId) -> Self {
        Self {
            engine,
            peer,
            received: BTreeMap::new(),
            early: Vec::new(),
            own: None,
        }
    }

    fn own(&mut self) -> &mut dyn Replica {
        let (engine, peer) = (self.engine, self.peer);
        self.own
            .get_or_insert_with(|| engine.replica(peer))
            .as_mut()
    }

    fn version_vector(&self) -> VersionVector {
        let own = self.own.as_ref().map(|own| (self.peer, own.own_counter()));
        let received = self.received.iter().map(|(&peer, &end)| (peer, end));
        received.chain(own).collect()
    }

    /// Takes an update with the operations of `ranges`.
    pub fn receive(&mut self, ranges: &[OpRange]) -> Imported {
        let mut imported = Imported::default();
        for range in ranges {
            self.take(range, &mut imported);
        }
        let early = std::mem::take(&mut self.early);
        for range in early {
            self.take(&range, &mut imported);
        }
        imported.pending.clone_from(&self.early);
        imported
    }

    fn take(&mut self, range: &OpRange, imported: &mut Imported) {
        let own = match range.peer == self.peer {
            true => self.own.as_ref().map_or(0, |own| own.own_counter()),
            false => 0,
        };
        let received = self.received.entry(range.peer).or_insert(0);
        let known = own.max(*received);
        if range.counters.start > known {
            if !self.early.contains(range) {
                self.early.push(range.clone());
            }
            return;
        }
        if range.counters.end > known {
            *received = range.counters.end;
            imported.applied.push(OpRange {
                peer: range.peer,
                counters: known..range.counters.end,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(peer: PeerId, counters: std::ops::Range<Counter>) -> OpRange {
        OpRange { peer, counters }
    }

    #[test]
    fn a_light_copy_tells_what_is_new_known_and_too_early() {
        let engine = syncbench_engines::engines()[0];
        let mut light = Light::new(engine, 9);
        let first = light.receive(&[range(1, 0..5)]);
        assert_eq!(first.applied, [range(1, 0..5)]);
        assert!(light.receive(&[range(1, 2..4)]).applied.is_empty());
        let early = light.receive(&[range(1, 8..9)]);
        assert_eq!(
            (early.applied, early.pending),
            (vec![], vec![range(1, 8..9)])
        );
        let filled = light.receive(&[range(1, 5..8)]);
        assert_eq!(filled.applied, [range(1, 5..8), range(1, 8..9)]);
        assert_eq!(light.version_vector().get(1), 9);
        assert!(light.early.is_empty());
    }

    #[test]
    fn what_a_light_copy_writes_a_document_can_import() {
        let engine = syncbench_engines::engines()[0];
        let mut copy = Copy::new(engine, 9, false);
        copy.writable().splice(0, 0, "hello").unwrap();
        copy.writable().commit();
        let update = copy.export_own(0, copy.own_counter()).unwrap();
        let mut document = engine.replica(1);
        document.import(&update).unwrap();
        assert_eq!(document.text(), "hello");
        assert_eq!(copy.version_vector(), document.version_vector());
        assert_eq!(engine.ranges_of(&update).unwrap(), [range(9, 0..5)]);
    }
}
