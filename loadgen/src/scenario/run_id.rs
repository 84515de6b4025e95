//! The id of a run.

use std::fmt;
use std::str::FromStr;

/// The most characters that a run id may have.
const MAX_LENGTH: usize = 64;

/// Tells a run from all others that meet the same relay. Together with the seed
/// it decides the peer ids and the names of the rooms, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(String);

/// The text is no run id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id has 1 to {MAX_LENGTH} letters, digits, dots, dashes and underscores")]
pub struct NotARunId;

impl RunId {
    /// Draws a run id that no other run has.
    pub fn random() -> Self {
        Self(format!("{:016x}", rand::random::<u64>()))
    }
}

impl Default for RunId {
    /// The run id of scenarios that are not given one: runs with it repeat.
    fn default() -> Self {
        Self("0".to_owned())
    }
}

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(id: &str) -> Result<Self, NotARunId> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_valid = (1..=MAX_LENGTH).contains(&id.len()) && id.chars().all(is_plain);
        is_valid.then(|| Self(id.to_owned())).ok_or(NotARunId)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_short_and_plain() {
        for good in ["0", "ci-4711", "2026.1_a", &"x".repeat(64)] {
            assert_eq!(good.parse::<RunId>().unwrap().to_string(), good);
        }
        for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert_eq!(bad.parse::<RunId>(), Err(NotARunId), "{bad}");
        }
    }

    #[test]
    fn drawn_run_ids_are_valid_and_differ() {
        let id = RunId::random();
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_ne!(id, RunId::random());
    }
}
