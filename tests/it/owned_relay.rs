//! Relays that a run owns: the run starts, disturbs and ends them.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
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

/// A command as people write them: a setting, a list, and a wrapper that starts
/// the relay as a child. The relay's pid is in `pidfile`.
fn wrapped(port: u16, pidfile: &Path) -> String {
    let program = env!("CARGO_BIN_EXE_syncbench");
    let pidfile = pidfile.display();
    format!(
        "LISTEN=127.0.0.1:{port} && cd / && {{ {program} relay --listen $LISTEN & \
         echo $! > {pidfile}; wait; }} | cat"
    )
}

#[test]
fn a_fault_reaches_a_relay_behind_a_wrapper_and_nothing_of_it_is_left() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let command = wrapped(port, &folder.path().join("pid"));
    let url = format!("ws://127.0.0.1:{port}/{{room}}");
    let (output, record) = run(&[
        "--relay-cmd",
        &command,
        "--relay",
        &url,
        "--duration",
        "2s",
        "--set",
        r#"fault=[{ kind = "pause", at = "500ms", for = "800ms" }]"#,
    ]);
    let record = record.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let convergence = record.convergence.unwrap();
    assert_eq!((convergence.converged, convergence.lost), (2, 0));
    // The edits of the pause waited for the relay.
    let longest = record.latency["propagation"].max;
    assert!(longest > 600_000.0, "{longest} µs");
    if cfg!(target_os = "linux") {
        let relay = record.resources.unwrap().relay.unwrap();
        // The shell alone would need none of these.
        assert!(relay.descriptors >= Some(8 + 4), "{relay:?}");
        assert!(relay.threads >= Some(3), "{relay:?}");
        assert!(relay.rss_peak_bytes > 4 << 20, "{relay:?}");
    }
    let gone = TcpStream::connect(("127.0.0.1", port)).is_err();
    assert!(gone, "the relay has outlived the run");
}

#[test]
fn a_restart_restarts_a_relay_behind_a_wrapper() {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let pidfile = folder.path().join("pid");
    let command =
        wrapped(port, &pidfile).replace("relay --listen", "relay --protocol loro --listen");
    let command = format!("cat {0} >> {0}s 2> /dev/null; {command}", pidfile.display());
    let url = format!("ws://127.0.0.1:{port}");
    let (output, record) = run(&[
        "--relay-cmd",
        &command,
        "--relay",
        &url,
        "--protocol",
        "loro",
        "--duration",
        "2s",
        "--set",
        r#"fault=[{ kind = "restart", at = "700ms", for = "300ms" }]"#,
    ]);
    let record = record.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let counts = record.counts.unwrap();
    assert!(counts.disconnects >= 8, "{counts:?}");
    assert_eq!(counts.visible, counts.expected);
    let first = std::fs::read_to_string(folder.path().join("pids")).unwrap();
    let second = std::fs::read_to_string(&pidfile).unwrap();
    assert_ne!(first, second, "the same relay");
}

/// The embedded relay holds a socket for each of eight clients, and lets go of
/// them when they leave.
#[cfg(target_os = "linux")]
#[test]
fn what_a_relay_uses_can_be_limited_also_after_all_have_left() {
    let held = [
        "relay.rss < 1GiB",
        "relay.rss.min > 1MiB",
        "relay.rss_after > 1MiB",
        "relay.cpu < 64",
        "relay.cpu.mean <= 64",
        "relay.threads >= 1",
        "relay.descriptors >= 16",
        "relay.descriptors_after < 16",
    ];
    let flags = held.iter().flat_map(|threshold| ["--threshold", threshold]);
    let flags: Vec<&str> = ["--duration", "1s"].into_iter().chain(flags).collect();
    let (output, record) = run(&flags);
    let record = record.unwrap_or_else(|| panic!("{}", stderr(&output)));
    let missed = record.thresholds.iter().filter(|result| !result.met);
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&_>::new());
    let relay = record.resources.unwrap().relay.unwrap();
    assert_eq!(
        relay.descriptors,
        relay.descriptors_after.map(|after| after + 8)
    );

    let (output, record) = run(&["--duration", "1s", "--threshold", "relay.rss < 1KiB"]);
    let record = record.unwrap_or_else(|| panic!("{}", stderr(&output)));
    assert!(!record.thresholds[0].met, "{:?}", record.thresholds);
    let reasons = record.verdict.reasons.join("\n");
    assert!(
        reasons.contains("missed: relay.rss < 1KiB; it was"),
        "{reasons}"
    );
}

#[test]
fn the_resources_of_a_relay_that_the_run_does_not_own_cannot_be_limited() {
    let flags = [
        "--relay",
        "ws://127.0.0.1:9",
        "--threshold",
        "relay.rss_after < 1GiB",
    ];
    let (output, record) = run(&flags);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(
        message.contains("only a relay that this run owns"),
        "{message}"
    );
    assert!(record.is_none());
}

#[test]
fn a_relay_at_an_address_that_is_taken_is_refused() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/{{room}}", other.local_addr().unwrap());
    let (output, record) = run(&["--relay-cmd", "sleep 60", "--relay", &url]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(
        message.contains("something listens at ws://127.0.0.1"),
        "{message}"
    );
    assert!(record.is_none());
}

/// The state of the process whose pid is in the file, if it still runs.
#[cfg(target_os = "linux")]
fn state_of(pidfile: &Path) -> Option<char> {
    let pid = std::fs::read_to_string(pidfile).ok()?.trim().parse().ok()?;
    let state = procfs::process::Process::new(pid).ok()?.stat().ok()?.state;
    (state != 'Z').then_some(state)
}

#[cfg(target_os = "linux")]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills a run whose relay is suspended, and waits until the relay is gone.
#[cfg(target_os = "linux")]
fn kill_while_suspended(flags: &[&str], relay: impl Fn(u32) -> Option<char>) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_syncbench"))
        .args(["run", "--clients", "4", "--rooms", "2", "--rate", "20"])
        .args(["--duration", "1h", "-o", folder.path().to_str().unwrap()])
        .args([
            "--set",
            r#"fault=[{ kind = "pause", at = "100ms", for = "50m" }]"#,
        ])
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let id = run.id();
    wait_for("the relay is not suspended", || relay(id) == Some('T'));
    run.kill().unwrap();
    run.wait().unwrap();
    wait_for("the relay has outlived the run", || relay(id).is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn a_suspended_relay_behind_a_wrapper_ends_with_a_run_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let pidfile = folder.path().join("pid");
    let port = free_port();
    let command = wrapped(port, &pidfile);
    let url = format!("ws://127.0.0.1:{port}/{{room}}");
    let flags = ["--relay-cmd", &command, "--relay", &url];
    kill_while_suspended(&flags, |_| state_of(&pidfile));
}

#[cfg(target_os = "linux")]
#[test]
fn a_suspended_embedded_relay_ends_with_a_run_that_is_killed() {
    // Found by its parent until the run is killed, and by its pid after that.
    let found = std::cell::Cell::new(None);
    kill_while_suspended(&[], |run| {
        if found.get().is_none() {
            let mut all = procfs::process::all_processes().unwrap().flatten();
            let child =
                all.find(|process| process.stat().is_ok_and(|stat| stat.ppid == run as i32));
            found.set(child.map(|process| process.pid()));
        }
        let state = procfs::process::Process::new(found.get()?)
            .ok()?
            .stat()
            .ok()?
            .state;
        (state != 'Z').then_some(state)
    });
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
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(
        message.contains("does it speak the loro protocol?"),
        "{message}"
    );
    assert!(record.is_none());
}
