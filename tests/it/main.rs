//! Integration tests of the `syncbench` program, in one binary: linking every
//! engine takes longer than most of these tests.

#![allow(clippy::unwrap_used)] // a test may fail

mod access;
mod cell;
mod cli;
mod compare;
mod datasets;
mod doctor;
mod documentation;
mod mixed_edits;
mod owned_relay;
mod report;
mod run;
mod run_disturbed;
mod sampling;
mod scenarios;
