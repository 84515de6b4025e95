//! What processes use, and what this one may use.
//!
//! Figures come from `/proc`, and so from Linux alone: elsewhere there are
//! none, and nothing is made up.

mod limits;
mod listener;
mod sampler;
mod steal;
mod usage;

pub(crate) use limits::SPARE;
pub use limits::{TooFewDescriptors, reserve_descriptors};
pub use listener::pid_listening_on;
pub use sampler::{ProcessSample, Sampler};
pub use steal::steal_seconds;
pub use usage::usage_of;
