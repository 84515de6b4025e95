//! Relays that a run owns: the run starts, disturbs and ends them.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use syncbench_reports::record::Record;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Runs briefly with these flags, and returns the record, if there is one.
fn run(flags: &[&str]) -> (Output, Option<Record>) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_syncbench"))
        .args(["run", "--clients", "8", "--rooms", "2", "--rate", "60"])
        .args(["-o", folder.path().to_str().unwrap()])
        .args(flags)
        .output()
        .unwrap();
    let record = std::fs::read(folder.path().join("record.json")).ok();
    let record = record.map(|json| serde_json::from_slice(&json).unwrap());
    (output, record)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_relay_by_command_is_started_measured_and_ended() {
    let port = free_port();
    let program = env!("CARGO_BIN_EXE_syncbench");
    let command = format!("{program} relay --protocol loro --listen 127.0.0.1:{port}");
    let url = format!("ws://127.0.0.1:{port}");
    let flags = ["--relay-cmd", &command, "--relay", &url];
    let (output, record) = run(&[&flags[..], &["--protocol", "loro", "--duration", "1s"]].concat());
    let record = record.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let convergence = record.convergence.unwrap();
    assert_eq!((convergence.converged, convergence.lost), (2, 0));
    assert!(record.latency["ack"].count > 0);
    if cfg!(target_os = "linux") {
        assert!(record.resources.unwrap().relay.is_some());
    }
    let gone = TcpStream::connect(("127.0.0.1", port)).is_err();
    assert!(gone, "the relay has outlived the run");
}

#[test]
fn a_relay_that_does_not_start_is_named_with_what_it_did() {
    let url = format!("ws://127.0.0.1:{}", free_port());
    for (command, message) in [
        ("exit 3", "ended immediately"),
        ("sleep 60", "does not listen at"),
        ("no-such-program-anywhere", "ended immediately"),
    ] {
        let begun = Instant::now();
        let flags = ["--relay-cmd", command, "--relay", &url];
        let (output, record) = run(&[&flags[..], &["--ready-timeout", "700ms"]].concat());
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert!(record.is_none());
        // This is far less than the time that the command would have taken.
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn clients_give_a_relay_back_what_it_forgot_when_it_was_killed() {
    let fault = r#"fault=[{ kind = "restart", at = "700ms", for = "300ms" }]"#;
    let flags = ["--protocol", "loro", "--duration", "2s", "--set", fault];
    let (output, record) = run(&flags);
    let record = record.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let counts = record.counts.unwrap();
    assert!(counts.disconnects >= 8, "{counts:?}");
    assert_eq!(counts.visible, counts.expected);
    let convergence = record.convergence.unwrap();
    assert_eq!((convergence.converged, convergence.lost), (2, 0));
    // The time without a relay counts as the relay's, also in the headline.
    assert!(record.latency["propagation"].max > 200_000.0);
    assert!(!record.latency.contains_key("delayed"));
    assert!(
        record.errors.values().sum::<u64>() >= 8,
        "{:?}",
        record.errors
    );
}

#[test]
fn a_relay_that_speaks_another_protocol_is_found_out() {
    let (output, record) = run(&["--protocol", "loro", "--relay-cmd", "sleep 60"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("must give its address"),
        "{}",
        stderr(&output)
    );
    assert!(record.is_none());

    let port = free_port();
    let program = env!("CARGO_BIN_EXE_syncbench");
    let command = format!("{program} relay --listen 127.0.0.1:{port}");
    let url = format!("ws://127.0.0.1:{port}");
    let flags = [
        "--relay-cmd",
        &command,
        "--relay",
        &url,
        "--protocol",
        "loro",
    ];
    let (output, record) = run(&flags);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(
        message.contains("does it speak the loro protocol?"),
        "{message}"
    );
    assert!(record.is_none());
}
