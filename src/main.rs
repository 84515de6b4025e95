//! `syncbench`: benchmarks and load tests for CRDT sync.

mod cmd;
mod conditions;
mod input;
mod output;
mod stdout;

use std::process::ExitCode;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use syncbench_engines::allocations::CountingAllocator;

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
}

/// Lets options take values that begin with a minus sign, so that they are refused
/// for what they are.
fn with_negative_values(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommands(with_negative_values);
    command.mut_args(|arg: Arg| {
        if arg.is_positional() || !arg.get_action().takes_values() {
            return arg;
        }
        let names = arg.get_value_names().unwrap_or_default();
        match names.iter().any(|name| name == "TIME") {
            // A time is no number for the parser of arguments.
            true => arg.allow_hyphen_values(true),
            false => arg.allow_negative_numbers(true),
        }
    })
}

fn main() -> ExitCode {
    let matches = with_negative_values(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let result = match cli.command {
        Command::Run(args) => cmd::run::run(*args),
        Command::Relay(args) => cmd::relay::run(args),
        Command::Cell(args) => cmd::cell::run(args),
        Command::Report(args) => cmd::report::run(args),
        Command::Compare(args) => cmd::compare::run(args),
        Command::Datasets(args) => cmd::datasets::run(args),
        Command::Doctor(args) => cmd::doctor::run(args),
    };
    let status = result.unwrap_or_else(|error| {
        eprintln!("syncbench: {error:#}");
        input::status_of(&error)
    });
    ExitCode::from(status.exit_code())
}
