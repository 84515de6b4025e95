//! Reading scenarios from TOML and flags.

use serde::Deserialize;
use syncbench_reports::similar::similar;

use super::{Scenario, ScenarioError};

/// An error in what a user wrote of a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not TOML, or has unknown keys or values.
    #[error("{0}")]
    File(String),
    /// The settings that override the file have unknown keys or values.
    #[error("{0}")]
    Overrides(String),
    /// The settings do not fit together.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The bearer token cannot be read.
    #[error("no bearer token: {0}")]
    Token(String),
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// Names the first mistake in the file, and what could be written instead.
    pub fn parse(toml: &str) -> Result<Self, ReadError> {
        Self::parse_with(toml, toml::Table::new())
    }

    /// Reads a scenario file whose settings `flags` override. Thresholds of both
    /// are kept.
    ///
    /// # Errors
    /// Names the first mistake in the file or the flags, and what could be
    /// written instead.
    pub fn parse_with(toml: &str, flags: toml::Table) -> Result<Self, ReadError> {
        // Errors in text have a place, and those in tables do not.
        let in_text = |error| ReadError::File(explained(error, toml));
        let file: Self = toml::from_str(toml).map_err(in_text)?;
        let mut table: toml::Table = toml::from_str(toml).map_err(in_text)?;
        overlay(&mut table, flags);
        let mut scenario = Self::deserialize(table.clone())
            .map_err(|error| ReadError::Overrides(explained(error, toml)))?;
        if file.thresholds != scenario.thresholds {
            scenario.thresholds = [file.thresholds, scenario.thresholds].concat();
        }
        scenario.check_exclusions(&table)?;
        scenario.relay.read_token().map_err(ReadError::Token)?;
        scenario.complete();
        scenario.validate()?;
        Ok(scenario)
    }

    /// Refuses keys that say the same as other keys of `table`.
    fn check_exclusions(&self, table: &toml::Table) -> Result<(), ScenarioError> {
        let clients = table.get("clients").and_then(toml::Value::as_table);
        let is_counted = clients
            .is_some_and(|clients| clients.contains_key("count") || clients.contains_key("rooms"));
        let workload = table.get("workload").and_then(toml::Value::as_table);
        let has_edits = workload.is_some_and(|workload| workload.contains_key("edits"));
        let message = if has_edits && self.workload.mix.is_some() {
            "workload.mix names the kinds of edits: drop `edits` of [workload]"
        } else if is_counted && !self.rooms.is_empty() {
            "[[rooms]] set the numbers of clients and rooms: drop `count` and `rooms` of \
             [clients] (--clients, --rooms)"
        } else if table.contains_key("duration") && !self.stages.is_empty() {
            "[[stages]] set the length of the run: drop `duration` (--duration)"
        } else {
            return Ok(());
        };
        Err(ScenarioError::Contradiction(message.to_owned()))
    }
}

/// Replaces the values of `table` by those of `with`, key by key.
fn overlay(table: &mut toml::Table, with: toml::Table) {
    for (key, value) in with {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => overlay(old, new),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// The message of the parser, which shows the place in `toml`, and the key that
/// was probably meant.
fn explained(error: toml::de::Error, toml: &str) -> String {
    let message = shown(&error, toml);
    format!("{}{}", message.trim_end(), suggestion(&error))
}

/// A question for the key that was probably meant, on a line of its own; empty if the
/// error is about something else, or no key is similar.
pub fn suggestion(error: &toml::de::Error) -> String {
    let rest = error.message().strip_prefix("unknown field `");
    let similar = rest.and_then(|rest| {
        let mut names = rest.split('`').step_by(2);
        let written = names.next().unwrap_or_default();
        similar(written, names)
    });
    similar.map_or(String::new(), |name| format!("\ndid you mean `{name}`?"))
}

/// The longest line of a scenario that is shown, bytes.
const MAX_SHOWN: usize = 500;

/// The message with the line that it is about. What is written of the relay may
/// be secret: of such a line, and of a very long one, only the place is shown.
fn shown(error: &toml::de::Error, toml: &str) -> String {
    let message = error.to_string();
    let Some(at) = error.span().map(|span| span.start.min(toml.len())) else {
        return message;
    };
    let line_end = toml[at..].find('\n').map_or(toml.len(), |end| at + end);
    let line = toml[..line_end].lines().next_back().unwrap_or_default();
    match line.len() > MAX_SHOWN || is_of_relay(&toml[..line_end]) {
        true => {
            let place = message.lines().next().unwrap_or_default();
            format!("{place}\n{}", error.message())
        }
        false => message,
    }
}

/// Whether the last line of `toml` is, or may be, about the relay.
fn is_of_relay(toml: &str) -> bool {
    let mut lines = toml.lines().rev().map(str::trim_start);
    let is_table = |line: &&str| line.starts_with('[');
    let is_key = |line: &str| line.starts_with("relay") || line.starts_with("\"relay");
    lines.clone().next().is_some_and(is_key)
        || lines
            .find(is_table)
            .is_some_and(|line| line.contains("relay"))
}
