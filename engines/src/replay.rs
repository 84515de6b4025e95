//! Replays a trace through an engine: who typed what, on top of what, merged by
//! the engine.
//!
//! The result is an [`UpdateStream`]: for each step of the trace the bytes that
//! its agent's client would have sent, in an order in which every update comes
//! after those that it builds on. [`replay`] makes it, in one of two ways:
//!
//! * *live*: one replica per agent, which imports what its agent had seen and
//!   then types. Works with every engine; time and memory grow with the number of
//!   agents.
//! * *detached*, Loro only: one document that is checked out at each step's
//!   version and edited there. Memory stays that of one document, which is what
//!   makes traces of hundreds of agents possible at all.
//!
//! Either way the result is judged: see [`judge`].

mod detached;
mod live;
mod stream;

use std::ops::Range;

use syncbench_datasets::{Check, DatasetError, Trace, Txn, runs};

use crate::{Engine, EngineError, PeerId, peer_ids};

pub use stream::UpdateStream;

/// From this number of agents on, Loro replays detached: two agents are faster
/// live, and 200 take ten times as long.
const DETACHED_FROM_AGENTS: usize = 16;

/// What becomes one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each txn of the trace.
    Txn,
    /// Each run of txns of one agent ([`runs`]), as a client would send that
    /// collects keystrokes until someone else's arrive.
    Run,
}

impl Unit {
    /// Short name: `txn` or `run`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Txn => "txn",
            Self::Run => "run",
        }
    }

    /// The index of the first txn of each unit.
    fn starts(self, trace: &Trace) -> Vec<usize> {
        match self {
            Self::Txn => (0..trace.txn_count()).collect(),
            Self::Run => runs(trace),
        }
    }
}

/// Why a trace could not be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The engine refused a step.
    #[error("{trace}: txn {txn}: {engine} {error}")]
    Step {
        /// Name of the trace.
        trace: String,
        /// Index of the txn, or of the first of its unit.
        txn: usize,
        /// Name of the engine.
        engine: &'static str,
        /// What it said.
        error: EngineError,
    },
    /// The replicas or the text are not as they must be.
    #[error(
        "{trace}: replayed through {engine} {version}: {reason}; do not use this trace with this engine"
    )]
    Wrong {
        /// Name of the trace.
        trace: String,
        /// Name of the engine.
        engine: &'static str,
        /// Its version.
        version: &'static str,
        /// What differs.
        reason: String,
    },
    /// A kept stream is damaged or of another version.
    #[error("a kept update stream is unreadable: {0}; delete it")]
    Stream(&'static str),
    /// The cache folder could not be used.
    #[error(transparent)]
    Cache(#[from] DatasetError),
}

/// A trace, replayed and judged.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The updates.
    pub stream: UpdateStream,
    /// How it was judged, for a reader.
    pub judged: &'static str,
    /// Whether it was kept from an earlier replay.
    pub from_cache: bool,
}

/// Replays `trace` through `engine` and judges the result by `check`. `progress`
/// hears how many units of how many are done.
///
/// # Errors
/// When the engine refuses a step, replicas differ at the end, or the text is
/// not what the check asks for.
pub fn replay(
    engine: &dyn Engine,
    trace: &Trace,
    unit: Unit,
    check: Check,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Replayed, ReplayError> {
    let starts = unit.starts(trace);
    let mut steps = Steps {
        engine,
        trace,
        starts: &starts,
        progress,
    };
    let many = trace.agent_count() >= DETACHED_FROM_AGENTS;
    let detached = many.then(|| engine.detached_document()).flatten();
    let merged = match detached {
        Some(document) => detached::replay(&mut steps, document)?,
        None => live::replay(&mut steps)?,
    };
    steps.judged(merged, check)
}

/// The agents of a trace at work, each at a replica of its own, whatever their
/// number: a replay whose time matters, and not the stream.
pub(crate) struct Session<'a> {
    engine: &'static dyn Engine,
    trace: &'a Trace,
    starts: Vec<usize>,
    live: Option<live::Live>,
}

impl<'a> Session<'a> {
    /// Nobody has typed yet.
    pub(crate) fn new(engine: &'static dyn Engine, trace: &'a Trace, unit: Unit) -> Self {
        Self {
            engine,
            trace,
            starts: unit.starts(trace),
            live: None,
        }
    }

    /// Everyone types all they typed, and imports what they had seen before.
    pub(crate) fn run(&mut self) -> Result<(), ReplayError> {
        self.live = Some(self.steps(live::session)?);
        Ok(())
    }

