//! One prepared repetition: a timed part, and the check of its result.

use super::error::WorkloadError;
use crate::{EngineError, StateHash};

/// One prepared repetition.
pub trait Repetition {
    /// Runs the timed part; called once.
    ///
    /// # Errors
    /// Fails if the engine fails.
    fn run(&mut self) -> Result<(), EngineError>;

    /// Verifies the result of [`Repetition::run`].
    ///
    /// # Errors
    /// Fails if the result is wrong; its time must not be shown then.
    fn check(&mut self) -> Result<Outcome, WorkloadError>;
}

/// A repetition, or the reason why there is none.
pub type Prepared<'a> = Result<Box<dyn Repetition + 'a>, WorkloadError>;

/// The result of a verified repetition, besides its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that the timed part read as updates or wrote as an export; 0 if it did
    /// neither.
    pub encoded_bytes: u64,
    /// The visible value at the end.
    pub state_hash: StateHash,
    /// Bytes of the document at the end, for rows that are about them.
    pub document_bytes: Option<u64>,
    /// The behaviour of the engine, for rows that are about behaviour and not about
    /// speed.
    pub finding: Option<String>,
}

impl Outcome {
    /// Creates an outcome without a document size or a finding.
    pub fn new(encoded_bytes: usize, state_hash: StateHash) -> Self {
        Self {
            encoded_bytes: encoded_bytes as u64,
            state_hash,
            document_bytes: None,
            finding: None,
        }
    }
}

/// Makes a repetition from a state, a timed part and a check.
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
