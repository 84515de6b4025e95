//! `syncbench cell`: one engine x workload x data set in this process.

use std::time::Duration;

use syncbench_engines::cell::{self, Limits};
use syncbench_engines::workload::{Data, Subject, Suite, Workload};
use syncbench_engines::{Engine, engines};
use syncbench_reports::record::{
    Cell, DatasetRef, Kind, Record, Run, SCHEMA, Scale, Status, Verdict,
};

use super::BadInput;
use crate::conditions;
use crate::stdout::say;

/// Measure one engine, workload and data set in a process of its own.
///
/// Prints a record as one line of JSON for each variant: wall and CPU time of
/// every repetition, encoded bytes, allocations, and a hash of the result. Every
/// repetition is checked; a wrong result gives no figure and exit code 1. What
/// the engine cannot do gives a record that says why.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench cell import --variant snapshot+edit
  syncbench cell export --dataset my-trace.json.gz --budget 10s
  syncbench cell --list")]
pub struct Args {
    /// Suite, as in --list
    #[arg(required_unless_present = "list")]
    workload: Option<String>,

    /// Print suite, engine and data set of every cell there is, a line each; `large` where it takes minutes
    #[arg(long)]
    list: bool,

    /// One row of the suite [default: all]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,

    /// Engine, as in benchmark ids
    #[arg(long, value_name = "NAME", default_value = "loro")]
    engine: String,

    /// Catalog name, or path of a trace [default: the first of the suite]
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,

    /// Repetitions to time
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,

    /// Time for each variant; a repetition under way is finished, so one is always measured
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration)]
    budget: Duration,
}

/// Measures the cells and prints a record for each.
pub fn run(args: Args) -> anyhow::Result<Status> {
    let Some(workload) = args.workload.as_deref().filter(|_| !args.list) else {
        list();
        return Ok(Status::Ok);
    };
    let suite = named("workload", workload, Suite::ALL.iter(), |suite| suite.name)?;
    let engine = *named("engine", &args.engine, engines().iter(), |engine| {
        engine.name()
    })?;
    let dataset = args.dataset.as_deref().unwrap_or(suite.datasets[0]);
    let data = Data::load(dataset).map_err(BadInput::new)?;
    let workloads: Vec<Workload> = suite
        .workloads()
        .into_iter()
        .filter(|workload| workload.input() == data.input())
        .collect();
    if workloads.is_empty() {
        let suites = suite.datasets.join(", ");
        let message = format!("{workload} has no row for {dataset}; it works on such as {suites}");
        return Err(BadInput::new(message).into());
    }
    let workloads: Vec<&Workload> = match &args.variant {
        None => workloads.iter().collect(),
        Some(variant) => vec![named("variant", variant, workloads.iter(), |workload| {
            workload.variant()
        })?],
    };
    let bench = Bench {
        suite,
        engine,
        dataset,
        conditions: conditions(engine, &data, &args),
        limits: Limits {
            repetitions: args.repetitions as usize,
            budget: args.budget,
        },
        subject: Subject::new(engine, data),
    };
    let mut status = Status::Ok;
    for workload in workloads {
        let record = bench.measure(workload);
        if record.verdict.status != Status::Ok {
            status = record.verdict.status;
        }
        say!("{}", serde_json::to_string(&record)?);
    }
    Ok(status)
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

/// What the cells of one command have in common.
struct Bench<'a> {
    suite: &'a Suite,
    engine: &'static dyn Engine,
    /// As it was asked for.
    dataset: &'a str,
    conditions: Run,
    limits: Limits,
    subject: Subject,
}

impl Bench<'_> {
    fn measure(&self, workload: &Workload) -> Record {
        let mut cell = self.without_figures(workload);
        let (suite, engine, variant) = (self.suite.name, self.engine.name(), workload.variant());
        let name = format!("{suite}/{engine}/{}/{variant}", self.dataset);
        if let Some(reason) = workload.reason_against(self.engine, self.dataset) {
            eprintln!("n/a: {name}: {reason}");
            cell.unavailable = Some(reason);
            return self.record(cell, Status::Ok, Vec::new());
        }
        match cell::measure(workload, &self.subject, self.limits) {
            Ok(measured) => {
                fill(&mut cell, measured);
                self.record(cell, Status::Ok, Vec::new())
            }
            Err(error) => {
                eprintln!("syncbench: {name}: {error}");
                cell.unavailable = Some(error.to_string());
                self.record(cell, Status::Failure, vec![error.to_string()])
            }
        }
    }

    fn without_figures(&self, workload: &Workload) -> Cell {
        Cell {
            workload: self.suite.name.to_owned(),
            engine: self.engine.name().to_owned(),
            engine_version: self.engine.version().to_owned(),
            dataset: self.dataset.to_owned(),
            variant: workload.variant().to_owned(),
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
            scale: workload.scale_of().map(|scale| Scale {
                series: scale.series.clone(),
                size: scale.size,
                unit: scale.unit.to_owned(),
            }),
            finding: None,
            differs: self
                .engine
                .differs(self.suite.name, workload.variant())
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
                exit_code: status.exit_code(false),
                status,
                reasons,
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
