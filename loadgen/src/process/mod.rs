//! The resources that processes use, the limits of this process, and the signals
//! that ask it to end.
//!
//! All figures come from `/proc`, so only Linux has them; other systems report
//! none.

pub(crate) mod group;
mod limits;
mod listener;
mod sampler;
mod signals;
mod steal;
mod usage;

pub(crate) use limits::SPARE;
pub use limits::{TooFewDescriptors, reserve_descriptors};
pub use listener::{listener_of, pid_listening_on};
pub use sampler::{ProcessSample, Sampler, Subject};
pub use signals::EndSignals;
pub use steal::steal_seconds;
pub use usage::usage_of;
