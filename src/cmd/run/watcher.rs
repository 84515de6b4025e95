//! Watching a run in progress: for the terminal, for clients that request its metrics,
//! and for the thresholds that end it early.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use syncbench_loadgen::load::Progress;
use syncbench_loadgen::load::metrics_server;
use syncbench_loadgen::load::record::so_far;
use syncbench_loadgen::scenario::Scenario;
use syncbench_reports::export::Prometheus;
use syncbench_reports::record::Run;
use syncbench_reports::threshold::Threshold;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::display::Display;
use crate::cmd::BadInput;

/// Watches one run.
pub struct Watcher<'a> {
    display: Display,
    /// The latest metrics, if they are served.
    served: Option<watch::Sender<Arc<str>>>,
    /// The thresholds that end the run early; none unless the scenario asks for it.
    limits: &'a [Threshold],
    conditions: &'a Run,
}

impl<'a> Watcher<'a> {
    /// Watches a run of `scenario`, quietly or not.
    pub fn new(scenario: &'a Scenario, conditions: &'a Run, quiet: bool) -> Self {
        Self {
            display: Display::new(scenario, quiet),
            served: None,
            limits: match scenario.abort {
                true => &scenario.thresholds,
                false => &[],
            },
            conditions,
        }
    }

    /// Serves the metrics at `address` from now on, in the current runtime.
    pub async fn serve_metrics(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            BadInput::new(format!(
                "cannot serve metrics at {address}: {error}; use another port"
            ))
        })?;
        let (sender, latest) = watch::channel(Arc::from(""));
        self.served = Some(sender);
        tokio::spawn(metrics_server::serve(
            listener,
            latest,
            Prometheus::CONTENT_TYPE,
        ));
        Ok(())
    }

    /// Receives the progress of the run. Breaks, with the reason, if a threshold can no
    /// longer be met.
    pub fn take(&self, progress: Progress<'_>) -> ControlFlow<String> {
        self.display.show(&progress);
        let Progress::Running {
            total,
            second,
            layout,
        } = progress
        else {
            return ControlFlow::Continue(());
        };
        if self.served.is_none() && self.limits.is_empty() {
            return ControlFlow::Continue(());
        }
        let record = so_far(layout, total, second, self.conditions.clone());
        if let Some(served) = &self.served {
            served.send_replace(Prometheus::running(&record).into());
        }
        let missed = self
            .limits
            .iter()
            .find(|limit| limit.cannot_recover(&record));
        match missed {
            Some(limit) => ControlFlow::Break(format!("`{limit}` can no longer be met")),
            None => ControlFlow::Continue(()),
        }
    }

    /// Restores the terminal.
    pub fn end(&self) {
        self.display.clear();
    }
}
