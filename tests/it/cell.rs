//! `syncbench cell`: figures that repeat, and names that do not exist.

use std::io::Write;
use std::process::{Command, Output};

use syncbench_engines::{Engine, engines};
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

/// A trace of `txns` keystrokes, small enough for every engine in a debug build.
fn trace(txns: usize) -> tempfile::NamedTempFile {
    let mut text = Vec::new();
    let mut patches = Vec::new();
    for i in 0..txns {
        let (pos, del, ins) = match i % 7 {
            6 => (i * 31 % text.len(), 1, String::new()),
            3 => (text.len() / 2, 0, "né".to_owned()),
            _ => (text.len(), 0, ((b'a' + (i % 26) as u8) as char).to_string()),
        };
        text.splice(pos..pos + del, ins.chars());
        patches.push(serde_json::json!({ "patches": [[pos, del, ins]] }));
    }
    let end: String = text.iter().collect();
    let trace = serde_json::json!({ "startContent": "", "endContent": end, "txns": patches });
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    file.write_all(trace.to_string().as_bytes()).unwrap();
    file
}

/// The figures of a cell that must not change from run to run.
fn exact(cell: &Cell) -> (String, u64, [Option<u64>; 4], Option<i64>, String) {
    let counts = [
        cell.allocs,
        cell.alloc_bytes,
        cell.peak_bytes,
        cell.document_bytes,
    ];
    let variant = format!("{}/{}", cell.engine, cell.variant);
    let hash = cell.result_hash.clone();
    (variant, cell.encoded_bytes, counts, cell.live_bytes, hash)
}

/// Runs one row twice. Engines build their tables in an order that an earlier row may
/// have changed, so each run measures only this row.
fn twice(engine: &dyn Engine, variant: &str, file: &str) -> [Cell; 2] {
    let args = ["import", "--engine", engine.name(), "--variant", variant];
    let limits = ["--dataset", file, "--repetitions", "1"];
    [(); 2].map(|()| cells(&[&args[..], &limits[..]].concat()).remove(0))
}

#[test]
fn sizes_results_and_allocations_of_every_engine_repeat_exactly() {
    let trace = trace(3000);
    let file = trace.path().to_str().unwrap();
    for &engine in engines() {
        let [a, b] = twice(engine, "updates+export", file);
        assert!(a.encoded_bytes > 0 && a.allocs.unwrap() > 0 && a.peak_bytes.unwrap() > 0);
        assert_eq!(exact(&a), exact(&b));
    }
}

#[test]
fn every_repetition_is_kept() {
    let trace = trace(300);
    let file = trace.path().to_str().unwrap();
    let cells = cells(&[
        "merge",
        "--variant",
        "blob",
        "--dataset",
        file,
        "--repetitions",
        "3",
    ]);
    let cell = &cells[0];
    let samples = (cell.samples_wall_ns.len(), cell.samples_cpu_ns.len());
    assert_eq!((cells.len(), cell.n, samples), (1, 3, (3, 3)));
}

#[test]
fn repeats_of_a_trace_are_one_series_with_an_exponent() {
    let trace = trace(1000);
    let file = trace.path().to_str().unwrap();
    let args = [
        "merge",
        "--variant",
        "blob",
        "--dataset",
        file,
        "--repeat",
        "4,1,2,1",
    ];
    let output = cell(&args);
    let records = String::from_utf8(output.stdout).unwrap();
    let cells = records
        .lines()
        .map(|line| serde_json::from_str::<Record>(line).unwrap());
    let cells: Vec<Cell> = cells.map(|record| record.cell.unwrap()).collect();
    let variants: Vec<&str> = cells.iter().map(|cell| cell.variant.as_str()).collect();
    assert_eq!(variants, ["blob/x1", "blob/x2", "blob/x4"]);
    let base = cells[0].scale.as_ref().unwrap();
    for (cell, times) in cells.iter().zip([1, 2, 4]) {
        let scale = cell.scale.as_ref().unwrap();
        assert_eq!((&*scale.series, &*scale.unit), ("blob", "operations"));
        assert_eq!(scale.size, base.size * times);
        assert_eq!(cell.elements, Some(scale.size));
    }
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(table.contains("time ~ operations^"), "{table}");
}

#[test]
fn sizes_above_one_that_spends_the_budget_are_left_out_and_named() {
    let trace = trace(300);
    let file = trace.path().to_str().unwrap();
    let sizes = ["--repeat", "1,2", "--budget", "1ns"];
    let args = ["import", "--variant", "updates", "--dataset", file];
    let output = cell(&[&args[..], &sizes[..]].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.stdout.iter().filter(|&&byte| byte == b'\n').count(),
        1
    );
    assert!(
        stderr.contains("not measured: ") && stderr.contains("updates/x2"),
        "{stderr}"
    );
}

