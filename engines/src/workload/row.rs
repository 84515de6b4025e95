//! One row of a suite.

use super::data::Input;
use super::repetition::Prepared;
use super::subject::Subject;
use crate::{Capability, Engine, HeavyWork, Pace};

/// One row of a suite: a piece of work on a data set in an engine.
pub struct Workload {
    variant: String,
    input: Input,
    needs: Vec<Capability>,
    elements: Elements,
    scale: Option<Scale>,
    unless: Option<Unless>,
    heavy: Option<Heavy>,
    prepare: Box<Prepare>,
}

/// Returns the reason why a row does not exist for an engine and a data set (by its
/// name), if there is one.
type Unless = fn(&dyn Engine, &str) -> Option<String>;

/// A kind of heavy work, on one data set or on all.
struct Heavy {
    work: HeavyWork,
    dataset: Option<&'static str>,
}

impl Heavy {
    fn pace(&self, engine: &dyn Engine, dataset: &str) -> Pace {
        match self.dataset.is_none_or(|heavy| heavy == dataset) {
            true => engine.pace(self.work),
            false => Pace::Usual,
        }
    }
}

type Prepare = dyn for<'a> Fn(&'a Subject) -> Prepared<'a>;

/// The equal parts of the timed part.
#[derive(Debug, Clone, Copy)]
enum Elements {
    /// There are none: the work does not grow in proportion to anything, as in a lazy
    /// load. A throughput would mislead.
    None,
    /// The operations of the data set, all of which are integrated.
    Operations,
    /// A fixed number.
    Fixed(u64),
}

/// The place of a row among rows that differ only in size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// The name that those rows share within their suite.
    pub series: String,
    /// The size of this row.
    pub size: u64,
    /// The thing that the size counts, in the plural.
    pub unit: &'static str,
}

impl Workload {
    /// Creates a row called `variant` that works on data sets of one kind. `prepare`
    /// makes one repetition from fresh replicas; the subject keeps what is the same for
    /// every repetition.
    pub(super) fn new(
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
            heavy: None,
            prepare: Box::new(prepare),
        }
    }

    /// Adds capabilities that the row requires of an engine.
    pub(super) fn needs(mut self, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        self.needs.extend(capabilities);
        self
    }

    /// Declares that the timed part integrates every operation of the data set.
    pub(super) fn per_operation(mut self) -> Self {
        self.elements = Elements::Operations;
        self
    }

    /// Declares that the timed part consists of `count` equal parts.
    pub(super) fn per(mut self, count: u64) -> Self {
        self.elements = Elements::Fixed(count);
        self
    }

    /// Declares that the row is one size of a series.
    pub(super) fn scale(
        mut self,
        series: impl Into<String>,
        size: u64,
        unit: &'static str,
    ) -> Self {
        self.scale = Some(Scale {
            series: series.into(),
            size,
            unit,
        });
        self
    }

    /// Leaves the row out for an engine on a data set if `reason` returns one.
    pub(super) fn unless(mut self, reason: Unless) -> Self {
        self.unless = Some(reason);
        self
    }

    /// Names the heavy work in a repetition or its preparation. The engine answers
    /// whether that is slow or hopeless for it.
    pub(super) fn heavy(mut self, work: HeavyWork) -> Self {
        self.heavy = Some(Heavy {
            work,
            dataset: None,
        });
        self
    }

    /// Does the same as [`Workload::heavy`], for one data set only.
    pub(super) fn heavy_on(mut self, dataset: &'static str, work: HeavyWork) -> Self {
        self.heavy = Some(Heavy {
            work,
            dataset: Some(dataset),
        });
        self
    }

    /// Returns the last part of the benchmark id, such as `snapshot+edit`.
    pub fn variant(&self) -> &str {
        &self.variant
    }

    /// Returns the kind of data that the row works on.
    pub fn input(&self) -> Input {
        self.input
    }

    /// Returns the reason why the row does not exist for an engine on a data set, if
    /// there is one.
    pub fn unsupported_because(&self, engine: &dyn Engine, dataset: &str) -> Option<String> {
        let capabilities = engine.capabilities();
        let lacking = self
            .needs
            .iter()
            .find_map(|&capability| capabilities.unsupported_because(capability));
        let reason = lacking.or(match self.pace(engine, dataset) {
            Pace::Hopeless(reason) => Some(reason),
            Pace::Usual | Pace::Slow => None,
        });
        match reason {
            Some(reason) => Some(reason.to_owned()),
            None => self.unless.and_then(|unless| unless(engine, dataset)),
        }
    }

    /// Returns true if the row takes so long that only cells run it, which can measure
    /// a single repetition, and Criterion does not, which needs many.
    pub fn is_slow(&self, engine: &dyn Engine, dataset: &str) -> bool {
        self.pace(engine, dataset) == Pace::Slow
    }

    fn pace(&self, engine: &dyn Engine, dataset: &str) -> Pace {
        let heavy = self.heavy.as_ref();
        heavy.map_or(Pace::Usual, |heavy| heavy.pace(engine, dataset))
    }

    /// Returns the number of equal parts of the timed part, for a data set of
    /// `operations` operations. The time of one part is the whole time divided by it.
    pub fn elements(&self, operations: u64) -> Option<u64> {
        match self.elements {
            Elements::None => None,
            Elements::Operations => Some(operations),
            Elements::Fixed(count) => Some(count),
        }
    }

    /// Returns the row's place among rows that differ only in size.
    pub fn scale_of(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// Prepares one repetition.
    ///
    /// # Errors
    /// Fails if the engine fails, or if the data set does not suit the workload.
    pub fn repetition<'a>(&self, subject: &'a Subject) -> Prepared<'a> {
        (self.prepare)(subject)
    }
}
