//! Executing a run while the user watches it and may interrupt it.

use std::net::SocketAddr;
use std::sync::Arc;

use syncbench_datasets::Trace;
use syncbench_engines::Loro;
use syncbench_loadgen::load::{self, Inputs, LoadError};
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::relay::RelayError;
use syncbench_loadgen::scenario::Scenario;
use syncbench_reports::record::{Run, Status};
use tokio::sync::oneshot;

use super::watcher::Watcher;
use crate::cmd::{BadInput, relay};

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
        | LoadError::Url(_)
        | LoadError::NoRhythm(_)
        | LoadError::NothingToType(_)
        | LoadError::NothingScheduled
        | LoadError::Unsupported { .. }
        | LoadError::Relay(RelayError::Taken { .. }) => BadInput::new(error).into(),
        LoadError::Connect(ref lost) if lost.is_other_protocol() => BadInput::new(error).into(),
        error => error.into(),
    }
}

/// Completes at the first Ctrl-C (or SIGTERM): the run then ends early, with what it
/// has measured. A second one ends the process immediately.
fn interrupt() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let (first, interrupted) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        let _ = first.send(());
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        eprintln!("syncbench: interrupted twice, nothing is written");
        std::process::exit(i32::from(Status::Failure.exit_code()));
    });
    Ok(async {
        // An error means that the task above is gone, and with it the run.
        let _ = interrupted.await;
    })
}
