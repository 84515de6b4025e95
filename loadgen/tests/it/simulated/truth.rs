//! The real contents of a run's replicas, read from the engine itself and not
//! from the ledger or the convergence check.

use std::cell::RefCell;
use std::collections::BTreeMap;

use syncbench_engines::{
    Containers, Counter, Cursors, Edit, Engine, EngineError, Exchange, Export, Imported, Loro,
    NodeId, OpRange, PeerId, Replica, StateHash, TextDocument, Undo, VersionVector, Versioned,
};
use syncbench_loadgen::plan::{ClientId, Identity, Plan};

thread_local! {
    /// The last contents of each replica of this thread that was dropped.
    static LAST: RefCell<BTreeMap<PeerId, Document>> = const { RefCell::new(BTreeMap::new()) };
}

/// The contents of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Document {
    version: VersionVector,
    state: StateHash,
    pending: bool,
    /// The number of operations of its own peer.
    own: Counter,
    /// The number of its operations before its last edit.
    own_before: Counter,
}

/// Forgets the replicas of earlier runs.
pub fn forget() {
    LAST.take();
}

/// Collects the replicas of the clients that stayed to the end, by room. All
/// replicas must have been dropped.
pub fn of(identity: Identity, plan: &Plan) -> Truth {
    let mut documents = LAST.take();
    let rooms = plan.rooms.iter().map(|room| {
        let stay = |client: &&ClientId| plan.client(**client).leaves.is_none();
        let stayed = room.clients.iter().filter(stay);
        let taken = stayed.filter_map(|&client| {
            let full = plan.client(client).full;
            Some((client, full, documents.remove(&identity.peer_of(client))?))
        });
        taken.collect()
    });
    Truth {
        rooms: rooms.collect(),
        identity,
    }
}

/// The contents of the replicas of a run.
pub struct Truth {
    identity: Identity,
    /// For each room the clients, whether their replicas are whole documents, and
    /// the contents.
    rooms: Vec<Vec<(ClientId, bool, Document)>>,
}

impl Truth {
    /// Checks that in each room all documents are equal, and contain all edits of
    /// the clients that stayed to the end.
    ///
    /// # Errors
    /// If a client's document differs, with its contents.
    pub fn agreement(&self) -> Result<(), String> {
        for room in &self.rooms {
            let full = room.iter().filter(|(_, full, _)| *full);
            let documents: Vec<_> = full
                .map(|(client, _, document)| (client, document))
                .collect();
            let Some((_, first)) = documents.first() else {
                continue;
            };
            for (client, document) in &documents {
                let same = document.version == first.version && document.state == first.state;
                if !same || document.pending {
                    return Err(format!("client {client}: {document:?}, others {first:?}"));
                }
            }
            for (client, full, document) in room {
                let known = first.version.get(self.identity.peer_of(*client));
                // The last edit of a light replica may have been prepared for a
                // time after the end of the run.
                let not_due = !full && known == document.own_before;
                if known != document.own && !not_due {
                    return Err(format!("others lack edits of client {client}"));
                }
            }
        }
        Ok(())
    }
}

/// The engine `loro`, with replicas that record their contents when they are
/// dropped.
pub struct Watched;

impl Engine for Watched {
    fn name(&self) -> &'static str {
        Loro.name()
    }

    fn version(&self) -> &'static str {
        Loro.version()
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(WatchedReplica {
            replica: Loro.replica(peer),
            own_before: 0,
            own: 0,
        })
    }

    fn export_magic(&self) -> &'static [u8] {
        Loro.export_magic()
    }

    fn ranges_of(&self, export: &[u8]) -> Result<Vec<OpRange>, EngineError> {
        Loro.ranges_of(export)
    }

    fn encode_version(&self, version: &VersionVector) -> Vec<u8> {
        Loro.encode_version(version)
    }

    fn decode_version(&self, bytes: &[u8]) -> Result<VersionVector, EngineError> {
        Loro.decode_version(bytes)
    }
}

struct WatchedReplica {
    replica: Box<dyn Replica>,
    /// The number of its own operations before its last commit.
    own_before: Counter,
    /// The number of its own operations after its last commit.
    own: Counter,
}

impl Drop for WatchedReplica {
    fn drop(&mut self) {
        let document = Document {
            version: self.replica.version_vector(),
            state: self.replica.state_hash(),
            pending: self.replica.has_pending(),
            own: self.replica.own_counter(),
            own_before: self.own_before,
        };
        LAST.with_borrow_mut(|last| last.insert(self.replica.peer(), document));
    }
}

impl TextDocument for WatchedReplica {
    fn peer(&self) -> PeerId {
        self.replica.peer()
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        self.replica.splice(pos, del, ins)
    }

    fn commit(&mut self) {
        self.replica.commit();
        let own = self.replica.own_counter();
        if own > self.own {
            self.own_before = std::mem::replace(&mut self.own, own);
        }
    }

    fn text_len(&self) -> usize {
        self.replica.text_len()
    }

    fn text(&self) -> String {
        self.replica.text()
    }

    fn materialize(&self) {
        self.replica.materialize();
    }

    fn deep_value(&self) -> serde_json::Value {
        self.replica.deep_value()
    }

    fn state_hash(&self) -> StateHash {
        self.replica.state_hash()
    }
}

impl Versioned for WatchedReplica {
    fn version_vector(&self) -> VersionVector {
        self.replica.version_vector()
    }

    fn own_counter(&self) -> Counter {
        self.replica.own_counter()
    }

    fn has_pending(&self) -> bool {
        self.replica.has_pending()
    }
}

impl Exchange for WatchedReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        self.replica.export(what)
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        self.replica.import(bytes)
    }
}

impl Containers for WatchedReplica {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<(), EngineError> {
        self.replica.edit(edit)
    }

    fn tree_create(&mut self, parent: Option<NodeId>) -> Result<NodeId, EngineError> {
        self.replica.tree_create(parent)
    }

    fn tree_move(&mut self, node: NodeId, parent: Option<NodeId>) -> Result<(), EngineError> {
        self.replica.tree_move(node, parent)
    }

    fn tree_parent(&self, node: NodeId) -> Result<Option<NodeId>, EngineError> {
        self.replica.tree_parent(node)
    }
}

impl Undo for WatchedReplica {}

impl Cursors for WatchedReplica {}

impl Replica for WatchedReplica {}
