//! One self-contained page with all tables: no script, nothing to load, light
//! and dark.

use askama::Template;

use super::{Load, Report, TableExporter, file_stem, terms};
use crate::export::ExportError;
use crate::table::grid::{self, Grid, Tone};
use crate::table::{Note, SuiteTable};

/// A page with every suite.
#[derive(Debug, Clone, Copy, Default)]
pub struct HtmlTables;

impl TableExporter for HtmlTables {
    fn files(&self, report: &Report<'_>) -> Result<Vec<(String, String)>, ExportError> {
        let suites = report.tables.suites.iter().map(Section::of);
        let page = Page {
            version: env!("CARGO_PKG_VERSION"),
            legend: grid::TIME_CAPTION,
            notes: &report.tables.notes,
            suites: suites.collect(),
            loads: &report.loads,
        };
        Ok(vec![("index.html".to_owned(), page.render()?)])
    }
}

/// The data of the template, which escapes all texts.
#[derive(Template)]
#[template(path = "tables.html")]
struct Page<'a> {
    version: &'static str,
    /// The legend of the matrices of times.
    legend: &'static str,
    notes: &'a [String],
    suites: Vec<Section<'a>>,
    loads: &'a [Load<'a>],
}

/// One suite.
struct Section<'a> {
    /// Its anchor.
    id: String,
    name: &'a str,
    about: &'a str,
    warnings: &'a [String],
    results: Grid,
    notes: &'a [Note],
    growth: Option<Grid>,
    published: Vec<Grid>,
    measures: Vec<Grid>,
    terms: Vec<(&'static str, String)>,
    commands: &'a [String],
}

impl<'a> Section<'a> {
    fn of(table: &'a SuiteTable) -> Section<'a> {
        let mut results = grid::results(table);
        if results.caption == grid::TIME_CAPTION {
            results.caption.clear();
        }
        Section {
            id: file_stem(&table.name),
            name: &table.name,
            about: &table.about,
            warnings: &table.warnings,
            results,
            notes: &table.notes,
            growth: grid::growth(table),
            published: table.published.iter().map(grid::published).collect(),
            measures: grid::measures(table),
            terms: terms(&table.conditions),
            commands: &table.conditions.commands,
        }
    }
}

/// Returns the class of a text.
fn class(tone: &Tone) -> &'static str {
    match tone {
        Tone::Plain => "figure",
        Tone::Best => "figure best",
        Tone::Flagged => "figure flagged",
        Tone::Missing => "figure missing",
        Tone::Words => "words",
    }
}
