//! One prepared repetition: a timed part, and the check of what it did.

use super::error::WorkloadError;
use crate::{EngineError, StateHash};

/// One prepared repetition.
pub trait Repetition {
    /// The timed part; called once.
    ///
    /// # Errors
    /// When the engine fails.
    fn run(&mut self) -> Result<(), EngineError>;

    /// Verifies what [`Repetition::run`] did.
    ///
    /// # Errors
    /// When the result is wrong; its time must not be shown then.
    fn check(&mut self) -> Result<Outcome, WorkloadError>;
}

/// A repetition, or why there is none.
pub type Prepared<'a> = Result<Box<dyn Repetition + 'a>, WorkloadError>;

/// What a verified repetition came to, besides its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that the timed part read as updates or wrote as an export; 0
    /// where it did neither.
    pub encoded_bytes: u64,
    /// The visible value at the end.
    pub state_hash: StateHash,
    /// Bytes of the document at the end, where the row is about them.
    pub document_bytes: Option<u64>,
    /// What the engine showed, where the row asks for behaviour and not speed.
    pub finding: Option<String>,
}

impl Outcome {
    /// An outcome that is about bytes and time.
    pub fn new(encoded_bytes: usize, state_hash: StateHash) -> Self {
        Self {
            encoded_bytes: encoded_bytes as u64,
            state_hash,
            document_bytes: None,
            finding: None,
        }
    }
}

/// A repetition from a state, a timed part and a check.
pub fn timed<'a, S: 'a>(
    state: S,
    run: impl FnMut(&mut S) -> Result<(), EngineError> + 'a,
    check: impl FnMut(&mut S) -> Result<Outcome, WorkloadError> + 'a,
) -> Prepared<'a> {
    Ok(Box::new(Timed { state, run, check }))
}

struct Timed<S, R, C> {
    state: S,
    run: R,
    check: C,
}

impl<S, R, C> Repetition for Timed<S, R, C>
where
    R: FnMut(&mut S) -> Result<(), EngineError>,
    C: FnMut(&mut S) -> Result<Outcome, WorkloadError>,
{
    fn run(&mut self) -> Result<(), EngineError> {
        (self.run)(&mut self.state)
    }

    fn check(&mut self) -> Result<Outcome, WorkloadError> {
        (self.check)(&mut self.state)
    }
}
