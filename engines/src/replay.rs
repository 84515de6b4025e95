//! Replays a trace through an engine, which merges the edits of the trace's agents.
//!
//! The result is an [`UpdateStream`]: for each step of the trace, the bytes that its
//! agent's client would have sent, in an order in which every update comes after those
//! that it builds on. [`replay`] makes it in one of two ways:
//!
//! * *live*: one replica per agent, which imports what its agent had seen and then
//!   types. Works with every engine; time and memory grow with the number of agents.
//! * *detached*, Loro only: one document that is checked out at each step's version and
//!   edited there. It takes the memory of one document, without which traces of
//!   hundreds of agents would not be possible.
//!
//! Either way, the result is compared with the end text: see [`judge`].

mod detached;
mod live;
mod stream;

use std::ops::Range;
use std::path::PathBuf;

use syncbench_datasets::{Check, DatasetError, Trace, Txn, runs};

use crate::{Engine, EngineError, PeerId, peer_ids};

pub use stream::UpdateStream;

/// The number of agents from which Loro replays detached: two agents are faster live,
/// and 200 take ten times as long.
const DETACHED_FROM_AGENTS: usize = 16;

/// The part of a trace that becomes one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each txn of the trace.
    Txn,
    /// Each run of txns of one agent ([`runs`]), as sent by a client that collects
    /// keystrokes until those of another agent arrive.
    Run,
}

impl Unit {
    /// Returns the short name: `txn` or `run`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Txn => "txn",
            Self::Run => "run",
        }
    }

    /// Returns the index of the first txn of each unit.
    fn starts(self, trace: &Trace) -> Vec<usize> {
        match self {
            Self::Txn => (0..trace.txn_count()).collect(),
            Self::Run => runs(trace),
        }
    }
}

/// A reason why a trace could not be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The engine refused a step.
    #[error("{trace}: txn {txn}: {engine} {error}")]
    Step {
        /// The name of the trace.
        trace: String,
        /// The index of the txn, or of the first of its unit.
        txn: usize,
        /// The name of the engine.
        engine: &'static str,
        /// The error of the engine.
        error: EngineError,
    },
    /// The replicas or the text are not what they must be.
    #[error(
        "{trace}: replayed through {engine} {version}: {reason}; do not use this trace with this engine"
    )]
    Wrong {
        /// The name of the trace.
        trace: String,
        /// The name of the engine.
        engine: &'static str,
        /// The version of the engine.
        version: &'static str,
        /// The difference.
        reason: Mismatch,
    },
    /// A cached stream is damaged or of another version.
    #[error("the update stream {} is damaged or of another version; delete it", .0.display())]
    Stream(PathBuf),
    /// The cache folder or a file in it could not be used.
    #[error(transparent)]
    Cache(#[from] DatasetError),
}

/// A difference between the result of a replay and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The text differs from the end text of the trace. Lengths and position are in
    /// scalar values.
    #[error(
        "the text has {len} characters, the end text {expected_len}, and they differ from character {from} on"
    )]
    Text {
        /// The length of the text.
        len: usize,
        /// The length of the end text.
        expected_len: usize,
        /// The position of the first difference.
        from: usize,
    },
    /// Replicas with the same updates differ.
    #[error("replicas that contain the same updates show different texts")]
    Replicas,
    /// Nothing has been replayed.
    #[error("nothing has been replayed yet")]
    NotReplayed,
}

/// The result of a successful replay.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The updates.
    pub stream: UpdateStream,
    /// A description of the check that it passed, for readers.
    pub judged: &'static str,
    /// True if it was read from the cache.
    pub from_cache: bool,
}

/// Replays `trace` through `engine` and checks the result by `check`. `progress`
/// receives the number of completed units and of all units.
///
/// # Errors
/// Fails if the engine refuses a step, if replicas differ at the end, or if the text is
/// not what the check requires.
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

/// The replay of a trace in which each agent has its own replica, whatever the number
/// of agents. It is for measurements of the replay itself, not of its stream.
pub(crate) struct Session<'a> {
    engine: &'static dyn Engine,
    trace: &'a Trace,
    starts: Vec<usize>,
    live: Option<live::Live>,
}

