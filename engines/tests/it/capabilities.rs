//! The contract of every engine for marks, moves, counters, trees, undo and cursors, as
//! far as it has them.

use serde_json::json;
use syncbench_engines::{
    Capability, Edit, Engine, EngineError, Export, Replica, Span, Value, VersionVector, engines,
};

fn engines_with(capability: Capability) -> impl Iterator<Item = &'static dyn Engine> {
    let engines = engines().iter().copied();
    engines.filter(move |engine| engine.capabilities().has(capability))
}

fn everything(replica: &mut dyn Replica) -> Vec<u8> {
    let since = &VersionVector::new();
    replica.export(Export::Updates { since }).unwrap()
}

/// Returns a replica of another peer with the same document.
fn copy(engine: &dyn Engine, replica: &mut dyn Replica, peer: u64) -> Box<dyn Replica> {
    let mut copy = engine.replica(peer);
    copy.import(&everything(replica)).unwrap();
    copy
}

/// Makes each of two replicas import what the other has.
fn exchange(a: &mut dyn Replica, b: &mut dyn Replica) {
    let (from_a, from_b) = (everything(a), everything(b));
    a.import(&from_b).unwrap();
    b.import(&from_a).unwrap();
}

fn type_text(replica: &mut dyn Replica, pos: usize, text: &str) {
    replica.splice(pos, 0, text).unwrap();
    replica.commit();
}

#[test]
fn what_an_engine_lacks_is_refused_with_the_reason() {
    type Attempt = fn(&mut dyn Replica) -> Result<(), EngineError>;
    let attempts: [(Capability, Attempt); 8] = [
        (Capability::RichText, |r| {
            r.edit(&Edit::Bold { start: 0, end: 1 })
        }),
        (Capability::RichText, |r| r.spans().map(drop)),
        (Capability::MovableLists, |r| {
            let value = Value::Int(1);
            r.edit(&Edit::MovableInsert { pos: 0, value })
        }),
        (Capability::Counters, |r| {
            r.edit(&Edit::CounterAdd { by: 1 })
        }),
        (Capability::Trees, |r| r.tree_create(None).map(drop)),
        (Capability::Undo, |r| r.watch_undo()),
        (Capability::Cursors, |r| r.cursor(0).map(drop)),
        (Capability::TextDiff, |r| r.update_text("other")),
    ];
    for engine in engines() {
        for (capability, attempt) in attempts {
            let mut replica = engine.replica(1);
            type_text(&mut *replica, 0, "text");
            let result = attempt(&mut *replica);
            let refused = matches!(result, Err(EngineError::Unsupported(_)));
            let lacks = !engine.capabilities().has(capability);
            assert_eq!(
                refused,
                lacks,
                "{} {capability:?}: {result:?}",
                engine.name()
            );
        }
    }
}

#[test]
fn marks_are_shown_and_travel() {
    for engine in engines_with(Capability::RichText) {
        let mut a = engine.replica(1);
        type_text(&mut *a, 0, "é😀 plain");
        a.edit(&Edit::Bold { start: 1, end: 2 }).unwrap();
        a.commit();
        let b = copy(engine, &mut *a, 2);
        let span = |text: &str, bold| Span {
            text: text.to_owned(),
            bold,
        };
        let expected = [span("é", false), span("😀", true), span(" plain", false)];
        assert_eq!(a.spans().unwrap(), expected, "{}", engine.name());
        assert_eq!(b.spans().unwrap(), expected, "{}", engine.name());
    }
}

#[test]
fn elements_move_and_a_concurrent_value_goes_with_them() {
    for engine in engines_with(Capability::MovableLists) {
        let mut a = engine.replica(1);
        for pos in 0..3 {
            let value = Value::Int(pos as i64);
            a.edit(&Edit::MovableInsert { pos, value }).unwrap();
        }
        a.commit();
        let mut b = copy(engine, &mut *a, 2);
        a.edit(&Edit::MovableMove { from: 0, to: 2 }).unwrap();
        a.commit();
        let value = Value::Int(7);
        b.edit(&Edit::MovableSet { pos: 0, value }).unwrap();
        b.commit();
        exchange(&mut *a, &mut *b);
        for replica in [&a, &b] {
            let list = &replica.deep_value()["movable"];
            assert_eq!(list, &json!([1, 2, 7]), "{}", engine.name());
        }
    }
}

#[test]
fn counters_add_up() {
    for engine in engines_with(Capability::Counters) {
        let (mut a, mut b) = (engine.replica(1), engine.replica(2));
        for (replica, by) in [(&mut a, 5), (&mut b, -2)] {
            replica.edit(&Edit::CounterAdd { by }).unwrap();
            replica.commit();
        }
        exchange(&mut *a, &mut *b);
        for replica in [&a, &b] {
            let counter = replica.deep_value()["counter"].as_f64();
            assert_eq!(counter, Some(3.0), "{}", engine.name());
        }
    }
}

#[test]
fn nodes_move_and_never_below_themselves() {
    for engine in engines_with(Capability::Trees) {
        let mut a = engine.replica(1);
        let root = a.tree_create(None).unwrap();
        let child = a.tree_create(Some(root)).unwrap();
        let leaf = a.tree_create(Some(child)).unwrap();
        a.tree_move(leaf, Some(root)).unwrap();
        a.commit();
        let b = copy(engine, &mut *a, 2);
        for replica in [&a, &b] {
            let parents = [root, child, leaf].map(|node| replica.tree_parent(node).unwrap());
            assert_eq!(parents, [None, Some(root), Some(root)], "{}", engine.name());
        }
        assert!(a.tree_move(root, Some(leaf)).is_err(), "{}", engine.name());
    }
}

#[test]
fn undo_takes_back_own_edits_alone() {
    for engine in engines_with(Capability::Undo) {
        let mut a = engine.replica(1);
        type_text(&mut *a, 0, "base");
        let mut b = copy(engine, &mut *a, 2);
        a.watch_undo().unwrap();
        type_text(&mut *a, 4, " one");
        type_text(&mut *a, 8, " two");
        type_text(&mut *b, 0, "theirs ");
        exchange(&mut *a, &mut *b);

        assert!(a.undo().unwrap());
        assert_eq!(a.text(), "theirs base one", "{}", engine.name());
        assert!(a.undo().unwrap());
        assert_eq!(a.text(), "theirs base", "{}", engine.name());
        assert!(!a.undo().unwrap(), "{}", engine.name());
        assert!(a.redo().unwrap());
        exchange(&mut *a, &mut *b);
        assert_eq!(b.text(), "theirs base one", "{}", engine.name());
    }
}

#[test]
fn cursors_stay_at_their_character_for_everyone() {
    for engine in engines_with(Capability::Cursors) {
        let mut a = engine.replica(1);
        type_text(&mut *a, 0, "a😀b");
        let cursor = a.cursor(2).unwrap();
        let mut b = copy(engine, &mut *a, 2);
        type_text(&mut *b, 0, "😀😀");
        exchange(&mut *a, &mut *b);
        for replica in [&mut a, &mut b] {
            assert_eq!(replica.cursor_pos(&cursor).unwrap(), 4, "{}", engine.name());
        }

        assert!(a.cursor(99).is_err(), "{}", engine.name());
        assert!(a.cursor_pos(b"").is_err(), "{}", engine.name());
    }
}
