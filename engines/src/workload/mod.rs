//! What the suites measure, apart from how it is timed.
//!
//! A [`Workload`] makes [`Repetition`]s on a [`Subject`] (one data set in one
//! engine). Whoever measures starts the clock, calls [`Repetition::run`],
//! stops the clock, and calls [`Repetition::check`]: all preparation lies
//! before, all verification and the release of memory after the timed part.

mod check;
mod export;
mod import;
mod merge;
mod subject;

pub use subject::{Form, Subject};

use crate::{Cap, Engine, EngineError, StateHash};

/// One row of a suite: something that is done with a data set in an engine.
pub trait Workload {
    /// Last part of the benchmark id, such as `snapshot+edit`.
    fn variant(&self) -> String;

    /// What an engine must be able to do for it.
    fn needs(&self) -> Vec<Cap>;

    /// Why it has no row for an engine, if it has none.
    fn reason_against(&self, engine: &dyn Engine) -> Option<&'static str> {
        let caps = engine.caps();
        let needs = self.needs();
        needs.into_iter().find_map(|cap| caps.reason_against(cap))
    }

    /// Operations that the timed part has to integrate one and all, given
    /// that the data set has `ops` of them. None where the work does not grow
    /// in proportion, as in a lazy load: a throughput would mislead there.
    fn operations(&self, ops: u64) -> Option<u64>;

    /// Prepares one repetition, from fresh replicas. What is the same for
    /// every repetition is kept in the subject.
    ///
    /// # Errors
    /// When the engine fails, or the data set does not suit the workload.
    fn repetition<'a>(
        &self,
        subject: &'a Subject,
    ) -> Result<Box<dyn Repetition + 'a>, WorkloadError>;
}

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

/// What a verified repetition came to, besides its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that the timed part read as updates or wrote as an export.
    pub encoded_bytes: u64,
    /// The visible value at the end.
    pub state_hash: StateHash,
}

/// Why a workload gives no figure.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine did something else than what the workload is about.
    #[error("wrong result, so its time means nothing: {0}")]
    Wrong(String),
    /// The data set lacks what the workload needs.
    #[error("{dataset} does not suit this workload: {reason}")]
    Unsuitable {
        /// Name of the data set.
        dataset: String,
        /// What is missing.
        reason: String,
    },
}

/// Workloads that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    /// First part of the benchmark ids.
    pub name: &'static str,
    workloads: fn() -> Vec<Box<dyn Workload>>,
}

impl Suite {
    /// From bytes to a usable document, in four cumulative stages.
    pub const IMPORT: Self = Self {
        name: "import",
        workloads: import::workloads,
    };
    /// From a document to bytes, for the first time and again.
    pub const EXPORT: Self = Self {
        name: "export",
        workloads: export::workloads,
    };
    /// Remote operations into a replica that has others, or none.
    pub const MERGE: Self = Self {
        name: "merge",
        workloads: merge::workloads,
    };
    /// Every suite.
    pub const ALL: [Self; 3] = [Self::IMPORT, Self::EXPORT, Self::MERGE];

    /// Its rows, in the order in which tables show them.
    pub fn workloads(&self) -> Vec<Box<dyn Workload>> {
        (self.workloads)()
    }
}
