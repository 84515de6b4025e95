//! `syncbench datasets verify`.

use std::collections::BTreeSet;
use std::time::Instant;

use syncbench_datasets::{Check, DatasetError, Entry, Finding, Trace, Verified, catalog, verify};
use syncbench_engines::replay::{Unit, kept, replay_cached};
use syncbench_engines::{Engine, Loro};
use syncbench_reports::quantity;
use syncbench_reports::record::Status;

use crate::cmd::BadInput;
use crate::stderr::complain;
use crate::stdout::say;

/// Verify the data sets on this machine: checksums, counts, and that the edits yield
/// the end text
///
/// Files are read, parsed and replayed afresh. Loro merges concurrent traces, and the
/// resulting updates are kept in the cache folder, so that this is done only once. A2
/// takes several minutes: Loro checks out version after version of a history that 375
/// people wrote.
#[derive(clap::Args)]
#[command(after_help = "Example: SYNCBENCH_DATASETS=~/traces syncbench datasets verify --quick")]
pub struct Args {
    /// Names in the catalog; these must be on this machine [default: all that are]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Skip replays that take minutes, unless their updates are in the cache
    #[arg(long)]
    quick: bool,

    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

/// The number of agents above which `--quick` skips a trace.
const QUICK_AGENTS: usize = 300;

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let mut seen = BTreeSet::new();
    let mut entries: Vec<&Entry> = Vec::new();
    for name in &args.names {
        let entry = catalog().file_of(name).map_err(BadInput::new)?;
        entries.extend(seen.insert(&entry.name).then_some(entry));
    }
    if entries.is_empty() {
        entries.extend(&catalog().entries);
    }
    let verified = entries.into_iter();
    let verified = verified.map(|entry| look_at(entry, args.quick));
    let verified: Vec<Verified> = verified.collect::<Result<_, _>>().map_err(BadInput::new)?;
    if args.json {
        super::print_json(&verified)?;
    } else {
        print(&verified);
    }
    let missing = !args.names.is_empty() && verified.iter().any(|found| found.place.is_none());
    let wrong = missing || verified.iter().any(Verified::is_wrong);
    Ok(if wrong { Status::Failure } else { Status::Ok })
}

fn look_at(entry: &Entry, quick: bool) -> Result<Verified, DatasetError> {
    verify(entry, &mut |trace, check| {
        let takes_minutes = trace.agent_count() > QUICK_AGENTS;
        if quick && takes_minutes && kept(&Loro, trace, Unit::Txn, check).is_none() {
            return Finding::skipped("takes minutes; run without --quick");
        }
        replay(trace, check)
    })
}

fn replay(trace: &Trace, check: Check) -> Finding {
    let bar = super::bar("{msg:22} {bar:24} {pos}/{len} txns replayed, {elapsed}");
    bar.set_message(trace.name().to_owned());
    let start = Instant::now();
    let replayed = replay_cached(&Loro, trace, Unit::Txn, check, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    match replayed {
        Err(error) => Finding::wrong(error.to_string()),
        Ok(replayed) => {
            let took = match replayed.from_cache {
                true => "from the cache".to_owned(),
                false => format!(
                    "in {}{}",
                    quantity::seconds(start.elapsed().as_secs_f64()),
                    peak_memory().unwrap_or_default()
                ),
            };
            let (judged, version) = (replayed.judged, Loro.version());
            Finding::right(format!("{judged}; Loro {version}, {took}"))
        }
    }
}

/// Returns the peak memory of this process so far, as text.
fn peak_memory() -> Option<String> {
    let usage = syncbench_loadgen::process::usage_of(std::process::id())?;
    Some(format!(
        ", peak {}",
        quantity::bytes(usage.rss_peak_bytes as f64)
    ))
}

fn print(verified: &[Verified]) {
    let mut table = super::table(["name", "here", "checksum", "counts", "replay"], 5..5);
    for found in verified {
        let place = found.place.clone().unwrap_or_else(|| "no".to_owned());
        let findings = [&found.checksum, &found.counts].map(short);
        let replay = match &found.replay {
            Finding::Right { by } => format!("right: {by}"),
            other => short(other),
        };
        table.add_row([&found.name, &place, &findings[0], &findings[1], &replay]);
    }
    say!("{table}");
    for found in verified {
        for finding in [&found.checksum, &found.counts, &found.replay] {
            if let Finding::Wrong { reason } = finding {
                complain!("syncbench: {}: {reason}", found.name);
            }
        }
    }
    let absent = verified
        .iter()
        .filter(|found| found.place.is_none())
        .count();
    if absent > 0 {
        say!("\n{absent} not on this machine: `syncbench datasets fetch --all` gets them");
    }
}

fn short(finding: &Finding) -> String {
    match finding {
        Finding::Right { .. } => "right".to_owned(),
        Finding::Wrong { .. } => "WRONG".to_owned(),
        Finding::Skipped { reason } => format!("- ({reason})"),
    }
}
