//! Properties of every command: the help texts, which are part of the interface, and a
//! reader that closes the pipe.

#[test]
fn help_texts_are_as_documented() {
    trycmd::TestCases::new().case("tests/help/*.trycmd");
}

#[test]
fn what_cannot_be_run_is_refused_with_a_reason() {
    trycmd::TestCases::new().case("tests/messages/*.trycmd");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    use std::process::{Command, Stdio};
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_syncbench"))
        .args(["datasets", "list"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("syncbench starts");
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
