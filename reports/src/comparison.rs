//! Cells of several programs side by side: what `syncbench compare` prints.

use serde::{Deserialize, Serialize};

use crate::record::{Cell, Machine, Scale};
use crate::statistics::{Exponent, Point, Ratio, grouped, quantile, relative_spread};

/// The schema identifier in the first field of every comparison.
pub const SCHEMA: &str = "syncbench/comparison@1";

/// A whole comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Start of the comparison, RFC 3339, UTC.
    pub started_at: String,
    /// The command line.
    pub command: String,
    /// Version of syncbench.
    pub syncbench: String,
    /// The machine that all ran on.
    pub machine: Machine,
    /// The contenders; the first is the base.
    pub contenders: Vec<String>,
    /// The number of rounds; every contender runs once in each.
    pub rounds: usize,
    /// Every cell, in the order of the suites.
    pub rows: Vec<Row>,
    /// The growth of time, for cells that differ only in size.
    pub series: Vec<GrowthSeries>,
}

/// One cell in every contender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The suite.
    pub workload: String,
    /// Name of the data set.
    pub dataset: String,
    /// The row of the suite.
    pub variant: String,
    /// Its size, if it is one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// The times of each contender, in their order; null for none.
    pub figures: Vec<Option<Figure>>,
    /// Each contender from the second on, compared with the base; null if there
    /// is nothing to compare.
    pub ratios: Vec<Option<Ratio>>,
    /// The reason that the figures cannot be compared, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The times of one contender in one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The shortest repetition of each round, nanoseconds; null if a round gave none. A
    /// disturbance can only make a repetition longer.
    pub rounds_ns: Vec<Option<u64>>,
    /// Median of those.
    pub median_ns: f64,
    /// Half the distance between their quartiles, as a share of the median.
    pub spread: f64,
    /// Repetitions over all rounds.
    pub n: u64,
    /// Bytes read or written.
    pub encoded_bytes: u64,
    /// Allocations of one repetition, if they were counted.
    pub allocs: Option<u64>,
}

/// The growth of time over the sizes of a series, in each contender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrowthSeries {
    /// The suite.
    pub workload: String,
    /// Name of the data set.
    pub dataset: String,
    /// Name of the series.
    pub series: String,
    /// The unit of the size.
    pub unit: String,
    /// The exponent in each contender; null if it cannot be fitted.
    pub exponents: Vec<Option<Exponent>>,
}

/// The cells that one contender measured in one round.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Index of the contender, from 0.
    pub contender: usize,
    /// Index of the round, from 0.
    pub round: usize,
    /// The cells that it measured.
    pub cells: Vec<Cell>,
}

/// Puts the cells of all turns side by side.
pub fn rows(contenders: usize, turns: &[Turn]) -> Vec<Row> {
    let mut keys: Vec<Key<'_>> = Vec::new();
    for cell in turns.iter().flat_map(|turn| &turn.cells) {
        if !keys.contains(&Key::of(cell)) {
            keys.push(Key::of(cell));
        }
    }
    keys.into_iter()
        .map(|key| row(key, contenders, turns))
        .collect()
}

/// The exponents of every series of at least two sizes among `rows`.
pub fn series(contenders: usize, rows: &[Row]) -> Vec<GrowthSeries> {
    let key = |row: &&Row| {
        let scale = row.scale.as_ref()?;
        Some([&row.workload, &row.dataset, &scale.series].map(String::clone))
    };
    let groups = grouped(rows, key).into_iter();
    let series = groups.filter_map(|([workload, dataset, series], members)| {
        let unit = members.first()?.scale.as_ref()?.unit.clone();
        let exponents = (0..contenders).map(|contender| exponent(contender, &members));
        Some(GrowthSeries {
            workload,
            dataset,
            series,
            unit,
            exponents: exponents.collect(),
        })
    });
    series
        .filter(|series| series.exponents.iter().any(Option::is_some))
        .collect()
}

