//! `syncbench run` as a user meets it: the executable, its exit codes, its messages and
//! its files.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use syncbench_reports::record::{Record, Status};

fn syncbench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.args(args).stdin(Stdio::null()).env("CI", "true");
    command
}

fn output(args: &[&str]) -> Output {
    syncbench(args).output().expect("syncbench starts")
}

fn record_in(folder: &Path) -> Record {
    Record::read(&folder.join("record.json")).expect("a record")
}

fn small_run<'a>(folder: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "run",
        "--clients",
        "12",
        "--rooms",
        "4",
        "--rate",
        "100",
        "-o",
        folder,
    ];
    [&small, more].concat()
}

#[test]
fn a_run_prints_its_verdict_and_leaves_record_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = output(&small_run(path, &["--duration", "1s"]));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("yes (4 of 4 rooms)"), "{stdout}");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let record = record_in(folder.path());
    assert_eq!(output.status.code(), Some(record.verdict.exit_code.into()));
    // A machine that is busy with something else may make the run invalid.
    assert!(
        matches!(record.verdict.status, Status::Ok | Status::Invalid),
        "{stdout}"
    );
    let counts = record.counts.unwrap();
    assert_eq!(counts.scheduled, 100);
    assert_eq!(
        (counts.expected, counts.visible),
        (counts.sent * 2, counts.sent * 2)
    );
    assert_eq!(record.convergence.unwrap().converged, 4);
    assert!(
        record.resources.unwrap().relay.is_some(),
        "the embedded relay is measured apart"
    );
    let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(report.contains("<svg") && report.contains("</html>"));
}

#[test]
fn json_on_stdout_is_the_record_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = output(&small_run(path, &["--duration", "300ms", "--json"]));
    let printed: Record = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, record_in(folder.path()));
}

#[test]
fn a_run_id_repeats_a_run_and_changes_nothing_of_its_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let run = |id: &[&str]| {
        let more = [&["--duration", "300ms", "--json"], id].concat();
        let output = output(&small_run(path, &more));
        serde_json::from_slice::<Record>(&output.stdout).unwrap()
    };
    let [first, again] = [(); 2].map(|()| run(&["--run-id", "mine", "--room-prefix", "load-"]));
    assert_eq!(first.run.run_id.as_deref(), Some("mine"));
    assert_eq!(first.run.scenario["room_prefix"], "load-");
    assert_eq!(again.run.run_id, first.run.run_id);
    let drawn = [(); 2].map(|()| run(&[]));
    assert_ne!(drawn[0].run.run_id, drawn[1].run.run_id);
    let schedules = [&first, &again, &drawn[0], &drawn[1]].map(|record| {
        let counts = record.counts.as_ref().unwrap();
        counts.schedule.clone().unwrap()
    });
    assert!(schedules.iter().all(|schedule| *schedule == schedules[0]));
}

