//! `syncbench datasets list`.

use crate::cmd::BadInput;
use crate::stdout::say;
use syncbench_datasets::{Derived, Entry, catalog, locate};
use syncbench_reports::quantity;
use syncbench_reports::record::Status;

/// List all data sets, with their licences and which of them are on this machine
#[derive(clap::Args)]
#[command(after_help = "Example: syncbench datasets list --json")]
pub struct Args {
    /// Print the catalog as JSON, with attributions, sources and checksums
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    if args.json {
        super::print_json(&json()?)?;
        return Ok(Status::Ok);
    }
    let header = [
        "name", "kind", "txns", "edits", "end", "agents", "size", "here", "licence",
    ];
    let mut table = super::table(header, 2..7);
    for entry in &catalog().entries {
        table.add_row(row(entry)?);
    }
    say!("{table}\n");
    for derived in &catalog().derived {
        let Derived { name, base, repeat } = derived;
        say!("{name} is {base}, repeated {repeat} times");
    }
    say!("\n`edits` and `end` are in characters; `list --json` has attributions and sources");
    Ok(Status::Ok)
}

fn row(entry: &Entry) -> Result<Vec<String>, BadInput> {
    let counts = |figure: fn(&syncbench_datasets::Counts) -> usize| {
        let figure = entry.counts.as_ref().map(figure);
        figure.map_or_else(String::new, |figure| quantity::count(figure as u64))
    };
    let place = locate(entry).map_err(BadInput::new)?;
    Ok(vec![
        entry.name.clone(),
        entry.kind.to_string(),
        counts(|counts| counts.txns),
        counts(|counts| counts.inserted + counts.deleted),
        counts(|counts| counts.end_chars),
        counts(|counts| counts.agents),
        quantity::bytes(entry.bytes as f64),
        place.map_or_else(|| "-".to_owned(), |place| place.to_string()),
        entry.licence.clone(),
    ])
}

fn json() -> Result<serde_json::Value, BadInput> {
    let entries = catalog().entries.iter().map(|entry| {
        let place = locate(entry).map_err(BadInput::new)?;
        let place = place.map(|place| place.to_string());
        Ok(serde_json::json!({"entry": entry, "here": place}))
    });
    let entries: Vec<_> = entries.collect::<Result<_, BadInput>>()?;
    Ok(serde_json::json!({"datasets": entries, "derived": catalog().derived}))
}