impl GrowthSeries {
    /// Returns true if `row` is one of its sizes.
    pub fn has(&self, row: &Row) -> bool {
        let series = row.scale.as_ref().map(|scale| &scale.series);
        (&row.workload, &row.dataset, series) == (&self.workload, &self.dataset, Some(&self.series))
    }
}

fn exponent(contender: usize, rows: &[&Row]) -> Option<Exponent> {
    let measured = rows.iter().filter_map(|row| {
        let figure = row.figures[contender].as_ref()?;
        let times: Vec<u64> = figure.rounds_ns.iter().flatten().copied().collect();
        Some((row.scale.as_ref()?.size, times))
    });
    let measured: Vec<(u64, Vec<u64>)> = measured.collect();
    let points = measured.iter().map(|(size, times)| Point {
        size: *size,
        samples_ns: times,
    });
    let points: Vec<Point<'_>> = points.collect();
    Exponent::fit(&points).ok()
}

/// The identity of a row.
#[derive(Clone, Copy, PartialEq)]
struct Key<'a> {
    workload: &'a str,
    dataset: &'a str,
    variant: &'a str,
}

impl<'a> Key<'a> {
    fn of(cell: &'a Cell) -> Self {
        Self {
            workload: &cell.workload,
            dataset: &cell.dataset,
            variant: &cell.variant,
        }
    }
}

fn row(key: Key<'_>, contenders: usize, turns: &[Turn]) -> Row {
    let of = |contender: usize| cells_of(key, contender, turns);
    let figures: Vec<Option<Figure>> = (0..contenders).map(|i| figure(&of(i))).collect();
    let note = note(&(0..contenders).map(of).collect::<Vec<_>>());
    let ratio = |other: &Option<Figure>| {
        let pairs = paired(figures[0].as_ref()?, other.as_ref()?);
        Ratio::from_rounds(&pairs)
    };
    let ratios = match note {
        None => figures.iter().skip(1).map(ratio).collect(),
        Some(_) => vec![None; contenders.saturating_sub(1)],
    };
    let mut cells = (0..contenders).flat_map(of).map(|(_, cell)| cell);
    Row {
        workload: key.workload.to_owned(),
        dataset: key.dataset.to_owned(),
        variant: key.variant.to_owned(),
        scale: cells.find_map(|cell| cell.scale.clone()),
        figures,
        ratios,
        note,
    }
}

/// Round and cell, for each turn of a contender that has the cell.
fn cells_of<'a>(key: Key<'_>, contender: usize, turns: &'a [Turn]) -> Vec<(usize, &'a Cell)> {
    let turns = turns.iter().filter(|turn| turn.contender == contender);
    let cell = |turn: &'a Turn| {
        let mut cells = turn.cells.iter();
        let cell = cells.find(|cell| Key::of(cell) == key)?;
        Some((turn.round, cell))
    };
    turns.filter_map(cell).collect()
}

fn figure(cells: &[(usize, &Cell)]) -> Option<Figure> {
    let rounds = cells.iter().map(|(round, _)| round + 1).max()?;
    let mut rounds_ns = vec![None; rounds];
    for (round, cell) in cells {
        rounds_ns[*round] = cell.samples_wall_ns.iter().min().copied();
    }
    let mut times: Vec<f64> = rounds_ns.iter().flatten().map(|&ns| ns as f64).collect();
    times.sort_by(f64::total_cmp);
    let (_, last) = cells.last()?;
    (!times.is_empty()).then(|| Figure {
        rounds_ns,
        median_ns: quantile(&times, 0.5),
        spread: relative_spread(&times),
        n: cells.iter().map(|(_, cell)| cell.n).sum(),
        encoded_bytes: last.encoded_bytes,
        allocs: last.allocs,
    })
}

/// Versions of one engine must show the same document at the end, or one of
/// them did other work.
fn note(contenders: &[Vec<(usize, &Cell)>]) -> Option<String> {
    let mut cells = contenders.iter().flatten().map(|(_, cell)| *cell);
    let unavailable = cells.clone().find_map(|cell| cell.unavailable.clone());
    let first = cells.find(|cell| cell.n > 0);
    let differs = |cell: &Cell| {
        first.is_some_and(|first| {
            cell.n > 0 && cell.engine == first.engine && cell.result_hash != first.result_hash
        })
    };
    match cells.any(differs) {
        true => Some("the results differ, so the times are not comparable".to_owned()),
        false => unavailable,
    }
}

