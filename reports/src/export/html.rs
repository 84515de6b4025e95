//! A self-contained page: no script, nothing to load, light and dark.

mod charts;
mod columns;
mod rows;

use askama::Template;
use rows::{KeyFigure, LatencyRow, PartRow, ProcessRow, Term};

use super::{ExportError, Exporter};
use crate::plot::{Chart, Palette, PlotError, Size};
use crate::quantity;
use crate::record::{Counts, Record, Status};
use crate::summary;

/// A self-contained HTML page, readable without JavaScript.
#[derive(Debug, Clone, Copy, Default)]
pub struct Html;

impl Exporter for Html {
    fn file_name(&self) -> String {
        "report.html".to_owned()
    }

    fn export(&self, record: &Record) -> Result<String, ExportError> {
        Ok(Page::new(record)?.render()?)
    }
}

/// The data of the template. Texts come from the record and are escaped by the
/// template; only the drawings are markup.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    record: &'a Record,
    /// The scenario's name, if it has one.
    scenario: Option<&'a str>,
    /// What the scenario is for.
    analysis: Option<&'a str>,
    statement: &'static str,
    tone: &'static str,
    lede: Vec<String>,
    converged: Option<String>,
    machine: String,
    key_figures: Vec<KeyFigure>,
    latency: Vec<LatencyRow<'a>>,
    percentiles: Figure,
    mark_meaning: &'static str,
    parts: Vec<PartRow>,
    over_time: Vec<Figure>,
    other_columns: Vec<Figure>,
    convergence: Vec<Term>,
    work: Vec<Term>,
    processes: Vec<ProcessRow>,
    groups: Vec<(&'a str, Vec<rows::GroupRow<'a>>)>,
    errors: Vec<Term>,
    main_cause: Option<String>,
    conditions: Vec<Term>,
    settings: Vec<Term>,
}

impl<'a> Page<'a> {
    fn new(record: &'a Record) -> Result<Page<'a>, PlotError> {
        let columns = charts::until_the_end(record);
        Ok(Page {
            record,
            scenario: record.run.scenario["name"].as_str(),
            analysis: record.run.scenario["analysis"].as_str(),
            statement: summary::statement(record),
            tone: tone(record.verdict.status),
            lede: lede(record),
            converged: summary::converged(record),
            machine: summary::machine(record),
            key_figures: rows::key_figures(record),
            latency: rows::latency(record),
            percentiles: Figure::from_chart(charts::percentiles(record))?,
            mark_meaning: summary::MARK_MEANING,
            parts: rows::parts(record),
            over_time: Figure::all(charts::over_time(columns.as_ref()))?,
            other_columns: Figure::all(columns::charts(columns.as_ref()))?,
            convergence: rows::convergence(record),
            work: rows::work(record),
            groups: rows::groups(record),
            errors: rows::errors(record),
            main_cause: summary::main_cause(record),
            processes: rows::processes(record),
            conditions: rows::conditions(record),
            settings: rows::settings(&record.run.scenario),
        })
    }
}

/// A chart drawn at both sizes, or nothing if there is nothing to show.
struct Figure {
    title: String,
    caption: String,
    drawings: Option<(String, String)>,
}

impl Figure {
    fn all(charts: Vec<Chart>) -> Result<Vec<Figure>, PlotError> {
        charts.into_iter().map(Figure::from_chart).collect()
    }

    fn from_chart(chart: Chart) -> Result<Figure, PlotError> {
        let drawings = match chart.is_empty() {
            true => None,
            false => Some((
                chart.svg(Size::Wide, Palette::Page)?,
                chart.svg(Size::Narrow, Palette::Page)?,
            )),
        };
        Ok(Figure {
            title: chart.title,
            caption: chart.description,
            drawings,
        })
    }
}

/// Returns the class of the verdict's colour.
fn tone(status: Status) -> &'static str {
    match status {
        Status::Ok => "good",
        Status::Inconclusive | Status::Invalid | Status::NoBaseline | Status::Interrupted => {
            "unsure"
        }
        _ => "bad",
    }
}

/// Returns the result in sentences.
fn lede(record: &Record) -> Vec<String> {
    let mut sentences: Vec<String> = record.counts.iter().map(work_done).collect();
    let propagation = summary::sampled(record, "propagation");
    sentences.push(match propagation {
        Some(d) => format!(
            "Half of the deliveries were visible within {} of the time the schedule intended the \
             edit, 99 % within {}; the slowest took {}.",
            unbroken(d.p50),
            unbroken(d.p99),
            unbroken(d.max),
        ),
        None => "No edit became visible at another replica, so there is no latency to report."
            .to_owned(),
    });
    if record.verdict.status == Status::Invalid && propagation.is_some() {
        sentences.push(
            "The measurement is not valid: do not take the latencies for the relay’s.".to_owned(),
        );
    }
    sentences
}

fn work_done(counts: &Counts) -> String {
    let clients = format!(
        "{} clients in {} rooms sent",
        quantity::count(counts.clients),
        quantity::count(counts.rooms),
    );
    if counts.sent == 0 {
        return format!("{clients} no edit.");
    }
    let arrived = match counts.visible {
        0 => "none".to_owned(),
        visible if visible == counts.expected => "all".to_owned(),
        visible => quantity::count(visible),
    };
    format!(
        "{clients} {} edits, which makes {} deliveries to other replicas; {arrived} of these arrived.",
        quantity::count(counts.sent),
        quantity::count(counts.expected),
    )
}

/// Returns a time that stays on one line with its unit.
fn unbroken(us: f64) -> String {
    quantity::duration(us).replace(' ', "\u{a0}")
}
