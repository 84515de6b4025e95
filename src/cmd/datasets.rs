//! `syncbench datasets`: the traces and documents for measurements.

mod fetch;
mod list;
mod stats;
mod verify;

use std::io::IsTerminal;
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use syncbench_reports::record::Status;

use super::BadInput;
use crate::stdout::say;

/// List, fetch, verify, describe and convert data sets.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench datasets list
  syncbench datasets fetch friendsforever A1
  SYNCBENCH_DATASETS=~/traces syncbench datasets verify
  syncbench datasets stats my-trace.json.gz -o my-trace
  syncbench datasets convert my-trace.json my-trace.sbtrace

Data sets come from the executable (automerge-paper), from the folder that
SYNCBENCH_DATASETS names, or from the cache folder that `fetch` fills
(SYNCBENCH_CACHE, or by default the user's cache folder). Wherever a name is
accepted, the path of a trace file is too.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    List(list::Args),
    Fetch(fetch::Args),
    Verify(verify::Args),
    Stats(stats::Args),
    Convert(ConvertArgs),
}

/// Convert a trace to .json, .json.gz or .sbtrace (binary, loads fastest)
#[derive(clap::Args)]
#[command(after_help = "Example: syncbench datasets convert my-trace.json my-trace.sbtrace")]
struct ConvertArgs {
    /// Catalog name, or the path of a trace file
    #[arg(value_name = "NAME|FILE")]
    from: String,

    /// File to write; its ending determines the format
    #[arg(value_name = "FILE")]
    to: PathBuf,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Status> {
    syncbench_datasets::mirror().map_err(BadInput::new)?;
    match args.command {
        Command::List(args) => list::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Convert(args) => convert(&args),
    }
}

fn convert(args: &ConvertArgs) -> anyhow::Result<Status> {
    let trace = syncbench_datasets::load(&args.from).map_err(BadInput::new)?;
    let bytes = syncbench_datasets::convert(&trace, &args.to).map_err(BadInput::new)?;
    if args.json {
        print_json(&serde_json::json!({"file": args.to, "bytes": bytes}))?;
    } else {
        say!("{}: {bytes} bytes", args.to.display());
    }
    Ok(Status::Ok)
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Creates a table without lines, in which the columns `numbers` are right-aligned.
fn table<const N: usize>(header: [&str; N], numbers: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for column in table.column_iter_mut() {
        if numbers.contains(&column.index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Creates a progress bar, which is hidden unless standard error is a terminal.
fn bar(template: &str) -> ProgressBar {
    let watched = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
    let bar = if watched {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    };
    // The templates are constants that indicatif accepts; if it does not, the bar
    // has the default style.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