/// The times of the rounds that both have.
fn paired(base: &Figure, other: &Figure) -> Vec<(f64, f64)> {
    let rounds = base.rounds_ns.iter().zip(&other.rounds_ns);
    rounds
        .filter_map(|(base, other)| Some(((*base)? as f64, (*other)? as f64)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cell(size: u64, samples: &[u64], result: &str) -> Cell {
        Cell {
            workload: "live".to_owned(),
            engine: "loro".to_owned(),
            engine_version: String::new(),
            dataset: "typed".to_owned(),
            variant: format!("text/{size}"),
            n: samples.len() as u64,
            samples_wall_ns: samples.to_vec(),
            samples_cpu_ns: samples.to_vec(),
            encoded_bytes: 1,
            allocs: Some(7),
            alloc_bytes: None,
            peak_bytes: None,
            live_bytes: None,
            instructions: None,
            result_hash: result.to_owned(),
            elements: None,
            document_bytes: None,
            scale: Some(Scale {
                series: "text".to_owned(),
                size,
                unit: "edits".to_owned(),
            }),
            finding: None,
            differs: None,
            unavailable: None,
        }
    }

    /// The base is linear, the other quadratic, and the machine is twice as
    /// slow in every other round.
    fn turns(result: &str) -> Vec<Turn> {
        let turn = |round: usize, contender: usize| {
            let phase = 1 + round as u64 % 2;
            let time = |size: u64| 1_000 * size.pow(contender as u32 + 1) * phase;
            let cells = [1, 2, 4].map(|size| {
                let result = ["same", result][contender];
                cell(size, &[time(size) * 3, time(size)], result)
            });
            let cells = cells.into();
            Turn {
                contender,
                round,
                cells,
            }
        };
        (0..6)
            .flat_map(|round| [turn(round, 0), turn(round, 1)])
            .collect()
    }

    #[test]
    fn the_shortest_repetitions_of_each_round_are_paired() {
        let rows = rows(2, &turns("same"));
        assert_eq!(rows.len(), 3);
        let row = &rows[2];
        let ratio = row.ratios[0].unwrap();
        assert!(
            (ratio.value - 4.0).abs() < 1e-9 && ratio.is_sure(),
            "{ratio:?}"
        );
        let figure = row.figures[1].as_ref().unwrap();
        assert_eq!(figure.rounds_ns[..2], [Some(16_000), Some(32_000)]);
        assert_eq!((figure.median_ns, figure.n), (24_000.0, 12));
        assert_eq!(row.note, None);
    }

    #[test]
    fn series_have_an_exponent_for_each_contender() {
        let rows = rows(2, &turns("same"));
        let series = series(2, &rows);
        assert_eq!(series.len(), 1);
        let exponent = |i: usize| series[0].exponents[i].unwrap();
        assert!((exponent(0).value - 1.0).abs() < 1e-6);
        assert!((exponent(1).value - 2.0).abs() < 1e-6);
        assert_eq!((exponent(1).sizes, exponent(1).n), (3, 18));
    }

    #[test]
    fn another_result_is_not_compared() {
        let rows = rows(2, &turns("another"));
        assert_eq!(rows[0].ratios, [None]);
        assert!(rows[0].note.as_ref().unwrap().contains("results differ"));
        assert!(rows[0].figures.iter().all(Option::is_some));
    }

    #[test]
    fn a_cell_that_one_contender_lacks_stays_in_the_table() {
        let mut turns = turns("same");
        turns.retain(|turn| turn.contender == 0);
        let rows = rows(2, &turns);
        assert!(rows[0].figures[0].is_some() && rows[0].figures[1].is_none());
        assert_eq!(rows[0].ratios, [None]);
        assert_eq!(series(2, &rows)[0].exponents[1], None);
    }
}
