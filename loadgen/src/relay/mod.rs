//! The embedded relays, and the process that runs one.

pub mod broadcast;
mod command;
mod history;
pub mod loro;
mod owned;
mod process;
mod server;

use std::future::Future;

use crate::protocol::ProtocolKind;

pub use history::HistoryKind;
pub use owned::{OwnedRelay, Start};
pub use process::{RelayCommand, RelayError, RelayProcess, announce, end_with_parent};
pub use server::Listener;

/// The settings of an embedded relay that do not depend on its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedRelay {
    /// The protocol that it speaks.
    pub protocol: ProtocolKind,
    /// The number of frames or updates that may wait for one client before the
    /// relay disconnects it as a slow reader.
    pub queue_frames: usize,
    /// The part of a room's history that it keeps, where it keeps any.
    pub history: HistoryKind,
}

/// Serves an embedded relay until `shutdown` completes. Requires a Tokio runtime
/// with timers.
pub async fn serve(
    listener: impl Listener,
    shutdown: impl Future<Output = ()>,
    relay: EmbeddedRelay,
) {
    let EmbeddedRelay {
        protocol,
        queue_frames,
        history,
    } = relay;
    match protocol {
        ProtocolKind::Broadcast => {
            let config = broadcast::Config { queue_frames };
            broadcast::run(listener, shutdown, config).await;
        }
        ProtocolKind::Loro => {
            let config = loro::Config {
                queue_frames,
                history,
                ..loro::Config::default()
            };
            loro::run(listener, shutdown, config).await;
        }
    }
}
