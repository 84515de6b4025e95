//! The embedded relays, and the process that runs one.

pub mod broadcast;
mod history;
pub mod loro;
mod process;
mod server;

pub use process::{RelayCommand, RelayError, RelayProcess, announce};
pub use server::Listener;
