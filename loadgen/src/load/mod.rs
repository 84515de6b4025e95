//! One load run from its first connection to its outcome.

mod coordinate;
mod fleet;
pub mod metrics_server;
mod processes;
pub mod record;
mod tally;
pub mod verdict;

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::ops::ControlFlow;
use std::process::ExitStatus;
use std::sync::Arc;

use syncbench_datasets::Trace;
use syncbench_engines::{Capability, Engine};
use syncbench_reports::record::Signal;

use crate::client::disconnect::Disconnect;
use crate::metrics::Metrics;
use crate::net::target::{UrlError, UrlTemplate};
use crate::outcome::{Layout, Outcome, Row};
use crate::plan::{ClientId, Plan};
use crate::process::{TooFewDescriptors, reserve_descriptors};
use crate::relay::{OwnedRelay, RelayCommand, RelayError, Start};
use crate::room::initial_document::InitialDocumentError;
use crate::room::typist::Typist;
use crate::scenario::{Arrivals, EditKind, Scenario};
use crate::schedule::{NoRhythm, Rhythm, Schedule};

pub use coordinate::{RelaySide, coordinate};
pub use fleet::{Fleet, ThreadFleet};
pub use processes::Processes;
pub use tally::Tally;

/// Everything a run needs besides its scenario.
pub struct Inputs {
    /// The trace that the clients type.
    pub trace: Arc<Trace>,
    /// The engine of their replicas.
    pub engine: &'static dyn Engine,
    /// The command that starts the embedded relay, if the scenario uses it.
    pub embedded_relay: RelayCommand,
}

/// The progress of a run, for its observers.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// Clients connect.
    Connecting {
        /// The number of initial clients that are live.
        connected: usize,
        /// The number of initial clients.
        of: usize,
    },
    /// Another second is over.
    Running {
        /// The measurements of that second.
        second: &'a Row,
        /// The sum of all seconds so far.
        total: &'a Metrics,
        /// The size of the run.
        layout: &'a Layout,
    },
    /// The schedule is over; the last deliveries are awaited.
    Draining,
}

/// A reason why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Too few descriptors.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The clients cannot connect from an address.
    #[error(
        "clients.sources: cannot connect from {address}: {error}; name addresses of this machine"
    )]
    Source {
        /// The address.
        address: IpAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The own relay did not start.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The relay's address does not work.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The relay does not take the clients.
    #[error("{}", .0.reason)]
    Connect(Disconnect),
    /// The document to start with could not be made.
    #[error(transparent)]
    InitialDocument(#[from] InitialDocumentError),
    /// The data set has no rhythm.
    #[error(
        "data set {0} has no rhythm: {1}; use constant or poisson arrivals, or a data set with times \
         (`syncbench datasets stats NAME` shows its pauses)"
    )]
    NoRhythm(String, NoRhythm),
    /// The engine cannot make the edits of the scenario.
    #[error("{engine} cannot make `{kind}` edits: {reason}; use other edits, or another engine")]
    Unsupported {
        /// The engine's name.
        engine: &'static str,
        /// The kind of edits.
        kind: EditKind,
        /// Why it cannot make them.
        reason: &'static str,
    },
    /// No edit of the data set would change the document.
    #[error(
        "data set {0} has nothing to type: no patch of it would change the document that the rooms \
         begin with; use another data set, or --payload"
    )]
    NothingToType(String),
    /// No edit falls into the run.
    #[error("the schedule has no edit: use a higher rate, or a longer duration")]
    NothingScheduled,
    /// The relay died before the first edit.
    #[error("the relay process ended before the run began ({0})")]
    RelayEnded(ExitStatus),
    /// Stopped by the user before the first edit.
    #[error("interrupted by {0} before the first edit: nothing was measured")]
    Interrupted(Signal),
    /// A worker thread could not run.
    #[error("a worker thread failed: {0}")]
    Worker(String),
    /// The system refused a thread.
    #[error("cannot start a worker thread: {0}")]
    Thread(#[from] io::Error),
}

