//! Values that users type, and the error for bad ones.

use std::fmt;
use std::time::Duration;

use syncbench_reports::record::Status;

/// Bad usage or bad input: the message says what to change. Exit code 2.
#[derive(Debug)]
pub struct BadInput(String);

impl BadInput {
    /// Marks `error` as one that the user can fix.
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

/// Returns the exit status of a command that failed with `error`.
pub fn status_of(error: &anyhow::Error) -> Status {
    match error.is::<BadInput>() {
        true => Status::Usage,
        false => Status::Failure,
    }
}

/// Parses a duration such as `10s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 10s, 500ms, 2m"))
}
