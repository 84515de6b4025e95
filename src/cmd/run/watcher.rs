//! Who watches a run while it goes on: the terminal, those who ask for its
//! metrics, and the thresholds that end it early.

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
    /// The metrics for those who ask, where they are served.
    served: Option<watch::Sender<Arc<str>>>,
    /// What ends the run early; nothing unless the scenario wants that.
    limits: &'a [Threshold],
    conditions: &'a Run,
}

impl<'a> Watcher<'a> {
    /// Watches a run of `scenario`, quietly or not.
    pub fn new(
        scenario: &Scenario,
        thresholds: &'a [Threshold],
        conditions: &'a Run,
        quiet: bool,
    ) -> Self {
        Self {
            display: Display::new(scenario, quiet),
            served: None,
            limits: if scenario.abort { thresholds } else { &[] },
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

    /// Takes what the run tells; breaks when it need not go on.
    pub fn take(&self, progress: Progress<'_>) -> ControlFlow<String> {
        self.display.show(&progress);
        let Progress::Running { total, second } = progress else {
            return ControlFlow::Continue(());
        };
        if self.served.is_none() && self.limits.is_empty() {
            return ControlFlow::Continue(());
        }
        let record = so_far(total, second, self.conditions.clone());
        if let Some(served) = &self.served {
            served.send_replace(Prometheus::text(&record).into());
        }
        let hopeless = self
            .limits
            .iter()
            .find(|limit| limit.cannot_recover(&record));
        match hopeless {
            Some(limit) => ControlFlow::Break(format!("`{limit}` cannot be kept any more")),
            None => ControlFlow::Continue(()),
        }
    }

    /// Leaves the terminal as it was.
    pub fn end(&self) {
        self.display.clear();
    }
}