#[test]
fn instructions_are_counted_where_valgrind_is() {
    let trace = trace(300);
    let file = trace.path().to_str().unwrap();
    let row = ["import", "--variant", "updates", "--dataset", file];
    let args = [&row[..], &["--repetitions", "1", "--instructions"]].concat();
    if Command::new("valgrind").arg("--version").output().is_err() {
        let stderr = String::from_utf8(cell(&args).stderr).unwrap();
        assert!(stderr.contains("install it"), "{stderr}");
        return;
    }
    let cell = cells(&args).remove(0);
    // One import of 300 keystrokes takes at least one instruction for each, and far
    // fewer than starting the process.
    let instructions = cell.instructions.unwrap();
    assert!((300..20_000_000).contains(&instructions), "{instructions}");
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
fn rows_that_a_data_set_is_too_small_for_are_not_failures() {
    let trace = trace(100);
    let file = trace.path().to_str().unwrap();
    let args = ["merge", "--dataset", file, "--repetitions", "1"];
    let cells = cells(&[&args[..], &["--variant", "diverged-1000"]].concat());
    let reason = cells[0].unavailable.as_deref().unwrap();
    assert!(reason.contains("fewer than"), "{reason}");
}

#[test]
fn a_name_that_ends_with_a_slash_stands_for_all_rows_below_it() {
    let rows = ["types", "--variant", "cursor/", "--repetitions", "1"];
    let cells = cells(&rows);
    let variants: Vec<&str> = cells.iter().map(|cell| cell.variant.as_str()).collect();
    assert_eq!(variants, ["cursor/create-1000", "cursor/resolve-1000"]);
}

#[test]
fn names_that_do_not_exist_are_answered_with_those_that_do() {
    for (args, message) in [
        (vec!["imports"], "import, export, merge"),
        (vec!["import", "--variant", "nope"], "snapshot+edit"),
        (vec!["import", "--engine", "lorro"], "loro"),
        (vec!["import", "--repeat", "0"], "0 is not in 1.."),
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

#[test]
fn a_trace_that_changes_nothing_is_bad_input() {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let json = br#"{"startContent":"a","endContent":"a","txns":[{"patches":[[0,0,""]]}]}"#;
    file.write_all(json).unwrap();
    let output = cell(&["merge", "--dataset", file.path().to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("nothing to measure"), "{stderr}");
    assert!(output.stdout.is_empty());
}

/// Runs `syncbench cell` in a terminal, and returns what it shows.
#[cfg(target_os = "linux")] // has this `script`
fn shown_in_a_terminal(args: &[&str]) -> String {
    let command = format!(
        "'{}' cell {}",
        env!("CARGO_BIN_EXE_syncbench"),
        args.join(" ")
    );
    let mut script = Command::new("script");
    let output = script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    let output = output.stdin(std::process::Stdio::null()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    shown.replace('\r', "")
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_shows_a_table_and_a_program_gets_records() {
    let trace = trace(300);
    let file = trace.path().to_str().unwrap();
    let args = ["import", "--dataset", file, "--repetitions", "2"];
    let records = cells(&args);
    let shown = shown_in_a_terminal(&args);
    assert!(shown.contains("median"), "{shown}");
    for cell in &records {
        let line = shown
            .lines()
            .find(|line| line.split(' ').next() == Some(&cell.variant));
        let columns: Vec<&str> = line.unwrap().split("  ").map(str::trim).collect();
        let figures: Vec<&str> = columns
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let [_, _, spread, n, ..] = figures[..] else {
            panic!("{figures:?}");
        };
        assert!(spread.starts_with("± ") && n == "2", "{figures:?}");
        let allocations = syncbench_reports::quantity::count(cell.allocs.unwrap());
        assert_eq!(figures.last(), Some(&allocations.as_str()));
    }
    let json = shown_in_a_terminal(&[&args[..], &["--json"]].concat());
    let first: Record = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first.cell.unwrap().variant, records[0].variant);
}

#[test]
fn a_dry_run_names_the_rows_and_measures_none() {
    let output = cell(&["types", "--variant", "cursor/", "--dry-run"]);
    assert!(output.status.success());
    let rows =
        "types/loro/synthetic/cursor/create-1000\ntypes/loro/synthetic/cursor/resolve-1000\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), rows);
}
