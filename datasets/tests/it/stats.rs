//! Figures about traces against figures that others have published.

use std::convert::Infallible;

use syncbench_datasets::{DatasetError, Trace, load, load_bytes, runs, stats, visit_versions};

fn loaded(name: &str) -> Option<Trace> {
    match load(name) {
        Ok(trace) => Some(trace),
        Err(DatasetError::NotHere { .. }) => {
            println!("skipped {name}: not on this machine (set SYNCBENCH_DATASETS)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn runs_of_keystrokes_are_as_many_as_the_source_says() {
    for (name, count) in [("clownschool", 5_380), ("friendsforever", 3_727)] {
        let Some(trace) = loaded(name) else { continue };
        assert_eq!(runs(&trace).len(), count, "{name}");
    }
}

#[test]
fn mean_concurrency_is_that_of_the_eg_walker_paper() {
    // The paper's C1 is in another order than the file it was made from, and the
    // measure depends on the order.
    let published = [
        ("C1", 0.433, 0.02),
        ("C2", 0.43521, 1e-5),
        ("A1", 0.09871, 1e-5),
        ("A2", 6.11192, 1e-5),
    ];
    for (name, published, tolerance) in published {
        let Some(trace) = loaded(name) else { continue };
        let figures = stats(&trace).concurrency;
        let mean = figures.map_or(0.0, |concurrency| concurrency.mean_other_branches);
        assert!((mean - published).abs() < tolerance, "{name}: {mean}");
    }
}

#[test]
fn a_small_trace_has_the_figures_that_one_counts_by_hand() {
    let json = r#"{"kind":"concurrent","numAgents":2,"endContent":"xab?","txns":[
        {"parents":[],"agent":0,"time":"2024-01-01T00:00:00.000Z","patches":[[0,0,"a"],[1,0,"b"]]},
        {"parents":[0],"agent":0,"time":"2024-01-01T00:00:00.250Z","patches":[[0,0,"x"]]},
        {"parents":[0],"agent":1,"time":"2024-01-01T00:00:01.000Z","patches":[[2,0,"??"],[3,1,""]]}]}"#;
    let trace = load_bytes("t.json", json.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let figures = stats(&trace);
    assert_eq!(
        (figures.insert_chars.count, figures.insert_chars.max),
        (4, 2)
    );
    assert_eq!(
        (figures.delete_chars.count, figures.delete_chars.p50),
        (1, 1)
    );
    assert_eq!(figures.insert_chars.octaves, [(1, 3), (2, 1)]);
    // Agent 0 types `ab`, then elsewhere `x`; agent 1 types and takes one back.
    assert_eq!(
        (
            figures.typing_run_patches.count,
            figures.typing_run_patches.max
        ),
        (3, 2)
    );
    assert_eq!(
        figures.pause_ms.map(|pauses| (pauses.count, pauses.p50)),
        Some((1, 250))
    );
    let concurrency = figures
        .concurrency
        .unwrap_or_else(|| panic!("the trace is concurrent"));
    assert_eq!(
        (
            concurrency.merges,
            concurrency.most_branches,
            concurrency.runs
        ),
        (0, 2, 3)
    );
    assert!((concurrency.mean_other_branches - 0.5).abs() < 1e-9);
    // 6 events; `x` is concurrent with the 3 of agent 1 and they with it.
    assert!((concurrency.mean_concurrent_events - 1.0).abs() < 1e-9);
    assert_eq!(
        figures.length,
        [(0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (5, 4)]
    );
}

#[test]
fn a_version_counts_the_txns_of_each_agent_that_a_txn_builds_on() {
    let json = r#"{"kind":"concurrent","numAgents":2,"endContent":"","txns":[
        {"parents":[],"agent":0,"patches":[]}, {"parents":[0],"agent":0,"patches":[]},
        {"parents":[0],"agent":1,"patches":[]}, {"parents":[1,2],"agent":1,"patches":[]}]}"#;
    let trace = load_bytes("t.json", json.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let mut versions = Vec::new();
    let Ok(()) = visit_versions::<Infallible>(&trace, |_, version| {
        versions.push(version.to_vec());
        Ok(())
    });
    assert_eq!(versions, [[0, 0], [1, 0], [1, 0], [2, 1]]);
}
