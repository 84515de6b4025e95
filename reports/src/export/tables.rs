//! Tables in other formats, with one file per format.

mod html;
mod markdown;

use std::path::{Path, PathBuf};

pub use html::HtmlTables;
pub use markdown::Markdown;

use serde::Serialize;

use super::{ExportError, Exporter, Html, figures};
use crate::file;
use crate::quantity;
use crate::record::{Kind, Record};
use crate::summary;
use crate::table::{Conditions, SuiteTable, Tables};

/// All that one call of `syncbench report` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Report<'a> {
    /// The tables of the cells.
    #[serde(flatten)]
    pub tables: Tables,
    /// The load runs, each with a page of its own.
    pub loads: Vec<Load<'a>>,
}

/// A load run and the page that shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Load<'a> {
    /// Its record.
    pub record: &'a Record,
    /// Name of its page, next to the tables.
    pub page: String,
    /// Name of the folder for its figures, next to the page.
    pub folder: String,
    /// Its result as a statement.
    pub statement: &'static str,
}

/// Turns tables into the files of one format.
pub trait TableExporter {
    /// Returns the name and text of each file.
    ///
    /// # Errors
    /// Fails if a template cannot be rendered.
    fn files(&self, report: &Report<'_>) -> Result<Vec<(String, String)>, ExportError>;
}

impl<'a> Report<'a> {
    /// The report of all cells and load runs among `records`.
    pub fn new(records: &'a [Record]) -> Report<'a> {
        let loads = records.iter().filter(|record| record.kind == Kind::Load);
        Report {
            tables: Tables::from_records(records),
            loads: loads
                .map(|record| Load {
                    record,
                    page: format!("{}.html", file_stem(&record.run.id)),
                    folder: file_stem(&record.run.id),
                    statement: summary::statement(record),
                })
                .collect(),
        }
    }

    /// The number of rows, engines, samples and runs, in a few lines.
    pub fn summary(&self) -> String {
        let suites = self.tables.suites.iter().map(|suite| {
            let name = format!("{}:", suite.name);
            format!("{name:<11} {}", extent(suite))
        });
        let loads = match self.loads.len() {
            0 => None,
            runs => Some(format!("{:<11} {runs}", "load runs:")),
        };
        suites.chain(loads).collect::<Vec<_>>().join("\n")
    }

    /// Writes every format to `folder` and returns the paths, starting with the page to
    /// open first.
    ///
    /// # Errors
    /// Fails if a file cannot be made or written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
        let mut files = HtmlTables.files(self)?;
        files.extend(Markdown.files(self)?);
        for load in &self.loads {
            files.push((load.page.clone(), Html.export(load.record)?));
            for exporter in figures(load.record) {
                let name = format!("{}/{}", load.folder, exporter.file_name());
                files.push((name, exporter.export(load.record)?));
            }
        }
        files
            .into_iter()
            .map(|(name, text)| {
                let path = folder.join(name);
                file::write(&path, text.as_bytes())?;
                Ok(path)
            })
            .collect()
    }
}

/// Makes `name` usable as the name of a file. Records come from anywhere, and none may
/// write outside its folder or over the index.
pub(super) fn file_stem(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let stem: String = name
        .chars()
        .map(|c| if safe(c) { c } else { '-' })
        .collect();
    match stem.trim_start_matches('.') {
        "" | "index" => format!("suite-{stem}"),
        stem => stem.to_owned(),
    }
}

/// Returns the number of rows, engines and samples of a suite.
fn extent(suite: &SuiteTable) -> String {
    format!(
        "{}, {}, {}",
        quantity::things(suite.rows.len() as u64, "row"),
        quantity::things(suite.columns.len() as u64, "engine"),
        quantity::things(suite.conditions.samples, "sample"),
    )
}

/// Returns the conditions of the cells as names and values, without the commands.
fn terms(conditions: &Conditions) -> Vec<(&'static str, String)> {
    let [first, last] = &conditions.started;
    let measured = match first == last {
        true => first.clone(),
        false => format!("{first} to {last}"),
    };
    let mut terms = vec![
        ("machine", conditions.machines.join("; ")),
        ("engines", conditions.engines.join(", ")),
        ("syncbench", conditions.syncbench.join(", ")),
        ("measured", measured),
        ("samples", quantity::count(conditions.samples)),
    ];
    for dataset in &conditions.datasets {
        let text = format!("{} (SHA-256 {})", dataset.name, dataset.sha256.join(", "));
        terms.push(("data set", text));
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder_or_onto_the_index() {
        assert_eq!(file_stem("import"), "import");
        assert_eq!(file_stem("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(file_stem("index"), "suite-index");
        assert_eq!(file_stem(".."), "suite-..");
        assert_eq!(file_stem(""), "suite-");
    }
}
