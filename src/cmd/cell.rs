//! `syncbench cell`: one engine x workload x data set in this process.

mod callgrind;
mod growth;
mod rows;

use std::io::IsTerminal;
use std::ops::RangeInclusive;
use std::time::Duration;

use syncbench_engines::cell::{self, Limits};
use syncbench_engines::workload::{Data, Input, Subject, Suite, Workload, WorkloadError, input_of};
use syncbench_engines::{Engine, EngineInfo, engine, engines};
use syncbench_reports::record::{
    Cell, DatasetRef, Kind, Record, Run, SCHEMA, Scale, Status, Verdict,
};

use self::rows::Rows;
use super::BadInput;
use crate::conditions;
use crate::stderr::complain;
use crate::stdout::say;

/// How often a trace may be played in one document.
pub const REPEATS: RangeInclusive<i64> = 1..=1000;

/// The longest text that a repeated trace may end with, bytes.
const MAX_TEXT: usize = 1 << 30;

/// Measure one engine, workload and data set in a process of its own.
///
/// Prints one record per variant, as a line of JSON: wall and CPU time of every
/// repetition, encoded bytes, allocations, and a hash of the result. On a terminal it
/// prints a table instead. Every repetition is checked; a wrong result gives no figure
/// and exit code 1. If the engine does not support a variant, its record gives the
/// reason.
///
/// If cells differ only in size, a table on standard error shows how time grows: the
/// exponent of the size, its 95 % interval, and whether it is above 1.3.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench cell import --variant snapshot+edit
  syncbench cell import --variant snapshot+edit --repeat 1,2,4,8,16
  syncbench cell export --dataset my-trace.json.gz --budget 10s
  syncbench cell --list")]
pub struct Args {
    /// Suite to measure; --list shows them
    #[arg(required_unless_present = "list")]
    workload: Option<String>,

    /// List every cell: suite, engine, data set, and `large` if it takes minutes
    #[arg(long)]
    list: bool,

    /// One row of the suite, or all rows with this prefix if it ends with `/` [default:
    /// all]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// Engine, named as in benchmark ids
    #[arg(long, value_name = "NAME", default_value = "loro")]
    engine: String,

    /// Catalog name, or path of a trace [default: the first of the suite]
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,

    /// Repeat the trace N times (1 to 1000), for each N, and show how time grows
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(REPEATS))]
    repeat: Vec<u32>,

    /// Repetitions to time
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,

    /// Time for each variant; the last repetition is completed, so there is at least
    /// one
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration)]
    budget: Duration,

    /// Print the rows that would be measured, and measure none
    #[arg(long)]
    dry_run: bool,

    /// Print records on a terminal too, instead of a table
    #[arg(long)]
    json: bool,

    /// Also count the instructions of one repetition with valgrind (takes minutes)
    #[arg(long)]
    instructions: bool,

    /// Run the timed part once, for callgrind to count; print nothing
    #[arg(
        long,
        hide = true,
        requires = "variant",
        conflicts_with = "instructions"
    )]
    under_callgrind: bool,
}

/// Measures the cells and prints a record for each.
pub fn run(args: Args) -> anyhow::Result<Status> {
    let Some(workload) = args.workload.as_deref().filter(|_| !args.list) else {
        list();
        return Ok(Status::Ok);
    };
    let suite = named("workload", workload, Suite::ALL.iter(), |suite| suite.name)?;
    let engine = engine_named(&args.engine, workload)?;
    if args.instructions {
        callgrind::find()?;
    }
    let dataset = args.dataset.as_deref().unwrap_or(suite.datasets[0]);
    if args.dry_run {
        for variant in variants(suite, dataset, args.variant.as_deref())? {
            say!("{}/{}/{dataset}/{variant}", suite.name, engine.name());
        }
        return Ok(Status::Ok);
    }
    let data = Data::load(dataset).map_err(BadInput::new)?;
    if data.is_idle_trace() {
        let message = format!(
            "nothing in data set {dataset} changes its text, so there is nothing to measure: use \
             another data set"
        );
        return Err(BadInput::new(message).into());
    }
    let workloads = workloads_for(suite, dataset, data.input())?;
    let workloads = select(&workloads, args.variant.as_deref())?;
    let sizes = sizes(data, &args.repeat)?;
    let benches: Vec<Bench<'_>> = sizes
        .into_iter()
        .map(|(repeat, data)| Bench {
            suite,
            engine,
            dataset,
            repeat,
            conditions: conditions(engine, &data, &args),
            limits: Limits {
                repetitions: args.repetitions as usize,
                budget: args.budget,
            },
            instructions: args.instructions,
            subject: Subject::new(engine, data),
        })
        .collect();
    if args.under_callgrind {
        cell::run_for_counting(workloads[0], &benches[0].subject)?;
        return Ok(Status::Ok);
    }
    let mut status = Status::Ok;
    let mut cells = Vec::new();
    let rows = match args.json || !std::io::stdout().is_terminal() {
        true => Rows::Json,
        false => Rows::table(names(&benches, &workloads)),
    };
    rows.begin(engine, dataset);
    for workload in workloads {
        for record in measure_sizes(&benches, workload, &rows)? {
            if record.verdict.status != Status::Ok {
                status = record.verdict.status;
            }
            cells.extend(record.cell);
        }
    }
    let growth = growth::tables(&cells);
    if !growth.is_empty() {
        complain!("{}", growth.trim_end_matches('\n'));
    }
    Ok(status)
}

