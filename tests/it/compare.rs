//! `syncbench compare`: an executable against itself, and what cannot be compared.
//! Building other versions takes minutes; its plan is tested in the crate that makes
//! it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use syncbench_reports::comparison::Comparison;
use syncbench_reports::record::Record;

fn compare(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.arg("compare").args(args).current_dir(folder);
    command.output().unwrap()
}

/// Writes a trace of 400 keystrokes at the end of the text.
fn write_trace(folder: &Path) {
    let txn = |i: usize| serde_json::json!({ "patches": [[i, 0, "x"]] });
    let txns: Vec<_> = (0..400).map(txn).collect();
    let trace =
        serde_json::json!({ "startContent": "", "endContent": "x".repeat(400), "txns": txns });
    fs::write(folder.join("trace.json"), trace.to_string()).unwrap();
}

#[test]
fn an_executable_against_itself_takes_turns_and_leaves_its_records() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path());
    let what = ["export", "--dataset", "trace.json", "--engine", "loro"];
    let how = [
        "--engine",
        "loro",
        "--rounds",
        "6",
        "--repetitions",
        "1",
        "-o",
        "out",
        "--json",
    ];
    let rows = ["--variant", "updates/first", "--repeat", "1,2"];
    let args = [&what[..], &how[..], &rows[..]].concat();
    let output = compare(&args, folder.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");

    let comparison: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(comparison.contenders, ["loro", "loro"]);
    assert_eq!(comparison.rows.len(), 2);
    let row = &comparison.rows[1];
    assert_eq!(
        (row.variant.as_str(), row.scale.as_ref().unwrap().size),
        ("updates/first/x2", 800)
    );
    for figure in &row.figures {
        let figure = figure.as_ref().unwrap();
        assert_eq!(
            (figure.n, figure.rounds_ns.iter().flatten().count()),
            (6, 6)
        );
    }
    assert_eq!(row.ratios[0].unwrap().rounds, 6);
    assert!(row.ratios[0].unwrap().interval.is_some());
    assert_eq!(comparison.series[0].exponents.iter().flatten().count(), 2);

    let records = fs::read_to_string(folder.path().join("out/cells.jsonl")).unwrap();
    let records = records
        .lines()
        .map(|line| serde_json::from_str::<Record>(line).unwrap());
    assert_eq!(records.count(), 2 * 2 * 6);
    let table = fs::read_to_string(folder.path().join("out/comparison.md")).unwrap();
    assert!(
        table.contains("| export trace.json updates/first/x2 "),
        "{table}"
    );
    assert!(table.contains("time ~ operations^"), "{table}");
}

#[test]
fn executables_are_compared_like_versions() {
    let folder = tempfile::tempdir().unwrap();
    write_trace(folder.path());
    let program = env!("CARGO_BIN_EXE_syncbench");
    let what = ["export", "--dataset", "trace.json", "--repeat", "1"];
    let programs = ["--program", program, "--program", program];
    let how = ["--variant", "updates/first", "--repetitions", "1"];
    let rounds = ["--rounds", "2", "-o", "out", "--json"];
    let args = [&what[..], &programs, &how, &rounds].concat();
    let output = compare(&args, folder.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let comparison: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(comparison.contenders, [program, program]);
    assert_eq!(comparison.rows[0].ratios[0].unwrap().rounds, 2);
}

#[test]
fn what_cannot_be_compared_is_answered_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    for (args, message) in [
        (vec!["--engine", "loro", "import"], "at least two engines"),
        (vec!["import"], "at least two engines"),
        (
            vec!["--engine", "loro", "--program", "gone/syncbench"],
            "cannot find the program gone/syncbench",
        ),
        (
            vec!["--engine", "loro", "--engine", "loro", "imports"],
            "import",
        ),
        (vec!["--engine", "lorro@1.12.0"], "the engines are loro"),
        (
            vec!["--engine", "loro@1.12", "--engine", "loro"],
            "loro@1.12.0",
        ),
        (
            vec![
                "import",
                "--engine",
                "loro",
                "--engine",
                "loro@1.12.0",
                "--source",
                "gone",
            ],
            "not a checkout",
        ),
    ] {
        let output = compare(&args, folder.path());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}
