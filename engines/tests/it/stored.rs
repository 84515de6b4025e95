//! Documents that applications have stored, as far as they are on this machine.

use syncbench_datasets::{catalog, locate};
use syncbench_engines::workload::{Data, Subject, Suite};
use syncbench_engines::{EngineError, engines};

const DOCUMENTS: [&str; 3] = ["latch-v016", "latch-snapshot", "latch-shallow"];

/// Returns the stored documents on this machine.
fn here() -> Vec<(&'static str, Data)> {
    let (here, absent): (Vec<_>, Vec<_>) = DOCUMENTS
        .into_iter()
        .partition(|&name| locate(catalog().entry(name).unwrap()).unwrap().is_some());
    for name in absent {
        eprintln!("skipped: {name} is not here; SYNCBENCH_DATASETS names a mirror");
    }
    let loaded = here.into_iter();
    loaded
        .map(|name| (name, Data::load(name).unwrap()))
        .collect()
}

#[test]
fn an_engine_refuses_the_documents_that_it_says_it_cannot_open_and_shows_the_others() {
    for (name, data) in here() {
        let Data::Document(stored) = &data else {
            panic!("{name} is not a document");
        };
        let format = stored.entry.format.as_deref().unwrap();
        let mut opened = 0;
        for engine in engines() {
            let mut replica = engine.replica(2);
            let imported = replica.import(&stored.bytes);
            if engine.cannot_open(format).is_some() {
                let refused = matches!(imported, Err(EngineError::Import(_)));
                assert!(refused, "{} took {name}", engine.name());
                continue;
            }
            assert!(!imported.unwrap().applied.is_empty());
            let cells = &replica.deep_value()["cells"];
            assert!(cells.as_array().unwrap().len() == 9, "{name}: {cells}");
            opened += 1;
        }
        assert_eq!(opened, 1, "{name}");
    }
}

#[test]
fn every_stage_of_opening_a_stored_document_is_right() {
    for (name, data) in here() {
        for &engine in engines() {
            let subject = Subject::new(engine, data.clone());
            let workloads = Suite::named("import").unwrap().workloads();
            let rows = workloads.iter().filter(|w| w.input() == data.input());
            for row in rows.filter(|w| w.unsupported_because(engine, name).is_none()) {
                let mut repetition = row.repetition(&subject).unwrap();
                repetition.run().unwrap();
                let outcome = repetition.check();
                let outcome = outcome.unwrap_or_else(|e| panic!("{name}/{}: {e}", row.variant()));
                assert!(outcome.encoded_bytes > 10_000, "{outcome:?}");
            }
        }
    }
}

#[test]
fn a_document_that_was_not_loaded_is_not_taken_for_opened() {
    for (name, data) in here() {
        for &engine in engines() {
            let subject = Subject::new(engine, data.clone());
            let workloads = Suite::named("import").unwrap().workloads();
            let rows = workloads.iter().filter(|w| w.input() == data.input());
            for row in rows.filter(|w| w.unsupported_because(engine, name).is_none()) {
                let mut idle = row.repetition(&subject).unwrap();
                assert!(idle.check().is_err(), "{name}/{}", row.variant());
            }
        }
    }
}
