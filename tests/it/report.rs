//! `syncbench report`: from cells to tables, and files that are not records.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use syncbench_engines::engine;
use syncbench_engines::workload::{Suite, Workload, input_of};
use syncbench_reports::record::Record;
use syncbench_reports::table::Published;

fn syncbench(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn cells_become_tables() {
    let dir = tempfile::tempdir().unwrap();
    let cell = ["cell", "export", "--variant", "updates/first"];
    let cell = syncbench(&[&cell[..], &["--repetitions", "2"]].concat(), dir.path());
    assert!(cell.status.success(), "{}", text(&cell.stderr));
    fs::create_dir(dir.path().join("cells")).unwrap();
    fs::write(dir.path().join("cells/a.jsonl"), cell.stdout).unwrap();

    let report = syncbench(&["report", "cells", "-o", "out", "--json"], dir.path());
    assert!(report.status.success(), "{}", text(&report.stderr));
    let tables: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let suite = &tables["suites"][0];
    assert_eq!(suite["name"], "export");
    assert_eq!(suite["rows"][0]["entries"][0]["wall"]["n"], 2);
    for file in ["index.md", "export.md", "index.html"] {
        let page = fs::read_to_string(dir.path().join("out").join(file)).unwrap();
        assert!(page.contains("export"), "{file}");
    }
}

#[test]
fn a_load_run_gets_its_figures_as_files_beside_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let small = ["--clients", "4", "--rooms", "2", "--rate", "50"];
    let run = [&["run", "--duration", "1s", "-q", "-o", "out"], &small[..]].concat();
    syncbench(&run, dir.path());
    let record = Record::read(&dir.path().join("out/record.json")).unwrap();
    for artifact in &record.artifacts {
        let path = dir.path().join("out").join(artifact);
        assert!(fs::metadata(path).unwrap().len() > 0, "{artifact}");
    }
    assert!(record.artifacts.len() > 5, "{:?}", record.artifacts);

    let report = syncbench(&["report", "out", "-o", "pages", "--json"], dir.path());
    assert!(report.status.success(), "{}", text(&report.stderr));
    let json: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(json["loads"][0]["record"]["run"]["id"], *record.run.id);
    let pages = dir.path().join("pages");
    assert!(pages.join(format!("{}.html", record.run.id)).is_file());
    for file in [
        "series.csv",
        "latency.csv",
        "propagation.hgrm",
        "latency.hlog",
        "metrics.prom",
    ] {
        assert!(pages.join(&record.run.id).join(file).is_file(), "{file}");
        assert!(record.artifacts.iter().any(|name| name == file), "{file}");
    }
}

#[test]
fn there_is_no_report_of_a_part_of_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let cell = [
        "cell",
        "export",
        "--variant",
        "updates/first",
        "--budget",
        "1ns",
    ];
    let mut lines = syncbench(&cell, dir.path()).stdout;
    lines.extend(b"{\"schema\": \"syncbench/rec\n");
    fs::write(dir.path().join("cells.jsonl"), lines).unwrap();

    let report = syncbench(&["report", "cells.jsonl", "-o", "out"], dir.path());
    assert_eq!(report.status.code(), Some(2));
    let stderr = text(&report.stderr);
    assert!(stderr.contains("cells.jsonl:2 is not a record"), "{stderr}");
    assert!(report.stdout.is_empty() && !dir.path().join("out").exists());

    let nothing = syncbench(&["report", "absent.json", "-o", "none"], dir.path());
    assert_eq!(nothing.status.code(), Some(2));
    let stderr = text(&nothing.stderr);
    assert!(stderr.contains("absent.json"), "{stderr}");
    assert!(!dir.path().join("none").exists());
}

#[test]
fn published_figures_stand_beside_cells_that_exist() {
    for table in Published::included().tables {
        let title = &table.title;
        let Some(suite) = Suite::named(&table.suite) else {
            panic!("{title}: no suite called {}", table.suite);
        };
        let workloads = suite.workloads();
        for cell in table.figures.into_iter().filter_map(|figure| figure.cell) {
            let input = input_of(&cell.dataset);
            let is_of = |workload: &Workload| {
                workload.variant() == cell.variant && Some(workload.input()) == input
            };
            assert!(workloads.iter().any(is_of), "{title}: {cell:?}");
            assert!(engine(&cell.engine).is_some(), "{title}: {cell:?}");
        }
    }
}
