//! Figures that others have published, next to ours for the same work.
//!
//! `reports/published.toml` contains them with their sources. Machines and versions
//! differ, so a ratio shows whether a figure can be reproduced at all, and not which
//! machine is fast.

use serde::{Deserialize, Serialize};

use super::{Entry, SuiteTable};

/// The published figures that are part of the executable.
const INCLUDED: &str = include_str!("../../published.toml");

/// Published figures, as the file holds them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The tables, in the order in which reports show them.
    #[serde(rename = "table")]
    pub tables: Vec<PublishedTable>,
}

/// A table of an article or a paper.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTable {
    /// The title of the table.
    pub title: String,
    /// The suite here that does the same work.
    pub suite: String,
    /// Author and title of the source.
    pub source: String,
    /// Address of the source.
    pub url: String,
    /// Date of the source.
    pub date: String,
    /// The machine, in the source's own terms.
    pub machine: String,
    /// The method of the source, as far as it differs from ours.
    pub method: String,
    /// The quantity that the figures give.
    pub metric: Metric,
    /// Their unit.
    pub unit: Unit,
    /// The figures.
    #[serde(skip_serializing)]
    pub figures: Vec<Figure>,
}

/// The quantity that a figure gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Wall time.
    Time,
    /// Bytes read or written.
    EncodedBytes,
    /// The peak of heap bytes held at a time.
    PeakBytes,
}

/// The unit in which figures are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Unit {
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// A million bytes.
    #[serde(rename = "MB")]
    Megabytes,
}

/// One published figure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The part of the table that it belongs to.
    pub group: String,
    /// The row of the figure in that part.
    pub row: String,
    /// The figure, in the unit of its table.
    pub value: f64,
    /// The cell here that does the same work, as `<engine>/<data set>/<variant>`;
    /// absent if none does.
    #[serde(default)]
    pub cell: Option<CellId>,
}

/// The identity of a cell in a suite, written as `<engine>/<data set>/<variant>`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CellId {
    /// Short name of the engine.
    pub engine: String,
    /// Name of the data set.
    pub dataset: String,
    /// The row; it may contain further slashes.
    pub variant: String,
}

/// A published table next to our figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The table that was published.
    #[serde(flatten)]
    pub table: PublishedTable,
    /// The published figures and ours.
    pub lines: Vec<Compared>,
}

/// One published figure next to ours. Times are nanoseconds, sizes are bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The part of the table that it belongs to.
    pub group: String,
    /// The row of the figure in that part.
    pub row: String,
    /// The published figure.
    pub published: f64,
    /// Our figure, if the same was measured here.
    pub here: Option<Here>,
}

/// Our figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Here {
    /// The engine, as `name version`.
    pub engine: String,
    /// The median of the time, or the bytes.
    pub value: f64,
    /// Samples.
    pub n: usize,
    /// Half of the interquartile range as a share of the median, for times.
    pub spread: Option<f64>,
    /// Our figure divided by theirs.
    pub ratio: f64,
}

impl Published {
    /// Returns the figures that are part of the executable.
    ///
    /// # Panics
    /// Panics if the built-in file is wrong, which a test rules out.
    pub fn included() -> Published {
        toml::from_str(INCLUDED).expect("reports/published.toml is checked by a test")
    }
}

impl Unit {
    /// Returns the number of nanoseconds, or bytes, in one unit.
    fn factor(self) -> f64 {
        match self {
            Unit::Milliseconds | Unit::Megabytes => 1e6,
            Unit::Bytes => 1.0,
        }
    }
}

impl TryFrom<String> for CellId {
    type Error = String;

    fn try_from(id: String) -> Result<Self, String> {
        let mut parts = id.splitn(3, '/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(engine), Some(dataset), Some(variant)) => Ok(Self {
                engine,
                dataset,
                variant,
            }),
            _ => Err(format!("`{id}` is not <engine>/<data set>/<variant>")),
        }
    }
}

/// Returns the published tables that have a figure for the suite.
pub(super) fn compare(published: &Published, suite: &SuiteTable) -> Vec<Comparison> {
    published
        .tables
        .iter()
        .filter(|table| table.suite == suite.name)
        .map(|table| Comparison {
            table: table.clone(),
            lines: table
                .figures
                .iter()
                .flat_map(|figure| lines(table, figure, suite))
                .collect(),
        })
        .filter(|comparison| comparison.lines.iter().any(|line| line.here.is_some()))
        .collect()
}

/// Returns a line for each version of the engine here, or one without our figure if
/// there is none.
fn lines(table: &PublishedTable, figure: &Figure, suite: &SuiteTable) -> Vec<Compared> {
    let published = figure.value * table.unit.factor();
    let line = |here| Compared {
        group: figure.group.clone(),
        row: figure.row.clone(),
        published,
        here,
    };
    let here: Vec<Here> = match &figure.cell {
        Some(id) => ours(suite, id, table.metric, published),
        None => Vec::new(),
    };
    match here.is_empty() {
        true => vec![line(None)],
        false => here.into_iter().map(|here| line(Some(here))).collect(),
    }
}

fn ours(suite: &SuiteTable, id: &CellId, metric: Metric, published: f64) -> Vec<Here> {
    let rows = suite
        .rows
        .iter()
        .filter(|row| row.dataset == id.dataset && row.variant == id.variant);
    rows.flat_map(|row| suite.columns.iter().zip(&row.entries))
        .filter(|(column, _)| column.engine == id.engine)
        .filter_map(|(column, entry)| {
            let (value, n, spread) = figure_of(entry.as_ref()?, metric)?;
            Some(Here {
                engine: format!("{} {}", column.engine, column.version),
                value,
                n,
                spread,
                ratio: value / published,
            })
        })
        .collect()
}

fn figure_of(entry: &Entry, metric: Metric) -> Option<(f64, usize, Option<f64>)> {
    let exact = |bytes: Option<u64>| Some((bytes? as f64, 1, None));
    match metric {
        Metric::Time => {
            let wall = entry.wall.as_ref()?;
            Some((wall.median_ns, wall.n, wall.spread))
        }
        Metric::EncodedBytes => exact(entry.encoded_bytes),
        Metric::PeakBytes => exact(entry.peak_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_figures_are_whole() {
        let published = Published::included();
        assert!(published.tables.len() > 3);
        for table in &published.tables {
            assert!(table.url.starts_with("https://"), "{}", table.title);
            assert!(!table.figures.is_empty(), "{}", table.title);
            let time = table.unit == Unit::Milliseconds;
            assert_eq!(time, table.metric == Metric::Time, "{}", table.title);
            for figure in &table.figures {
                assert!(figure.value > 0.0, "{}: {figure:?}", table.title);
            }
        }
    }

    #[test]
    fn a_cell_id_needs_three_parts_and_keeps_the_slashes_of_its_variant() {
        let id = CellId::try_from("loro/S1/updates/first".to_owned());
        assert_eq!(id.map(|id| id.variant), Ok("updates/first".to_owned()));
        let wrong = CellId::try_from("loro/S1".to_owned());
        assert!(wrong.is_err_and(|message| message.contains("`loro/S1`")));
    }
}
