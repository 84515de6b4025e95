//! Markdown that reads well as text and on the pages of a code host.

use std::fmt::Write;

use super::{Report, TableExporter, extent, file_stem, terms};
use crate::export::ExportError;
use crate::table::grid::{self, Grid, Text, Tone};
use crate::table::{Conditions, SuiteTable};

/// One file for each suite, and an index.
#[derive(Debug, Clone, Copy, Default)]
pub struct Markdown;

impl TableExporter for Markdown {
    fn files(&self, report: &Report<'_>) -> Result<Vec<(String, String)>, ExportError> {
        let mut files = vec![("index.md".to_owned(), index(report))];
        for table in &report.tables.suites {
            files.push((suite_file(table), suite(table, &report.tables.notes)));
        }
        Ok(files)
    }
}

fn suite_file(table: &SuiteTable) -> String {
    format!("{}.md", file_stem(&table.name))
}

fn index(report: &Report<'_>) -> String {
    let mut page = String::from("# Measured with syncbench\n");
    remarks(&mut page, &report.tables.notes);
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    if !report.tables.suites.is_empty() {
        line("\n## Suites\n".to_owned());
    }
    for table in &report.tables.suites {
        line(format!(
            "- [{}]({}): {}",
            escape(&table.name),
            suite_file(table),
            extent(table),
        ));
        for warning in &table.warnings {
            line(format!("  - **Mind:** {}", escape(warning)));
        }
    }
    if !report.loads.is_empty() {
        line("\n## Load runs\n".to_owned());
    }
    for load in &report.loads {
        let (run, statement) = (&load.record.run, load.statement);
        line(format!(
            "- [{}]({}): {statement}. `{}`",
            escape(&run.started_at),
            load.page,
            run.command.replace('`', "'"),
        ));
    }
    page
}

/// Adds a paragraph for each note.
fn remarks(page: &mut String, notes: &[String]) {
    for note in notes {
        page.push_str(&format!("\n{}\n", escape(note)));
    }
}

fn suite(table: &SuiteTable, notes: &[String]) -> String {
    let mut page = format!("# {}\n", escape(&table.name));
    if !table.about.is_empty() {
        page.push_str(&format!("\n{}\n", escape(&table.about)));
    }
    remarks(&mut page, notes);
    page.push('\n');
    conditions(&mut page, &table.conditions);
    for warning in &table.warnings {
        page.push_str(&format!("\n> **Mind:** {}\n", escape(warning)));
    }
    section(&mut page, &grid::results(table));
    if !table.notes.is_empty() {
        page.push_str("\nNotes:\n\n");
    }
    for note in &table.notes {
        page.push_str(&format!("{}. {}\n", note.number, escape(&note.text)));
    }
    let rest = grid::growth(table).into_iter().chain(grid::measures(table));
    let published = table.published.iter().map(grid::published);
    for grid in rest.chain(published) {
        section(&mut page, &grid);
    }
    page
}

fn conditions(page: &mut String, conditions: &Conditions) {
    for (name, value) in terms(conditions) {
        page.push_str(&format!("- {name}: {}\n", escape(&value)));
    }
    page.push_str("\nMade by, with a process for each value where there are several:\n\n```\n");
    for command in &conditions.commands {
        page.push_str(&command.replace("```", "'''"));
        page.push('\n');
    }
    page.push_str("```\n");
}

fn section(page: &mut String, grid: &Grid) {
    let (title, caption) = (escape(&grid.title), escape(&grid.caption));
    page.push_str(&format!("\n## {title}\n\n{caption}\n\n"));
    let cells: Vec<String> = grid.head.iter().map(|head| escape(head)).collect();
    row(page, &cells);
    let rules = grid.head.iter().enumerate();
    let rules: Vec<String> = rules
        .map(|(at, _)| if at == 0 { "---" } else { "---:" }.to_owned())
        .collect();
    row(page, &rules);
    for group in &grid.groups {
        let mut cells = vec![String::new(); grid.head.len()];
        cells[0] = format!("**{}**", escape(&group.name));
        row(page, &cells);
        for line in &group.rows {
            let mut cells = vec![escape(&line.name)];
            cells.extend(line.texts.iter().map(text));
            row(page, &cells);
        }
    }
}

fn row(page: &mut String, cells: &[String]) {
    page.push('|');
    for cell in cells {
        // Writing to a string cannot fail.
        let _ = write!(page, " {cell} |");
    }
    page.push('\n');
}

/// Formats `**1.20 ms** (± 2.0 %, n 20) [1]`; only the best is bold.
fn text(text: &Text) -> String {
    let main = match text.tone {
        Tone::Best => format!("**{}**", escape(&text.main)),
        Tone::Flagged => format!("{} ⚠", escape(&text.main)),
        Tone::Plain | Tone::Missing | Tone::Words => escape(&text.main),
    };
    let detail = match &text.detail[..] {
        [] => String::new(),
        parts => format!(" ({})", escape(&parts.join(", "))),
    };
    let notes = text.notes.iter().map(|number| format!(" [{number}]"));
    format!("{main}{detail}{}", notes.collect::<String>())
}

/// Escapes `text` so that Markdown shows it unchanged, also in a table.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            // Within a word it has no meaning: x86_64 stays readable.
            '_' if before.is_alphanumeric() => escaped.push('_'),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
        before = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_can_end_its_cell_or_become_markup() {
        assert_eq!(
            escape("a|b_c <script> *d* _e_ [f](g) `h`\ni"),
            "a\\|b_c &lt;script&gt; \\*d\\* \\_e_ \\[f\\](g) \\`h\\` i"
        );
    }
}
