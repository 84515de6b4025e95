//! The edits of simulated users, of one kind or of several, made in the user's
//! replica.

use std::sync::Arc;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use syncbench_datasets::Trace;
use syncbench_engines::{Edit, EngineError, NodeId, Replica, Value};

use crate::plan::{ClientId, client_rng};
use crate::room::typist::Typist;
use crate::scenario::{EditKind, Scenario};

/// The number of keys of the map; few enough that writers meet at some of them.
const KEYS: u32 = 100;

/// The number of keystrokes for each mark that is set.
const TYPED_PER_MARK: u64 = 5;

/// The number of inserts for each element of the list that is deleted.
const INSERTS_PER_DELETE: u64 = 4;

/// The edits of one simulated user.
#[derive(Debug)]
pub struct Editor {
    kinds: Vec<Kind>,
    typist: Typist,
    /// The text that each edit inserts instead of the trace's.
    payload: Option<String>,
    rng: Xoshiro256PlusPlus,
    nodes: Vec<NodeId>,
}

/// A kind of edits that a user makes.
#[derive(Debug)]
struct Kind {
    kind: EditKind,
    share: f64,
    /// The number of edits of this kind so far.
    made: u64,
}

impl Editor {
    /// Creates the editor of `client`, one of `writers`.
    pub fn new(scenario: &Scenario, trace: &Arc<Trace>, client: ClientId, writers: usize) -> Self {
        let kinds = scenario.workload.edit_shares().into_iter();
        Self {
            kinds: kinds
                .map(|(kind, share)| Kind {
                    kind,
                    share,
                    made: 0,
                })
                .collect(),
            typist: Typist::new(Arc::clone(trace), client.0 as usize % writers, writers),
            payload: scenario
                .workload
                .payload
                .map(|bytes| "x".repeat(bytes as usize)),
            rng: client_rng(scenario.seed ^ 0xED17, client),
            nodes: Vec::new(),
        }
    }

    /// Makes the next edit and commits it. Returns false when there was none to
    /// make.
    ///
    /// # Errors
    /// When the engine refuses it.
    pub fn edit(&mut self, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        let drawn = self.draw();
        let Kind { kind, made, .. } = self.kinds[drawn];
        let has_edited = match kind {
            EditKind::Trace => self.type_next(replica)?,
            EditKind::RichText => self.type_or_mark(made, replica)?,
            EditKind::ReplaceAll => self.replace_all(replica)?,
            EditKind::List => self.edit_list(made, replica)?,
            EditKind::Map => self.set_key(replica)?,
            EditKind::MovableList => self.arrange(made, replica)?,
            EditKind::Tree => self.grow(made, replica)?,
        };
        if has_edited {
            replica.commit();
            self.kinds[drawn].made += 1;
        }
        Ok(has_edited)
    }

    /// Draws the kind of the next edit, by the shares. One kind alone takes no
    /// chance.
    fn draw(&mut self) -> usize {
        if self.kinds.len() == 1 {
            return 0;
        }
        let total: f64 = self.kinds.iter().map(|kind| kind.share).sum();
        let mut at = self.rng.random::<f64>() * total;
        let drawn = self.kinds.iter().position(|kind| {
            at -= kind.share;
            at < 0.0
        });
        drawn.unwrap_or(self.kinds.len() - 1)
    }

    fn type_next(&mut self, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        let len = replica.text_len();
        if let Some(payload) = &self.payload {
            replica.splice(len, 0, payload)?;
            return Ok(true);
        }
        let Some(edit) = self.typist.next_edit(len) else {
            return Ok(false);
        };
        replica.splice(edit.pos, edit.del, edit.ins)?;
        Ok(true)
    }

    fn type_or_mark(&mut self, made: u64, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        let len = replica.text_len();
        if made % TYPED_PER_MARK != TYPED_PER_MARK - 1 || len < 2 {
            return self.type_next(replica);
        }
        let start = self.rng.random_range(0..len - 1);
        let end = self.rng.random_range(start + 1..=len.min(start + 12));
        let before = replica.own_counter();
        replica.edit(&Edit::Bold { start, end })?;
        replica.commit();
        // Making bold what is bold changes nothing.
        match replica.own_counter() > before {
            true => Ok(true),
            false => self.type_next(replica),
        }
    }

    fn replace_all(&mut self, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        let text: Vec<char> = replica.text().chars().collect();
        let Some(edit) = self.typist.next_edit(text.len()) else {
            return Ok(false);
        };
        let (before, after) = (&text[..edit.pos], &text[edit.pos + edit.del..]);
        let before = before.iter().copied().chain(edit.ins.chars());
        let content: String = before.chain(after.iter().copied()).collect();
        replica.splice(0, text.len(), &content)?;
        Ok(true)
    }

    /// Each writer deletes less than it inserted before, so that there always
    /// is something to delete.
    fn edit_list(&mut self, made: u64, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        match made % INSERTS_PER_DELETE {
            3 => replica.edit(&Edit::ListDelete { pos: 0, len: 1 })?,
            _ => {
                let value = Value::Int(self.rng.random_range(0..1_000_000));
                replica.edit(&Edit::ListInsert {
                    pos: 0,
                    values: &[value],
                })?;
            }
        }
        Ok(true)
    }

    fn set_key(&mut self, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        let key = format!("key-{}", self.rng.random_range(0..KEYS));
        let value = Value::Int(self.rng.random_range(0..1_000_000));
        replica.edit(&Edit::MapSet { key: &key, value })?;
        Ok(true)
    }

