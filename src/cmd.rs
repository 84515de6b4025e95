//! The commands: one file each, which parses, calls a library and prints.

pub mod cell;
pub mod datasets;
pub mod relay;
pub mod report;
pub mod run;

use std::fmt;
use std::time::Duration;

/// Bad usage or bad input: the message says what to change. Exit code 2.
#[derive(Debug)]
pub struct BadInput(String);

impl BadInput {
    /// Marks `error` as the user's to mend.
    pub fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// A duration as people write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 10s, 500ms, 2m"))
}
