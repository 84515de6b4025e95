//! A comparison as a table.

use comfy_table::{CellAlignment, Table, presets};
use syncbench_reports::comparison::{Comparison, Figure, GrowthSeries, Row};
use syncbench_reports::quantity;
use syncbench_reports::statistics::Ratio;
use syncbench_reports::statistics::{Exponent, Growth};

/// Returns the table for a terminal.
pub fn terminal(comparison: &Comparison) -> String {
    let mut table = table(comparison);
    table.load_style(presets::NOTHING);
    format!("{table}\n\n{}", footer(comparison))
}

/// Returns the same table as Markdown.
pub fn markdown(comparison: &Comparison) -> String {
    let mut table = table(comparison);
    table.load_style(presets::ASCII_MARKDOWN);
    let footer = footer(comparison).replace('\n', "  \n");
    format!(
        "# {}\n\n{table}\n\n{footer}\n",
        comparison.contenders.join(" and ")
    )
}

/// Makes a row for each cell, and after the last size of a series, a row of its
/// exponents.
fn table(comparison: &Comparison) -> Table {
    let mut table = Table::new();
    let base = &comparison.contenders[0];
    let others = comparison.contenders.iter().skip(1);
    let mut header = vec!["cell".to_owned()];
    header.extend(comparison.contenders.iter().cloned());
    header.extend(others.map(|other| format!("{other} / {base}")));
    table.set_header(header);
    for (i, row) in comparison.rows.iter().enumerate() {
        table.add_row(cells(row));
        let rest = &comparison.rows[i + 1..];
        let mut series = comparison.series.iter();
        if let Some(growth) = series.find(|g| g.has(row) && !rest.iter().any(|row| g.has(row))) {
            table.add_row(exponents(growth));
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cells(row: &Row) -> Vec<String> {
    let mut cells = vec![format!("{} {} {}", row.workload, row.dataset, row.variant)];
    cells.extend(
        row.figures
            .iter()
            .map(|f| f.as_ref().map_or("n/a".to_owned(), figure)),
    );
    let ratios = row.ratios.iter().map(|r| match (r, &row.note) {
        (Some(r), _) => ratio(r),
        (None, Some(note)) => note.clone(),
        (None, None) => String::new(),
    });
    cells.extend(ratios);
    cells
}

fn exponents(growth: &GrowthSeries) -> Vec<String> {
    let GrowthSeries {
        workload,
        dataset,
        series,
        unit,
        ..
    } = growth;
    let mut cells = vec![format!("{workload} {dataset} {series}: time ~ {unit}^")];
    cells.extend(
        growth
            .exponents
            .iter()
            .map(|e| e.as_ref().map_or(String::new(), exponent)),
    );
    cells
}

fn figure(figure: &Figure) -> String {
    let median = quantity::duration(figure.median_ns / 1_000.0);
    format!(
        "{median} ±{}, n={}",
        quantity::percent(figure.spread),
        figure.n
    )
}

fn ratio(ratio: &Ratio) -> String {
    match ratio.interval {
        Some((low, high)) => format!("×{:.3} [{low:.3}, {high:.3}]", ratio.value),
        None => format!("×{:.3} [no interval]", ratio.value),
    }
}

fn exponent(exponent: &Exponent) -> String {
    let flag = match exponent.growth() {
        Growth::Moderate => "",
        Growth::PerhapsSuperlinear => " superlinear?",
        Growth::Superlinear => " superlinear",
    };
    format!("{exponent}{flag}")
}

fn footer(comparison: &Comparison) -> String {
    let machine = &comparison.machine;
    let rounds = comparison.rounds;
    format!(
        "Times: median over {rounds} rounds of the shortest repetition of each, ± half the distance \
         between the quartiles; n counts repetitions.\n\
         Ratios: median of the rounds' ratios, with the interval of the sign test (95 %, needs 6 \
         rounds).\n\
         Exponents: 95 % intervals; `superlinear` above 1.3, with a question mark where the interval \
         includes it.\n\
         Machine: {}, {} CPUs, {}, {}; {}; syncbench {}\n\
         Command: {}",
        machine.cpu,
        machine.cpus,
        quantity::bytes(machine.memory_bytes as f64),
        machine.os,
        comparison.started_at,
        comparison.syncbench,
        comparison.command,
    )
}
