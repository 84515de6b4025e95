//! Tables as texts, which every format lays out in its own way.

use super::{Column, Compared, Comparison, Entry, Estimate, Metric, Row, Series, SuiteTable};
use crate::quantity;

/// A table of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The title of the table.
    pub title: String,
    /// The explanation below the title.
    pub caption: String,
    /// The heads of the columns; the first is that of the names of the rows.
    pub head: Vec<String>,
    /// The rows, in named groups.
    pub groups: Vec<Group>,
}

/// Rows that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The property that the rows share.
    pub name: String,
    /// The rows.
    pub rows: Vec<Line>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The texts below each head except the first.
    pub texts: Vec<Text>,
}

/// The text in one place of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// The figure.
    pub main: String,
    /// Its spread and other details, in parts.
    pub detail: Vec<String>,
    /// Numbers of the footnotes.
    pub notes: Vec<usize>,
    /// The emphasis.
    pub tone: Tone,
}

impl Text {
    fn plain(main: String) -> Text {
        Text {
            main,
            ..Text::default()
        }
    }
}

/// The emphasis of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// No emphasis.
    #[default]
    Plain,
    /// The best of its row.
    Best,
    /// Worth a second look: one sample only, or growth that is too fast.
    Flagged,
    /// There is no figure.
    Missing,
    /// Words instead of a figure.
    Words,
}

/// A figure that a cell may have beside its time.
struct Measure {
    title: &'static str,
    caption: &'static str,
    of: fn(&Entry) -> Option<u64>,
}

const MEASURES: [Measure; 5] = [
    Measure {
        title: "Encoded bytes",
        caption: "What the timed part read as updates or wrote as an export.",
        of: |entry| entry.encoded_bytes,
    },
    Measure {
        title: "Document bytes",
        caption: "The document at the end, in the engine's most complete form.",
        of: |entry| entry.document_bytes,
    },
    Measure {
        title: "Peak heap",
        caption: "Most bytes allocated at a time in the timed part, above those before it.",
        of: |entry| entry.peak_bytes,
    },
    Measure {
        title: "Allocations",
        caption: "Heap allocations in the timed part.",
        of: |entry| entry.allocs,
    },
    Measure {
        title: "Instructions",
        caption: "Instructions in the timed part, counted under callgrind in one repetition.",
        of: |entry| entry.instructions,
    },
];

/// The legend of a matrix of times.
pub const TIME_CAPTION: &str = "Median wall time of one repetition ± half of the interquartile range, \
    and the number of samples n; a single sample is flagged. “Each” is the median divided by the \
    number of equal parts of the work. “n/a” marks work that an engine cannot do, “void” a failed \
    measurement; the notes give the reasons. The best of a row is marked only if all entries are of \
    equal work, one machine and the same data, and its interval lies below all others.";

const FINDING_CAPTION: &str = "The behaviour of each engine, not its speed.";

const GROWTH_CAPTION: &str = "The exponent k of time ~ size^k with its 95 % interval; above 1.3 it \
    is flagged.";

/// Returns the main matrix, of times or findings.
pub fn results(suite: &SuiteTable) -> Grid {
    let behaviour = suite.entries().any(|entry| entry.finding.is_some());
    let timed = suite.entries().any(|entry| entry.wall.is_some());
    let (title, caption) = match (behaviour, timed) {
        (true, false) => ("Behaviour", FINDING_CAPTION.to_owned()),
        (true, true) => ("Results", format!("{TIME_CAPTION} {FINDING_CAPTION}")),
        (false, _) => ("Time", TIME_CAPTION.to_owned()),
    };
    matrix(suite, title, &caption, |row| {
        let texts = row.entries.iter().enumerate().map(|(at, entry)| {
            let best = row.best == Some(at);
            entry.as_ref().map_or_else(absent, |e| result(e, best))
        });
        Some(texts.collect())
    })
}

/// Returns the other figures that exist, in a grid each.
pub fn measures(suite: &SuiteTable) -> Vec<Grid> {
    MEASURES
        .iter()
        .map(|measure| {
            matrix(suite, measure.title, measure.caption, |row| {
                let figures = row.entries.iter().map(|e| (measure.of)(e.as_ref()?));
                let figures: Vec<Option<u64>> = figures.collect();
                let texts = figures.iter().map(|figure| match figure {
                    Some(figure) => Text::plain(quantity::count(*figure)),
                    None => absent(),
                });
                figures.iter().any(Option::is_some).then(|| texts.collect())
            })
        })
        .filter(|grid| !grid.groups.is_empty())
        .collect()
}

/// Returns the growth of time with size; `None` if no cells differ only in size.
pub fn growth(suite: &SuiteTable) -> Option<Grid> {
    let lines = suite
        .growth
        .iter()
        .map(|series| (series.dataset.as_str(), exponents(series)));
    let grid = Grid {
        title: "Growth".to_owned(),
        caption: GROWTH_CAPTION.to_owned(),
        head: head("series", &suite.columns),
        groups: grouped(lines),
    };
    (!grid.groups.is_empty()).then_some(grid)
}

/// Returns a published table next to our figures.
pub fn published(comparison: &Comparison) -> Grid {
    let table = &comparison.table;
    let lines = comparison.lines.iter().map(|compared| {
        let line = Line {
            name: compared.row.clone(),
            texts: beside(compared, table.metric),
        };
        (compared.group.as_str(), line)
    });
    let heads = ["figure", "published", "here", "here / published"];
    Grid {
        title: table.title.clone(),
        caption: format!(
            "Published: {}, {} ({}), on {}. {} Here: another machine and other versions, so a \
             ratio says whether the figure can be reproduced, and not more.",
            table.source, table.url, table.date, table.machine, table.method
        ),
        head: heads.map(str::to_owned).to_vec(),
        groups: grouped(lines),
    }
}

