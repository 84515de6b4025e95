//! The commands. Each file parses arguments, calls a library and prints the result.

pub mod cell;
pub mod compare;
pub mod completions;
pub mod datasets;
pub mod doctor;
pub mod relay;
pub mod report;
pub mod run;

pub use crate::input::{BadInput, duration};
