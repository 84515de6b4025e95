//! `syncbench cell`: figures that repeat, and names that do not exist.

#![allow(clippy::unwrap_used)] // a test may fail

use std::process::{Command, Output};

use syncbench_reports::record::{Cell, Record};

fn cell(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.arg("cell").args(args).output().unwrap()
}

fn cells(args: &[&str]) -> Vec<Cell> {
    let output = cell(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let records = lines
        .lines()
        .map(|line| serde_json::from_str::<Record>(line).unwrap());
    records.map(|record| record.cell.unwrap()).collect()
}

#[test]
fn sizes_allocations_and_results_repeat_exactly() {
    let args = ["import", "--variant", "updates", "--repetitions", "2"];
    let (a, b) = (cells(&args), cells(&args));
    let [a, b] = [&a[0], &b[0]];
    assert_eq!(
        (a.n, a.samples_wall_ns.len(), a.samples_cpu_ns.len()),
        (2, 2, 2)
    );
    assert!(a.encoded_bytes > 0 && a.allocs.unwrap() > 0 && a.peak_bytes.unwrap() > 0);
    let exact = |cell: &Cell| {
        let Cell {
            encoded_bytes,
            allocs,
            alloc_bytes,
            peak_bytes,
            ..
        } = cell;
        (
            *encoded_bytes,
            *allocs,
            *alloc_bytes,
            *peak_bytes,
            cell.result_hash.clone(),
        )
    };
    assert_eq!(exact(a), exact(b));
}

#[test]
fn a_spent_budget_leaves_one_repetition() {
    let args = ["export", "--variant", "updates/first", "--budget", "1ns"];
    let cell = cells(&args).remove(0);
    assert_eq!(
        (cell.n, cell.samples_wall_ns.len(), cell.allocs),
        (1, 1, None)
    );
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    for (args, message) in [
        (vec!["imports"], "import, export, merge"),
        (vec!["import", "--variant", "nope"], "snapshot+edit"),
        (vec!["import", "--engine", "lorro"], "loro"),
        (vec!["import", "--dataset", "nope"], "automerge-paper"),
        (vec!["import", "--budget", "long"], "10s"),
    ] {
        let output = cell(&args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}
