//! The tables that cells become: which cells are shown, how, and which is marked as the
//! best.

#![allow(clippy::unwrap_used)] // a test may fail

use std::fs;
use std::path::Path;

use crate::sample;
use crate::sample::cells::{self, DT, LORO, YRS, cell, unavailable, with};
use proptest::prelude::*;
use syncbench_reports::collect::collect;
use syncbench_reports::export::tables::{HtmlTables, Markdown, Report, TableExporter};
use syncbench_reports::record::{Kind, Record, Status};
use syncbench_reports::table::{Row, SuiteTable, Tables};

fn table(records: &[Record]) -> SuiteTable {
    Tables::from_records(records).suites.remove(0)
}

fn only_row(records: &[Record]) -> Row {
    let mut table = table(records);
    assert_eq!(table.rows.len(), 1, "{:#?}", table.rows);
    table.rows.remove(0)
}

fn file(exporter: &dyn TableExporter, records: &[Record], name: &str) -> String {
    let files = exporter.files(&Report::new(records)).unwrap();
    files.into_iter().find(|(file, _)| file == name).unwrap().1
}

#[test]
fn the_markdown_of_every_suite() {
    let records = cells::all();
    let mut report = Report::new(&records);
    report.tables.notes = vec!["Made up, and measurements of nothing.".to_owned()];
    report
        .tables
        .describe(|name| (name == "live").then_some("replicas that edit at once"));
    let files = Markdown.files(&report).unwrap();
    let pages: Vec<String> = files
        .into_iter()
        .map(|(name, text)| format!("==== {name}\n{text}"))
        .collect();
    insta::assert_snapshot!(pages.join("\n"));
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = file(&HtmlTables, &cells::all(), "index.html");
    // To look at.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tables");
    Report::new(&cells::all()).write(&folder).unwrap();
    for loader in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "@import",
        "url(",
        "src=\"",
        "href=\"http",
    ] {
        assert!(!page.contains(loader), "{loader}");
    }
}

#[test]
fn names_cannot_become_markup_or_break_a_row() {
    let page = file(&HtmlTables, &cells::all(), "index.html");
    assert!(page.contains("odd|name &#60;i&#62;"));
    assert!(!page.contains("<i>"));
    let markdown = file(&Markdown, &cells::all(), "import.md");
    assert!(markdown.contains("odd\\|name &lt;i&gt;"));
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows = markdown.lines().filter(|line| line.starts_with('|'));
    let mut widths: Vec<usize> = rows.map(columns).collect();
    widths.dedup();
    // The suite's own matrices, then the published ones.
    assert!(widths.iter().all(|&width| width == 5), "{widths:?}");
}

#[test]
fn known_engines_come_in_their_order_and_versions_stand_apart() {
    let records = [
        cell(("own-engine", "1"), "merge/S1/blob", 10, 6),
        cell(DT, "merge/S1/blob", 10, 6),
        cell(LORO, "merge/S1/blob", 10, 6),
        cell(("loro", "1.12.0"), "merge/S1/blob", 10, 6),
    ];
    let columns = table(&records).columns;
    let names: Vec<&str> = columns.iter().map(|column| &*column.engine).collect();
    assert_eq!(names, ["loro", "loro", "diamond-types", "own-engine"]);
    assert_ne!(columns[0].version, columns[1].version);
}

#[test]
fn of_cells_measured_twice_the_newest_is_shown_and_it_says_so() {
    let mut older = cell(LORO, "merge/S1/blob", 1_000_000, 20);
    let mut newer = cell(LORO, "merge/S1/blob", 2_000_000, 10);
    older.run.id = "20260131T081500.250Z-0".into();
    newer.run.id = "20260131T081600.250Z-0".into();
    for records in [[older.clone(), newer.clone()], [newer, older]] {
        let table = table(&records);
        let wall = table.rows[0].entries[0].as_ref().unwrap().wall.as_ref();
        assert_eq!(wall.unwrap().n, 10);
        assert!(
            table.warnings[0].contains("1 older cell is left out"),
            "{:?}",
            table.warnings
        );
    }
}

#[test]
fn mixed_conditions_are_said_and_leave_a_row_without_a_best() {
    type Change = fn(&mut Record);
    let changes: [(&str, Change); 3] = [
        ("2 machines", |record| {
            record.run.machine.cpu = "Other".into()
        }),
        ("2 versions of syncbench", |r| {
            r.run.syncbench = "9.9.9".into()
        }),
        ("2 files called S1", |r| {
            r.run.datasets[0].sha256 = "00ff".into()
        }),
    ];
    let fast = cell(LORO, "merge/S1/blob", 1_000_000, 20);
    let slow = cell(YRS, "merge/S1/blob", 9_000_000, 20);
    assert_eq!(only_row(&[fast.clone(), slow.clone()]).best, Some(0));
    for (warning, change) in changes {
        let mut slow = slow.clone();
        change(&mut slow);
        let records = [fast.clone(), slow];
        let warnings = table(&records).warnings;
        assert!(warnings[0].contains(warning), "{warnings:?}");
        assert_eq!(only_row(&records).best, None, "{warning}");
    }
}

