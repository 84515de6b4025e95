//! Cells as tables: one matrix per suite, with data sets and variants down, engines
//! across.
//!
//! [`Tables::from_records`] sorts the records of cells into [`SuiteTable`]s, which hold
//! figures; [`grid`] turns those into texts that every format shares.

mod conditions;
pub mod grid;
mod growth;
mod matrix;
mod notes;
mod published;

pub use crate::statistics::Estimate;
pub use conditions::{Conditions, DatasetUse};
pub use growth::{Fit, Series};
pub use matrix::{Column, Entry, Row};
pub use notes::Note;
pub use published::{
    CellId, Compared, Comparison, Figure, Here, Metric, Published, PublishedTable, Unit,
};

use serde::Serialize;

use crate::record::{Cell, Record, Run, Status};
use matrix::Matrix;

/// The tables of all suites that have cells among the records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tables {
    /// Notes on all tables, from the person who made them.
    pub notes: Vec<String>,
    /// One for each suite, in the order in which they were measured.
    pub suites: Vec<SuiteTable>,
}

/// The cells of one suite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuiteTable {
    /// Name of the suite, such as `import`.
    pub name: String,
    /// A line that describes the suite; empty until [`Tables::describe`].
    pub about: String,
    /// The conditions under which the cells were measured.
    pub conditions: Conditions,
    /// Warnings to read before comparing cells: mixed machines,
    /// versions or data, cells measured more than once.
    pub warnings: Vec<String>,
    /// The engines.
    pub columns: Vec<Column>,
    /// The rows, grouped by data set.
    pub rows: Vec<Row>,
    /// The footnotes that entries refer to, by number.
    pub notes: Vec<Note>,
    /// The growth of time with size, for cells that differ only in size.
    pub growth: Vec<Series>,
    /// Figures that others have published for the same work.
    pub published: Vec<Comparison>,
}

/// A cell with the run that it comes from.
#[derive(Debug, Clone, Copy)]
struct Measured<'a> {
    run: &'a Run,
    cell: &'a Cell,
    /// True if measuring failed, for example because a result was wrong.
    failed: bool,
}

impl Tables {
    /// Sorts the cells of `records` into tables; records of other kinds are ignored. If
    /// several cells have the same place, the newest is shown.
    pub fn from_records(records: &[Record]) -> Tables {
        let mut measured: Vec<Measured<'_>> = records
            .iter()
            .filter_map(|record| {
                Some(Measured {
                    run: &record.run,
                    cell: record.cell.as_ref()?,
                    failed: record.verdict.status != Status::Ok,
                })
            })
            .collect();
        // Ids begin with the time; cells of one process keep their order.
        measured.sort_by(|a, b| a.run.id.cmp(&b.run.id));
        let mut suites: Vec<&str> = Vec::new();
        for Measured { cell, .. } in &measured {
            if !suites.contains(&cell.workload.as_str()) {
                suites.push(&cell.workload);
            }
        }
        Tables {
            notes: Vec::new(),
            suites: suites
                .into_iter()
                .map(|suite| SuiteTable::new(suite, &measured))
                .collect(),
        }
    }

    /// Adds a warning to a suite. If the suite has no table, the notes name it.
    pub fn warn(&mut self, suite: &str, text: &str) {
        match self.suites.iter_mut().find(|table| table.name == suite) {
            Some(table) => table.warnings.push(text.to_owned()),
            None => self.notes.push(format!("{suite}: {text}")),
        }
    }

    /// Adds the descriptions of the suites that `about` knows. Records hold only the
    /// names.
    pub fn describe(&mut self, about: impl Fn(&str) -> Option<&'static str>) {
        for suite in &mut self.suites {
            suite.about = about(&suite.name).unwrap_or_default().to_owned();
        }
    }
}

impl SuiteTable {
    fn new(suite: &str, measured: &[Measured<'_>]) -> SuiteTable {
        let of_suite = |m: &&Measured<'_>| m.cell.workload == suite;
        let all: Vec<Measured<'_>> = measured.iter().filter(of_suite).copied().collect();
        let (shown, replaced) = newest(&all);
        let Matrix {
            columns,
            rows,
            notes,
        } = Matrix::new(&shown);
        let mut table = SuiteTable {
            name: suite.to_owned(),
            about: String::new(),
            warnings: conditions::warnings(&shown, replaced),
            conditions: Conditions::new(&shown),
            growth: growth::series_of(&shown, &columns),
            published: Vec::new(),
            columns,
            rows,
            notes,
        };
        table.published = published::compare(&Published::included(), &table);
        table
    }

    /// Returns all entries, row by row.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.rows
            .iter()
            .flat_map(|row| row.entries.iter().flatten())
    }
}

/// Returns the newest cell of each place, in the order in which places first appear,
/// and the number of cells that a newer one replaced.
fn newest<'a>(all: &[Measured<'a>]) -> (Vec<Measured<'a>>, usize) {
    let mut newest: Vec<Measured<'a>> = Vec::new();
    for &measured in all {
        match newest
            .iter_mut()
            .find(|m| same_place(m.cell, measured.cell))
        {
            Some(older) => *older = measured,
            None => newest.push(measured),
        }
    }
    let replaced = all.len() - newest.len();
    (newest, replaced)
}

fn same_place(a: &Cell, b: &Cell) -> bool {
    let place = |cell: &Cell| {
        (
            cell.engine.clone(),
            cell.engine_version.clone(),
            cell.dataset.clone(),
            cell.variant.clone(),
            cell.scale.as_ref().map(|scale| scale.size),
        )
    };
    place(a) == place(b)
}