#[test]
fn bad_input_gets_one_message_with_the_fix_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let truncated = folder.path().join("truncated.json");
    std::fs::write(
        &truncated,
        r#"{"startContent":"","endContent":"a","txns":[{"#,
    )
    .unwrap();
    let wrong_end = folder.path().join("wrong-end.json");
    let trace = r#"{"startContent":"","endContent":"b","txns":[{"time":"2020-01-01T00:00:00Z","patches":[[0,0,"a"]]}]}"#;
    std::fs::write(&wrong_end, trace).unwrap();
    let without_effect = folder.path().join("without-effect.json");
    let trace = r#"{"startContent":"abc","endContent":"abc","txns":[{"patches":[[1,0,""]]}]}"#;
    std::fs::write(&without_effect, trace).unwrap();
    let deletions = folder.path().join("deletions.json");
    let trace = r#"{"startContent":"abc","endContent":"a","txns":[{"patches":[[2,1,""]]},{"patches":[[1,1,""]]}]}"#;
    std::fs::write(&deletions, trace).unwrap();
    let without_patches = folder.path().join("without-patches.json");
    let trace = r#"{"startContent":"","endContent":"","txns":[]}"#;
    std::fs::write(&without_patches, trace).unwrap();
    let a_file = folder.path().join("a-file");
    std::fs::write(&a_file, "").unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();

    for (args, code, message) in [
        (vec!["--clients".to_owned(), "0".to_owned()], 2, "--clients"),
        (
            vec!["--clients".into(), "5".into(), "--rooms".into(), "6".into()],
            2,
            "at most 5 rooms",
        ),
        (vec!["--rate".into(), "-1".into()], 2, "--rate"),
        (
            vec!["--set".into(), "clients.sources=['192.0.2.1']".into()],
            2,
            "clients.sources: cannot connect from 192.0.2.1",
        ),
        (
            vec!["--set".into(), "stages=[{duration='1s',rate=0}]".into()],
            2,
            "the schedule has no edit",
        ),
        (
            vec!["--payload".into(), "0".into()],
            2,
            "from 1 to 16,777,216",
        ),
        (
            vec!["--writers".into(), "0".into()],
            2,
            "from 1 to 1,000,000",
        ),
        (
            vec!["--clients".into(), "8".into(), "--rooms".into(), "8".into()],
            2,
            "nothing to deliver",
        ),
        (
            vec!["--dataset".into(), path(&without_effect)],
            2,
            "nothing to type",
        ),
        (
            vec!["--dataset".into(), path(&deletions)],
            2,
            "nothing to type",
        ),
        (
            vec!["--dataset".into(), path(&without_patches)],
            2,
            "nothing to type",
        ),
        (vec!["--duration".into(), "soon".into()], 2, "10s"),
        (vec!["--run-id".into(), "a b".into()], 2, "letters"),
        (
            vec!["--room-prefix".into(), "a/b".into()],
            2,
            "--room-prefix",
        ),
        (
            vec!["--dataset".into(), "automerge-papre".into()],
            2,
            "automerge-paper",
        ),
        (
            vec!["--dataset".into(), path(&truncated)],
            2,
            "truncated.json",
        ),
        (
            vec!["--dataset".into(), path(&wrong_end)],
            2,
            "wrong-end.json",
        ),
        (
            vec!["--relay".into(), "http://127.0.0.1".into()],
            2,
            "ws://",
        ),
        (
            vec!["--relay".into(), "ws://127.0.0.1:1".into()],
            1,
            "is the relay running there?",
        ),
        (
            vec!["-o".into(), path(&a_file.join("below"))],
            2,
            "choose another with -o",
        ),
        (vec!["--clients".into(), "900000".into()], 2, "ulimit -n"),
    ] {
        let target = folder.path().join("results");
        let mut command = syncbench(&["run", "-o", target.to_str().unwrap()]);
        if args[0] == "-o" {
            command = syncbench(&["run"]);
        }
        let output = command.args(&args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!target.exists(), "{args:?} left {}", target.display());
    }
}

#[test]
fn a_missed_threshold_is_exit_99_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let thresholds = [
        "--threshold",
        "lost == 0",
        "--threshold",
        "sent > 1_000_000",
    ];
    let output = output(&small_run(
        path,
        &[&["--duration", "1s"], &thresholds[..]].concat(),
    ));
    let record = record_in(folder.path());
    assert_eq!(output.status.code(), Some(record.verdict.exit_code.into()));
    // A machine that is busy with something else may make the run invalid.
    assert!(
        matches!(record.verdict.status, Status::Threshold | Status::Invalid),
        "{:?}",
        record.verdict
    );
    let met: Vec<bool> = record.thresholds.iter().map(|judged| judged.met).collect();
    assert_eq!(met, [true, false]);
    assert!(record.counts.unwrap().sent > 0);
}

#[test]
fn a_threshold_on_nothing_is_refused_before_anything_runs() {
    let output = output(&["run", "--threshold", "propagtion.p99 < 100ms"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("did you mean `propagation`?"), "{stderr}");
}

/// A file that a run cannot use is refused before anything connects.
#[test]
fn files_that_cannot_be_used_are_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let json = format!("document.file={}", file("doc.json", b"{}"));
    let damaged = format!("document.file={}", file("doc.loro", b"loro?"));
    let trace = file(
        "trace.json",
        br#"{"endContent":"a","txns":[{"patches":[[0,0,"a"]]}]}"#,
    );
    let utf16: Vec<u8> = "\u{feff}rate = 1"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let scenario = file("scenario.toml", &utf16);
    let marked = file("marked.toml", "\u{feff}rate = 1".as_bytes());
    for (args, message) in [
        (vec!["--set", json.as_str()], "doc.json is JSON"),
        (
            vec!["--set", damaged.as_str()],
            "not a document that loro can open",
        ),
        (
            vec!["--dataset", trace.as_str(), "--arrivals", "trace"],
            "its txns have no times",
        ),
        (vec![scenario.as_str()], "save it as UTF-8"),
        // A byte order mark is not part of the first key.
        (vec![marked.as_str()], "unknown field `rate`"),
        (
            vec!["--mix", "text=0.5,movable=0.5"],
            "did you mean `movable-list`?",
        ),
    ] {
        let path = folder.path().join("out");
        let path = path.to_str().unwrap();
        let output = output(&[&["run", "-q", "-o", path], &args[..]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
    }
}
