//! The rows that the command line selects, which Criterion does not expose.

use regex::Regex;
use syncbench_engines::engines;
use syncbench_engines::workload::Suite;

use crate::group_name;

/// The rows that the command line selects.
pub struct Selection {
    /// The pattern of the selected ids; without one, all rows are selected.
    filter: Option<Regex>,
    /// The filter to pass to Criterion if it would misread the given one.
    pub rewritten: Option<String>,
    /// True if rows are only tested, and nothing is measured.
    pub tests: bool,
    /// True if rows are only listed.
    lists: bool,
}

impl Selection {
    /// Reads the selection from the command line of this process.
    pub fn from_args() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let filter = positional(&args).map(String::as_str);
        let rewritten = filter.and_then(rewritten);
        let pattern = rewritten.as_deref().or(filter);
        let has = |flag| args.iter().any(|arg| arg == flag);
        Self {
            filter: pattern.and_then(|pattern| Regex::new(pattern).ok()),
            rewritten,
            // As Criterion decides it: `cargo bench` adds `--bench`, `cargo test` does not.
            tests: has("--test") || !has("--bench"),
            lists: has("--list"),
        }
    }

    /// Prints the reason why a selected row has no figure.
    pub fn say_unavailable(&self, id: &str, reason: &str) {
        let filter = self.filter.as_ref();
        if !self.lists && filter.is_none_or(|filter| filter.is_match(id)) {
            eprintln!("n/a: {id}: {reason}");
        }
    }
}

/// Returns the first argument that is neither a flag nor the value of one.
fn positional(args: &[String]) -> Option<&String> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if TAKES_VALUE.contains(&arg.as_str()) {
            args.next();
        } else if !arg.starts_with('-') {
            return Some(arg);
        }
    }
    None
}

/// The flags of Criterion that take a value.
const TAKES_VALUE: [&str; 19] = [
    "-b",
    "-c",
    "--baseline",
    "--baseline-lenient",
    "--color",
    "--confidence-level",
    "--format",
    "--load-baseline",
    "--measurement-time",
    "--noise-threshold",
    "--nresamples",
    "--output-format",
    "--plotting-backend",
    "--profile-time",
    "--sample-size",
    "--save-baseline",
    "--significance-level",
    "--warm-up-time",
    "-s",
];

/// Returns the filter that Criterion needs in place of one that it would misread. It
/// treats filters as regular expressions that match anywhere: the name of a suite also
/// matches within variants, and a pasted id that contains a `+` matches no id, so that
/// nothing runs, without any message.
fn rewritten(filter: &str) -> Option<String> {
    if Suite::named(filter).is_some() {
        return Some(format!("^{filter}/"));
    }
    let pasted = filter.contains('+') && ids().any(|id| id.contains(filter));
    pasted.then(|| filter.replace('+', r"\+"))
}

fn ids() -> impl Iterator<Item = String> {
    Suite::ALL.iter().flat_map(|suite| {
        let workloads = suite.workloads();
        let variants: Vec<String> = workloads.iter().map(|w| w.variant().to_owned()).collect();
        let engines = engines().iter();
        let groups = engines.flat_map(|engine| {
            let datasets = suite.datasets.iter();
            datasets.map(|dataset| group_name(suite, *engine, dataset))
        });
        let ids = groups.flat_map(move |group| {
            let variants = variants.clone().into_iter();
            variants.map(move |variant| format!("{group}/{variant}"))
        });
        ids.collect::<Vec<_>>()
    })
}
