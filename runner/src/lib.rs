//! Runs programs in turns and reads the records they print: what `compare` and
//! the gate share.
//!
//! A [`Contender`] is an executable that takes `cell`. [`Builds`] makes one from
//! a library at another version; any other executable will do. [`Rounds`] starts
//! them in turns. This crate links no engine: it knows processes and records.

#![forbid(unsafe_code)]

mod builds;
mod contender;
mod library;
mod rounds;

pub use builds::{BuildError, Builds};
pub use contender::Contender;
pub use library::{Library, ManifestError};
pub use rounds::{Job, Rounds, RoundsError};
