//! The integration tests of the load generator, in one binary: linking the
//! engines takes longer than most of the tests.
#![allow(clippy::unwrap_used)] // a test may fail

mod simulated;
mod support;
mod turns;

mod access;
mod broadcast_relay;
mod document_file;
mod hostile_relay;
mod load;
mod loro_relay;
mod panics;
mod presence;
mod sabotage;
mod scenario_schema;
mod simulation;
mod stall;
mod strangers;
mod untypable;
