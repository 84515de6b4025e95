//! `syncbench datasets fetch`.

use std::collections::BTreeSet;

use syncbench_datasets::{DatasetError, Entry, Fetched, Location, catalog};
use syncbench_reports::record::Status;

use crate::cmd::BadInput;
use crate::stderr::complain;
use crate::stdout::say;

/// Download data sets into the cache folder and verify their checksums
///
/// An interrupted download resumes where it stopped. The variables HTTPS_PROXY,
/// HTTP_PROXY, ALL_PROXY and NO_PROXY are honoured.
#[derive(clap::Args)]
#[command(after_help = "Example: syncbench datasets fetch friendsforever clownschool")]
pub struct Args {
    /// Names in the catalog
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,

    /// Download everything in the catalog
    #[arg(long, conflicts_with = "names")]
    all: bool,

    /// Print the result of each download as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let mut failed = false;
    let mut outcomes = Vec::new();
    for entry in entries(args)? {
        let outcome = fetch(entry);
        failed |= outcome.is_err();
        match (&outcome, args.json) {
            (Ok(fetched), false) => say!("{}: {}", entry.name, describe(fetched)),
            (Err(error), false) => complain!("syncbench: {error}"),
            (_, true) => outcomes.push(serde_json::json!({
                "name": entry.name,
                "fetched": outcome.as_ref().ok().map(describe),
                "error": outcome.as_ref().err().map(ToString::to_string),
            })),
        }
    }
    if args.json {
        super::print_json(&outcomes)?;
    }
    Ok(if failed { Status::Failure } else { Status::Ok })
}

/// Returns the entries that provide the files for the names, without duplicates.
fn entries(args: &Args) -> Result<Vec<&'static Entry>, BadInput> {
    if args.all {
        return Ok(catalog().entries.iter().collect());
    }
    let mut seen = BTreeSet::new();
    let entries: Result<Vec<&Entry>, DatasetError> = args
        .names
        .iter()
        .map(|name| catalog().file_of(name))
        .collect();
    let mut entries = entries.map_err(BadInput::new)?;
    entries.retain(|entry| seen.insert(&entry.name));
    Ok(entries)
}

fn fetch(entry: &Entry) -> Result<Fetched, DatasetError> {
    let bar = super::bar("{msg:22} {bar:24} {bytes}/{total_bytes} {binary_bytes_per_sec}");
    bar.set_message(entry.name.clone());
    let fetched = syncbench_datasets::fetch(entry, &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    fetched
}

fn describe(fetched: &Fetched) -> String {
    match fetched {
        Fetched::AlreadyHere(Location::Embedded) => "already here, embedded".to_owned(),
        Fetched::AlreadyHere(Location::Mirror(path) | Location::Cache(path)) => {
            format!("already here, {}", path.display())
        }
        Fetched::Downloaded(path) => format!("downloaded to {}", path.display()),
    }
}
