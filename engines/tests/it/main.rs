//! Integration tests of the engines, in one binary: linking every library takes
//! longer than most of these tests.

#![allow(clippy::unwrap_used)] // a test may fail

mod batch;
mod capabilities;
mod containers;
mod contract;
mod exports;
mod history;
mod peers;
mod replay;
mod stored;
mod workloads;
