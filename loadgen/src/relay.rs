//! The embedded relays, and the process that runs one.

pub mod broadcast;
mod owned;
mod process;

pub use owned::{OwnedRelay, Start};
pub use process::{RelayCommand, RelayError, RelayProcess, announce};
