//! What users type, and what they are told when it cannot be.

use std::fmt;
use std::time::Duration;

use syncbench_reports::record::Status;

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

/// What a command that ended with `error` came to.
pub fn status_of(error: &anyhow::Error) -> Status {
    match error.is::<BadInput>() {
        true => Status::Usage,
        false => Status::Failure,
    }
}

/// A duration as people write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 10s, 500ms, 2m"))
}
