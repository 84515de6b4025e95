//! Runs with several kinds of edits, and presence among them.

use std::process::{Command, Output};
use std::sync::Arc;

use syncbench_engines::engine;
use syncbench_loadgen::load::{self, Inputs};
use syncbench_loadgen::relay::RelayCommand;
use syncbench_loadgen::scenario::Scenario;
use syncbench_reports::record::Record;

const MIX: &str = "text=0.3,map=0.2,list=0.1,tree=0.1,presence=0.3";

fn run(flags: &[&str]) -> (Output, Option<Record>) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_syncbench"))
        .args(["run", "--clients", "8", "--rooms", "2", "--rate", "100"])
        .args(["--duration", "1s", "-o", folder.path().to_str().unwrap()])
        .args(flags)
        .output()
        .unwrap();
    let record = Record::read(&folder.path().join("record.json")).ok();
    (output, record)
}

/// What was scheduled: edits, presence messages and the hash of both.
fn scheduled(seed: &str) -> (u64, u64, Option<String>) {
    let (output, record) = run(&["--protocol", "loro", "--mix", MIX, "--seed", seed]);
    let record = record.unwrap_or_else(|| panic!("{output:?}"));
    let convergence = record.convergence.unwrap();
    assert_eq!((convergence.converged, convergence.lost), (2, 0));
    assert_eq!(record.run.scenario["mix"]["tree"], 0.1);
    let counts = record.counts.unwrap();
    assert_eq!(counts.visible, counts.expected);
    assert_eq!(counts.presence_visible, counts.presence_expected);
    let presence = counts.presence_sent + counts.presence_skipped;
    (counts.scheduled, presence, counts.schedule)
}

#[test]
fn a_mix_has_its_shares_and_repeats_by_its_seed() {
    let (edits, presence, hash) = scheduled("7");
    assert_eq!(edits + presence, 100, "the rate is that of both");
    assert!((15..50).contains(&presence), "{presence} of 100");
    assert_eq!(scheduled("7"), (edits, presence, hash.clone()));
    assert_ne!(scheduled("8").2, hash);
}

#[test]
fn shares_that_make_no_whole_are_refused() {
    for (mix, message) in [
        ("text", "`text` is not a share"),
        ("text=half", "`text=half` is not a share"),
        ("text=0.5", "must add up to 1"),
        ("txet=1", "unknown field `txet`, expected one of `text`"),
        ("text=0.5,presence=0.5", "carries no presence"),
    ] {
        let (output, record) = run(&["--mix", mix]);
        assert_eq!(output.status.code(), Some(2), "{mix}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(message), "{mix}: {stderr}");
        assert!(record.is_none());
    }
}

#[test]
fn an_engine_without_a_kind_of_edits_refuses_it_before_the_run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (name, workload, message) in [
        ("yrs", "edits = \"tree\"", "yrs cannot make `tree` edits"),
        (
            "yrs",
            "mix = { map = 0.5, movable-list = 0.5 }",
            "yrs cannot make `movable-list` edits",
        ),
        (
            "cola",
            "mix = { text = 0.9, map = 0.1 }",
            "cola cannot make `map` edits: cola is about one text",
        ),
    ] {
        let scenario = Scenario::parse(&format!("[workload]\n{workload}")).unwrap();
        let inputs = Inputs {
            trace: Arc::new(syncbench_datasets::load("automerge-paper").unwrap()),
            engine: engine(name).unwrap(),
            embedded_relay: RelayCommand {
                program: "none".into(),
                args: Vec::new(),
            },
        };
        let interrupt = std::future::pending();
        let watcher = |_: load::Progress<'_>| std::ops::ControlFlow::Continue(());
        let refused = runtime.block_on(load::run(scenario, inputs, interrupt, watcher));
        let error = refused.err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}
