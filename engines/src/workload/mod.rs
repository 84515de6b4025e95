//! What the suites measure, apart from how it is timed.
//!
//! A [`Workload`] makes [`Repetition`]s on a [`Subject`] (one data set in one
//! engine). Whoever measures starts the clock, calls [`Repetition::run`],
//! stops the clock, and calls [`Repetition::check`]: all preparation lies
//! before, all verification and the release of memory after the timed part.

mod check;
mod commit;
mod compaction;
mod conflict;
mod data;
mod export;
mod history;
mod import;
mod interleaving;
mod live;
mod local;
mod merge;
mod repetition;
mod subject;
mod suite;
mod sync;
mod types;

pub use data::{Data, Input, SYNTHETIC, input_of};
pub use repetition::{Outcome, Repetition};
pub use subject::{Form, Subject};
pub use suite::Suite;

use repetition::{Prepared, timed};

use crate::{Cap, Engine, EngineError};

/// One row of a suite: something that is done with a data set in an engine.
pub struct Workload {
    variant: String,
    input: Input,
    needs: Vec<Cap>,
    elements: Elements,
    scale: Option<Scale>,
    unless: Option<Unless>,
    slow: Option<Slow>,
    prepare: Box<Prepare>,
}

/// A reason against a row, for an engine and a data set by its name.
type Unless = fn(&dyn Engine, &str) -> Option<String>;

/// Whether an engine takes many seconds on a data set.
type Slow = fn(&dyn Engine, &str) -> bool;

type Prepare = dyn for<'a> Fn(&'a Subject) -> Prepared<'a>;

/// Like parts that the timed part consists of.
#[derive(Debug, Clone, Copy)]
enum Elements {
    /// None: the work does not grow in proportion to anything, as in a lazy
    /// load. A throughput would mislead.
    None,
    /// The operations of the data set, which are integrated one and all.
    Operations,
    /// This many.
    Fixed(u64),
}

/// The place of a row among rows that differ in size alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Name that those rows share within their suite.
    pub series: String,
    /// The size of this one.
    pub size: u64,
    /// What the size counts, in the plural.
    pub unit: &'static str,
}

impl Workload {
    /// A row called `variant` that works on data sets of one kind. `prepare`
    /// makes one repetition from fresh replicas; what is the same for every
    /// repetition is kept in the subject.
    fn new(
        input: Input,
        variant: impl Into<String>,
        prepare: impl for<'a> Fn(&'a Subject) -> Prepared<'a> + 'static,
    ) -> Self {
        Self {
            variant: variant.into(),
            input,
            needs: Vec::new(),
            elements: Elements::None,
            scale: None,
            unless: None,
            slow: None,
            prepare: Box::new(prepare),
        }
    }

    /// Names what an engine must be able to do for it.
    fn needs(mut self, caps: impl IntoIterator<Item = Cap>) -> Self {
        self.needs.extend(caps);
        self
    }

    /// The timed part integrates every operation of the data set.
    fn per_operation(mut self) -> Self {
        self.elements = Elements::Operations;
        self
    }

    /// The timed part consists of `count` like parts.
    fn per(mut self, count: u64) -> Self {
        self.elements = Elements::Fixed(count);
        self
    }

    /// It is one size of a series.
    fn scale(mut self, series: impl Into<String>, size: u64, unit: &'static str) -> Self {
        self.scale = Some(Scale {
            series: series.into(),
            size,
            unit,
        });
        self
    }

    /// It has no row for an engine on a data set when `reason` gives one.
    fn unless(mut self, reason: Unless) -> Self {
        self.unless = Some(reason);
        self
    }

    /// A repetition, or what it takes to prepare one, takes many seconds for
    /// these engines and data sets.
    fn slow(mut self, slow: Slow) -> Self {
        self.slow = Some(slow);
        self
    }

    /// Last part of the benchmark id, such as `snapshot+edit`.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// The kind of data set that it works on.
    pub fn input(&self) -> Input {
        self.input
    }

    /// Why it has no row for an engine on a data set, if it has none.
    pub fn reason_against(&self, engine: &dyn Engine, dataset: &str) -> Option<String> {
        let caps = engine.caps();
        let lacking = self.needs.iter().find_map(|&cap| caps.reason_against(cap));
        match lacking {
            Some(reason) => Some(reason.to_owned()),
            None => self.unless.and_then(|unless| unless(engine, dataset)),
        }
    }

    /// Whether it takes so long that it is for cells alone, which measure one
    /// repetition if need be, and not for a benchmark that wants many.
    pub fn is_slow(&self, engine: &dyn Engine, dataset: &str) -> bool {
        self.slow.is_some_and(|slow| slow(engine, dataset))
    }

    /// Number of like parts that the timed part consists of, given that the
    /// data set has `operations`; the time of one is the whole time by it.
    pub fn elements(&self, operations: u64) -> Option<u64> {
        match self.elements {
            Elements::None => None,
            Elements::Operations => Some(operations),
            Elements::Fixed(count) => Some(count),
        }
    }

    /// Its place among rows that differ in size alone.
    pub fn scale_of(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// Prepares one repetition.
    ///
    /// # Errors
    /// When the engine fails, or the data set does not suit the workload.
    pub fn repetition<'a>(&self, subject: &'a Subject) -> Prepared<'a> {
        (self.prepare)(subject)
    }
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
