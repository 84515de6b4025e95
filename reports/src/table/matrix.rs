//! Rows, columns, and the best entry of a row.

use serde::Serialize;

use super::notes::Notes;
use super::{Estimate, Measured, Note};
use crate::record::{Cell, Run, Scale};

/// Engines in the order that readers expect. Others follow, in the order in which they
/// were measured.
const ORDER: [&str; 9] = [
    "loro",
    "loro-0.16",
    "yrs",
    "yrs-v2",
    "yrs-nogc",
    "automerge",
    "diamond-types",
    "cola",
    "ot",
];

/// An engine at a version; two versions are two columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Short name of the engine.
    pub engine: String,
    /// Version of its library.
    pub version: String,
}

/// The same work on one data set in every engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the data set.
    pub dataset: String,
    /// The work done with it.
    pub variant: String,
    /// The size, for cells that differ in size.
    pub scale: Option<Scale>,
    /// One for each column; null if nothing was measured.
    pub entries: Vec<Option<Entry>>,
    /// The column with the best time. It exists only if the work is equal, the
    /// conditions are the same, and chance does not explain the difference.
    pub best: Option<usize>,
}

/// The result of one engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Wall time of one repetition; absent if there is no figure, or if the finding is
    /// what counts.
    pub wall: Option<Estimate>,
    /// Median wall time of one of the equal parts of the work, nanoseconds.
    pub each_ns: Option<f64>,
    /// The behaviour that the engine showed.
    pub finding: Option<String>,
    /// Number of the note that gives the reason for a missing figure.
    pub unavailable: Option<usize>,
    /// True if the figure is missing because measuring failed, and not because the
    /// engine does not claim the capability.
    pub failed: bool,
    /// Number of the note that describes how the work differs.
    pub differs: Option<usize>,
    /// Bytes read as updates or written as an export.
    pub encoded_bytes: Option<u64>,
    /// Bytes of the document at the end.
    pub document_bytes: Option<u64>,
    /// The peak of heap bytes held at a time.
    pub peak_bytes: Option<u64>,
    /// Heap allocations.
    pub allocs: Option<u64>,
    /// Instructions of one repetition.
    pub instructions: Option<u64>,
    /// The machine and data of the measurement. Entries of one row are compared only if
    /// these are equal.
    #[serde(skip)]
    setting: String,
}

/// Rows and columns of one suite.
pub struct Matrix {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    pub notes: Vec<Note>,
}

