//! The contents of documents besides plain text: local edits, and the merge of those of
//! two replicas that edited at the same time. Also what editors do with a text besides
//! typing: undo, and keeping track of cursors.
//!
//! All rows start from a document of a given size, which is made once. Edits are
//! seeded, so that they are the same in every run.

mod cursor;
mod undo;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::commit::commit;
use super::repetition::timed;
use super::{Input, Prepared, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{Capability, Edit, EngineError, Export, HeavyWork, Imported, NodeId, Replica, Value};

/// The number of edits that are timed, in one commit; in a merge, on each side.
const EDITS: usize = 1000;

/// The number of elements, keys or characters of the initial document.
const BASE: usize = 1000;

/// The sizes of the trees in which nodes are moved.
const TREES: [usize; 3] = [1_000, 10_000, 100_000];

pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        row(&mut all, kind, BASE);
    }
    all.extend(undo::workloads());
    all.extend(cursor::workloads());
    for nodes in TREES {
        row(&mut all, Kind::TreeMove, nodes);
    }
    all
}

type Work = fn(Kind, usize, &Subject) -> Prepared<'_>;

/// Adds both rows of a kind of edit, on a document of that size.
fn row(all: &mut Vec<Workload>, kind: Kind, size: usize) {
    let works: [(&str, Work); 2] = [("edit", local), ("merge", merge)];
    for (work, prepare) in works {
        let name = format!("{}/{work}-{EDITS}", kind.name());
        let grows = kind == Kind::TreeMove;
        let variant = match grows {
            true => format!("{name}/nodes-{size}"),
            false => name.clone(),
        };
        let row = Workload::new(Input::Synthetic, variant, move |subject| {
            prepare(kind, size, subject)
        });
        let sides = if work == "merge" { 2 } else { 1 };
        let mut row = row.needs([kind.capability()]).per((EDITS * sides) as u64);
        if size == 100_000 {
            row = row.heavy(HeavyWork::HugeTree);
        }
        all.push(match grows {
            true => row.scale(name, size as u64, "nodes"),
            false => row,
        });
    }
}

/// A kind of edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RichText,
    List,
    MovableList,
    Map,
    Nested,
    Counter,
    TreeCreate,
    TreeMove,
}

impl Kind {
    /// The kinds whose documents have a single size.
    const ALL: [Self; 7] = [
        Self::RichText,
        Self::List,
        Self::MovableList,
        Self::Map,
        Self::Nested,
        Self::Counter,
        Self::TreeCreate,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::RichText => "rich-text",
            Self::List => "list",
            Self::MovableList => "movable-list",
            Self::Map => "map",
            Self::Nested => "nested",
            Self::Counter => "counter",
            Self::TreeCreate => "tree-create",
            Self::TreeMove => "tree-move",
        }
    }

    fn capability(self) -> Capability {
        match self {
            Self::RichText => Capability::RichText,
            Self::List => Capability::Lists,
            Self::MovableList => Capability::MovableLists,
            Self::Map | Self::Nested => Capability::Maps,
            Self::Counter => Capability::Counters,
            Self::TreeCreate | Self::TreeMove => Capability::Trees,
        }
    }

    /// Fills an empty document without a commit, and returns the nodes that it created,
    /// if any.
    fn fill(self, replica: &mut dyn Replica, size: usize) -> Result<Vec<NodeId>, EngineError> {
        let mut nodes = Vec::new();
        match self {
            Self::RichText => replica.splice(0, 0, &"lorem ipsum ".repeat(size / 12 + 1))?,
            Self::List => {
                let values = vec![Value::Int(1); size];
                let values = &values;
                replica.edit(&Edit::ListInsert { pos: 0, values })?;
            }
            Self::MovableList => {
                for pos in 0..size {
                    let value = Value::Int(pos as i64);
                    replica.edit(&Edit::MovableInsert { pos, value })?;
                }
            }
            Self::Map | Self::Nested => {
                for key in 0..size {
                    let (key, value) = (&key.to_string(), Value::Int(0));
                    replica.edit(&Edit::MapSet { key, value })?;
                }
            }
            Self::Counter => replica.edit(&Edit::CounterAdd { by: 1 })?,
            Self::TreeCreate | Self::TreeMove => {
                for node in 0..size {
                    let parent = node.checked_sub(1).map(|last| nodes[last / 4]);
                    nodes.push(replica.tree_create(parent)?);
                }
            }
        }
        Ok(nodes)
    }

    /// Makes one edit in a document that was filled to its size and edited `done` times by
    /// the writer of `part`.
    fn edit(
        self,
        replica: &mut dyn Replica,
        rng: &mut Xoshiro256PlusPlus,
        part: Part<'_>,
        done: usize,
    ) -> Result<(), EngineError> {
        let Part { writer, base } = part;
        let size = base.size;
        match self {
            Self::RichText => {
                let start = rng.random_range(0..size - 20);
                let end = start + rng.random_range(1..20);
                replica.edit(&Edit::Bold { start, end })
            }
            Self::List => match done % 4 {
                3 => {
                    let (pos, len) = (rng.random_range(0..size), 1);
                    replica.edit(&Edit::ListDelete { pos, len })
                }
                _ => {
                    let values = &[Value::Int(done as i64)];
                    let pos = rng.random_range(0..=size);
                    replica.edit(&Edit::ListInsert { pos, values })
                }
            },
            Self::MovableList => {
                let (pos, value) = (rng.random_range(0..size), Value::Int(done as i64));
                replica.edit(&match done % 3 {
                    0 => Edit::MovableInsert { pos, value },
                    1 => Edit::MovableSet { pos, value },
                    _ => Edit::MovableMove {
                        from: pos,
                        to: rng.random_range(0..size),
                    },
                })
            }
            Self::Map => {
                let key = &rng.random_range(0..size).to_string();
                let value = Value::Int(done as i64 + 1);
                replica.edit(&Edit::MapSet { key, value })
            }
            Self::Nested => {
                let key = &format!("{writer}-{done}");
                let tags = [Value::Str("one"), Value::Str("two"), Value::Int(3)];
                let fields = [
                    ("title", Value::Text("a title that can be edited")),
                    ("tags", Value::List(&tags)),
                    (
                        "size",
                        Value::Map(&[("width", Value::Int(3)), ("height", Value::Int(4))]),
                    ),
                ];
                let value = Value::Map(&fields);
                replica.edit(&Edit::MapSet { key, value })
            }
            Self::Counter => replica.edit(&Edit::CounterAdd { by: 1 }),
            Self::TreeCreate => {
                let parent = Some(base.nodes[rng.random_range(0..size)]);
                replica.tree_create(parent).map(drop)
            }
            // Nodes move only below nodes that were created before them, so no move
            // closes a cycle, whatever the other replica moves.
            Self::TreeMove => {
                let node = rng.random_range(1..size);
                let parent = rng.random_range(0..node);
                replica.tree_move(base.nodes[node], Some(base.nodes[parent]))
            }
        }
    }

    /// Makes all edits of a replica.
    fn edits(self, replica: &mut dyn Replica, part: Part<'_>) -> Result<(), EngineError> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(part.writer);
        (0..EDITS).try_for_each(|done| self.edit(replica, &mut rng, part, done))
    }
}

