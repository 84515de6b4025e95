//! Every suite under Criterion: engine x data set x workload.
//!
//! Ids are `<suite>/<engine>/<dataset>/<variant>`. A filter that is the name of a suite
//! selects exactly that suite.
//!
//! Only the engine's own work is timed. Each repetition gets fresh replicas before the
//! clock starts; they are checked and dropped after it has stopped.
//!
//! Where Criterion only tests the benchmarks, as `cargo test --benches` does, every row
//! runs once, with less work: on the beginnings of long traces, and at small sizes.

mod selection;

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fmt::Display;
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, PlottingBackend, Throughput};
use syncbench_datasets::{catalog, locate, mirror};
use syncbench_engines::workload::{
    Data, Input, Size, Subject, Suite, Workload, WorkloadError, input_of,
};
use syncbench_engines::{Engine, engines};

use crate::selection::Selection;

/// The number of txns of a sequential trace to which tests keep. The longest branches
/// of the suite `merge` need that many.
const TESTED_TXNS: usize = 40_000;

fn main() {
    if let Err(error) = mirror() {
        eprintln!("{error}");
        std::process::exit(2);
    }
    let here = datasets_here();
    let selection = Selection::from_args();
    if !selection.tests {
        return run(engines(), &here, &selection);
    }
    // Nothing is timed, so the engines share the cores.
    thread::scope(|scope| {
        for engine in engines() {
            scope.spawn(|| run(slice::from_ref(engine), &here, &selection));
        }
    });
}

/// Measures or tests the selected rows of some engines.
fn run(engines: &[&'static dyn Engine], datasets: &[&'static str], selection: &Selection) {
    let mut criterion = criterion(selection);
    for &engine in engines {
        for &dataset in datasets {
            // Filled by the first benchmark that runs, so that `--list` and filters
            // load only what they need.
            let subject = OnceCell::new();
            let rows = Rows {
                engine,
                dataset,
                subject: &subject,
            };
            for suite in Suite::ALL {
                if suite.datasets.contains(&dataset) {
                    bench(&mut criterion, selection, suite, &rows);
                }
            }
        }
    }
    criterion.final_summary();
}

/// Returns the data sets of the suites that are on this machine, without duplicates.
fn datasets_here() -> Vec<&'static str> {
    let mut seen = HashSet::new();
    let datasets = Suite::ALL.iter().flat_map(|suite| suite.datasets);
    let (here, absent): (Vec<&str>, Vec<&str>) = datasets
        .filter(|&&name| seen.insert(name))
        .partition(|&&name| is_here(name));
    if !absent.is_empty() {
        let names = absent.join(" ");
        eprintln!("skipped: {names}; `syncbench datasets fetch {names}` downloads them");
    }
    here
}

fn is_here(dataset: &str) -> bool {
    match input_of(dataset) {
        Some(Input::Synthetic) => true,
        _ => matches!(catalog().file_of(dataset).and_then(locate), Ok(Some(_))),
    }
}

/// Returns settings that suit single repetitions between 50 us and 2 s; the command
/// line overrides them.
fn criterion(selection: &Selection) -> Criterion {
    let criterion = Criterion::default()
        .plotting_backend(PlottingBackend::Plotters)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5))
        .sample_size(20)
        .configure_from_args();
    match &selection.rewritten {
        Some(filter) => criterion.with_filter(filter),
        None => criterion,
    }
}

fn group_name(suite: &Suite, engine: &dyn Engine, dataset: &str) -> String {
    format!("{}/{}/{dataset}", suite.name, engine.name())
}

/// The rows of one engine on one data set.
struct Rows<'a> {
    engine: &'static dyn Engine,
    dataset: &'static str,
    /// Loaded when the first row needs it.
    subject: &'a OnceCell<Subject>,
}

/// Measures the rows of `suite`, each in its own Criterion group.
fn bench(criterion: &mut Criterion, selection: &Selection, suite: &Suite, rows: &Rows) {
    let Rows {
        engine,
        dataset,
        subject,
    } = *rows;
    let input = input_of(dataset);
    let name = group_name(suite, engine, dataset);
    let workloads = suite.workloads_of(match selection.tests {
        true => Size::Small,
        false => Size::Published,
    });
    for workload in workloads.iter().filter(|w| Some(w.input()) == input) {
        let variant = workload.variant();
        if let Some(reason) = workload.unsupported_because(engine, dataset) {
            selection.say_unavailable(&format!("{name}/{variant}"), &reason);
            continue;
        }
        if workload.is_slow(engine, dataset) {
            let reason = "takes too long to be repeated: `syncbench cell` measures it";
            selection.say_unavailable(&format!("{name}/{variant}"), reason);
            continue;
        }
        // Each row has its own group, since a throughput cannot be unset again.
        let mut group = criterion.benchmark_group(&name);
        if let Some(elements) = workload.elements(operations(dataset)) {
            group.throughput(Throughput::Elements(elements));
        }
        group.bench_function(variant, |bencher| {
            let subject = subject.get_or_init(|| load(engine, dataset, selection));
            bencher.iter_custom(|repetitions| {
                measure(workload, subject, repetitions)
                    .unwrap_or_else(|e| stop(1, format_args!("{name}/{variant}: {e}")))
            });
        });
        group.finish();
    }
}

/// Measures the time of the given number of repetitions. The first is always checked;
/// the others are equal, because data and peer ids are fixed.
fn measure(
    workload: &Workload,
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

/// Returns the number of operations of a data set without loading it.
fn operations(dataset: &str) -> u64 {
    let repeat = catalog()
        .derived(dataset)
        .map_or(1, |derived| derived.repeat);
    let counts = catalog()
        .file_of(dataset)
        .ok()
        .and_then(|entry| entry.counts.as_ref());
    counts.map_or(0, |counts| {
        ((counts.inserted + counts.deleted) * repeat) as u64
    })
}

fn load(engine: &'static dyn Engine, dataset: &str, selection: &Selection) -> Subject {
    let data = Data::load(dataset).unwrap_or_else(|e| stop(2, e));
    Subject::new(
        engine,
        match data {
            Data::Trace(trace) if selection.tests && data.input() == Input::Sequential => {
                trace.truncated(TESTED_TXNS).into()
            }
            data => data,
        },
    )
}

/// Ends the run, because a benchmark cannot be trusted, before its time is shown.
fn stop(code: i32, message: impl Display) -> ! {
    eprintln!("\nerror: {message}");
    std::process::exit(code)
}
