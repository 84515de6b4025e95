//! Runs a suite under Criterion: engine x data set x workload.
//!
//! Only the engine's own work is timed. Each repetition gets fresh replicas
//! before the clock starts; they are checked and dropped after it has stopped.

use std::cell::OnceCell;
use std::fmt::Display;
use std::time::{Duration, Instant};

use criterion::{Criterion, PlottingBackend, Throughput};
use syncbench_engines::workload::{Subject, Suite, Workload, WorkloadError};
use syncbench_engines::{Engine, engines};

/// Data sets that every suite runs on, by their names in the catalog.
const DATASETS: [&str; 1] = ["automerge-paper"];

/// Runs every benchmark of a suite that the command line asks for.
pub fn run(suite: Suite) {
    let mut criterion = criterion(&suite);
    for &engine in engines() {
        for dataset in DATASETS {
            bench(&mut criterion, &suite, engine, dataset);
        }
    }
    criterion.final_summary();
}

/// Settings that suit single repetitions between 50 us and 2 s; the command
/// line overrides them.
fn criterion(suite: &Suite) -> Criterion {
    let criterion = Criterion::default()
        .plotting_backend(PlottingBackend::Plotters)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5))
        .sample_size(20)
        .configure_from_args();
    match pasted_id(suite, std::env::args().skip(1)) {
        Some(id) => criterion.with_filter(id.replace('+', r"\+")),
        None => criterion,
    }
}

/// The argument that is part of a benchmark id with a `+` in it. Criterion
/// takes filters as regular expressions, where the `+` would match no id: it
/// would run nothing and say nothing.
fn pasted_id(suite: &Suite, mut args: impl Iterator<Item = String>) -> Option<String> {
    let ids: Vec<String> = engines()
        .iter()
        .flat_map(|engine| DATASETS.map(|dataset| group_name(suite, *engine, dataset)))
        .flat_map(|group| {
            let workloads = suite.workloads().into_iter();
            workloads.map(move |workload| format!("{group}/{}", workload.variant()))
        })
        .collect();
    args.find(|arg| arg.contains('+') && ids.iter().any(|id| id.contains(arg)))
}

fn group_name(suite: &Suite, engine: &dyn Engine, dataset: &str) -> String {
    format!("{}/{}/{dataset}", suite.name, engine.name())
}

fn bench(
    criterion: &mut Criterion,
    suite: &Suite,
    engine: &'static dyn Engine,
    dataset: &'static str,
) {
    // Filled by the first benchmark that really runs, so that `--list` and
    // filters load nothing that they do not need.
    let subject = OnceCell::new();
    let name = group_name(suite, engine, dataset);
    for workload in suite.workloads() {
        let variant = workload.variant();
        if let Some(reason) = workload.reason_against(engine) {
            eprintln!("n/a: {name}/{variant}: {reason}");
            continue;
        }
        // A group of its own, since a throughput cannot be unset again.
        let mut group = criterion.benchmark_group(&name);
        if let Some(operations) = operations(&*workload, dataset) {
            group.throughput(Throughput::Elements(operations));
        }
        group.bench_function(&variant, |bencher| {
            let subject = subject.get_or_init(|| load(engine, dataset));
            bencher.iter_custom(|repetitions| {
                measure(&*workload, subject, repetitions)
                    .unwrap_or_else(|e| stop(1, format_args!("{name}/{variant}: {e}")))
            });
        });
        group.finish();
    }
}

/// Time of the given number of repetitions. The first is always checked; that
/// the others are equal follows from fixed data and fixed peer ids.
fn measure(
    workload: &dyn Workload,
    subject: &Subject,
    repetitions: u64,
) -> Result<Duration, WorkloadError> {
    let mut total = Duration::ZERO;
    for i in 0..repetitions {
        let mut repetition = workload.repetition(subject)?;
        let start = Instant::now();
        repetition.run()?;
        total += start.elapsed();
        if i == 0 {
            repetition.check()?;
        }
    }
    Ok(total)
}

fn operations(workload: &dyn Workload, dataset: &str) -> Option<u64> {
    let counts = syncbench_datasets::catalog()
        .entry(dataset)?
        .counts
        .as_ref()?;
    workload.operations((counts.inserted + counts.deleted) as u64)
}

fn load(engine: &'static dyn Engine, dataset: &str) -> Subject {
    let trace = syncbench_datasets::load(dataset).unwrap_or_else(|e| stop(2, e));
    Subject::new(engine, trace).unwrap_or_else(|e| stop(2, e))
}

/// A benchmark that cannot be trusted ends the run, before its time is shown.
fn stop(code: i32, message: impl Display) -> ! {
    eprintln!("\nerror: {message}");
    std::process::exit(code)
}
