//! The contract of every engine for maps, lists and the other containers besides plain
//! text.

use proptest::prelude::*;
use serde_json::json;
use syncbench_engines::{
    Capability, Edit, Engine, EngineError, Export, OpRange, Replica, Value, VersionVector, engines,
};

fn engines_with(capability: Capability) -> impl Iterator<Item = &'static dyn Engine> {
    let engines = engines().iter().copied();
    engines.filter(move |engine| engine.capabilities().has(capability))
}

/// Edits, commits, and returns the update.
fn edit(replica: &mut dyn Replica, edits: &[Edit<'_>]) -> Vec<u8> {
    let start = replica.own_counter();
    for edit in edits {
        replica.edit(edit).unwrap();
    }
    replica.commit();
    let counters = start..replica.own_counter();
    let peer = replica.peer();
    replica
        .export(Export::Range(OpRange { peer, counters }))
        .unwrap()
}

fn everything(replica: &mut dyn Replica) -> Vec<u8> {
    let since = &VersionVector::new();
    replica.export(Export::Updates { since }).unwrap()
}

const ONE_OF_EACH: &[Edit<'_>] = &[
    Edit::MapSet {
        key: "gone",
        value: Value::Int(1),
    },
    Edit::MapSet {
        key: "object",
        value: Value::Object(&[("name", Value::Str("a")), ("size", Value::Int(-2))]),
    },
    Edit::MapSet {
        key: "text",
        value: Value::Text("é😀"),
    },
    Edit::MapSet {
        key: "map",
        value: Value::Map(&[("inner", Value::List(&[Value::Int(7), Value::Text("t")]))]),
    },
    Edit::MapDelete { key: "gone" },
    Edit::MapDelete {
        key: "was never there",
    },
    Edit::ListInsert {
        pos: 0,
        values: &[Value::Int(0), Value::Str("one"), Value::Text("two")],
    },
    Edit::ListInsert {
        pos: 1,
        values: &[
            Value::Object(&[("k", Value::Int(3))]),
            Value::List(&[Value::Map(&[])]),
        ],
    },
    Edit::ListDelete { pos: 0, len: 1 },
];

#[test]
fn maps_and_lists_show_what_was_put_in_and_travel() {
    for engine in engines_with(Capability::Maps) {
        assert!(engine.capabilities().has(Capability::Lists));
        let mut writer = engine.replica(1);
        let update = edit(&mut *writer, ONE_OF_EACH);
        let mut by_update = engine.replica(2);
        by_update.import(&update).unwrap();
        let mut by_document = engine.replica(3);
        by_document.import(&everything(&mut *writer)).unwrap();
        for replica in [&writer, &by_update, &by_document] {
            let value = replica.deep_value();
            let expected = json!({
                "object": { "name": "a", "size": -2 },
                "text": "é😀",
                "map": { "inner": [7, "t"] },
            });
            assert_eq!(value["map"], expected, "{}", engine.name());
            let expected = json!([{ "k": 3 }, [{}], "one", "two"]);
            assert_eq!(value["list"], expected, "{}", engine.name());
            assert_eq!(replica.state_hash(), writer.state_hash());
        }
    }
}

#[test]
fn edits_past_the_end_of_a_list_are_refused_and_change_nothing() {
    for engine in engines_with(Capability::Lists) {
        let mut replica = engine.replica(1);
        let values = &[Value::Int(1), Value::Int(2)];
        replica.edit(&Edit::ListInsert { pos: 0, values }).unwrap();
        for beyond in [
            Edit::ListInsert { pos: 3, values },
            Edit::ListDelete { pos: 1, len: 2 },
            Edit::ListDelete { pos: 2, len: 1 },
        ] {
            let refused = replica.edit(&beyond);
            assert!(
                matches!(refused, Err(EngineError::Edit(_))),
                "{} {beyond:?}: {refused:?}",
                engine.name()
            );
        }
        replica.commit();
        assert_eq!(replica.deep_value()["list"], json!([1, 2]));
    }
}

#[test]
fn what_an_engine_lacks_is_refused_with_the_reason() {
    let edits = [
        (Capability::Maps, Edit::MapDelete { key: "k" }),
        (Capability::Lists, Edit::ListDelete { pos: 0, len: 0 }),
    ];
    for &engine in engines() {
        let mut replica = engine.replica(1);
        for (capability, edit) in &edits {
            let refused = replica.edit(edit);
            let unsupported = matches!(refused, Err(EngineError::Unsupported(_)));
            assert_eq!(
                unsupported,
                !engine.capabilities().has(*capability),
                "{} {edit:?}: {refused:?}",
                engine.name()
            );
        }
    }
}

/// An edit with indices that are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Set(u8, i64),
    Delete(u8),
    Insert(usize, Vec<i64>),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        (0..4_u8, any::<i32>()).prop_map(|(key, value)| Step::Set(key, value.into())),
        (0..4_u8).prop_map(Step::Delete),
        (any::<usize>(), prop::collection::vec(0..9_i64, 1..4))
            .prop_map(|(pos, values)| Step::Insert(pos, values)),
        any::<usize>().prop_map(Step::Remove),
    ];
    prop::collection::vec((0..3_usize, step), 1..30)
}

fn play(replica: &mut dyn Replica, step: &Step) -> Vec<u8> {
    let len = replica.deep_value()["list"].as_array().map_or(0, Vec::len);
    match step {
        Step::Set(key, value) => {
            let (key, value) = (key.to_string(), Value::Int(*value));
            edit(replica, &[Edit::MapSet { key: &key, value }])
        }
        Step::Delete(key) => edit(
            replica,
            &[Edit::MapDelete {
                key: &key.to_string(),
            }],
        ),
        Step::Insert(pos, values) => {
            let values: Vec<_> = values.iter().map(|&v| Value::Int(v)).collect();
            let (pos, values) = (pos % (len + 1), values.as_slice());
            edit(replica, &[Edit::ListInsert { pos, values }])
        }
        Step::Remove(_) if len == 0 => edit(replica, &[]),
        Step::Remove(pos) => {
            let (pos, len) = (pos % len, 1);
            edit(replica, &[Edit::ListDelete { pos, len }])
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn concurrent_edits_of_maps_and_lists_converge(steps in steps(), split in any::<usize>()) {
        for engine in engines_with(Capability::Maps) {
            let mut replicas: Vec<_> = (1..=3).map(|peer| engine.replica(peer)).collect();
            let (before, after) = steps.split_at(split % steps.len());
            for steps in [before, after] {
                let mut updates = Vec::new();
                for (who, step) in steps {
                    updates.push((*who, play(&mut *replicas[*who], step)));
                }
                for (who, replica) in replicas.iter_mut().enumerate() {
                    for (_, update) in updates.iter().filter(|(from, bytes)| *from != who && !bytes.is_empty()) {
                        replica.import(update).unwrap();
                    }
                }
            }
            for replica in &replicas[1..] {
                prop_assert_eq!(&replica.deep_value(), &replicas[0].deep_value(), "{}", engine.name());
            }
        }
    }
}
