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
use syncbench_engines::Engine;

use crate::client::disconnect::Disconnect;
use crate::metrics::Metrics;
use crate::net::target::{UrlError, UrlTemplate};
use crate::outcome::{Outcome, Row};
use crate::plan::Plan;
use crate::process::{TooFewDescriptors, reserve_descriptors};
use crate::relay::{OwnedRelay, RelayCommand, RelayError, Start};
use crate::room::initial_document::InitialDocumentError;
use crate::scenario::Scenario;

pub use coordinate::{RelaySide, coordinate};
pub use fleet::{Fleet, ThreadFleet};
pub use processes::Processes;
pub use tally::Tally;

/// Everything a run needs besides its scenario.
pub struct Inputs {
    /// What the clients type.
    pub trace: Arc<Trace>,
    /// What their replicas are made of.
    pub engine: &'static dyn Engine,
    /// How to start the embedded relay, where the scenario wants it.
    pub embedded_relay: RelayCommand,
}

/// Where a run stands, for whoever watches.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// Clients connect.
    Connecting {
        /// Clients of the start that are live.
        connected: usize,
        /// How many there are.
        of: usize,
    },
    /// Another second is over.
    Running {
        /// What it came to.
        second: &'a Row,
        /// The sum of all so far.
        total: &'a Metrics,
    },
    /// The schedule is over; the last deliveries are awaited.
    Draining,
}

/// Why a run came to nothing.
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
    /// The data set has no times to take a rhythm from.
    #[error("data set {0} has no times: use constant or poisson arrivals, or another data set")]
    NoRhythm(String),
    /// The relay died before the first edit.
    #[error("the relay process ended before the run began ({0})")]
    RelayEnded(ExitStatus),
    /// Stopped by the user before the first edit.
    #[error("interrupted before the first edit: nothing was measured")]
    Interrupted,
    /// A worker thread could not run.
    #[error("a worker thread failed: {0}")]
    Worker(String),
    /// The system refused a thread.
    #[error("cannot start a worker thread: {0}")]
    Thread(#[from] io::Error),
}

/// Runs `scenario`, which must be valid. `interrupt` ends it early when it
/// completes, and `watcher` by breaking, with a reason; what was measured until
/// then is the outcome.
///
/// # Errors
/// When the run never got as far as its first edit.
pub async fn run(
    scenario: Scenario,
    inputs: Inputs,
    interrupt: impl Future<Output = ()>,
    mut watcher: impl FnMut(Progress<'_>) -> ControlFlow<String>,
) -> Result<Outcome, LoadError> {
    let plan = Plan::new(&scenario);
    reserve_descriptors(plan.clients.len() as u32)?;
    check_sources(&scenario)?;
    check_rhythm(&scenario, &inputs.trace)?;
    let (mut relay, url) = start_relay(&scenario, &inputs).await?;
    let processes = Processes::new(relay.as_ref(), &url);
    let (scenario, plan) = (Arc::new(scenario), Arc::new(plan));
    let mut fleet = ThreadFleet::start(&scenario, &plan, &inputs, url)?;
    let tally = Tally::new(&scenario, &plan, fleet.workers());
    let side = RelaySide {
        owned: relay.as_mut(),
        faults: &scenario.faults,
        processes,
    };
    tokio::pin!(interrupt);
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

fn check_rhythm(scenario: &Scenario, trace: &Trace) -> Result<(), LoadError> {
    use crate::scenario::Arrivals;
    use crate::schedule::Rhythm;
    if scenario.workload.arrivals == Arrivals::Trace && Rhythm::from_trace(trace).is_none() {
        return Err(LoadError::NoRhythm(trace.name().to_owned()));
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