#[test]
fn one_engine_alone_is_not_the_best() {
    let alone = cell(LORO, "merge/S1/blob", 1_000, 20);
    let other = unavailable(YRS, "merge/S1/blob", "cannot");
    assert_eq!(only_row(&[alone, other]).best, None);
}

#[test]
fn single_samples_must_differ_by_more_than_a_busy_machine_makes_of_them() {
    let fast = cell(LORO, "merge/S1/blob", 1_000_000, 1);
    let slow = |ns| cell(YRS, "merge/S1/blob", ns, 1);
    assert_eq!(only_row(&[fast.clone(), slow(3_900_000)]).best, None);
    assert_eq!(only_row(&[fast, slow(4_200_000)]).best, Some(0));
}

#[test]
fn equal_notes_are_one_note() {
    let table = table(&cells::all());
    assert_eq!(table.notes.len(), 2, "{:#?}", table.notes);
    let of_snapshot: Vec<_> = table.rows[0].entries.iter().flatten().collect();
    assert_eq!(of_snapshot[0].differs, Some(1));
    assert_eq!(of_snapshot[1].unavailable, of_snapshot[2].unavailable);
}

#[test]
fn work_that_was_not_done_differs_from_none() {
    let differs = |cell: &mut syncbench_reports::record::Cell| cell.differs = Some("lazy".into());
    let fast = cell(LORO, "merge/S1/blob", 1_000_000, 20);
    let slow = cell(DT, "merge/S1/blob", 9_000_000, 20);
    let none = with(unavailable(YRS, "merge/S1/blob", "cannot"), differs);
    let records = [fast, none, slow];
    assert_eq!(table(&records).notes.len(), 1);
    assert_eq!(only_row(&records).best, Some(0));
}

#[test]
fn a_warning_for_a_suite_without_a_table_is_not_lost() {
    let mut tables = Tables::from_records(&[cell(LORO, "merge/S1/blob", 10, 6)]);
    tables.warn("merge", "left out: yrs");
    tables.warn("live", "left out: all");
    assert_eq!(tables.suites[0].warnings, ["left out: yrs"]);
    assert_eq!(tables.notes, ["live: left out: all"]);
}

#[test]
fn what_has_no_figure_has_none_in_any_table() {
    let mut record = unavailable(LORO, "merge/S1/blob", "wrong result");
    // A foreign record may hold both; the reason counts.
    record = with(record, |cell| {
        cell.samples_wall_ns = vec![1, 2, 3];
        cell.encoded_bytes = 7;
        cell.allocs = Some(8);
    });
    let row = only_row(&[record]);
    let entry = row.entries[0].as_ref().unwrap();
    assert!(entry.wall.is_none() && entry.encoded_bytes.is_none() && entry.allocs.is_none());
}

#[test]
fn a_cell_that_failed_is_void_and_not_merely_unavailable() {
    let mut wrong = cell(LORO, "merge/S1/blob", 10, 6);
    wrong.verdict.status = Status::Failure;
    let wrong = with(wrong, |cell| cell.unavailable = Some("wrong text".into()));
    let markdown = file(&Markdown, &[wrong], "merge.md");
    assert!(markdown.contains("| blob | void ⚠ [1] |"), "{markdown}");
    assert!(markdown.contains("1. wrong text"), "{markdown}");
}

#[test]
fn growth_is_fitted_for_each_engine_and_flagged() {
    let suites = Tables::from_records(&cells::all()).suites;
    let live = suites.iter().find(|suite| suite.name == "live").unwrap();
    let [series] = &live.growth[..] else {
        panic!("{:#?}", live.growth)
    };
    let fits: Vec<_> = series.exponents.iter().flatten().collect();
    assert!((fits[0].value - 2.0).abs() < 0.01 && fits[0].superlinear);
    assert!((fits[1].value - 1.0).abs() < 0.01 && fits[1].flag.is_empty());
    assert_eq!((fits[0].sizes, fits[0].n), (4, 40));
}

#[test]
fn sizes_of_one_variant_are_rows_with_their_size() {
    let sized = |size| {
        with(cell(LORO, "import/S1/updates", size * 10, 6), |cell| {
            cell.scale = Some(syncbench_reports::record::Scale {
                series: "updates".into(),
                size,
                unit: "operations".into(),
            });
        })
    };
    let markdown = file(&Markdown, &[sized(1_000), sized(2_000)], "import.md");
    assert!(
        markdown.contains("| updates, 1,000 operations |"),
        "{markdown}"
    );
    assert!(
        markdown.contains("| updates, 2,000 operations |"),
        "{markdown}"
    );
}

