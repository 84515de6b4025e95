//! How time grows with size, for cells that differ in size alone.

use serde::Serialize;

use super::{Column, Measured};
use crate::scaling::{Exponent, Growth, Point};

/// The cells of one series: the same work at several sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Name of the data set.
    pub dataset: String,
    /// Name of the series.
    pub name: String,
    /// What its sizes count.
    pub unit: String,
    /// One for each column of the suite; null where there are not two sizes.
    pub exponents: Vec<Option<Fit>>,
}

/// The exponent `k` of `time ~ size^k`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// The exponent.
    pub value: f64,
    /// Its 95 % interval; absent where the samples do not give one.
    pub interval: Option<[f64; 2]>,
    /// Number of sizes.
    pub sizes: usize,
    /// Number of samples.
    pub n: usize,
    /// Why it is flagged; empty where it is not.
    pub flag: String,
    /// Whether time grows so fast beyond doubt.
    pub superlinear: bool,
}

/// The series among `cells` that at least one engine has two sizes of.
pub(super) fn of(cells: &[Measured<'_>], columns: &[Column]) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for Measured { cell, .. } in cells {
        let Some(scale) = &cell.scale else { continue };
        let known = |s: &Series| s.dataset == cell.dataset && s.name == scale.series;
        if !series.iter().any(known) {
            let exponents = columns.iter().map(|column| {
                let points = points(cells, column, &cell.dataset, &scale.series);
                Exponent::fit(&points).ok().map(Fit::from)
            });
            series.push(Series {
                dataset: cell.dataset.clone(),
                name: scale.series.clone(),
                unit: scale.unit.clone(),
                exponents: exponents.collect(),
            });
        }
    }
    series.retain(|series| series.exponents.iter().any(Option::is_some));
    series
}

/// What one engine measured at the sizes of a series.
fn points<'a>(
    cells: &[Measured<'a>],
    column: &Column,
    dataset: &str,
    series: &str,
) -> Vec<Point<'a>> {
    cells
        .iter()
        .filter(|m| column.is_of(m.cell) && m.cell.dataset == dataset)
        .filter(|m| !m.cell.samples_wall_ns.is_empty())
        .filter_map(|m| {
            let scale = m.cell.scale.as_ref()?;
            (scale.series == series).then_some(Point {
                size: scale.size,
                samples_ns: &m.cell.samples_wall_ns,
            })
        })
        .collect()
}

impl From<Exponent> for Fit {
    fn from(exponent: Exponent) -> Self {
        Self {
            value: exponent.value,
            interval: exponent.interval.map(|(low, high)| [low, high]),
            sizes: exponent.sizes,
            n: exponent.n,
            flag: exponent.growth().to_string(),
            superlinear: exponent.growth() == Growth::Superlinear,
        }
    }
}