/// Runs `scenario`, which must be valid. `interrupt` ends it early with the
/// signal that it completes with, and `watcher` by breaking, with a reason; what
/// was measured until then is the outcome.
///
/// # Errors
/// When the run never got as far as its first edit.
pub async fn run(
    scenario: Scenario,
    inputs: Inputs,
    interrupt: impl Future<Output = Signal>,
    mut watcher: impl FnMut(Progress<'_>) -> ControlFlow<String>,
) -> Result<Outcome, LoadError> {
    let plan = Plan::new(&scenario);
    reserve_descriptors(plan.clients.len() as u32)?;
    check_sources(&scenario)?;
    check_workload(&scenario, &plan, &inputs.trace)?;
    check_engine(&scenario, inputs.engine)?;
    tokio::pin!(interrupt);
    let (mut relay, url) = tokio::select! {
        started = start_relay(&scenario, &inputs) => started?,
        signal = &mut interrupt => return Err(LoadError::Interrupted(signal)),
    };
    let processes = Processes::new(relay.as_ref(), &url);
    let (scenario, plan) = (Arc::new(scenario), Arc::new(plan));
    let mut fleet = ThreadFleet::start(&scenario, &plan, &inputs, url)?;
    let tally = Tally::new(&scenario, &plan, fleet.workers());
    let side = RelaySide {
        owned: relay.as_mut(),
        faults: &scenario.faults,
        processes,
        settle: scenario.relay.settle,
    };
    let outcome = coordinate(&mut fleet, tally, side, interrupt, &mut watcher).await;
    if let Some(relay) = relay {
        relay.stop().await;
    }
    outcome
}

/// Checks that the clients can connect from the addresses that they are to use.
fn check_sources(scenario: &Scenario) -> Result<(), LoadError> {
    for &address in &scenario.clients.sources {
        // The kind of socket makes no difference, and this one reaches nobody.
        UdpSocket::bind((address, 0)).map_err(|error| LoadError::Source { address, error })?;
    }
    Ok(())
}

/// Refuses a workload of which nothing would be measured, or not what it asks
/// for.
fn check_workload(scenario: &Scenario, plan: &Plan, trace: &Arc<Trace>) -> Result<(), LoadError> {
    let rhythm = match scenario.workload.arrivals {
        Arrivals::Trace => Some(
            Rhythm::from_trace(trace)
                .map_err(|reason| LoadError::NoRhythm(trace.name().to_owned(), reason))?,
        ),
        Arrivals::Constant | Arrivals::Poisson => None,
    };
    if scenario.workload.types_trace() && !can_be_typed(scenario, trace) {
        return Err(LoadError::NothingToType(trace.name().to_owned()));
    }
    let edits_alone = Scenario {
        presence: None,
        ..scenario.clone()
    };
    let clients = (0..plan.clients.len() as u32).map(ClientId);
    match Schedule::new(&edits_alone, plan, rhythm.as_ref(), clients).next() {
        Some(_) => Ok(()),
        None => Err(LoadError::NothingScheduled),
    }
}

/// Whether some patch of the trace would change the document that the rooms
/// begin with. Only one that is not empty has something to delete.
fn can_be_typed(scenario: &Scenario, trace: &Arc<Trace>) -> bool {
    let document = &scenario.document;
    let is_begun = document.typed > 0.0 && !trace.start_content().is_empty();
    let has_text = document.file.is_some() || is_begun;
    let mut typist = Typist::new(Arc::clone(trace), 0, 1);
    typist.next_edit(usize::from(has_text)).is_some()
}

/// Refuses kinds of edits that the engine cannot make.
fn check_engine(scenario: &Scenario, engine: &dyn Engine) -> Result<(), LoadError> {
    let capabilities = engine.capabilities();
    for (kind, _) in scenario.workload.edit_shares() {
        let needed = match kind {
            EditKind::Trace | EditKind::ReplaceAll => continue,
            EditKind::RichText => Capability::RichText,
            EditKind::List => Capability::Lists,
            EditKind::Map => Capability::Maps,
            EditKind::MovableList => Capability::MovableLists,
            EditKind::Tree => Capability::Trees,
        };
        if let Some(reason) = capabilities.unsupported_because(needed) {
            return Err(LoadError::Unsupported {
                engine: engine.name(),
                kind,
                reason,
            });
        }
    }
    Ok(())
}

/// Starts the relay, if the run is to own one; where it listens.
async fn start_relay(
    scenario: &Scenario,
    inputs: &Inputs,
) -> Result<(Option<OwnedRelay>, UrlTemplate), LoadError> {
    let start = match (&scenario.relay.command, &scenario.relay.url) {
        (None, Some(url)) => return Ok((None, url.clone())),
        (_, None) => Start::Embedded {
            command: inputs.embedded_relay.clone(),
        },
        (Some(command), Some(url)) => Start::Command {
            command: command.clone(),
            url: url.clone(),
            ready_timeout: scenario.relay.ready_timeout,
        },
    };
    let relay = OwnedRelay::start(start).await?;
    let url = relay.url().clone();
    Ok((Some(relay), url))
}
