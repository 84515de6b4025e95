//! The contract of every engine, tested through the trait.

use proptest::prelude::*;
use syncbench_engines::{
    Capabilities, Capability, Engine, EngineError, EngineInfo, Export, Imported, OpRange, Replica,
    StateHash, VersionVector, engines,
};

#[test]
fn every_engine_is_known_by_name_also_where_it_is_not_built() {
    let built = engines().iter().map(|engine| engine.name());
    let known: Vec<&str> = EngineInfo::ALL.iter().map(|known| known.name).collect();
    for name in built {
        assert!(known.contains(&name), "{name} is not in EngineInfo::ALL");
    }
    let features = include_str!("../../Cargo.toml");
    for feature in EngineInfo::ALL.iter().filter_map(|known| known.feature) {
        assert!(features.contains(&format!("\n{feature} = ")), "{feature}");
    }
}

/// An edit or a delivery, with indices that are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Edit {
        replica: usize,
        pos: usize,
        del: usize,
        ins: String,
    },
    Deliver {
        update: usize,
        to: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let edit = (
        any::<usize>(),
        any::<usize>(),
        0..4_usize,
        "[a-cé漢😀]{0,3}",
    );
    let step = prop_oneof![
        edit.prop_map(|(replica, pos, del, ins)| Step::Edit {
            replica,
            pos,
            del,
            ins
        }),
        (any::<usize>(), any::<usize>()).prop_map(|(update, to)| Step::Deliver { update, to }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Replicas, every update made so far, and which of them each replica was
/// given: enough to know what a replica must contain and what must wait.
struct Room {
    capabilities: Capabilities,
    replicas: Vec<Box<dyn Replica>>,
    updates: Vec<(OpRange, VersionVector, Vec<u8>)>,
    given: Vec<Vec<usize>>,
}

impl Room {
    fn new(engine: &dyn Engine, replicas: usize) -> Self {
        Self {
            capabilities: engine.capabilities(),
            replicas: (1..=replicas as u64).map(|p| engine.replica(p)).collect(),
            updates: Vec::new(),
            given: vec![Vec::new(); replicas],
        }
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Edit {
                replica,
                pos,
                del,
                ins,
            } => self.edit(replica % self.replicas.len(), *pos, *del, ins),
            Step::Deliver { update, to } if !self.updates.is_empty() => {
                self.deliver(update % self.updates.len(), to % self.replicas.len());
            }
            Step::Deliver { .. } => {}
        }
    }

    fn edit(&mut self, who: usize, pos: usize, del: usize, ins: &str) {
        let replica = &mut self.replicas[who];
        let pos = pos % (replica.text_len() + 1);
        let del = del.min(replica.text_len() - pos);
        let before = replica.version_vector();
        let start = replica.own_counter();
        replica.splice(pos, del, ins).unwrap();
        replica.commit();
        let range = range(replica.peer(), start, replica.own_counter());
        let made = replica.version_vector().missing_from(&before);
        match made.as_slice() {
            [] if del == 0 && ins.is_empty() => return,
            [] => assert!(
                ins.is_empty() && !self.capabilities.has(Capability::CountsDeletions),
                "an edit made no operation"
            ),
            made => assert_eq!(made, std::slice::from_ref(&range), "an edit is one range"),
        }
        let bytes = replica.export(Export::Range(range.clone())).unwrap();
        self.given[who].push(self.updates.len());
        self.updates.push((range, before, bytes));
    }

    fn deliver(&mut self, update: usize, to: usize) {
        let replica = &mut self.replicas[to];
        let (range, base, bytes) = &self.updates[update];
        let before = replica.version_vector();
        let result = replica.import(bytes);
        let after = replica.version_vector();
        if !self.capabilities.has(Capability::KeepsEarly) {
            let early = !base.missing_from(&before).is_empty();
            assert_eq!(result.is_err(), early, "{result:?}");
        }
        if let (Err(EngineError::Import(_)), false) =
            (&result, self.capabilities.has(Capability::KeepsEarly))
        {
            assert_eq!(before, after, "refused, and still applied");
            return;
        }
        let imported = result.unwrap();
        self.given[to].push(update);

        assert_eq!(imported.applied, after.missing_from(&before));
        let waits = lacks(&after, range);
        assert_eq!(!imported.pending.is_empty(), waits);
        match self.capabilities.has(Capability::CausalOrder) {
            true => self.check_version(to),
            false => self.check_given(to),
        }
    }

    /// Checks that a replica contains nothing that it was not given, and knows whether
    /// it has something pending.
    fn check_given(&self, who: usize) {
        let replica = &self.replicas[who];
        let version = replica.version_vector();
        let given: Vec<_> = self.given[who]
            .iter()
            .map(|&i| &self.updates[i].0)
            .collect();
        for (peer, end) in version.iter() {
            let ends = given.iter().filter(|range| range.peer == peer);
            assert!(ends.map(|range| range.counters.end).max() >= Some(end));
        }
        let waits = given.iter().any(|range| lacks(&version, range));
        assert!(replica.has_pending() || !waits);
    }

    /// Checks that a replica contains an update exactly if it was given the update and
    /// everything that it builds on.
    fn check_version(&self, who: usize) {
        let mut contained = VersionVector::new();
        let mut waiting = self.given[who].clone();
        loop {
            let count = waiting.len();
            waiting.retain(|&update| {
                let (range, base, _) = &self.updates[update];
                let ready = base.missing_from(&contained).is_empty();
                if ready && contained.get(range.peer) < range.counters.end {
                    let end = (range.peer, range.counters.end);
                    contained = contained
                        .iter()
                        .filter(|&(peer, _)| peer != range.peer)
                        .chain([end])
                        .collect();
                }
                !ready
            });
            if waiting.len() == count {
                break;
            }
        }
        assert_eq!(self.replicas[who].version_vector(), contained);
        assert_eq!(self.replicas[who].has_pending(), !waiting.is_empty());
    }
}

fn lacks(version: &VersionVector, range: &OpRange) -> bool {
    !range.counters.is_empty() && version.get(range.peer) < range.counters.end
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn concurrent_edits_converge_in_any_order_of_delivery(
        replicas in 2..5_usize,
        steps in steps(),
        order in any::<prop::sample::Index>(),
    ) {
        for engine in engines() {
            let mut room = Room::new(*engine, replicas);
            steps.iter().for_each(|step| room.play(step));
            let count = room.updates.len();
            for to in 0..replicas {
                for i in (0..count).rev() {
                    let rotated = (i + order.index(count)) % count;
                    room.deliver(rotated, to);
                }
                for i in 0..count {
                    room.deliver(i, to);
                    prop_assert!(!room.replicas[to].has_pending() || i + 1 < count);
                }
            }
            let first = &room.replicas[0];
            for other in &room.replicas[1..] {
                prop_assert_eq!(first.version_vector(), other.version_vector());
                prop_assert_eq!(first.text(), other.text());
                prop_assert_eq!(first.state_hash(), other.state_hash());
            }
        }
    }

    #[test]
    fn splices_act_on_scalar_values(edits in prop::collection::vec((any::<usize>(), 0..5_usize, "[a-cé漢😀]{0,4}"), 1..40)) {
        for engine in engines() {
            let mut replica = engine.replica(1);
            let mut model: Vec<char> = Vec::new();
            for (pos, del, ins) in &edits {
                let pos = pos % (model.len() + 1);
                let del = *del.min(&(model.len() - pos));
                replica.splice(pos, del, ins).unwrap();
                model.splice(pos..pos + del, ins.chars());
                prop_assert_eq!(replica.text_len(), model.len());
            }
            replica.commit();
            prop_assert_eq!(replica.text(), model.iter().collect::<String>());
            prop_assert_eq!(&replica.deep_value()["text"], &replica.text());
        }
    }
}

/// Returns a document with history by two peers, concurrent edits and deletions.
fn written(engine: &dyn Engine) -> Box<dyn Replica> {
    let mut a = engine.replica(1);
    let mut b = engine.replica(2);
    splice(&mut *a, 0, 0, "The quick brown fox");
    transfer(&mut *a, &mut *b);
    splice(&mut *a, 4, 6, "");
    splice(&mut *b, 19, 0, " jumps 😀");
    transfer(&mut *b, &mut *a);
    a
}

fn splice(replica: &mut dyn Replica, pos: usize, del: usize, ins: &str) -> Vec<u8> {
    let since = replica.version_vector();
    replica.splice(pos, del, ins).unwrap();
    replica.commit();
    replica.export(Export::Updates { since: &since }).unwrap()
}

fn transfer(from: &mut dyn Replica, to: &mut dyn Replica) -> Imported {
    let since = to.version_vector();
    let bytes = from.export(Export::Updates { since: &since }).unwrap();
    to.import(&bytes).unwrap()
}

/// Returns every export of the whole document that the engine supports.
fn all_exports(
    replica: &mut dyn Replica,
    capabilities: Capabilities,
) -> Vec<(&'static str, Vec<u8>)> {
    let since = &VersionVector::new();
    let mut exports = vec![(
        "updates",
        replica.export(Export::Updates { since }).unwrap(),
    )];
    if capabilities.has(Capability::Snapshot) {
        exports.push(("snapshot", replica.export(Export::Snapshot).unwrap()));
    }
    if capabilities.has(Capability::ShallowSnapshot) {
        let shallow = replica.export(Export::ShallowSnapshot).unwrap();
        exports.push(("shallow snapshot", shallow));
    }
    exports
}

/// Returns the engines that have the capability that a test is about.
fn engines_with(capability: Capability) -> impl Iterator<Item = &'static dyn Engine> {
    let all = engines().iter().copied();
    all.filter(move |engine| engine.capabilities().has(capability))
}

#[test]
fn what_an_engine_lacks_is_refused_with_the_reason() {
    for engine in engines() {
        let mut replica = written(*engine);
        let end = replica.version_vector().get(2);
        let text = replica.text();
        for (capability, what) in [
            (Capability::Snapshot, Export::Snapshot),
            (Capability::ShallowSnapshot, Export::ShallowSnapshot),
            (Capability::AnyRange, Export::Range(range(2, 0, end))),
        ] {
            let reason = engine.capabilities().unsupported_because(capability);
            match replica.export(what) {
                Ok(_) => assert_eq!(reason, None),
                Err(EngineError::Unsupported(given)) => assert_eq!(Some(given), reason),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(replica.text(), text);
    }
}

#[test]
fn versions_are_those_of_the_lock_file() {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let lock = std::fs::read_to_string(lock).unwrap();
    for engine in engines() {
        let (name, version) = (engine.name(), engine.version());
        let library = engine.library();
        let version = version.split(' ').next().unwrap();
        let package = format!("name = \"{library}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&package), "{name} {version}");
    }
}

#[test]
fn every_kind_of_export_makes_an_equal_replica() {
    for engine in engines() {
        let mut origin = written(*engine);
        for (kind, bytes) in all_exports(&mut *origin, engine.capabilities()) {
            let mut copy = engine.replica(3);
            let imported = copy.import(&bytes).unwrap();
            assert!(!imported.applied.is_empty(), "{kind}");
            assert!(imported.pending.is_empty(), "{kind}");
            assert_eq!(copy.version_vector(), origin.version_vector(), "{kind}");
            assert_eq!(copy.text(), "The brown fox jumps 😀", "{kind}");
            assert_eq!(copy.state_hash(), origin.state_hash(), "{kind}");

            splice(&mut *copy, 0, 3, "A");
            transfer(&mut *copy, &mut *origin);
            assert_eq!(copy.state_hash(), origin.state_hash(), "{kind}");
            origin = written(*engine);
        }
    }
}

#[test]
fn an_empty_document_can_be_exported_and_imported() {
    for engine in engines() {
        let mut empty = engine.replica(1);
        for (kind, bytes) in all_exports(&mut *empty, engine.capabilities()) {
            let mut copy = engine.replica(2);
            assert_eq!(copy.import(&bytes).unwrap(), Imported::default(), "{kind}");
            assert_eq!(copy.state_hash(), empty.state_hash(), "{kind}");
        }
    }
}

#[test]
fn importing_twice_applies_nothing() {
    for engine in engines() {
        let mut origin = written(*engine);
        let mut copy = engine.replica(3);
        for (kind, bytes) in all_exports(&mut *origin, engine.capabilities()) {
            copy.import(&bytes).unwrap();
            assert_eq!(copy.import(&bytes).unwrap(), Imported::default(), "{kind}");
        }
    }
}

#[test]
fn updates_out_of_order_wait_until_the_gap_is_filled() {
    for engine in engines() {
        let mut writer = engine.replica(1);
        let updates: Vec<_> = (0..4)
            .map(|i| splice(&mut *writer, i, 0, &i.to_string()))
            .collect();
        let mut reader = engine.replica(2);
        if !engine.capabilities().has(Capability::KeepsEarly) {
            let refused = reader.import(&updates[1]);
            assert!(
                matches!(refused, Err(EngineError::Import(_))),
                "{refused:?}"
            );
            assert_eq!(
                reader.import(&updates[0]).unwrap().applied,
                [range(1, 0, 1)]
            );
            continue;
        }
        for late in [3, 1] {
            let imported = reader.import(&updates[late]).unwrap();
            assert_eq!(imported.applied, []);
            assert!(!imported.pending.is_empty());
            assert!(reader.has_pending());
        }
        let imported = reader.import(&updates[0]).unwrap();
        assert_eq!(imported.applied, [range(1, 0, 2)]);
        assert!(reader.has_pending(), "the fourth still waits");
        let imported = reader.import(&updates[2]).unwrap();
        assert_eq!(imported.applied, [range(1, 2, 4)]);
        assert!(!reader.has_pending());
        assert_eq!(reader.text(), "0123");
    }
}

fn range(peer: u64, start: u32, end: u32) -> OpRange {
    OpRange {
        peer,
        counters: start..end,
    }
}

#[test]
fn damaged_bytes_are_refused_and_change_nothing() {
    for engine in engines() {
        let detects = engine.capabilities().has(Capability::DetectsDamage);
        let mut origin = written(*engine);
        for (kind, bytes) in all_exports(&mut *origin, engine.capabilities()) {
            for len in 0..bytes.len() {
                let accepted = accepts(*engine, &bytes[..len], &bytes);
                let name = engine.name();
                assert!(!accepted || !detects, "{name} {kind}: {len}");
            }
            let mut accepted = 0;
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                accepted += usize::from(accepts(*engine, &flipped, &bytes));
            }
            // Loro's header has 12 bytes without a meaning.
            assert!(
                accepted <= 12 * 8 || !detects,
                "{} {kind}: {accepted} of {}",
                engine.name(),
                bytes.len() * 8
            );
        }
    }
}

/// Returns true if a replica accepts the damaged bytes. If the engine detects damage,
/// they must then have the same meaning as the intact ones. Otherwise the replica must
/// be unchanged.
fn accepts(engine: &dyn Engine, damaged: &[u8], sound: &[u8]) -> bool {
    let mut replica = engine.replica(9);
    let own = splice(&mut *replica, 0, 0, "mine");
    let version = replica.version_vector();
    match replica.import(damaged) {
        Ok(_) if !engine.capabilities().has(Capability::DetectsDamage) => true,
        Ok(_) => {
            let mut reference = engine.replica(8);
            reference.import(&own).unwrap();
            reference.import(sound).unwrap();
            assert_eq!(replica.version_vector(), reference.version_vector());
            assert_eq!(replica.state_hash(), reference.state_hash());
            true
        }
        Err(EngineError::Import(_)) => {
            assert_eq!(replica.version_vector(), version);
            assert_eq!(replica.text(), "mine");
            assert!(!replica.has_pending());
            false
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_edit_past_the_end_is_refused_and_changes_nothing() {
    for engine in engines() {
        let mut replica = engine.replica(1);
        splice(&mut *replica, 0, 0, "é😀");
        for (pos, del) in [(3, 0), (2, 1), (0, 3), (1, usize::MAX), (usize::MAX, 1)] {
            let result = replica.splice(pos, del, "x");
            assert!(
                matches!(result, Err(EngineError::OutOfBounds { len: 2, .. })),
                "{pos} {del}: {result:?}"
            );
        }
        replica.commit();
        assert_eq!(replica.text(), "é😀");
        replica.splice(2, 0, "!").unwrap();
        assert_eq!(replica.text(), "é😀!");
    }
}

#[test]
fn operations_that_a_replica_does_not_have_are_not_exported_silently() {
    for engine in engines() {
        let mut replica = written(*engine);
        let end = replica.version_vector().get(1);
        for (start, end) in [(0, end + 1), (end + 1, end + 2), (2, 1)] {
            let result = replica.export(Export::Range(range(1, start, end)));
            assert!(is_refusal(&result), "{result:?}");
        }
        let unknown = replica.export(Export::Range(range(7, 0, 1)));
        assert!(is_refusal(&unknown), "{unknown:?}");
    }
}

fn is_refusal(result: &Result<Vec<u8>, EngineError>) -> bool {
    use EngineError::{Export, Unsupported};
    matches!(result, Err(Export(_) | Unsupported(_)))
}

#[test]
fn a_shallow_replica_shows_that_it_passed_over_older_updates() {
    for engine in engines_with(Capability::ShallowSnapshot) {
        let mut origin = engine.replica(1);
        let first = splice(&mut *origin, 0, 0, "old ");
        splice(&mut *origin, 4, 0, "new");
        let mut shallow = engine.replica(2);
        let bytes = origin.export(Export::ShallowSnapshot).unwrap();
        shallow.import(&bytes).unwrap();

        let imported = shallow.import(&first).unwrap();
        assert_eq!(imported.applied, []);
        assert_eq!(shallow.text(), "old new");

        let since = VersionVector::new();
        let whole = shallow.export(Export::Updates { since: &since });
        assert!(matches!(whole, Err(EngineError::Export(_))), "{whole:?}");
        let old = shallow.export(Export::Range(range(1, 0, 1)));
        assert!(matches!(old, Err(EngineError::Export(_))), "{old:?}");

        splice(&mut *shallow, 7, 0, "er");
        assert_eq!(
            transfer(&mut *shallow, &mut *origin).applied,
            [range(2, 0, 2)]
        );
        assert_eq!(origin.text(), "old newer");
    }
}

#[test]
fn a_concurrent_edit_from_before_a_shallow_root_is_never_lost_in_silence() {
    for engine in engines_with(Capability::ShallowSnapshot) {
        let mut origin = engine.replica(1);
        let mut other = engine.replica(2);
        splice(&mut *origin, 0, 0, "base");
        transfer(&mut *origin, &mut *other);
        splice(&mut *origin, 4, 0, " more");
        let concurrent = splice(&mut *other, 0, 0, "> ");

        let mut shallow = engine.replica(3);
        let bytes = origin.export(Export::ShallowSnapshot).unwrap();
        shallow.import(&bytes).unwrap();
        match shallow.import(&concurrent) {
            Err(EngineError::Import(_)) => assert_eq!(shallow.text(), "base more"),
            Err(other) => panic!("{other}"),
            Ok(imported) if shallow.text() == "> base more" => {
                assert_eq!(imported.applied, [range(2, 0, 2)]);
            }
            Ok(imported) => assert_eq!(imported.applied, []),
        }
    }
}

#[test]
fn a_shallow_snapshot_into_a_used_replica_is_merged_or_visibly_not() {
    for engine in engines_with(Capability::ShallowSnapshot) {
        let mut origin = written(engine);
        let bytes = origin.export(Export::ShallowSnapshot).unwrap();
        let mut used = engine.replica(3);
        splice(&mut *used, 0, 0, "own");
        match used.import(&bytes) {
            Err(EngineError::Import(_)) => assert_eq!(used.text(), "own"),
            Err(other) => panic!("{other}"),
            Ok(imported) if imported.applied.is_empty() => {
                assert!(used.has_pending());
                assert_eq!(used.text(), "own");
            }
            Ok(_) => assert!(used.text_len() > origin.text_len()),
        }
    }
}

#[test]
fn fixed_peer_ids_encode_to_the_same_bytes_twice() {
    for engine in engines() {
        let once = all_exports(&mut *written(*engine), engine.capabilities());
        let again = all_exports(&mut *written(*engine), engine.capabilities());
        assert_eq!(once, again, "{}", engine.name());
    }
}

#[test]
fn the_state_hash_ignores_the_order_of_keys_and_sees_every_value() {
    let hash = |text: &str| StateHash::new(&serde_json::from_str(text).unwrap());
    assert_eq!(hash(r#"{"a":1,"b":2}"#), hash(r#"{"b":2,"a":1}"#));
    assert_ne!(hash(r#"{"a":1,"b":2}"#), hash(r#"{"a":2,"b":1}"#));
}
