//! Access to past versions: engines do what they claim, and refuse the rest.

use std::fmt::Write as _;

use syncbench_datasets::{Trace, load_bytes};
use syncbench_engines::workload::{Subject, Suite};
use syncbench_engines::{Capability, EngineError, engines};

/// Each txn types a character at the start.
fn trace() -> Trace {
    let (mut json, mut end) = (String::new(), String::new());
    for i in 0..200_u8 {
        let c = char::from(b'a' + i % 26);
        let comma = if i == 0 { "" } else { "," };
        write!(
            json,
            r#"{comma}{{"time":"2024-01-01T00:00:00Z","patches":[[0,0,"{c}"]]}}"#
        )
        .unwrap();
        end.insert(0, c);
    }
    let json = format!(r#"{{"startContent":"","endContent":"{end}","txns":[{json}]}}"#);
    load_bytes("typed", json.as_bytes()).unwrap()
}

#[test]
fn every_row_is_right_and_sees_when_nothing_was_done() {
    for &engine in engines() {
        let subject = Subject::new(engine, trace());
        for row in Suite::named("history").unwrap().workloads() {
            if row.unsupported_because(engine, "typed").is_some() {
                continue;
            }
            let id = format!("{}/{}", engine.name(), row.variant());
            let mut repetition = row.repetition(&subject).unwrap();
            repetition.run().unwrap_or_else(|e| panic!("{id}: {e}"));
            repetition.check().unwrap_or_else(|e| panic!("{id}: {e}"));

            // These rows end in the version in which they began.
            if !row.variant().ends_with("+back") {
                let mut idle = row.repetition(&subject).unwrap();
                assert!(idle.check().is_err(), "{id}");
            }
        }
    }
}

#[test]
fn what_an_engine_lacks_is_refused() {
    for engine in engines() {
        let mut replica = engine.replica(1);
        replica.splice(0, 0, "then").unwrap();
        replica.commit();
        let version = replica.version_vector();
        let (forks, checks_out) = (
            engine.capabilities().has(Capability::Forks),
            engine.capabilities().has(Capability::Checkout),
        );
        let Some(history) = replica.history() else {
            assert!(!forks && !checks_out, "{}", engine.name());
            continue;
        };
        let moment = history.moment(&version).unwrap();
        assert_eq!(history.fork(2).is_ok(), forks);
        let checkout = history.checkout(&moment);
        match checks_out {
            true => checkout.unwrap(),
            false => assert!(matches!(checkout, Err(EngineError::Unsupported(_)))),
        }
    }
}
