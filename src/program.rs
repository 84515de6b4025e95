//! The frame of a program: parses the command line, runs the command, and turns
//! its result into an exit code.

use std::process::ExitCode;

use clap::{Arg, Parser};
use syncbench_engines::panics;
use syncbench_reports::record::{Signal, Status};

use crate::stderr::complain;
use crate::{input, stdout};

/// Runs `command` with the arguments of this process. A result that could not be
/// printed is a failure, unless the command has a worse one to report.
pub fn run<C: Parser>(command: impl FnOnce(C) -> anyhow::Result<u8>) -> ExitCode {
    let code = match parse::<C>() {
        Ok(arguments) => panics::catch(|| command(arguments))
            .unwrap_or_else(|panic| Err(anyhow::anyhow!("a bug, please report it: {panic}")))
            .unwrap_or_else(|error| {
                complain!("{}: {error:#}", C::command().get_name());
                input::status_of(&error).exit_code()
            }),
        Err(refusal) => refuse(&refusal),
    };
    ExitCode::from(match code {
        0 if stdout::has_failed() => Status::Failure.exit_code(),
        code => code,
    })
}

/// Reads the arguments of this process.
fn parse<C: Parser>() -> Result<C, clap::Error> {
    let mut command = with_exit_codes(with_negative_values(C::command()));
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    C::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
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

/// Ends the help of every command with the exit codes.
fn with_exit_codes(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommands(with_exit_codes);
    let codes = exit_codes();
    let help = match command.get_after_help() {
        Some(help) => format!("{help}\n\n{codes}"),
        None => codes,
    };
    command.after_help(help)
}

/// Returns the exit codes of all commands and their meaning.
fn exit_codes() -> String {
    let code = Status::exit_code;
    let signal = Signal::exit_code;
    format!(
        "Exit codes: {} ok, {} a failure of the tool, of what it needs, or of a check, {} bad usage \
         or input\nOf load runs also: {} not converged, {} invalid measurement, {} threshold \
         missed,\n{} / {} / {} interrupted by SIGHUP / SIGINT / SIGTERM",
        code(Status::Ok),
        code(Status::Failure),
        code(Status::Usage),
        code(Status::NotConverged),
        code(Status::Invalid),
        code(Status::Threshold),
        signal(Signal::HangUp),
        signal(Signal::Interrupt),
        signal(Signal::Terminate),
    )
}

/// Prints what was asked for instead of a command, such as the help, or why the
/// arguments are refused. Returns the exit code.
fn refuse(refusal: &clap::Error) -> u8 {
    let printed = refusal.print();
    if refusal.use_stderr() {
        return Status::Usage.exit_code();
    }
    stdout::note(printed);
    Status::Ok.exit_code()
}
