//! The embedded relays, and the process that runs one.

pub mod broadcast;
mod history;
pub mod loro;
mod owned;
mod process;
mod server;

pub use owned::{OwnedRelay, Start};
pub use process::{RelayCommand, RelayError, RelayProcess, announce};
pub use server::Listener;