/// Returns the rows of `suite` that `variant` selects for a data set, which is loaded
/// only if the catalog does not have it.
pub fn variants(
    suite: &Suite,
    dataset: &str,
    variant: Option<&str>,
) -> Result<Vec<String>, BadInput> {
    let input = match input_of(dataset) {
        Some(input) => input,
        None => Data::load(dataset).map_err(BadInput::new)?.input(),
    };
    let workloads = workloads_for(suite, dataset, input)?;
    let selected = select(&workloads, variant)?.into_iter();
    Ok(selected.map(|row| row.variant().to_owned()).collect())
}

/// Returns the rows of `suite` for a data set of the kind `input`.
fn workloads_for(suite: &Suite, dataset: &str, input: Input) -> Result<Vec<Workload>, BadInput> {
    let mut workloads = suite.workloads();
    workloads.retain(|workload| workload.input() == input);
    if workloads.is_empty() {
        let (name, datasets) = (suite.name, suite.datasets.join(", "));
        let message =
            format!("{name} has no row for {dataset}; name a data set like one of {datasets}");
        return Err(BadInput::new(message));
    }
    Ok(workloads)
}

/// Returns the names of all rows at all sizes.
fn names(benches: &[Bench<'_>], workloads: &[&Workload]) -> Vec<String> {
    let sizes = |bench: &Bench<'_>| {
        let names = workloads.iter().map(|workload| bench.variant(workload));
        names.collect::<Vec<String>>()
    };
    benches.iter().flat_map(sizes).collect()
}

/// Measures a row at every size, the smallest first, and prints the records. If a
/// single repetition uses up the budget, larger sizes are skipped.
fn measure_sizes(
    benches: &[Bench<'_>],
    workload: &Workload,
    rows: &Rows,
) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut spent: Option<String> = None;
    for bench in benches {
        if let Some(smaller) = &spent {
            let budget = humantime::format_duration(bench.limits.budget);
            complain!(
                "not measured: {}: one repetition of {smaller} alone took more than the budget \
                 of {budget}; allow more with --budget",
                bench.name(workload)
            );
            continue;
        }
        let (record, budget_spent) = bench.measure(workload)?;
        spent = budget_spent.then(|| bench.variant(workload));
        rows.print(&record)?;
        records.push(record);
    }
    Ok(records)
}

/// Returns the data set as it is or, with `repeats`, each of the repeated ones in
/// ascending order.
fn sizes(data: Data, repeats: &[u32]) -> Result<Vec<(Option<u32>, Data)>, BadInput> {
    if repeats.is_empty() {
        return Ok(vec![(None, data)]);
    }
    let trace = match data {
        Data::Trace(trace) if trace.repeats() == 1 && trace.start_content().is_empty() => trace,
        data => {
            return Err(BadInput::new(format!(
                "{} cannot be repeated, only a trace with an empty start text can; name another \
                 --dataset or leave --repeat out",
                data.name()
            )));
        }
    };
    let mut repeats = repeats.to_vec();
    repeats.sort_unstable();
    repeats.dedup();
    let most = repeats.last().map_or(1, |&times| times as usize);
    if trace.end_content().len().saturating_mul(most) > MAX_TEXT {
        return Err(BadInput::new(format!(
            "{} played {most} times over would end with more than 1 GiB of text; use a smaller \
             --repeat",
            trace.name()
        )));
    }
    let repeated = repeats.into_iter().map(|times| {
        let name = format!("{}-x{times}", trace.name());
        let data = trace.clone().repeated(&name, times as usize);
        (Some(times), Data::from(data))
    });
    Ok(repeated.collect())
}

