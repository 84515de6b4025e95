//! `syncbench report`: tables and pages from records.

use std::path::PathBuf;
use std::time::SystemTime;

use syncbench_engines::workload::Suite;
use syncbench_reports::collect::collect;
use syncbench_reports::export::tables::Report;
use syncbench_reports::record::Status;
use syncbench_reports::run_id;

use super::BadInput;
use crate::output::OutputFolder;
use crate::stdout::say;

/// Show records as tables: a matrix for each suite, engines side by side.
///
/// Cells become Markdown and one HTML page, with spread, sample counts,
/// footnotes where the work is not equal, and the figures that others have
/// published for the same work. A load run gets a page, and a folder with its
/// figures for other tools: CSV, HdrHistogram percentiles (.hgrm) and log
/// (.hlog), Prometheus text. Where an input is not a record, or is damaged, every
/// such one is named, nothing is written, and the exit code is 2.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench report cells/ -o tables
  syncbench cell export > export.jsonl; syncbench report export.jsonl merge.jsonl
  syncbench report target/syncbench --json")]
pub struct Args {
    /// Records: a record.json, lines that `syncbench cell` printed, or folders of them
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,

    /// Folder for the tables [default: a new one in target/syncbench]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Note at the top of the tables, such as how the cells were measured; repeatable
    #[arg(long, value_name = "TEXT")]
    note: Vec<String>,

    /// Warning at the top of one suite, such as a row that was left out; repeatable
    #[arg(long, num_args = 2, value_names = ["SUITE", "TEXT"])]
    warn: Vec<String>,

    /// Print the tables and the load runs as JSON instead of the names of the files
    #[arg(long)]
    json: bool,
}

/// Reads the records, writes the tables, and prints their paths.
pub fn run(args: Args) -> anyhow::Result<Status> {
    let records = collect(&args.records).map_err(BadInput::new)?;
    let mut report = Report::new(&records);
    report.tables.notes = args.note;
    for warning in args.warn.chunks_exact(2) {
        report.tables.warn(&warning[0], &warning[1]);
    }
    report
        .tables
        .describe(|name| Suite::named(name).map(|suite| suite.about));
    let folder = args.output.unwrap_or_else(|| {
        let name = run_id::rfc3339(SystemTime::now()).replace([':', '-'], "");
        PathBuf::from("target/syncbench").join(format!("{name}-report"))
    });
    let output = OutputFolder::prepare(folder)?;
    let files = report.write(output.path())?;
    if args.json {
        say!("{}", serde_json::to_string(&report)?);
    } else {
        say!("{}", report.summary());
        for file in files {
            say!("written:    {}", file.display());
        }
    }
    Ok(Status::Ok)
}