impl Matrix {
    /// Arranges cells, each of which has its own place.
    pub fn new(cells: &[Measured<'_>]) -> Matrix {
        let columns = columns(cells);
        let mut notes = Notes::default();
        let mut rows: Vec<Row> = Vec::new();
        for measured in cells {
            let cell = measured.cell;
            let column = columns.iter().position(|column| column.is_of(cell));
            let at = row_of(&mut rows, cell, columns.len());
            if let Some(column) = column {
                rows[at].entries[column] = Some(Entry::of(measured, &mut notes));
            }
        }
        for row in &mut rows {
            row.best = best(&row.entries);
        }
        Matrix {
            columns,
            rows: by_dataset(rows),
            notes: notes.into_notes(),
        }
    }
}

impl Column {
    /// Returns true if the cell belongs to this column.
    pub fn is_of(&self, cell: &Cell) -> bool {
        self.engine == cell.engine && self.version == cell.engine_version
    }
}

impl Entry {
    fn of(Measured { run, cell, failed }: &Measured<'_>, notes: &mut Notes) -> Entry {
        let finding = cell.finding.clone().filter(|_| !failed);
        let no_figure = *failed || (cell.n == 0 && finding.is_none());
        let reason = match (&cell.unavailable, no_figure) {
            (Some(reason), _) => Some(reason.as_str()),
            (None, true) => Some("there is no figure, and the record does not say why"),
            (None, false) => None,
        };
        let wall = match (reason, &finding) {
            (None, None) => Estimate::from_samples(&cell.samples_wall_ns),
            _ => None,
        };
        let figure = |value: Option<u64>| value.filter(|_| reason.is_none());
        Entry {
            each_ns: wall
                .as_ref()
                .zip(cell.elements.filter(|&elements| elements > 0))
                .map(|(wall, elements)| wall.median_ns / elements as f64),
            wall,
            unavailable: reason.map(|reason| notes.number(reason)),
            failed: *failed,
            // If the work was not done, it does not matter how it differs.
            differs: match (reason, &cell.differs) {
                (None, Some(text)) => Some(notes.number(text)),
                _ => None,
            },
            encoded_bytes: figure(Some(cell.encoded_bytes).filter(|&bytes| bytes > 0)),
            document_bytes: figure(cell.document_bytes),
            peak_bytes: figure(cell.peak_bytes),
            allocs: figure(cell.allocs),
            instructions: figure(cell.instructions),
            finding,
            setting: setting(run),
        }
    }
}

/// Returns the machine, the version of syncbench, and the data.
fn setting(run: &Run) -> String {
    let datasets: Vec<&str> = run.datasets.iter().map(|d| d.sha256.as_str()).collect();
    format!(
        "{}\n{}\n{}",
        crate::summary::machine_line(&run.machine),
        run.syncbench,
        datasets.join(" ")
    )
}

/// Returns the engines of `cells`: the known ones in their order, then the others.
fn columns(cells: &[Measured<'_>]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for Measured { cell, .. } in cells {
        if !columns.iter().any(|column| column.is_of(cell)) {
            columns.push(Column {
                engine: cell.engine.clone(),
                version: cell.engine_version.clone(),
            });
        }
    }
    let rank = |column: &Column| ORDER.iter().position(|&name| name == column.engine);
    columns.sort_by_key(|column| rank(column).unwrap_or(ORDER.len()));
    columns
}

/// Returns the row of `cell`, and adds it if it is new.
fn row_of(rows: &mut Vec<Row>, cell: &Cell, columns: usize) -> usize {
    let size = |scale: &Option<Scale>| scale.as_ref().map(|scale| scale.size);
    let is_of = |row: &Row| {
        row.dataset == cell.dataset
            && row.variant == cell.variant
            && size(&row.scale) == size(&cell.scale)
    };
    rows.iter().position(is_of).unwrap_or_else(|| {
        rows.push(Row {
            dataset: cell.dataset.clone(),
            variant: cell.variant.clone(),
            scale: cell.scale.clone(),
            entries: vec![None; columns],
            best: None,
        });
        rows.len() - 1
    })
}

/// Sorts rows so that those of one data set are adjacent, in the order in which data
/// sets first appear.
fn by_dataset(rows: Vec<Row>) -> Vec<Row> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|g| g[0].dataset == row.dataset) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.into_iter().flatten().collect()
}

/// Returns the entry that is certainly faster than all others. There is none if an
/// entry does other work, or was measured on another machine or other data.
fn best(entries: &[Option<Entry>]) -> Option<usize> {
    let present = || entries.iter().flatten();
    if present().any(|entry| entry.differs.is_some()) {
        return None;
    }
    let timed: Vec<(usize, &Entry, &Estimate)> = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| {
            let entry = entry.as_ref()?;
            Some((at, entry, entry.wall.as_ref()?))
        })
        .collect();
    let (_, first, _) = timed.first()?;
    if timed.len() < 2 || timed.iter().any(|(_, e, _)| e.setting != first.setting) {
        return None;
    }
    let beats_all = |&(at, _, wall): &(usize, &Entry, &Estimate)| {
        let mut others = timed.iter().filter(|&&(other, ..)| other != at);
        others
            .all(|(_, _, other)| wall.is_below(other))
            .then_some(at)
    };
    timed.iter().find_map(beats_all)
}