fn list() {
    for suite in Suite::ALL {
        for engine in engines() {
            for dataset in suite.datasets {
                say!("{} {} {dataset}", suite.name, engine.name());
            }
            for dataset in suite.large {
                say!("{} {} {dataset} large", suite.name, engine.name());
            }
        }
    }
}

fn conditions(engine: &dyn Engine, data: &Data, args: &Args) -> Run {
    let settings = serde_json::json!({
        "repetitions": args.repetitions,
        "budget_s": args.budget.as_secs_f64(),
    });
    let dataset = data.sha256().map(|sha256| DatasetRef {
        name: data.name().to_owned(),
        sha256: sha256.to_owned(),
    });
    conditions::of(engine, dataset, 0, settings)
}

/// The settings that all cells of one command share.
struct Bench<'a> {
    suite: &'a Suite,
    engine: &'static dyn Engine,
    /// The name or path that the user gave.
    dataset: &'a str,
    /// The number of times that the trace is repeated, if the user gave one.
    repeat: Option<u32>,
    conditions: Run,
    limits: Limits,
    /// True if instructions are counted as well.
    instructions: bool,
    subject: Subject,
}

impl Bench<'_> {
    /// Returns the row's own name, with the size if several were requested.
    fn variant(&self, workload: &Workload) -> String {
        match self.repeat {
            None => workload.variant().to_owned(),
            Some(times) => format!("{}/x{times}", workload.variant()),
        }
    }

    /// Returns the id of the row, as in the suites.
    fn name(&self, workload: &Workload) -> String {
        let (suite, engine) = (self.suite.name, self.engine.name());
        let variant = self.variant(workload);
        format!("{suite}/{engine}/{}/{variant}", self.dataset)
    }

    /// Returns the record of a row, and whether a single repetition used up the budget.
    fn measure(&self, workload: &Workload) -> anyhow::Result<(Record, bool)> {
        let mut cell = self.without_figures(workload);
        let name = self.name(workload);
        if let Some(reason) = workload.unsupported_because(self.engine, self.dataset) {
            return Ok((self.not_available(cell, &name, reason), false));
        }
        match cell::measure(workload, &self.subject, self.limits) {
            Ok(measured) => {
                let spent = measured.budget_spent;
                fill(&mut cell, measured);
                if self.instructions {
                    cell.instructions = Some(callgrind::count(&self.counting_args(workload))?);
                }
                Ok((self.record(cell, Status::Ok, Vec::new()), spent))
            }
            Err(WorkloadError::Unsuitable { reason, .. }) => {
                Ok((self.not_available(cell, &name, reason), false))
            }
            Err(error) => {
                complain!("syncbench: {name}: {error}");
                cell.unavailable = Some(error.to_string());
                let reasons = vec![error.to_string()];
                Ok((self.record(cell, Status::Failure, reasons), false))
            }
        }
    }

    /// Returns the record of a row that does not exist for the engine or the data set.
    fn not_available(&self, mut cell: Cell, name: &str, reason: String) -> Record {
        complain!("n/a: {name}: {reason}");
        cell.unavailable = Some(reason);
        self.record(cell, Status::Ok, Vec::new())
    }

    /// Returns the arguments with which this executable runs the timed part once.
    fn counting_args(&self, workload: &Workload) -> Vec<String> {
        let mut args: Vec<String> = [
            "cell",
            self.suite.name,
            "--variant",
            workload.variant(),
            "--engine",
            self.engine.name(),
            "--dataset",
            self.dataset,
            "--under-callgrind",
        ]
        .map(str::to_owned)
        .into();
        args.extend(self.repeat.map(|times| format!("--repeat={times}")));
        args
    }

    /// Returns the place of a row in a series: of the requested sizes, or of its own.
    fn scale(&self, workload: &Workload) -> Option<Scale> {
        match self.repeat {
            Some(_) => Some(Scale {
                series: workload.variant().to_owned(),
                size: self.subject.data().operations(),
                unit: "operations".to_owned(),
            }),
            None => workload.scale_of().map(|scale| Scale {
                series: scale.series.clone(),
                size: scale.size,
                unit: scale.unit.to_owned(),
            }),
        }
    }

    fn without_figures(&self, workload: &Workload) -> Cell {
        Cell {
            workload: self.suite.name.to_owned(),
            engine: self.engine.name().to_owned(),
            engine_version: self.engine.version().to_owned(),
            dataset: self.dataset.to_owned(),
            variant: self.variant(workload),
            n: 0,
            samples_wall_ns: Vec::new(),
            samples_cpu_ns: Vec::new(),
            encoded_bytes: 0,
            allocs: None,
            alloc_bytes: None,
            peak_bytes: None,
            live_bytes: None,
            instructions: None,
            result_hash: String::new(),
            elements: workload.elements(self.subject.data().operations()),
            document_bytes: None,
            scale: self.scale(workload),
            finding: None,
            differs: self
                .engine
                .not_comparable_because(self.suite.name, workload.variant())
                .map(str::to_owned),
            unavailable: None,
        }
    }

    fn record(&self, cell: Cell, status: Status, reasons: Vec<String>) -> Record {
        Record {
            schema: SCHEMA.to_owned(),
            kind: Kind::Cell,
            run: self.conditions.clone(),
            verdict: Verdict {
                exit_code: status.exit_code(),
                status,
                reasons,
            },
            convergence: None,
            counts: None,
            cell: Some(cell),
            latency: Default::default(),
            groups: Default::default(),
            attribution: Default::default(),
            attribution_ns: Default::default(),
            course: None,
            errors: Default::default(),
            resources: None,
            series: None,
            marked: Vec::new(),
            thresholds: Vec::new(),
            artifacts: Vec::new(),
        }
    }
}

