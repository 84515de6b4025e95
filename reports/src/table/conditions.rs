//! The conditions under which the cells of a table were measured, and where they do not
//! match.

use serde::Serialize;

use super::Measured;
use crate::record::Run;
use crate::summary;

/// The conditions under which the cells of a table were measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conditions {
    /// The machines, one per line.
    pub machines: Vec<String>,
    /// The versions of syncbench.
    pub syncbench: Vec<String>,
    /// The engines, as `name version`.
    pub engines: Vec<String>,
    /// The data sets.
    pub datasets: Vec<DatasetUse>,
    /// The start of the first and the last of the runs, RFC 3339, UTC.
    pub started: [String; 2],
    /// The commands, with `a|b` for commands that differ only in one option.
    pub commands: Vec<String>,
    /// Samples in all cells together.
    pub samples: u64,
}

/// A data set as it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetUse {
    /// Catalog name, or path.
    pub name: String,
    /// SHA-256 of the file; several if the cells used different files.
    pub sha256: Vec<String>,
}

impl Conditions {
    /// Collects the conditions of all cells.
    pub(super) fn new(cells: &[Measured<'_>]) -> Conditions {
        let runs = || cells.iter().map(|measured| measured.run);
        let started = || runs().map(|run| run.started_at.clone());
        Conditions {
            machines: distinct(runs().map(|run| summary::machine_line(&run.machine))),
            syncbench: distinct(runs().map(|run| run.syncbench.clone())),
            engines: distinct(
                cells
                    .iter()
                    .map(|m| format!("{} {}", m.cell.engine, m.cell.engine_version)),
            ),
            datasets: datasets(runs()),
            started: [
                started().min().unwrap_or_default(),
                started().max().unwrap_or_default(),
            ],
            commands: collapsed(distinct(runs().map(|run| run.command.clone()))),
            samples: cells.iter().map(|measured| measured.cell.n).sum(),
        }
    }
}

/// Returns the warnings to read before the cells are compared.
pub(super) fn warnings(cells: &[Measured<'_>], replaced: usize) -> Vec<String> {
    let conditions = Conditions::new(cells);
    let mut warnings = Vec::new();
    let mut mixed = |what: &str, all: &[String]| {
        if all.len() > 1 {
            warnings.push(format!(
                "The cells come from {} {what}: {}. Times of different ones are not comparable, \
                 and rows that mix them have no best.",
                all.len(),
                all.join("; "),
            ));
        }
    };
    mixed("machines", &conditions.machines);
    mixed("versions of syncbench", &conditions.syncbench);
    for dataset in &conditions.datasets {
        let what = format!("files called {}", dataset.name);
        mixed(&what, &dataset.sha256);
    }
    if replaced > 0 {
        let (cells, were) = match replaced {
            1 => ("1 older cell", "is"),
            _ => (&*format!("{replaced} older cells"), "are"),
        };
        warnings.push(format!(
            "{cells} {were} left out: the same was measured again, and the newest is shown."
        ));
    }
    warnings
}

fn datasets<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<DatasetUse> {
    let mut uses: Vec<DatasetUse> = Vec::new();
    for dataset in runs.flat_map(|run| &run.datasets) {
        let at = uses.iter().position(|known| known.name == dataset.name);
        let at = at.unwrap_or_else(|| {
            uses.push(DatasetUse {
                name: dataset.name.clone(),
                sha256: Vec::new(),
            });
            uses.len() - 1
        });
        if !uses[at].sha256.contains(&dataset.sha256) {
            uses[at].sha256.push(dataset.sha256.clone());
        }
    }
    uses
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for text in texts {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct
}

/// Merges commands that differ in the value of one option into one that lists the
/// values.
fn collapsed(commands: Vec<String>) -> Vec<String> {
    ["--variant", "--dataset", "--engine"]
        .into_iter()
        .fold(commands, |commands, option| collapse(option, commands))
}

fn collapse(option: &str, commands: Vec<String>) -> Vec<String> {
    let mut merged: Vec<(String, String, Vec<String>)> = Vec::new();
    for command in commands {
        let (before, value, after) = split(&command, option);
        let same = |(b, a, _): &&mut (String, String, Vec<String>)| *b == before && *a == after;
        match merged.iter_mut().find(same) {
            Some((_, _, values)) => values.push(value),
            None => merged.push((before, after, vec![value])),
        }
    }
    merged
        .into_iter()
        .map(|(before, after, values)| format!("{before}{}{after}", values.join("|")))
        .collect()
}

/// Splits a command into the part before the value of `option`, the value, and the
/// rest. A command without the option is all `before`.
fn split(command: &str, option: &str) -> (String, String, String) {
    let flag = format!(" {option} ");
    let Some(at) = command.find(&flag) else {
        return (command.to_owned(), String::new(), String::new());
    };
    let (before, rest) = command.split_at(at + flag.len());
    let end = rest.find(' ').unwrap_or(rest.len());
    let (value, after) = rest.split_at(end);
    (before.to_owned(), value.to_owned(), after.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collapse_all(commands: &[&str]) -> Vec<String> {
        collapsed(commands.iter().map(|&c| c.to_owned()).collect())
    }

    #[test]
    fn commands_that_differ_in_one_option_become_one() {
        assert_eq!(
            collapse_all(&[
                "cell import --engine loro --dataset S1 --budget 3s",
                "cell import --engine loro --dataset S2 --budget 3s",
                "cell import --engine yrs --dataset S1 --budget 3s",
                "cell import --engine yrs --dataset S2 --budget 3s",
            ]),
            ["cell import --engine loro|yrs --dataset S1|S2 --budget 3s"]
        );
    }

    #[test]
    fn commands_that_no_product_describes_stay_apart() {
        assert_eq!(
            collapse_all(&[
                "cell import --engine loro --dataset S1",
                "cell import --engine loro --dataset S2",
                "cell import --engine yrs --dataset S1",
                "cell export",
            ]),
            [
                "cell import --engine loro --dataset S1|S2",
                "cell import --engine yrs --dataset S1",
                "cell export"
            ]
        );
    }
}
