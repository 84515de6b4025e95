//! `syncbench compare`: versions of a library, or engines, side by side.

mod contender;
mod table;

use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use indicatif::ProgressBar;
use syncbench_engines::workload::{Input, Suite, input_of};
use syncbench_reports::comparison::{self, Comparison};
use syncbench_reports::file;
use syncbench_reports::record::{Machine, Status};
use syncbench_reports::run_id;
use syncbench_runner::{Builds, Contender, Job, Rounds};

use self::contender::EngineVersion;
use super::BadInput;
use super::cell::{self, REPEATS};
use crate::conditions;
use crate::stderr::complain;
use crate::stdout::say;

/// Measure versions of a library side by side, to see what an upgrade changes.
///
/// For each ENGINE@VERSION, the cell program is built from the sources of this
/// syncbench with that version from the registry. An ENGINE without a version is the
/// one in this executable, and a PROGRAM is any other build of syncbench. The programs
/// then take turns at measuring the cells, each time in a new process. The first
/// contender is the base of the ratios; engines come before programs.
///
/// Suites without sizes of their own are measured on the trace repeated 1, 2, 4 and 8
/// times, so that the table shows how time grows.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench compare --engine loro@1.12.0 --engine loro@1.17.1 import live
  syncbench compare --engine loro@1.16.2 --engine loro merge --variant blob --rounds 10
  syncbench compare --program before/syncbench --program after/syncbench import")]
pub struct Args {
    /// Suites to measure
    #[arg(value_name = "WORKLOAD", default_values = ["import", "live"])]
    workloads: Vec<String>,

    /// An engine, or an engine at a version; repeatable
    #[arg(long = "engine", value_name = "ENGINE[@VERSION]")]
    engines: Vec<EngineVersion>,

    /// An executable of syncbench, measured with its default engine; repeatable
    #[arg(long = "program", value_name = "PATH")]
    programs: Vec<PathBuf>,

    /// One row of the suite, or all rows with this prefix if it ends with `/` [default: all]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// Catalog name, or path of a trace [default: the first of each suite]
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,

    /// Numbers of times to repeat the trace (1 to 1000), for suites without sizes of their own
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = "1,2,4,8", value_parser = clap::value_parser!(u32).range(REPEATS))]
    repeat: Vec<u32>,

    /// Rounds, in each of which every program runs once; ratios have an interval from 6 on
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Repetitions to time in each turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,

    /// Time for each cell in each turn; the last repetition is completed
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::duration)]
    budget: Duration,

    /// Checkout of syncbench to build from [default: the one that this syncbench was
    /// built from]
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,

    /// Folder for the builds
    #[arg(long, value_name = "DIR", default_value = "target/syncbench/engines")]
    builds: PathBuf,

    /// Print the rows that would be measured, and measure none
    #[arg(long)]
    dry_run: bool,

    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,

    /// Folder for the comparison (JSON, Markdown) and the records of all cells
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Hide the progress display
    #[arg(short, long)]
    quiet: bool,
}