fn fill(cell: &mut Cell, measured: cell::Measured) {
    let allocations = measured.allocations;
    cell.n = measured.wall_ns.len() as u64;
    cell.samples_wall_ns = measured.wall_ns;
    cell.samples_cpu_ns = measured.cpu_ns;
    cell.encoded_bytes = measured.outcome.encoded_bytes;
    cell.allocs = allocations.map(|a| a.count);
    cell.alloc_bytes = allocations.map(|a| a.bytes);
    cell.peak_bytes = allocations.map(|a| a.peak);
    cell.live_bytes = allocations.map(|a| a.live);
    cell.result_hash = measured.outcome.state_hash.to_string();
    cell.document_bytes = measured.outcome.document_bytes;
    cell.finding = measured.outcome.finding;
}

/// Returns the engine called `name`. The error for an engine that this build lacks says
/// how to build with it.
fn engine_named(name: &str, workload: &str) -> Result<&'static dyn Engine, BadInput> {
    let known = named("engine", name, EngineInfo::ALL.iter(), |known| known.name)?;
    engine(name).ok_or_else(|| {
        let feature = known.feature.unwrap_or_default();
        BadInput::new(format!(
            "this build does not have the engine `{name}`; build it in with `cargo run --release \
             --features syncbench-engines/{feature} -- cell {workload} --engine {name}`"
        ))
    })
}

/// Returns the rows that `--variant` selects.
fn select<'a>(
    workloads: &'a [Workload],
    variant: Option<&str>,
) -> Result<Vec<&'a Workload>, BadInput> {
    let Some(variant) = variant else {
        return Ok(workloads.iter().collect());
    };
    let below = |workload: &&Workload| workload.variant().starts_with(variant);
    let below: Vec<_> = workloads.iter().filter(below).collect();
    if variant.ends_with('/') && !below.is_empty() {
        return Ok(below);
    }
    named("variant", variant, workloads.iter(), Workload::variant).map(|row| vec![row])
}

/// Returns the one of `choices` that is called `name`.
fn named<'a, T>(
    what: &str,
    name: &str,
    choices: impl Iterator<Item = &'a T> + Clone,
    name_of: impl Fn(&'a T) -> &'a str,
) -> Result<&'a T, BadInput> {
    choices
        .clone()
        .find(|&choice| name_of(choice) == name)
        .ok_or_else(|| {
            let known: Vec<&str> = choices.map(&name_of).collect();
            BadInput::new(format!(
                "unknown {what} `{name}`; choose one of {}",
                known.join(", ")
            ))
        })
}