impl<'a> Session<'a> {
    /// Prepares a session in which nothing has been typed yet.
    pub(crate) fn new(engine: &'static dyn Engine, trace: &'a Trace, unit: Unit) -> Self {
        Self {
            engine,
            trace,
            starts: unit.starts(trace),
            live: None,
        }
    }

    /// Makes every agent type all of its edits, and import what it had seen before
    /// each.
    pub(crate) fn run(&mut self) -> Result<(), ReplayError> {
        self.live = Some(self.steps(live::session)?);
        Ok(())
    }

    /// Returns the updates and the text that they lead to, after checking them.
    pub(crate) fn finish(&mut self, check: Check) -> Result<(UpdateStream, String), ReplayError> {
        let live = self.live.take();
        self.steps(|steps| {
            let live = live.ok_or_else(|| steps.wrong(Mismatch::NotReplayed))?;
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

/// Replays a trace as [`replay`] does, but returns an earlier result from the cache
/// folder if there is one (see [`kept`]), and stores a new one there.
///
/// # Errors
/// Fails as [`replay`] does, and if the cache folder cannot be used.
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

/// Returns the cached result of an earlier replay of the same trace (by its checksum)
/// through the same version of the engine, or `None` if there is none.
pub fn kept(engine: &dyn Engine, trace: &Trace, unit: Unit, check: Check) -> Option<Replayed> {
    let path = stream::cache_path(engine, trace, unit).ok()?;
    Some(Replayed {
        stream: UpdateStream::read(&path).ok()?,
        judged: description(check),
        from_cache: true,
    })
}

/// Compares a text with the end text of a trace, and returns a description of the check.
///
/// # Errors
/// Fails with the difference if the text is not what the check requires.
pub fn judge(text: &str, expected: &str, check: Check) -> Result<&'static str, Mismatch> {
    let (len, expected_len) = (text.chars().count(), expected.chars().count());
    let right = match check {
        Check::Text => text == expected,
        Check::Length => len == expected_len,
    };
    if right {
        return Ok(description(check));
    }
    let mut pairs = text.chars().zip(expected.chars());
    let differing = pairs.position(|(have, expected)| have != expected);
    Err(Mismatch::Text {
        len,
        expected_len,
        from: differing.unwrap_or(len.min(expected_len)),
    })
}

fn description(check: Check) -> &'static str {
    match check {
        Check::Text => "end text, equal replicas",
        Check::Length => "length of the end text, equal replicas",
    }
}

/// The updates, and the text of two replicas that reached it in different ways.
struct Merged {
    stream: UpdateStream,
    texts: [String; 2],
}

/// The state that both ways to replay share.
struct Steps<'a> {
    engine: &'a dyn Engine,
    trace: &'a Trace,
    /// The first txn of each unit.
    starts: &'a [usize],
    progress: &'a mut dyn FnMut(usize, usize),
}

impl<'a> Steps<'a> {
    /// Returns the txns of a unit.
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
            return Err(self.wrong(Mismatch::Replicas));
        }
        let judged = judge(&first, self.trace.end_content(), check);
        Ok(Replayed {
            stream: merged.stream,
            judged: judged.map_err(|reason| self.wrong(reason))?,
            from_cache: false,
        })
    }

    fn wrong(&self, reason: Mismatch) -> ReplayError {
        ReplayError::Wrong {
            trace: self.trace.name().to_owned(),
            engine: self.engine.name(),
            version: self.engine.version(),
            reason,
        }
    }
}

/// Returns the peer id of an agent. They are fixed, so that streams are the same in
/// every run.
fn peer(agent: usize) -> PeerId {
    peer_ids::peer(agent as u64 + 1)
}

/// Returns true if a txn changes the text: engines make no update of an empty edit.
fn types_anything(txn: &Txn<'_>) -> bool {
    txn.patches()
        .any(|patch| patch.del > 0 || !patch.ins.is_empty())
}
