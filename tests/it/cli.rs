//! Properties of every command: the help texts, which are part of the interface, and a
//! reader that closes the pipe.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn help_texts_are_as_documented() {
    trycmd::TestCases::new().case("tests/help/*.trycmd");
}

#[test]
fn what_cannot_be_run_is_refused_with_a_reason() {
    trycmd::TestCases::new().case("tests/messages/*.trycmd");
}

/// A command of every kind that prints a result, in a folder of its own.
fn printing_commands() -> Vec<Vec<&'static str>> {
    vec![
        vec!["--help"],
        vec!["run", "--help"],
        vec!["--version"],
        vec!["run", "--list"],
        SMALL_RUN.to_vec(),
        [&SMALL_RUN[..], &["--json"]].concat(),
        vec![
            "cell",
            "export",
            "--variant",
            "updates/first",
            "--budget",
            "1ns",
        ],
        vec!["cell", "--list"],
        vec!["cell", "export", "--dry-run"],
        vec!["completions", "bash"],
        vec!["datasets", "list"],
        vec!["datasets", "list", "--json"],
        vec!["datasets", "stats", "automerge-paper"],
        vec!["doctor", "--duration", "100ms"],
        vec!["doctor", "--duration", "100ms", "--json"],
        vec!["report", "out", "-o", "pages"],
        vec!["report", "out", "-o", "pages", "--json"],
        [&COMPARISON[..], &["export"]].concat(),
        [&COMPARISON[..], &["export", "--json"]].concat(),
        vec!["relay", "--listen", "127.0.0.1:0"],
    ]
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_syncbench");

/// A comparison of the program with itself, as short as can be.
const COMPARISON: [&str; 15] = [
    "compare",
    "--program",
    PROGRAM,
    "--program",
    PROGRAM,
    "--variant",
    "updates/first",
    "--rounds",
    "1",
    "--repetitions",
    "1",
    "--budget",
    "1ns",
    "--repeat",
    "1",
];

const SMALL_RUN: [&str; 10] = [
    "run",
    "--clients",
    "2",
    "--rooms",
    "1",
    "--duration",
    "200ms",
    "-q",
    "-o",
    "out",
];

fn run(args: &[&str], folder: &Path, stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .output()
        .expect("syncbench starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}

#[test]
#[cfg(target_os = "linux")] // has a device that is always full
fn output_that_cannot_be_written_is_a_failure_of_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    for args in printing_commands() {
        let full = File::options().write(true).open("/dev/full");
        let (code, stderr) = run(&args, folder.path(), full.expect("/dev/full"));
        // A busy machine may have made a run invalid, which is worse.
        let is_run = args[0] == "run" && code == Some(7);
        assert!(code == Some(1) || is_run, "{args:?}: {code:?}: {stderr}");
        assert!(stderr.contains("No space left"), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for args in printing_commands() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let (code, stderr) = run(&args, folder.path(), writer);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        // A relay that cannot announce its address is of no use.
        let expected = [0, i32::from(args[0] == "relay")];
        let is_run = args[0] == "run" && code == Some(7);
        let is_expected = code.is_some_and(|code| expected.contains(&code));
        assert!(is_expected || is_run, "{args:?}: {code:?}: {stderr}");
    }
}

#[test]
#[cfg(target_os = "linux")] // has a device that is always full
fn messages_that_cannot_be_written_do_not_change_the_exit_code() {
    let full = File::options().write(true).open("/dev/full");
    let status = Command::new(PROGRAM)
        .args(["run", "--dataset", "no-such-trace"])
        .stderr(full.expect("/dev/full"))
        .status();
    assert_eq!(status.expect("syncbench starts").code(), Some(2));
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let completed = |words: &str| {
        let script = format!(
            "source <(\"$SYNCBENCH\" completions bash)
             COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             _syncbench syncbench \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
             echo \"${{COMPREPLY[*]}}\""
        );
        let mut bash = Command::new("bash");
        let output = bash
            .args(["-c", &script])
            .env("SYNCBENCH", PROGRAM)
            .output();
        let output = output.expect("bash starts");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(completed("syncbench rel"), "relay");
    assert_eq!(completed("syncbench run --room-"), "--room-prefix");
    assert_eq!(completed("syncbench run --arrivals poi"), "poisson");
}
