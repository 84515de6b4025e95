//! Executing a run while the user watches it and may interrupt it.

use std::net::SocketAddr;
use std::sync::Arc;

use syncbench_datasets::Trace;
use syncbench_engines::Loro;
use syncbench_loadgen::load::{self, Inputs, LoadError};
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::excessive_imports;
use syncbench_loadgen::process::EndSignals;
use syncbench_loadgen::relay::RelayError;
use syncbench_loadgen::scenario::Scenario;
use syncbench_reports::quantity;
use syncbench_reports::record::{Run, Signal};
use tokio::sync::oneshot;

use super::watcher::Watcher;
use crate::cmd::{BadInput, relay};
use crate::stderr::complain;

/// The ways to watch a run.
pub struct Options {
    /// The address that serves live measurements, if any.
    pub metrics: Option<SocketAddr>,
    /// True if the progress display is hidden.
    pub quiet: bool,
}

/// Executes `scenario` until its end, or until the user interrupts it.
pub fn execute(
    scenario: &Scenario,
    trace: Trace,
    conditions: &Run,
    options: Options,
) -> anyhow::Result<Outcome> {
    let inputs = Inputs {
        trace: Arc::new(trace),
        engine: &Loro,
        embedded_relay: relay::owned_command(&scenario.relay)?,
    };
    if let Some(imports) = excessive_imports(scenario) {
        complain!(
            "note: the full replicas import up to {} updates per second together, which may take \
             this machine longer than the schedule lasts; --replica light imports after it",
            quantity::count(imports as u64)
        );
    }
    let mut watcher = Watcher::new(scenario, conditions, options.quiet);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let interrupt = interrupt()?;
        if let Some(address) = options.metrics {
            watcher.serve_metrics(address).await?;
        }
        let watch = |progress: load::Progress<'_>| watcher.take(progress);
        load::run(scenario.clone(), inputs, interrupt, watch)
            .await
            .map_err(explained)
    });
    watcher.end();
    outcome
}

/// Separates the user's mistakes from failures.
fn explained(error: LoadError) -> anyhow::Error {
    match error {
        LoadError::Descriptors(_)
        | LoadError::Source { .. }
        | LoadError::Url(_)
        | LoadError::NoRhythm(..)
        | LoadError::NothingScheduled
        | LoadError::Unsupported { .. }
        | LoadError::Relay(RelayError::Taken { .. })
        | LoadError::NothingToType(..) => BadInput::new(error).into(),
        LoadError::Connect(ref lost) if lost.is_other_protocol() => BadInput::new(error).into(),
        LoadError::InitialDocument(error) if error.is_about_the_file() => {
            BadInput::new(error).into()
        }
        error => error.into(),
    }
}

/// Completes at the first signal that asks the program to end: the run then ends
/// early with what it has measured. A second one ends the process at once.
fn interrupt() -> anyhow::Result<impl Future<Output = Signal>> {
    let mut signals = EndSignals::listen()?;
    let (first, interrupted) = oneshot::channel();
    tokio::spawn(async move {
        let _ = first.send(signals.next().await);
        let second = signals.next().await;
        complain!("syncbench: interrupted twice, nothing is written");
        std::process::exit(second.exit_code().into());
    });
    Ok(async {
        match interrupted.await {
            Ok(signal) => signal,
            // The task above is gone, and the run with it.
            Err(_) => std::future::pending().await,
        }
    })
}
