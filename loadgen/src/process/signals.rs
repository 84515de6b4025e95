//! The signals that ask this process to end.

use std::io;

use syncbench_reports::record::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// Receives SIGINT, SIGTERM and SIGHUP, none of which ends the process from then
/// on. A SIGHUP that the process was started without, as `nohup` does, stays
/// ignored.
#[derive(Debug)]
pub struct EndSignals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: Option<unix::Signal>,
}

impl EndSignals {
    /// Receives the signals from now on, in the current runtime.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let hang_up = match ignores_hang_up() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = hang_up => Signal::HangUp,
        }
    }
}

/// Whether this process ignores SIGHUP; unknown systems say no.
#[cfg(target_os = "linux")]
fn ignores_hang_up() -> bool {
    let bit = 1 << (SignalKind::hangup().as_raw_value() - 1);
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & bit != 0)
}

#[cfg(not(target_os = "linux"))]
fn ignores_hang_up() -> bool {
    false
}
