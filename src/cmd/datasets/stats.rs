//! `syncbench datasets stats`.

use std::path::PathBuf;

use syncbench_datasets::{Spread, Stats, Trace, load, stats};
use syncbench_reports::file;
use syncbench_reports::plot::{Axis, Chart, Palette, Scale, Series, Size, Unit};
use syncbench_reports::quantity;
use syncbench_reports::record::Status;

use crate::cmd::BadInput;
use crate::stdout::say;

/// Describe a trace: counts, sizes of edits, typing rhythm, concurrency
#[derive(clap::Args)]
#[command(after_help = "Example: syncbench datasets stats my-trace.json.gz -o plots")]
pub struct Args {
    /// Catalog name, or the path of a trace file
    #[arg(value_name = "NAME|FILE")]
    trace: String,

    /// Print the statistics as JSON
    #[arg(long)]
    json: bool,

    /// Folder for the plots (SVG) [default: stats-NAME in target/syncbench]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Status> {
    let trace = load(&args.trace).map_err(BadInput::new)?;
    let figures = stats(&trace);
    let files = plot(args, &trace, &figures)?;
    if args.json {
        let (name, sha256, kind) = (trace.name(), trace.sha256(), trace.kind().to_string());
        super::print_json(&serde_json::json!({
            "name": name, "sha256": sha256, "kind": kind, "stats": figures, "plots": files,
        }))?;
    } else {
        print(&trace, &figures);
        files.iter().for_each(|file| say!("{}", file.display()));
    }
    Ok(Status::Ok)
}

fn print(trace: &Trace, figures: &Stats) {
    let counts = &figures.counts;
    let count = |value: usize| quantity::count(value as u64);
    say!(
        "{} ({}, sha256 {})\n",
        trace.name(),
        trace.kind(),
        trace.sha256()
    );
    say!(
        "  {} txns by {} agents, {} patches",
        count(counts.txns),
        counts.agents,
        count(counts.patches)
    );
    say!(
        "  {} characters inserted, {} deleted",
        count(counts.inserted),
        count(counts.deleted)
    );
    say!(
        "  end text: {} characters, {}\n",
        count(counts.end_chars),
        quantity::bytes(counts.end_bytes as f64)
    );
    let mut table = super::table(["", "count", "mean", "p50", "p90", "p99", "max"], 1..7);
    let mut row = |name: &str, spread: &Spread| {
        let mut cells = vec![
            name.to_owned(),
            quantity::count(spread.count),
            format!("{:.1}", spread.mean),
        ];
        cells.extend([spread.p50, spread.p90, spread.p99, spread.max].map(quantity::count));
        table.add_row(cells);
    };
    row("characters per insert", &figures.insert_chars);
    row("characters per delete", &figures.delete_chars);
    row("patches per typing run", &figures.typing_run_patches);
    if let Some(pauses) = &figures.pause_ms {
        row("pause before a txn, ms", pauses);
    }
    say!("{table}\n");
    if let Some(concurrency) = &figures.concurrency {
        say!(
            "  {} merges, {} runs",
            count(concurrency.merges),
            count(concurrency.runs)
        );
        say!(
            "  {:.2} other branches at an edit on average, {} branches at most",
            concurrency.mean_other_branches,
            concurrency.most_branches
        );
        say!(
            "  {:.2} other edits concurrent with an edit on average\n",
            concurrency.mean_concurrent_events
        );
    }
}

fn plot(args: &Args, trace: &Trace, figures: &Stats) -> anyhow::Result<Vec<PathBuf>> {
    let folder = args.output.clone().unwrap_or_else(|| {
        let name = PathBuf::from(trace.name());
        let name = name
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        PathBuf::from(format!("target/syncbench/stats-{name}"))
    });
    let mut charts = vec![
        ("length.svg", length_chart(figures)),
        (
            "inserts.svg",
            spread_chart(
                "Length of inserts",
                "characters per insert",
                &figures.insert_chars,
            ),
        ),
        (
            "runs.svg",
            spread_chart(
                "Length of typing runs",
                "patches per run",
                &figures.typing_run_patches,
            ),
        ),
    ];
    if let Some(pauses) = &figures.pause_ms {
        charts.push((
            "pauses.svg",
            spread_chart("Pauses between txns", "milliseconds", pauses),
        ));
    }
    let mut files = Vec::new();
    for (name, chart) in charts {
        let path = folder.join(name);
        let svg = chart.svg(Size::Wide, Palette::Light)?;
        file::write(&path, svg.as_bytes()).map_err(BadInput::new)?;
        files.push(path);
    }
    Ok(files)
}

fn length_chart(figures: &Stats) -> Chart {
    let points = figures
        .length
        .iter()
        .map(|&(patches, chars)| (patches as f64, Some(chars as f64)));
    Chart {
        title: "Length of the text".into(),
        description: "How the text grew with the edits.".into(),
        x: Axis::new("patches", Unit::Number, Scale::Linear),
        y: Axis::new("characters", Unit::Number, Scale::Linear),
        series: vec![Series::line("characters", points.collect())],
    }
}

fn spread_chart(title: &str, label: &str, spread: &Spread) -> Chart {
    // A logarithmic axis cannot show zero; the table does.
    let octaves = spread.octaves.iter().filter(|&&(from, _)| from > 0);
    let bars = octaves.map(|&(from, count)| (from as f64, 2.0 * from as f64, count as f64));
    Chart {
        title: title.into(),
        description: format!(
            "Half are {} or less, one in a hundred is above {}.",
            spread.p50, spread.p99
        ),
        x: Axis::new(label, Unit::Number, Scale::Log),
        y: Axis::new("how many", Unit::Number, Scale::Linear),
        series: vec![Series::bars("how many", bars.collect())],
    }
}
