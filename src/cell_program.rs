//! `syncbench cell` as a program of its own, which `syncbench compare` builds with other
//! versions of a library. It contains nothing that a measured program does not need.

#![deny(clippy::print_stdout, clippy::print_stderr)] // `stdout` and `stderr` print

mod conditions;
mod input;
mod program;
mod stderr;
mod stdout;

/// The only command.
mod cmd {
    pub mod cell;

    pub use crate::input::{BadInput, duration};
}

use std::process::ExitCode;

use clap::Parser;
use syncbench_engines::allocations::CountingAllocator;
use syncbench_reports::record::Status;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Accepts the arguments of `syncbench`, so that either program can be started.
#[derive(Parser)]
#[command(name = "syncbench-cell", version)]
enum Cli {
    Cell(cmd::cell::Args),
}

fn main() -> ExitCode {
    program::run(|Cli::Cell(args)| cmd::cell::run(args).map(Status::exit_code))
}
