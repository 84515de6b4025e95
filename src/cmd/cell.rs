//! `syncbench cell`: one engine x workload x data set in this process.

use std::time::Duration;

use syncbench_engines::cell::{self, Limits, Measured};
use syncbench_engines::workload::{Subject, Suite, Workload};
use syncbench_engines::{Engine, engines};
use syncbench_reports::record::{Cell, Kind, Record, Run, SCHEMA, Status, Verdict};

use super::BadInput;
use crate::conditions;
use crate::stdout::say;

/// Measure one engine, workload and data set in a process of its own.
///
/// Prints a record as one line of JSON for each variant: wall and CPU time of
/// every repetition, encoded bytes, allocations, and a hash of the result. Every
/// repetition is checked; a wrong result gives no figure and exit code 1.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench cell import --variant snapshot+edit
  syncbench cell export --dataset my-trace.json.gz --budget 10s")]
pub struct Args {
    /// Suite: import, export, merge
    workload: String,

    /// One row of the suite [default: all]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// Engine, as in benchmark ids
    #[arg(long, value_name = "NAME", default_value = "loro")]
    engine: String,

    /// Catalog name or path of the trace
    #[arg(long, value_name = "NAME|FILE", default_value = "automerge-paper")]
    dataset: String,

    /// Repetitions to time
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,

    /// Time for each variant; a repetition under way is finished, so one is always measured
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration)]
    budget: Duration,
}

/// Measures the cells and prints a record for each.
pub fn run(args: Args) -> anyhow::Result<Status> {
    let suite = named("workload", &args.workload, Suite::ALL.iter(), |suite| {
        suite.name
    })?;
    let engine = *named("engine", &args.engine, engines().iter(), |engine| {
        engine.name()
    })?;
    let workloads = suite.workloads();
    let workloads: Vec<&dyn Workload> = match &args.variant {
        None => workloads.iter().map(|workload| &**workload).collect(),
        Some(variant) => {
            let variants = workloads
                .iter()
                .map(|workload| (workload.variant(), &**workload));
            let variants: Vec<_> = variants.collect();
            vec![named("variant", variant, variants.iter(), |(name, _)| name)?.1]
        }
    };
    let trace = syncbench_datasets::load(&args.dataset).map_err(BadInput::new)?;
    let limits = Limits {
        repetitions: args.repetitions as usize,
        budget: args.budget,
    };
    let settings = serde_json::json!({
        "repetitions": limits.repetitions,
        "budget_s": limits.budget.as_secs_f64(),
    });
    let conditions = conditions::of(engine, &trace, 0, settings);
    let subject = Subject::new(engine, trace).map_err(BadInput::new)?;
    let mut status = Status::Ok;
    for workload in workloads {
        let name = format!(
            "{}/{}/{}/{}",
            suite.name,
            engine.name(),
            args.dataset,
            workload.variant()
        );
        if let Some(reason) = workload.reason_against(engine) {
            eprintln!("n/a: {name}: {reason}");
            continue;
        }
        match cell::measure(workload, &subject, limits) {
            Ok(measured) => {
                let cell = cell_of(suite, engine, &args.dataset, workload.variant(), measured);
                say!("{}", serde_json::to_string(&record(&conditions, cell))?);
            }
            Err(error) => {
                eprintln!("syncbench: {name}: {error}");
                status = Status::Failure;
            }
        }
    }
    Ok(status)
}

/// The one of `choices` that is called `name`.
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
                "no {what} called `{name}`; there are {}",
                known.join(", ")
            ))
        })
}

fn cell_of(
    suite: &Suite,
    engine: &dyn Engine,
    dataset: &str,
    variant: String,
    measured: Measured,
) -> Cell {
    let allocations = measured.allocations;
    Cell {
        workload: suite.name.to_owned(),
        engine: engine.name().to_owned(),
        engine_version: engine.version().to_owned(),
        dataset: dataset.to_owned(),
        variant,
        n: measured.wall_ns.len() as u64,
        samples_wall_ns: measured.wall_ns,
        samples_cpu_ns: measured.cpu_ns,
        encoded_bytes: measured.encoded_bytes,
        allocs: allocations.map(|a| a.count),
        alloc_bytes: allocations.map(|a| a.bytes),
        peak_bytes: allocations.map(|a| a.peak),
        live_bytes: allocations.map(|a| a.live),
        instructions: None,
        result_hash: measured.result_hash.to_string(),
        elements: None,
        document_bytes: None,
        scale: None,
        finding: None,
        differs: None,
        unavailable: None,
    }
}

fn record(conditions: &Run, cell: Cell) -> Record {
    let status = Status::Ok;
    Record {
        schema: SCHEMA.to_owned(),
        kind: Kind::Cell,
        run: conditions.clone(),
        verdict: Verdict {
            exit_code: status.exit_code(false),
            status,
            reasons: Vec::new(),
        },
        convergence: None,
        counts: None,
        cell: Some(cell),
        latency: Default::default(),
        resources: None,
        series: None,
        artifacts: Vec::new(),
    }
}
