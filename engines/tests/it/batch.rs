//! Updates in batches, updates that a library passes to subscribers, and edits that it
//! finds by comparing texts.

use syncbench_engines::{
    Capability, Engine, EngineError, Export, OpRange, Replica, VersionVector, engines,
};

/// The edits that a replica makes; the third step only deletes.
const STEPS: [(usize, usize, &str); 5] = [
    (0, 0, "The quick "),
    (10, 0, "brown 😀 fox"),
    (4, 6, ""),
    (4, 0, "slow "),
    (0, 3, "A"),
];

/// Types the steps, each with its own commit and update.
fn typed(replica: &mut dyn Replica) -> Vec<Vec<u8>> {
    let mut updates = Vec::new();
    for (pos, del, ins) in STEPS {
        let start = replica.own_counter();
        replica.splice(pos, del, ins).unwrap();
        replica.commit();
        let counters = start..replica.own_counter();
        let peer = replica.peer();
        let range = Export::Range(OpRange { peer, counters });
        updates.push(replica.export(range).unwrap());
    }
    updates
}

fn slices(updates: &[Vec<u8>]) -> Vec<&[u8]> {
    updates.iter().map(Vec::as_slice).collect()
}

fn with(capability: Capability) -> impl Iterator<Item = &'static dyn Engine> {
    let engines = engines().iter().copied();
    engines.filter(move |engine| engine.capabilities().has(capability))
}

#[test]
fn a_batch_brings_what_its_updates_bring_one_by_one() {
    for engine in with(Capability::Batch) {
        let (mut a, mut b) = (engine.replica(1), engine.replica(2));
        let mut updates = typed(&mut *a);
        updates.extend(typed(&mut *b));
        if engine.capabilities().has(Capability::KeepsEarly) {
            updates.reverse();
        }
        let (mut batch, mut single) = (engine.replica(3), engine.replica(4));
        let imported = batch.import_batch(&slices(&updates)).unwrap();
        for update in &updates {
            single.import(update).unwrap();
        }
        let name = engine.name();
        let nothing = VersionVector::new();
        assert_eq!(batch.version_vector(), single.version_vector(), "{name}");
        assert_eq!(batch.text(), single.text(), "{name}");
        assert!(!batch.has_pending(), "{name}");
        assert_eq!(imported.pending, [], "{name}");
        let all = batch.version_vector().missing_from(&nothing);
        assert_eq!(imported.applied, all, "{name}");
        let again = batch.import_batch(&slices(&updates)).unwrap();
        assert_eq!(again.applied, [], "{name}");
    }
}

#[test]
fn a_batch_with_a_gap_says_what_waits() {
    for engine in
        with(Capability::Batch).filter(|engine| engine.capabilities().has(Capability::KeepsEarly))
    {
        let name = engine.name();
        let updates = typed(&mut *engine.replica(1));
        let mut reader = engine.replica(2);
        let imported = reader.import_batch(&slices(&updates[1..])).unwrap();
        assert!(!imported.pending.is_empty(), "{name}");
        assert!(reader.has_pending(), "{name}");
        reader.import_batch(&slices(&updates[..1])).unwrap();
        assert!(!reader.has_pending(), "{name}");
        assert_eq!(reader.text(), "A slow brown 😀 fox", "{name}");
    }
}

#[test]
fn a_batch_of_whole_documents_and_updates_merges() {
    for engine in with(Capability::Batch) {
        let (mut a, mut b) = (engine.replica(1), engine.replica(2));
        let updates = typed(&mut *a);
        typed(&mut *b);
        let since = &VersionVector::new();
        let whole = b.export(Export::Updates { since }).unwrap();
        let mut batch = vec![whole.as_slice()];
        batch.extend(slices(&updates));
        let mut reader = engine.replica(3);
        reader.import_batch(&batch).unwrap();
        a.import(&whole).unwrap();
        assert_eq!(reader.version_vector(), a.version_vector());
        assert_eq!(reader.text(), a.text(), "{}", engine.name());
    }
}

#[test]
fn watched_updates_are_those_of_the_own_commits() {
    for engine in with(Capability::LocalUpdates) {
        let name = engine.name();
        let mut writer = engine.replica(1);
        assert!(writer.take_local_updates().is_empty(), "{name}");
        writer.watch_local_updates().unwrap();
        let exported = typed(&mut *writer);
        let foreign = typed(&mut *engine.replica(2));
        let handed = writer.take_local_updates();
        assert_eq!(handed.len(), STEPS.len(), "{name}");
        assert!(writer.take_local_updates().is_empty(), "{name}");
        for updates in [&exported, &handed] {
            let mut reader = engine.replica(3);
            for update in updates {
                assert_eq!(reader.import(update).unwrap().pending, [], "{name}");
            }
            assert_eq!(reader.text(), writer.text(), "{name}");
        }
        for update in &foreign {
            writer.import(update).unwrap();
        }
        let handed = writer.take_local_updates();
        assert!(
            handed.is_empty(),
            "{name}: handed out what came from others"
        );
    }
}

#[test]
fn a_text_becomes_another_by_edits_that_merge() {
    for engine in with(Capability::TextDiff) {
        let name = engine.name();
        let (mut a, mut b) = (engine.replica(1), engine.replica(2));
        a.splice(0, 0, "The 😀 fox jumps").unwrap();
        a.commit();
        let since = &VersionVector::new();
        b.import(&a.export(Export::Updates { since }).unwrap())
            .unwrap();
        let shared = a.version_vector();
        a.update_text("The 😀 brown fox jumps").unwrap();
        a.commit();
        b.splice(b.text_len(), 0, " high").unwrap();
        b.commit();
        let since = &shared;
        let (to_b, to_a) = (
            a.export(Export::Updates { since }).unwrap(),
            b.export(Export::Updates { since }).unwrap(),
        );
        a.import(&to_a).unwrap();
        b.import(&to_b).unwrap();
        assert_eq!(a.text(), "The 😀 brown fox jumps high", "{name}");
        assert_eq!(b.text(), a.text(), "{name}");
    }
}

#[test]
fn what_an_engine_lacks_of_these_is_refused() {
    for engine in engines() {
        let capabilities = engine.capabilities();
        let mut replica = engine.replica(1);
        let update = typed(&mut *engine.replica(2)).remove(0);
        let results = [
            (Capability::Batch, replica.import_batch(&[&update]).err()),
            (
                Capability::LocalUpdates,
                replica.watch_local_updates().err(),
            ),
            (Capability::TextDiff, replica.update_text("other").err()),
        ];
        for (capability, refused) in results {
            let unsupported = matches!(refused, Some(EngineError::Unsupported(_)));
            assert_eq!(
                unsupported,
                !capabilities.has(capability),
                "{} {capability:?}",
                engine.name()
            );
        }
    }
}
