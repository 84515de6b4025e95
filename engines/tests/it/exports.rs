//! The forms of an export that not every engine has.

use syncbench_engines::{Capability, Engine, EngineError, Export, Replica, VersionVector, engines};

/// Returns a document of thirty commits, and its version after twenty.
fn written(engine: &dyn Engine) -> (Box<dyn Replica>, VersionVector) {
    let mut replica = engine.replica(1);
    let mut early = VersionVector::new();
    for i in 0..30 {
        replica.splice(i / 2, 0, "é").unwrap();
        replica.commit();
        if i == 19 {
            early = replica.version_vector();
        }
    }
    (replica, early)
}

/// Tries an export, and imports it into another replica. Returns `None` if the engine
/// does not support it, in agreement with its capabilities.
fn through(
    engine: &dyn Engine,
    capability: Capability,
    receiver: &mut dyn Replica,
    what: Export<'_>,
) -> Option<Vec<u8>> {
    let (mut writer, _) = written(engine);
    match (writer.export(what), engine.capabilities().has(capability)) {
        (Err(EngineError::Unsupported(_)), false) => None,
        (Ok(bytes), true) => {
            let imported = receiver.import(&bytes).unwrap();
            assert!(!imported.applied.is_empty(), "{}", engine.name());
            assert_eq!(receiver.version_vector(), writer.version_vector());
            assert_eq!(receiver.state_hash(), writer.state_hash());
            Some(bytes)
        }
        (result, has) => panic!("{}: {capability:?} is {has}, and {result:?}", engine.name()),
    }
}

#[test]
fn a_state_without_history_loads_into_an_equal_replica() {
    for engine in engines() {
        let mut receiver = engine.replica(2);
        let capability = Capability::ShallowSnapshot;
        if through(*engine, capability, &mut *receiver, Export::StateOnly).is_none() {
            continue;
        }
        let nothing = VersionVector::new();
        let refused = receiver.export(Export::Updates { since: &nothing });
        assert!(matches!(refused, Err(EngineError::Export(_))));
    }
}

#[test]
fn a_shallow_snapshot_keeps_the_history_from_its_start_on() {
    for engine in engines() {
        let mut receiver = engine.replica(2);
        let capability = Capability::ShallowSnapshot;
        let (writer, early) = written(*engine);
        let at = Export::ShallowSnapshotAt { version: &early };
        if through(*engine, capability, &mut *receiver, at).is_none() {
            continue;
        }
        let since = &VersionVector::new();
        let refused = receiver.export(Export::Updates { since });
        assert!(matches!(refused, Err(EngineError::Export(_))));
        let rest = receiver.export(Export::Updates { since: &early }).unwrap();
        let mut behind = engine.replica(1);
        for i in 0..20 {
            behind.splice(i / 2, 0, "é").unwrap();
            behind.commit();
        }
        behind.import(&rest).unwrap();
        assert_eq!(behind.text(), writer.text());
    }
}

#[test]
fn operations_as_json_load_into_an_equal_replica() {
    for engine in engines() {
        let nothing = VersionVector::new();
        let mut receiver = engine.replica(2);
        let all = Export::Json { since: &nothing };
        let Some(json) = through(*engine, Capability::Json, &mut *receiver, all) else {
            continue;
        };
        serde_json::from_slice::<serde_json::Value>(&json).unwrap();

        let mut cut = engine.replica(3);
        let refused = cut.import(&json[..json.len() / 2]);
        assert!(matches!(refused, Err(EngineError::Import(_))));
        assert_eq!(cut.version_vector(), nothing);

        let (mut writer, early) = written(*engine);
        let rest = writer.export(Export::Json { since: &early }).unwrap();
        assert!(rest.len() < json.len());
    }
}
