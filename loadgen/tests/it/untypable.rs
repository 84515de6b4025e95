//! Tests of traces that nobody can type anything of: they are refused before
//! anything connects.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::support::{inputs, run};
use syncbench_engines::Loro;
use syncbench_loadgen::load::{Inputs, LoadError};
use syncbench_loadgen::scenario::{EditKind, RelaySettings, Scenario, Workload};

/// Runs a trace of one transaction with these patches, or of none, without a
/// relay.
fn error_of(patches: Option<&str>, start: &str, workload: Workload) -> LoadError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let txns = patches
        .map(|patches| format!(r#"{{"time":"2020-01-01T00:00:00Z","patches":[{patches}]}}"#));
    let end = if patches.is_some_and(|p| p.contains("[0,2")) {
        ""
    } else {
        start
    };
    let json = format!(
        r#"{{"startContent":"{start}","endContent":"{end}","txns":[{}]}}"#,
        txns.unwrap_or_default()
    );
    std::fs::write(&path, json).unwrap();
    let trace = syncbench_datasets::load(path.to_str().unwrap()).unwrap();
    let inputs = Inputs {
        trace: Arc::new(trace),
        ..inputs(&Loro)
    };
    let scenario = Scenario {
        relay: RelaySettings::at("ws://127.0.0.1:1".parse().unwrap()),
        workload,
        ..Scenario::default()
    };
    let never = std::future::pending();
    let result = run(scenario, inputs, never, |_| ControlFlow::Continue(()));
    result.map(drop).unwrap_err()
}

/// No transaction, one without patches, one whose patches do nothing, and one
/// that only deletes.
const NOTHING_TO_TYPE: [(Option<&str>, &str); 4] = [
    (None, ""),
    (Some(""), ""),
    (Some(r#"[0,0,""]"#), ""),
    (Some(r#"[0,2,""]"#), "ab"),
];

#[test]
fn a_trace_without_anything_to_type_is_refused() {
    for (patches, start) in NOTHING_TO_TYPE {
        let error = error_of(patches, start, Workload::default());
        assert!(
            matches!(error, LoadError::NothingToType(..)),
            "{patches:?}: {error}"
        );
        let message = error.to_string();
        assert!(message.contains("trace.json"), "{message}");
    }
}

/// They get as far as the relay, which is not there.
#[test]
fn edits_that_type_nothing_of_the_trace_do_without_it() {
    for (patches, start) in NOTHING_TO_TYPE {
        for workload in [
            Workload {
                payload: Some(3),
                ..Workload::default()
            },
            Workload {
                edits: EditKind::Map,
                ..Workload::default()
            },
        ] {
            let error = error_of(patches, start, workload);
            assert!(matches!(error, LoadError::Connect(_)), "{error}");
        }
    }
}
