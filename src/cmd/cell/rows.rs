//! The rows as they are printed: records for programs, or a table for people.

use anyhow::Result;
use syncbench_engines::Engine;
use syncbench_reports::quantity;
use syncbench_reports::record::{Cell, Record, Status};
use syncbench_reports::statistics::Estimate;

use crate::stdout::say;

/// The heads of the columns after the name.
const HEADS: [&str; 6] = ["median", "", "n", "encoded", "peak heap", "allocations"];

/// Widths of the same columns.
const WIDTHS: [usize; 6] = [8, 7, 6, 9, 9, 12];

/// The form in which rows are printed, each as soon as it is measured.
pub enum Rows {
    /// A record a line.
    Json,
    /// A table, whose column of names has this width.
    Table(usize),
}

impl Rows {
    /// Returns a table that has space for these names.
    pub fn table(names: Vec<String>) -> Rows {
        let widths = names.iter().map(|name| name.chars().count());
        Rows::Table(widths.max().unwrap_or(0))
    }

    /// Prints what comes before the first row.
    pub fn begin(&self, engine: &dyn Engine, dataset: &str) {
        if let Rows::Table(width) = self {
            say!("{} {}, {dataset}", engine.name(), engine.version());
            say!("{}", line(*width, "", HEADS.map(str::to_owned)));
        }
    }

    /// Prints a row.
    pub fn print(&self, record: &Record) -> Result<()> {
        match (self, &record.cell) {
            (Rows::Table(width), Some(cell)) => {
                say!("{}", row(*width, record.verdict.status, cell))
            }
            _ => say!("{}", serde_json::to_string(record)?),
        }
        Ok(())
    }
}

/// Returns the line of a row. The reason why one has no figure is on standard error.
fn row(width: usize, status: Status, cell: &Cell) -> String {
    let Some(wall) = Estimate::from_samples(&cell.samples_wall_ns) else {
        let word = match status {
            Status::Ok => "n/a",
            _ => "failed",
        };
        let mut texts: [String; 6] = Default::default();
        texts[0] = word.to_owned();
        return line(width, &cell.variant, texts);
    };
    let bytes = |bytes: u64| quantity::bytes(bytes as f64);
    let figures = [
        quantity::duration(wall.median_ns / 1_000.0),
        wall.spread.map(quantity::spread).unwrap_or_default(),
        quantity::count(wall.n as u64),
        bytes(cell.encoded_bytes),
        cell.peak_bytes.map(bytes).unwrap_or_default(),
        cell.allocs.map(quantity::count).unwrap_or_default(),
    ];
    let finding = cell.finding.as_deref().unwrap_or_default();
    let line = line(width, &cell.variant, figures);
    format!("{line}  {finding}").trim_end().to_owned()
}

fn line(width: usize, name: &str, texts: [String; 6]) -> String {
    let columns = texts.iter().zip(WIDTHS);
    let columns = columns.map(|(text, width)| format!("  {text:>width$}"));
    let line = format!("{name:<width$}{}", columns.collect::<String>());
    line.trim_end().to_owned()
}
