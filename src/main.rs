//! `syncbench`: benchmarks and load tests for CRDT sync.

#![deny(clippy::print_stdout, clippy::print_stderr)] // `stdout` and `stderr` print

mod cmd;
mod conditions;
mod input;
mod output;
mod program;
mod stderr;
mod stdout;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use syncbench_engines::allocations::CountingAllocator;
use syncbench_reports::record::Status;

/// Counts the allocations of engines in cells, and is the system's allocator
/// otherwise.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Benchmarks and load tests for CRDT sync, Loro first.
#[derive(Parser)]
#[command(name = "syncbench", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Box<cmd::run::Args>),
    Relay(cmd::relay::Args),
    Cell(cmd::cell::Args),
    Report(cmd::report::Args),
    Compare(cmd::compare::Args),
    Datasets(cmd::datasets::Args),
    Doctor(cmd::doctor::Args),
    Completions(cmd::completions::Args),
}

fn main() -> ExitCode {
    program::run(|cli: Cli| match cli.command {
        Command::Run(args) => cmd::run::run(*args),
        Command::Relay(args) => cmd::relay::run(args).map(Status::exit_code),
        Command::Cell(args) => cmd::cell::run(args).map(Status::exit_code),
        Command::Report(args) => cmd::report::run(args).map(Status::exit_code),
        Command::Compare(args) => cmd::compare::run(args).map(Status::exit_code),
        Command::Datasets(args) => cmd::datasets::run(args).map(Status::exit_code),
        Command::Doctor(args) => cmd::doctor::run(args).map(Status::exit_code),
        Command::Completions(args) => Ok(cmd::completions::run(&args, Cli::command()).exit_code()),
    })
}