    /// Nobody deletes, so that there are at least as many elements as this writer
    /// has inserted.
    fn arrange(&mut self, made: u64, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        let inserted = made.div_ceil(3) as usize;
        let value = Value::Int(self.rng.random_range(0..1_000_000));
        if inserted < 2 || made.is_multiple_of(3) {
            replica.edit(&Edit::MovableInsert { pos: 0, value })?;
            return Ok(true);
        }
        let pos = self.rng.random_range(0..inserted);
        let edit = match made % 3 {
            1 => Edit::MovableSet { pos, value },
            _ => Edit::MovableMove {
                from: pos,
                to: (pos + 1) % inserted,
            },
        };
        replica.edit(&edit)?;
        Ok(true)
    }

    /// Own nodes are only moved below older own ones, so that none becomes its
    /// own ancestor.
    fn grow(&mut self, made: u64, replica: &mut dyn Replica) -> Result<bool, EngineError> {
        let nodes = self.nodes.len();
        if made.is_multiple_of(2) || nodes < 2 {
            let parent = (nodes > 0).then(|| self.nodes[self.rng.random_range(0..nodes)]);
            self.nodes.push(replica.tree_create(parent)?);
        } else {
            let node = self.rng.random_range(1..nodes);
            let parent = Some(self.nodes[self.rng.random_range(0..node)]);
            // Moving a node to where it is changes nothing.
            match replica.tree_parent(self.nodes[node])? == parent {
                true => self.nodes.push(replica.tree_create(parent)?),
                false => replica.tree_move(self.nodes[node], parent)?,
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use syncbench_engines::Export;

    use super::*;
    use crate::scenario::{Mix, Workload};

    /// Several writers of each kind, which sync with each other now and then.
    #[test]
    fn writers_of_every_kind_always_find_something_to_do() {
        let trace = Arc::new(syncbench_datasets::load("automerge-paper").unwrap());
        let engine = syncbench_engines::engines()[0];
        let alone = [
            EditKind::Trace,
            EditKind::RichText,
            EditKind::List,
            EditKind::Map,
            EditKind::MovableList,
            EditKind::Tree,
            EditKind::ReplaceAll,
        ];
        let alone = alone.map(|edits| (edits, None));
        for (edits, mix) in alone.into_iter().chain([(EditKind::Trace, Some(mix()))]) {
            let scenario = Scenario {
                workload: Workload {
                    edits,
                    mix,
                    ..Workload::default()
                },
                duration: Duration::from_secs(1),
                ..Scenario::default()
            };
            let mut replicas: Vec<_> = (1..=3).map(|peer| engine.replica(peer)).collect();
            let mut editors: Vec<_> = (0..3)
                .map(|number| Editor::new(&scenario, &trace, ClientId(number), 3))
                .collect();
            for round in 0..40 {
                for (replica, editor) in replicas.iter_mut().zip(&mut editors) {
                    let before = replica.own_counter();
                    assert!(editor.edit(replica.as_mut()).unwrap(), "{edits:?}");
                    assert!(replica.own_counter() > before, "{edits:?}");
                }
                if round % 7 == 6 {
                    exchange(&mut replicas);
                }
            }
            exchange(&mut replicas);
            assert_eq!(replicas[0].state_hash(), replicas[2].state_hash());
        }
    }

    /// Every kind that can be mixed.
    fn mix() -> Mix {
        Mix {
            text: 0.4,
            rich_text: 0.1,
            list: 0.1,
            map: 0.2,
            movable_list: 0.1,
            tree: 0.1,
            presence: 0.0,
        }
    }

    /// The kinds that an editor of this client draws.
    fn drawn(mix: Mix, seed: u64, client: u32) -> Vec<EditKind> {
        let trace = Arc::new(syncbench_datasets::load("automerge-paper").unwrap());
        let workload = Workload {
            mix: Some(mix),
            ..Workload::default()
        };
        let scenario = Scenario {
            workload,
            seed,
            ..Scenario::default()
        };
        let mut editor = Editor::new(&scenario, &trace, ClientId(client), 3);
        let draws = (0..4_000).map(|_| editor.draw()).collect::<Vec<_>>();
        draws
            .iter()
            .map(|&drawn| editor.kinds[drawn].kind)
            .collect()
    }

    #[test]
    fn kinds_are_drawn_by_their_shares_and_the_seed() {
        let kinds = drawn(mix(), 7, 0);
        for (kind, share) in mix().edits() {
            let count = kinds.iter().filter(|drawn| **drawn == kind).count();
            let found = count as f64 / kinds.len() as f64;
            // Four standard deviations.
            let tolerance = 4.0 * (share * (1.0 - share) / kinds.len() as f64).sqrt();
            assert!((found - share).abs() < tolerance, "{kind}: {found}");
        }
        assert_eq!(drawn(mix(), 7, 0), kinds);
        assert_ne!(drawn(mix(), 8, 0), kinds);
        assert_ne!(drawn(mix(), 7, 1), kinds);
    }

    fn exchange(replicas: &mut [Box<dyn Replica>]) {
        let all: Vec<_> = replicas
            .iter_mut()
            .map(|replica| {
                let since = &Default::default();
                replica.export(Export::Updates { since }).unwrap()
            })
            .collect();
        for replica in replicas {
            for update in &all {
                replica.import(update).unwrap();
            }
        }
    }
}
