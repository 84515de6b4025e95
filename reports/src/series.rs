//! Cells that differ only in size, which show how time grows.

use crate::record::Cell;
use crate::statistics::{Exponent, Point, ScalingError, grouped};

/// Cells of one suite, engine, data set and series at several sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    /// Name of the series, as in [`Scale::series`](crate::record::Scale).
    pub name: &'a str,
    /// The unit of the sizes, in the plural.
    pub unit: &'a str,
    /// Size and cell, ascending by size.
    pub cells: Vec<(u64, &'a Cell)>,
}

impl<'a> Series<'a> {
    /// Returns every series among `cells` that has at least two measured sizes, in the
    /// order in which they first appear. Cells without a figure are skipped.
    pub fn from_cells(cells: impl IntoIterator<Item = &'a Cell>) -> Vec<Series<'a>> {
        let measured = cells.into_iter().filter(|cell| cell.n > 0);
        let groups = grouped(measured, |cell| key(cell));
        let series = groups.into_iter().filter_map(|(_, cells)| {
            let scale = cells.first()?.scale.as_ref()?;
            let sized = cells
                .iter()
                .filter_map(|&cell| Some((cell.scale.as_ref()?.size, cell)));
            let mut cells: Vec<(u64, &Cell)> = sized.collect();
            cells.sort_by_key(|(size, _)| *size);
            Some(Series {
                name: &scale.series,
                unit: &scale.unit,
                cells,
            })
        });
        series.filter(Series::grows).collect()
    }

    /// Returns true if it has two different sizes.
    fn grows(&self) -> bool {
        let sizes = self.cells.first().zip(self.cells.last());
        sizes.is_some_and(|((first, _), (last, _))| first < last)
    }

    /// Fits the growth of wall time over the sizes.
    ///
    /// # Errors
    /// When a time or a size is zero.
    pub fn exponent(&self) -> Result<Exponent, ScalingError> {
        let points = self.cells.iter().map(|&(size, cell)| Point {
            size,
            samples_ns: &cell.samples_wall_ns,
        });
        Exponent::fit(&points.collect::<Vec<_>>())
    }

    /// `import/loro/automerge-paper/snapshot+edit`.
    pub fn id(&self) -> String {
        let (_, cell) = self.cells[0];
        format!(
            "{}/{}/{}/{}",
            cell.workload, cell.engine, cell.dataset, self.name
        )
    }
}

/// The properties that the cells of one series share; `None` for a cell that is
/// not one size of several.
fn key(cell: &Cell) -> Option<[&str; 5]> {
    Some([
        &cell.workload,
        &cell.engine,
        &cell.engine_version,
        &cell.dataset,
        &cell.scale.as_ref()?.series,
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::record::Scale;

    fn cell(version: &str, series: &str, size: u64, samples: &[u64]) -> Cell {
        Cell {
            workload: "live".to_owned(),
            engine: "loro".to_owned(),
            engine_version: version.to_owned(),
            dataset: "typed".to_owned(),
            variant: format!("{series}/{size}"),
            n: samples.len() as u64,
            samples_wall_ns: samples.to_vec(),
            samples_cpu_ns: samples.to_vec(),
            encoded_bytes: 1,
            allocs: None,
            alloc_bytes: None,
            peak_bytes: None,
            live_bytes: None,
            instructions: None,
            result_hash: String::new(),
            elements: None,
            document_bytes: None,
            scale: Some(Scale {
                series: series.to_owned(),
                size,
                unit: "edits".to_owned(),
            }),
            finding: None,
            differs: None,
            unavailable: None,
        }
    }

    #[test]
    fn sizes_of_one_version_and_series_come_together_in_order() {
        let cells = [
            cell("1.17.1", "text", 200, &[400, 402]),
            cell("1.12.0", "text", 100, &[10]),
            cell("1.17.1", "text", 100, &[100, 101]),
            cell("1.17.1", "map", 100, &[5]),
            cell("1.12.0", "text", 200, &[20]),
            cell("1.17.1", "text", 400, &[]),
            Cell {
                scale: None,
                ..cell("1.17.1", "text", 1, &[5])
            },
        ];
        let series = Series::from_cells(&cells);
        let sizes = |series: &Series<'_>| series.cells.iter().map(|(size, _)| *size).collect();
        let found: Vec<Vec<u64>> = series.iter().map(sizes).collect();
        assert_eq!(found, [[100, 200], [100, 200]]);
        assert_eq!(series[0].id(), "live/loro/typed/text");
        let exponents = series.iter().map(|series| series.exponent().unwrap().value);
        let rounded: Vec<f64> = exponents.map(|value| value.round()).collect();
        assert_eq!(rounded, [2.0, 1.0]);
    }
}