/// One writer's part in a row.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// The number of its replica, which its edits follow from: its peer id is
    /// not the same in every engine.
    writer: u64,
    base: &'a Base,
}

/// The document that a row starts from.
struct Base {
    size: usize,
    nodes: Vec<NodeId>,
    update: Vec<u8>,
}

impl Base {
    fn cached(
        kind: Kind,
        size: usize,
        subject: &Subject,
    ) -> Result<std::rc::Rc<Self>, WorkloadError> {
        subject.cached(&format!("types/{}/{size}", kind.name()), || {
            let mut replica = subject.engine().replica(peer(1));
            let mut nodes = Vec::new();
            let update = commit(&mut *replica, |replica| {
                nodes = kind.fill(replica, size)?;
                Ok(())
            })?;
            Ok(Self {
                size,
                nodes,
                update,
            })
        })
    }

    /// Returns replica `number`, which holds the document and has decoded all of it.
    fn replica(&self, subject: &Subject, number: u64) -> Result<Box<dyn Replica>, EngineError> {
        let mut replica = subject.engine().replica(peer(number));
        replica.import(&self.update)?;
        Ok(replica)
    }
}

/// Times the edits of one replica, with the commit that ends them.
fn local(kind: Kind, size: usize, subject: &Subject) -> Prepared<'_> {
    let base = Base::cached(kind, size, subject)?;
    let replica = base.replica(subject, 2)?;
    let (before, since) = (replica.state_hash(), replica.version_vector());
    let engine = subject.engine();
    let edited = base.clone();
    timed(
        replica,
        move |replica| {
            let part = Part {
                writer: 2,
                base: &edited,
            };
            kind.edits(&mut **replica, part)?;
            replica.commit();
            Ok(())
        },
        move |replica| {
            // Not every engine shows bold in the visible value.
            if kind != Kind::RichText && replica.state_hash() == before {
                return Err(check::wrong("the edits changed nothing"));
            }
            let update = replica.export(Export::Updates { since: &since })?;
            let mut reader = base.replica(subject, 3)?;
            let imported = reader.import(&update)?;
            check::brought_all(&imported, engine.capabilities())?;
            same_shown(kind, &**replica, &*reader)?;
            check::same(&**replica, &*reader, update.len())
        },
    )
}

/// Times the merge of two replicas that have edited, each of which imports the edits of
/// the other.
fn merge(kind: Kind, size: usize, subject: &Subject) -> Prepared<'_> {
    let base = Base::cached(kind, size, subject)?;
    let mut replicas = [base.replica(subject, 2)?, base.replica(subject, 3)?];
    let mut updates = Vec::new();
    for (writer, replica) in (2..).zip(&mut replicas) {
        let part = Part {
            writer,
            base: &base,
        };
        let update = commit(&mut **replica, |replica| kind.edits(replica, part))?;
        updates.push(update);
    }
    let bytes = updates.iter().map(Vec::len).sum();
    let capabilities = subject.engine().capabilities();
    timed(
        (replicas, [Imported::default(), Imported::default()]),
        move |([a, b], imported)| {
            *imported = [a.import(&updates[1])?, b.import(&updates[0])?];
            Ok(())
        },
        move |([a, b], imported)| {
            for imported in imported {
                check::brought_all(imported, capabilities)?;
            }
            same_shown(kind, &**a, &**b)?;
            check::same(&**a, &**b, bytes)
        },
    )
}

/// Checks the marks, which the value of a document does not show.
fn same_shown(kind: Kind, a: &dyn Replica, b: &dyn Replica) -> Result<(), WorkloadError> {
    if kind != Kind::RichText {
        return Ok(());
    }
    let spans = a.spans()?;
    match spans.iter().any(|span| span.bold) && spans == b.spans()? {
        true => Ok(()),
        false => Err(check::wrong("the marks are missing or differ")),
    }
}
