//! Credentials on the command line: they reach the relay, and nothing else.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

const SECRET: &str = "s3cret-key";

/// A relay that is this program, in a command that shows a secret.
struct Relay {
    command: String,
    url: String,
}

impl Relay {
    fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let program = env!("CARGO_BIN_EXE_syncbench");
        Self {
            command: format!(
                "{program} relay --protocol loro --listen {address} # of ws://h/?key={SECRET}"
            ),
            url: format!("ws://user:{SECRET}@{address}/sync?key={SECRET}&doc={{room}}"),
        }
    }
}

/// Runs with these flags and secrets everywhere else.
fn run(folder: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_syncbench"))
        .args(["run", "--clients", "4", "--rooms", "2", "--rate", "20"])
        .args(["--duration", "500ms", "-o", folder.to_str().unwrap()])
        .args(["-H", &format!("x-key: {SECRET}")])
        .args(["--set", &format!("relay.headers.x-other={SECRET}")])
        .args(flags)
        .env("CI", "true")
        .output()
        .unwrap()
}

fn assert_shows_no_secret(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!text.contains(SECRET), "{what}: {text}");
}

#[test]
fn secrets_reach_neither_the_terminal_nor_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::new();
    let flags = ["--relay-cmd", &relay.command, "--relay", &relay.url];
    let credentials = ["--protocol", "loro", "--join-auth", SECRET];
    let output = run(folder.path(), &[flags, credentials].concat());
    assert_shows_no_secret("stdout", &output.stdout);
    assert_shows_no_secret("stderr", &output.stderr);
    let record = std::fs::read_to_string(folder.path().join("record.json"));
    let record = record.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    for shown in [
        "ws://***@127.0.0.1",
        "?key=***&doc={room}",
        "-H 'x-key: ***'",
        "relay.headers.x-other=***",
        "--join-auth '***'",
    ] {
        assert!(record.contains(shown), "{shown}: {record}");
    }
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert_shows_no_secret(&path.display().to_string(), &bytes);
    }
}

#[test]
fn secrets_are_not_part_of_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let url = format!("ws://user:{SECRET}@{address}/?{SECRET}");
    let output = run(folder.path(), &["--relay", &url]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("is the relay running there?"), "{message}");
    assert_shows_no_secret("stderr", &output.stderr);
}
