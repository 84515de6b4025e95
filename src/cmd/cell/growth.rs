//! The growth of time over cells of several sizes.

use comfy_table::{CellAlignment, Table, presets};
use syncbench_reports::quantity;
use syncbench_reports::record::Cell;
use syncbench_reports::series::Series;

/// Returns a table for each series, with its exponent; empty if no cells differ only in
/// size.
pub fn tables(cells: &[Cell]) -> String {
    Series::from_cells(cells).iter().map(table).collect()
}

fn table(series: &Series<'_>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([series.unit, "median", "n"]);
    for (size, cell) in &series.cells {
        table.add_row([
            quantity::count(*size),
            median(&cell.samples_wall_ns),
            cell.n.to_string(),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let verdict = match series.exponent() {
        Ok(exponent) => format!("time ~ {}^{exponent} {}", series.unit, exponent.growth()),
        Err(error) => error.to_string(),
    };
    format!("\n{}\n{table}\n{}\n", series.id(), verdict.trim_end())
}

fn median(samples_ns: &[u64]) -> String {
    quantity::duration(syncbench_reports::statistics::median(samples_ns) / 1_000.0)
}