#[test]
fn files_lines_and_folders_are_read_and_what_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let line = |record: &Record| serde_json::to_string(record).unwrap();
    let (a, b) = (
        cell(LORO, "merge/S1/blob", 10, 6),
        cell(YRS, "merge/S1/blob", 10, 6),
    );
    // The second line was cut off, as by a process that was stopped.
    let cut = &line(&b)[..200];
    fs::write(
        path("cells.jsonl"),
        format!("{}\n{cut}\n\n{}\n", line(&a), line(&b)),
    )
    .unwrap();
    fs::write(path("foreign.json"), "{\"name\": \"package\"}").unwrap();
    fs::write(path("notes.txt"), "not looked at").unwrap();
    fs::create_dir(path("run")).unwrap();
    sample::healthy().write(&path("run/record.json")).unwrap();

    let refused = collect(&[dir.path().to_owned(), path("absent.json")])
        .unwrap_err()
        .0;
    let refused: Vec<String> = refused.iter().map(|e| e.to_string()).collect();
    assert_eq!(refused.len(), 3, "{refused:#?}");
    assert!(
        refused[0].contains("cells.jsonl:2 is not a record"),
        "{refused:#?}"
    );
    assert!(
        refused[1].contains("foreign.json:1 is not a record (it has no `schema` field)"),
        "{refused:#?}"
    );
    assert!(refused[2].contains("absent.json"), "{refused:#?}");

    fs::write(
        path("cells.jsonl"),
        format!("{}\n\n{}\n", line(&a), line(&b)),
    )
    .unwrap();
    fs::remove_file(path("foreign.json")).unwrap();
    let records = collect(&[dir.path().to_owned()]).unwrap();
    assert_eq!(records, [a, b, sample::healthy()]);

    fs::create_dir(path("empty")).unwrap();
    let refused = collect(&[path("empty")]).unwrap_err();
    assert!(
        refused.to_string().contains("holds no records"),
        "{refused}"
    );
}

/// What is left out of a report without a word makes the report wrong.
#[test]
fn a_record_that_cannot_be_shown_as_it_is_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.json");
    let refusal = |record: &Record| {
        record.write(&path).unwrap();
        collect(std::slice::from_ref(&path))
            .unwrap_err()
            .to_string()
    };
    let with = |change: fn(&mut Record)| {
        let mut record = sample::healthy();
        change(&mut record);
        record
    };
    for (record, reason) in [
        (
            with(|r| r.schema = "syncbench/record@2".into()),
            "syncbench/record@2",
        ),
        (with(|r| r.kind = Kind::Gate), "which has no report"),
        (with(|r| r.kind = Kind::Cell), "has no `cell`"),
        (with(|r| r.counts = None), "has no `counts`"),
        (
            with(|r| r.latency.get_mut("import").unwrap().hdr.truncate(40)),
            "latency `import`",
        ),
        (
            with(|r| r.latency.get_mut("import").unwrap().hdr = "AAAA".into()),
            "latency `import`",
        ),
        (
            with(|r| r.latency.get_mut("import").unwrap().count += 1),
            "the record was edited",
        ),
        (
            with(|r| {
                r.groups
                    .get_mut("stage")
                    .unwrap()
                    .get_mut("peak")
                    .unwrap()
                    .hdr
                    .clear()
            }),
            "latency `peak`",
        ),
    ] {
        let refusal = refusal(&record);
        assert!(refusal.contains(reason), "{refusal}");
        assert!(refusal.contains("record.json"), "{refusal}");
    }
}

#[test]
fn json_has_the_load_runs_beside_the_tables() {
    let records = [sample::healthy(), cell(LORO, "merge/S1/blob", 10, 6)];
    let json = serde_json::to_value(Report::new(&records)).unwrap();
    assert_eq!(json["suites"][0]["name"], "merge");
    let load = &json["loads"][0];
    assert_eq!(load["page"], format!("{}.html", records[0].run.id));
    assert_eq!(load["record"], serde_json::to_value(&records[0]).unwrap());
}

#[test]
fn load_runs_get_pages_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let records = [sample::healthy(), cell(LORO, "merge/S1/blob", 10, 6)];
    let files = Report::new(&records).write(dir.path()).unwrap();
    let page = dir.path().join(format!("{}.html", records[0].run.id));
    assert!(files.contains(&page) && fs::read_to_string(page).unwrap().contains("propagation"));
    let index = fs::read_to_string(dir.path().join("index.html")).unwrap();
    assert!(index.contains(&format!("href=\"{}.html\"", records[0].run.id)));
}

proptest! {
    #[test]
    fn the_best_is_never_marked_where_the_work_differs(
        times in prop::collection::vec((1u64..1_000_000, 1usize..20, any::<bool>()), 2..6),
    ) {
        let records: Vec<Record> = times.iter().enumerate().map(|(at, &(ns, n, differs))| {
            let name = format!("engine-{at}");
            with(cell((&name, "1"), "merge/S1/blob", ns, n), |cell| {
                cell.differs = differs.then(|| "other work".to_owned());
            })
        }).collect();
        let row = only_row(&records);
        if times.iter().any(|&(.., differs)| differs) {
            prop_assert_eq!(row.best, None);
        }
        if let Some(best) = row.best {
            let wall = |at: usize| row.entries[at].as_ref().unwrap().wall.as_ref().unwrap();
            for other in (0..times.len()).filter(|&at| at != best) {
                prop_assert!(wall(best).interval_ns[1] < wall(other).interval_ns[0]);
                prop_assert!(wall(best).median_ns < wall(other).median_ns);
            }
        }
    }
}
