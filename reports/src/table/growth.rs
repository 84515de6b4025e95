//! The growth of time with size, for cells that differ only in size.

use serde::Serialize;

use super::{Column, Measured};
use crate::statistics::{Exponent, Growth, Point, grouped};

/// The cells of one series: the same work at several sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Name of the data set.
    pub dataset: String,
    /// Name of the series.
    pub name: String,
    /// The unit of its sizes.
    pub unit: String,
    /// One for each column of the suite; null if the column does not have two sizes.
    pub exponents: Vec<Option<Fit>>,
}

/// The exponent `k` of `time ~ size^k`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// The exponent.
    pub value: f64,
    /// Its 95 % interval; absent if the samples do not give one.
    pub interval: Option<[f64; 2]>,
    /// Number of sizes.
    pub sizes: usize,
    /// Number of samples.
    pub n: usize,
    /// The reason why it is flagged; empty if it is not.
    pub flag: String,
    /// True if time certainly grows too fast.
    pub superlinear: bool,
}

/// Returns the series among `cells` of which at least one engine has two sizes.
pub(super) fn series_of(cells: &[Measured<'_>], columns: &[Column]) -> Vec<Series> {
    let key = |measured: &&Measured<'_>| {
        let scale = measured.cell.scale.as_ref()?;
        Some((measured.cell.dataset.clone(), scale.series.clone()))
    };
    let groups = grouped(cells, key).into_iter();
    let series = groups.filter_map(|((dataset, name), members)| {
        let scale = members.first()?.cell.scale.as_ref()?;
        let fit = |column| Exponent::fit(&points(&members, column)).ok().map(Fit::from);
        Some(Series {
            dataset,
            name,
            unit: scale.unit.clone(),
            exponents: columns.iter().map(fit).collect(),
        })
    });
    series
        .filter(|series| series.exponents.iter().any(Option::is_some))
        .collect()
}

/// Returns the samples of one engine at the sizes of a series.
fn points<'a>(members: &[&Measured<'a>], column: &Column) -> Vec<Point<'a>> {
    members
        .iter()
        .map(|measured| measured.cell)
        .filter(|cell| column.is_of(cell) && !cell.samples_wall_ns.is_empty())
        .filter_map(|cell| {
            Some(Point {
                size: cell.scale.as_ref()?.size,
                samples_ns: &cell.samples_wall_ns,
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
