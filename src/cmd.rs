//! The commands: one file each, which parses, calls a library and prints.

pub mod cell;
pub mod compare;
pub mod datasets;
pub mod doctor;
pub mod relay;
pub mod report;
pub mod run;

pub use crate::input::{BadInput, duration};
