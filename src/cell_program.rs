//! `syncbench cell` as a program of its own, which `syncbench compare` builds with other
//! versions of a library. It contains nothing that a measured program does not need.

mod conditions;
mod input;
mod stdout;

/// The only command.
mod cmd {
    pub mod cell;

    pub use crate::input::{BadInput, duration};
}

use std::process::ExitCode;

use clap::Parser;
use syncbench_engines::allocations::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Accepts the arguments of `syncbench`, so that either program can be started.
#[derive(Parser)]
#[command(name = "syncbench-cell", version)]
enum Cli {
    Cell(cmd::cell::Args),
}

fn main() -> ExitCode {
    let Cli::Cell(args) = Cli::parse();
    let status = cmd::cell::run(args).unwrap_or_else(|error| {
        eprintln!("syncbench-cell: {error:#}");
        input::status_of(&error)
    });
    ExitCode::from(status.exit_code())
}