    /// What they sent, and the text that it leads to, once that was found right.
    pub(crate) fn finish(&mut self, check: Check) -> Result<(UpdateStream, String), ReplayError> {
        let live = self.live.take();
        self.steps(|steps| {
            let live = live.ok_or_else(|| steps.wrong("nobody has typed yet".to_owned()))?;
            let merged = live.finish(steps)?;
            let text = merged.texts[0].clone();
            Ok((steps.judged(merged, check)?.stream, text))
        })
    }

    fn steps<T>(&self, work: impl FnOnce(&mut Steps<'_>) -> T) -> T {
        work(&mut Steps {
            engine: self.engine,
            trace: self.trace,
            starts: &self.starts,
            progress: &mut |_, _| (),
        })
    }
}

/// The same, but takes the stream from the cache folder where it was replayed
/// before, see [`kept`], and keeps it there.
///
/// # Errors
/// Those of [`replay`].
pub fn replay_cached(
    engine: &dyn Engine,
    trace: &Trace,
    unit: Unit,
    check: Check,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Replayed, ReplayError> {
    if let Some(replayed) = kept(engine, trace, unit, check) {
        return Ok(replayed);
    }
    let replayed = replay(engine, trace, unit, check, progress)?;
    replayed
        .stream
        .write(&stream::cache_path(engine, trace, unit)?)?;
    Ok(replayed)
}

/// What an earlier replay of the same trace, by its checksum, through the same
/// version of the engine gave; `None` if there was none.
pub fn kept(engine: &dyn Engine, trace: &Trace, unit: Unit, check: Check) -> Option<Replayed> {
    let path = stream::cache_path(engine, trace, unit).ok()?;
    Some(Replayed {
        stream: UpdateStream::read(&path).ok()?,
        judged: description(check),
        from_cache: true,
    })
}

/// Says how a text was found right.
///
/// # Errors
/// What differs, if it is not.
pub fn judge(text: &str, wanted: &str, check: Check) -> Result<&'static str, String> {
    let right = match check {
        Check::Text => text == wanted,
        Check::Length => text.chars().count() == wanted.chars().count(),
    };
    if right {
        return Ok(description(check));
    }
    let (have, want) = (text.chars().count(), wanted.chars().count());
    let from = text
        .chars()
        .zip(wanted.chars())
        .position(|(have, want)| have != want);
    let from = from.unwrap_or(have.min(want));
    Err(format!(
        "the text has {have} characters, the end text {want}, and they differ from character {from} on"
    ))
}

fn description(check: Check) -> &'static str {
    match check {
        Check::Text => "end text, equal replicas",
        Check::Length => "length of the end text, equal replicas",
    }
}

/// The updates, and the text of two replicas that got there in different ways.
struct Merged {
    stream: UpdateStream,
    texts: [String; 2],
}

/// What both ways to replay work through.
struct Steps<'a> {
    engine: &'a dyn Engine,
    trace: &'a Trace,
    /// First txn of each unit.
    starts: &'a [usize],
    progress: &'a mut dyn FnMut(usize, usize),
}

impl<'a> Steps<'a> {
    /// The txns of a unit.
    fn txns(&self, unit: usize) -> Range<usize> {
        let end = self.starts.get(unit + 1).copied();
        self.starts[unit]..end.unwrap_or_else(|| self.trace.txn_count())
    }

    fn done(&mut self, units: usize) {
        (self.progress)(units, self.starts.len());
    }

    fn failed(&self, txn: usize, error: EngineError) -> ReplayError {
        ReplayError::Step {
            trace: self.trace.name().to_owned(),
            txn,
            engine: self.engine.name(),
            error,
        }
    }

    fn judged(&self, merged: Merged, check: Check) -> Result<Replayed, ReplayError> {
        let [first, second] = merged.texts;
        if first != second {
            return Err(self
                .wrong("replicas that contain the same updates show different texts".to_owned()));
        }
        let judged = judge(&first, self.trace.end_content(), check);
        Ok(Replayed {
            stream: merged.stream,
            judged: judged.map_err(|reason| self.wrong(reason))?,
            from_cache: false,
        })
    }

    fn wrong(&self, reason: String) -> ReplayError {
        ReplayError::Wrong {
            trace: self.trace.name().to_owned(),
            engine: self.engine.name(),
            version: self.engine.version(),
            reason,
        }
    }
}

/// Peer ids are fixed, so that streams are the same in every run.
fn peer(agent: usize) -> PeerId {
    peer_ids::peer(agent as u64 + 1)
}

/// The txns of a unit that type anything: an engine makes no update of nothing.
fn types_anything(txn: &Txn<'_>) -> bool {
    txn.patches()
        .any(|patch| patch.del > 0 || !patch.ins.is_empty())
}