/// Returns their figure, ours, and the ratio.
fn beside(compared: &Compared, metric: Metric) -> Vec<Text> {
    let theirs = Text::plain(quantity_of(compared.published, metric));
    let Some(here) = &compared.here else {
        return vec![theirs, absent(), absent()];
    };
    let ours = Text {
        main: quantity_of(here.value, metric),
        detail: match metric {
            Metric::Time => [sampling(here.spread, here.n), vec![here.engine.clone()]].concat(),
            Metric::EncodedBytes | Metric::PeakBytes => vec![here.engine.clone()],
        },
        ..Text::default()
    };
    let ratio = Text::plain(format!("{} ×", quantity::short(here.ratio)));
    vec![theirs, ours, ratio]
}

/// Formats nanoseconds or bytes.
fn quantity_of(value: f64, metric: Metric) -> String {
    match metric {
        Metric::Time => quantity::duration(value / 1e3),
        Metric::EncodedBytes | Metric::PeakBytes => {
            format!("{} B", quantity::count(value.round() as u64))
        }
    }
}

fn matrix(
    suite: &SuiteTable,
    title: &str,
    caption: &str,
    texts: impl Fn(&Row) -> Option<Vec<Text>>,
) -> Grid {
    let lines = suite.rows.iter().filter_map(|row| {
        let line = Line {
            name: row_name(row, &suite.rows),
            texts: texts(row)?,
        };
        Some((row.dataset.as_str(), line))
    });
    Grid {
        title: title.to_owned(),
        caption: caption.to_owned(),
        head: head("variant", &suite.columns),
        groups: grouped(lines),
    }
}

fn head(first: &str, columns: &[Column]) -> Vec<String> {
    let engines = columns
        .iter()
        .map(|c| format!("{} {}", c.engine, c.version));
    std::iter::once(first.to_owned()).chain(engines).collect()
}

/// Returns the variant, with the size if other rows differ from it only in size.
fn row_name(row: &Row, rows: &[Row]) -> String {
    let twins = rows
        .iter()
        .filter(|other| other.dataset == row.dataset && other.variant == row.variant);
    match &row.scale {
        Some(scale) if twins.count() > 1 => format!(
            "{}, {} {}",
            row.variant,
            quantity::count(scale.size),
            scale.unit
        ),
        _ => row.variant.clone(),
    }
}

/// Puts lines into the groups that they name, in the order of the first line of each
/// group.
fn grouped<'a>(lines: impl Iterator<Item = (&'a str, Line)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (name, line) in lines {
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.rows.push(line),
            None => groups.push(Group {
                name: name.to_owned(),
                rows: vec![line],
            }),
        }
    }
    groups
}

fn absent() -> Text {
    Text {
        main: "–".to_owned(),
        tone: Tone::Missing,
        ..Text::default()
    }
}

fn result(entry: &Entry, best: bool) -> Text {
    let notes = entry.unavailable.iter().chain(&entry.differs);
    let text = Text {
        notes: notes.copied().collect(),
        ..Text::default()
    };
    if let Some(finding) = &entry.finding {
        return Text {
            main: finding.clone(),
            tone: Tone::Words,
            ..text
        };
    }
    match &entry.wall {
        None => Text {
            main: match entry.failed {
                true => "void".to_owned(),
                false => "n/a".to_owned(),
            },
            tone: match entry.failed {
                true => Tone::Flagged,
                false => Tone::Missing,
            },
            ..text
        },
        Some(wall) => Text {
            main: quantity::duration(wall.median_ns / 1e3),
            detail: detail(wall, entry.each_ns),
            tone: match (best, wall.n) {
                (true, _) => Tone::Best,
                (false, 1) => Tone::Flagged,
                (false, _) => Tone::Plain,
            },
            ..text
        },
    }
}

/// Formats `± 2.1 %`, `n 20`, `2.10 µs each`.
fn detail(wall: &Estimate, each_ns: Option<f64>) -> Vec<String> {
    let each = each_ns.map(|ns| format!("{} each", quantity::duration(ns / 1e3)));
    let sampling = sampling(wall.spread, wall.n).into_iter();
    sampling.chain(each).collect()
}

/// Formats `± 2.1 %`, `n 20`; one sample has no spread.
fn sampling(spread: Option<f64>, n: usize) -> Vec<String> {
    let spread = spread.map(quantity::spread);
    spread.into_iter().chain([format!("n {n}")]).collect()
}

fn exponents(series: &Series) -> Line {
    let texts = series.exponents.iter().map(|fit| match fit {
        None => absent(),
        Some(fit) => Text {
            main: format!("{:.2}", fit.value),
            detail: [interval(fit.interval), fit.flag.clone()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect(),
            tone: match fit.flag.is_empty() {
                true => Tone::Plain,
                false => Tone::Flagged,
            },
            ..Text::default()
        },
    });
    Line {
        name: format!("{} ({})", series.name, series.unit),
        texts: texts.collect(),
    }
}

fn interval(interval: Option<[f64; 2]>) -> String {
    match interval {
        Some([low, high]) => format!("[{low:.2}, {high:.2}]"),
        None => "no interval".to_owned(),
    }
}
