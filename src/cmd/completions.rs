//! `syncbench completions`: completion scripts for shells.

use clap_complete::{Shell, generate};
use syncbench_reports::record::Status;

use crate::stdout::say;

/// Print a script that completes commands, flags and their values in a shell.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench completions bash > ~/.local/share/bash-completion/completions/syncbench
  syncbench completions zsh > ~/.zfunc/_syncbench
  syncbench completions fish > ~/.config/fish/completions/syncbench.fish")]
pub struct Args {
    /// Shell that reads the script
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script for `program`.
pub fn run(args: &Args, mut program: clap::Command) -> Status {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut program, name, &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
    Status::Ok
}
