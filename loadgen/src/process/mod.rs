//! The resources that processes use, and the limits of this process.
//!
//! All figures come from `/proc`, so only Linux has them; other systems report
//! none.

pub(crate) mod group;
mod limits;
mod listener;
mod sampler;
mod steal;
mod usage;

pub(crate) use limits::SPARE;
pub use limits::{TooFewDescriptors, reserve_descriptors};
pub use listener::{listener_of, pid_listening_on};
pub use sampler::{ProcessSample, Sampler, Subject};
pub use steal::steal_seconds;
pub use usage::usage_of;
