//! Integration tests of the data sets, in one binary.

mod bad_input;
mod catalog;
mod formats;
mod stats;