/// Builds, measures, and prints the table.
pub fn run(args: Args) -> anyhow::Result<Status> {
    let jobs = jobs(&args)?;
    if args.engines.len() + args.programs.len() < 2 {
        let message =
            "a comparison needs at least two engines or programs: repeat --engine or --program";
        return Err(BadInput::new(message).into());
    }
    if args.dry_run {
        for row in rows(&args)? {
            say!("{row}");
        }
        return Ok(Status::Ok);
    }
    // Another build of syncbench may have other rows.
    if args.programs.is_empty() && args.source.is_none() {
        rows(&args)?;
    }
    let started = SystemTime::now();
    let folder = args
        .output
        .clone()
        .unwrap_or_else(|| Path::new("target/syncbench").join(run_id::run_id(started, 0)));
    let unwritable = || {
        format!(
            "cannot write to {}; choose another folder with -o",
            folder.display()
        )
    };
    fs::create_dir_all(&folder).with_context(unwritable)?;
    let records = File::create(folder.join("cells.jsonl")).with_context(unwritable)?;
    let watched =
        !args.quiet && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
    let contenders = contenders(&args, watched)?;
    let rounds = Rounds {
        contenders: &contenders,
        jobs: &jobs,
        rounds: args.rounds as usize,
    };
    let bar = match watched {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    bar.enable_steady_tick(Duration::from_millis(200));
    let turns = rounds.run(records, |step| bar.set_message(step));
    bar.finish_and_clear();
    let rows = comparison::rows(contenders.len(), &turns?);
    let comparison = Comparison {
        schema: comparison::SCHEMA.to_owned(),
        started_at: run_id::rfc3339(started),
        command: conditions::command_line(),
        syncbench: env!("CARGO_PKG_VERSION").to_owned(),
        machine: Machine::detect(),
        series: comparison::series(contenders.len(), &rows),
        contenders: contenders.into_iter().map(|c| c.label).collect(),
        rounds: args.rounds as usize,
        rows,
    };
    let json = serde_json::to_string_pretty(&comparison)?;
    file::write(&folder.join("comparison.json"), json.as_bytes())?;
    let markdown = table::markdown(&comparison);
    file::write(&folder.join("comparison.md"), markdown.as_bytes())?;
    match args.json {
        true => say!("{json}"),
        false => say!(
            "{}\nwritten: {}",
            table::terminal(&comparison),
            folder.display()
        ),
    }
    Ok(Status::Ok)
}

/// Returns the work of each process.
fn jobs(args: &Args) -> Result<Vec<Job>, BadInput> {
    let job = |name: &String| {
        let suite = suite_named(name)?;
        let dataset = args.dataset.as_deref().unwrap_or(suite.datasets[0]);
        let mut cell_args = vec![
            format!("--dataset={dataset}"),
            format!("--repetitions={}", args.repetitions),
            format!("--budget={}ns", args.budget.as_nanos()),
        ];
        cell_args.extend(
            args.variant
                .iter()
                .map(|variant| format!("--variant={variant}")),
        );
        if takes_repeats(suite, dataset) {
            let repeats: Vec<String> = args.repeat.iter().map(u32::to_string).collect();
            cell_args.push(format!("--repeat={}", repeats.join(",")));
        }
        Ok(Job {
            suite: name.clone(),
            args: cell_args,
        })
    };
    args.workloads.iter().map(job).collect()
}

/// Returns the rows that a program built from these sources would measure.
fn rows(args: &Args) -> Result<Vec<String>, BadInput> {
    let mut rows = Vec::new();
    for name in &args.workloads {
        let suite = suite_named(name)?;
        let dataset = args.dataset.as_deref().unwrap_or(suite.datasets[0]);
        let variants = cell::variants(suite, dataset, args.variant.as_deref())?;
        let named = variants.iter().map(|row| format!("{name} {dataset} {row}"));
        rows.extend(named);
    }
    Ok(rows)
}

fn suite_named(name: &str) -> Result<&'static Suite, BadInput> {
    Suite::named(name).ok_or_else(|| {
        let names: Vec<&str> = Suite::ALL.iter().map(|suite| suite.name).collect();
        BadInput::new(format!(
            "unknown suite `{name}`; the suites are {}",
            names.join(", ")
        ))
    })
}

/// Returns true if a suite is measured on a repeated trace, because its rows have no
/// sizes of their own.
fn takes_repeats(suite: &Suite, dataset: &str) -> bool {
    let input = input_of(dataset).unwrap_or(Input::Sequential);
    let rows = suite.workloads();
    input == Input::Sequential && rows.iter().all(|row| row.scale_of().is_none())
}

/// Returns the contenders, engines first, and builds them if necessary.
fn contenders(args: &Args, watched: bool) -> anyhow::Result<Vec<Contender>> {
    let engines = args
        .engines
        .iter()
        .map(|engine| engine_contender(engine, args, watched));
    let programs = args.programs.iter().map(|path| program_contender(path));
    engines.chain(programs).collect()
}

fn engine_contender(
    wanted: &EngineVersion,
    args: &Args,
    watched: bool,
) -> anyhow::Result<Contender> {
    let executable = match &wanted.version {
        None => std::env::current_exe().context("cannot find the syncbench executable")?,
        Some(version) => {
            let builds = builds(args, watched)?;
            if !args.quiet {
                complain!("building {wanted}");
            }
            builds
                .build(&wanted.library(), version)
                .map_err(|error| match error.is_usage() {
                    true => BadInput::new(error).into(),
                    false => anyhow::Error::new(error),
                })?
        }
    };
    Ok(Contender {
        label: wanted.to_string(),
        executable,
        engine: Some(wanted.engine.name.to_owned()),
        version: wanted.version.clone(),
    })
}

fn builds(args: &Args, watched: bool) -> Result<Builds, BadInput> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = args.source.as_deref().unwrap_or(own);
    Builds::new(source, &args.builds, watched).map_err(|error| match args.source {
        Some(_) => BadInput::new(error),
        None => BadInput::new(format!(
            "{error}, which this syncbench was built from; name a checkout with --source"
        )),
    })
}

fn program_contender(path: &Path) -> anyhow::Result<Contender> {
    let executable = path.canonicalize().map_err(|error| {
        BadInput::new(format!(
            "cannot find the program {}: {error}",
            path.display()
        ))
    })?;
    Ok(Contender {
        label: path.display().to_string(),
        executable,
        engine: None,
        version: None,
    })
}
