//! The embedded relays, and the process that runs one.

pub mod broadcast;
mod process;

pub use process::{RelayCommand, RelayError, RelayProcess, announce};
