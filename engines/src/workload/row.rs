//! One row of a suite.

use super::data::Input;
use super::repetition::Prepared;
use super::subject::Subject;
use crate::{Capability, Engine, HeavyWork, Pace};

/// One row of a suite: something that is done with a data set in an engine.
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

/// A reason against a row, for an engine and a data set by its name.
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

    /// Names what an engine must be able to do for it.
    pub(super) fn needs(mut self, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        self.needs.extend(capabilities);
        self
    }

    /// The timed part integrates every operation of the data set.
    pub(super) fn per_operation(mut self) -> Self {
        self.elements = Elements::Operations;
        self
    }

    /// The timed part consists of `count` like parts.
    pub(super) fn per(mut self, count: u64) -> Self {
        self.elements = Elements::Fixed(count);
        self
    }

    /// It is one size of a series.
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

    /// It has no row for an engine on a data set when `reason` gives one.
    pub(super) fn unless(mut self, reason: Unless) -> Self {
        self.unless = Some(reason);
        self
    }

    /// Names the heavy work in a repetition or its preparation. The engine
    /// answers whether that is slow or hopeless for it.
    pub(super) fn heavy(mut self, work: HeavyWork) -> Self {
        self.heavy = Some(Heavy {
            work,
            dataset: None,
        });
        self
    }

    /// The same for one data set only.
    pub(super) fn heavy_on(mut self, dataset: &'static str, work: HeavyWork) -> Self {
        self.heavy = Some(Heavy {
            work,
            dataset: Some(dataset),
        });
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

    /// Whether it takes so long that it is for cells alone, which measure one
    /// repetition if need be, and not for a benchmark that wants many.
    pub fn is_slow(&self, engine: &dyn Engine, dataset: &str) -> bool {
        self.pace(engine, dataset) == Pace::Slow
    }

    fn pace(&self, engine: &dyn Engine, dataset: &str) -> Pace {
        let heavy = self.heavy.as_ref();
        heavy.map_or(Pace::Usual, |heavy| heavy.pace(engine, dataset))
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
