//! `syncbench run` as a user meets it: the executable, its exit codes, its
//! messages and the files it leaves.
#![allow(clippy::unwrap_used)] // a test may fail

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use syncbench_reports::record::{Record, Status};

fn syncbench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.args(args).stdin(Stdio::null()).env("CI", "true");
    command
}

fn output(args: &[&str]) -> Output {
    syncbench(args).output().expect("syncbench starts")
}

fn record_in(folder: &Path) -> Record {
    Record::read(&folder.join("record.json")).expect("a record")
}

fn small_run<'a>(folder: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "run",
        "--clients",
        "12",
        "--rooms",
        "4",
        "--rate",
        "100",
        "-o",
        folder,
    ];
    [&small, more].concat()
}

#[test]
fn a_run_prints_its_verdict_and_leaves_record_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = output(&small_run(path, &["--duration", "1s"]));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("yes (4 of 4 rooms)"), "{stdout}");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let record = record_in(folder.path());
    assert_eq!(output.status.code(), Some(record.verdict.exit_code.into()));
    // A machine that is busy with something else may make the run invalid.
    assert!(
        matches!(record.verdict.status, Status::Ok | Status::Invalid),
        "{stdout}"
    );
    let counts = record.counts.unwrap();
    assert_eq!(counts.scheduled, 100);
    assert_eq!(
        (counts.expected, counts.visible),
        (counts.sent * 2, counts.sent * 2)
    );
    assert_eq!(record.convergence.unwrap().converged, 4);
    assert!(
        record.resources.unwrap().relay.is_some(),
        "the embedded relay is measured apart"
    );
    let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(report.contains("<svg") && report.contains("</html>"));
}

#[test]
fn json_on_stdout_is_the_record_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = output(&small_run(path, &["--duration", "300ms", "--json"]));
    let printed: Record = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, record_in(folder.path()));
}

#[test]
fn bad_input_gets_one_message_with_the_mend_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let truncated = folder.path().join("truncated.json");
    std::fs::write(
        &truncated,
        r#"{"startContent":"","endContent":"a","txns":[{"#,
    )
    .unwrap();
    let wrong_end = folder.path().join("wrong-end.json");
    let trace = r#"{"startContent":"","endContent":"b","txns":[{"time":"2020-01-01T00:00:00Z","patches":[[0,0,"a"]]}]}"#;
    std::fs::write(&wrong_end, trace).unwrap();
    let a_file = folder.path().join("a-file");
    std::fs::write(&a_file, "").unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();

    for (args, code, message) in [
        (vec!["--clients".to_owned(), "0".to_owned()], 2, "--clients"),
        (
            vec!["--clients".into(), "5".into(), "--rooms".into(), "6".into()],
            2,
            "at most 5 rooms",
        ),
        (vec!["--rate".into(), "-1".into()], 2, "--rate"),
        (vec!["--duration".into(), "soon".into()], 2, "10s"),
        (
            vec!["--dataset".into(), "automerge-papre".into()],
            2,
            "automerge-paper",
        ),
        (
            vec!["--dataset".into(), path(&truncated)],
            2,
            "truncated.json",
        ),
        (
            vec!["--dataset".into(), path(&wrong_end)],
            2,
            "wrong-end.json",
        ),
        (
            vec!["--relay".into(), "http://127.0.0.1".into()],
            2,
            "ws://",
        ),
        (
            vec!["--relay".into(), "ws://127.0.0.1:1".into()],
            1,
            "is the relay running there?",
        ),
        (
            vec!["-o".into(), path(&a_file.join("below"))],
            2,
            "choose another with -o",
        ),
        (vec!["--clients".into(), "100000000".into()], 2, "ulimit -n"),
    ] {
        let target = folder.path().join("results");
        let mut command = syncbench(&["run", "-o", target.to_str().unwrap()]);
        if args[0] == "-o" {
            command = syncbench(&["run"]);
        }
        let output = command.args(&args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!target.exists(), "{args:?} left {}", target.display());
    }
}

/// A run that goes on for an hour unless something ends it.
struct LongRun {
    child: Child,
    folder: tempfile::TempDir,
}

impl LongRun {
    /// Starts the run and waits until it has edited for a while.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let child = syncbench(&small_run(path, &["--duration", "1h"]))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run = Self { child, folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while run.sockets() < 12 {
            assert!(Instant::now() < deadline, "the clients do not connect");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(1_000));
        run
    }

    fn sockets(&self) -> usize {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let links = descriptors
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// The run's relay process.
    fn relay(&self) -> Pid {
        let relay = procfs::process::all_processes()
            .unwrap()
            .flatten()
            .find(|process| {
                process
                    .stat()
                    .is_ok_and(|stat| stat.ppid == self.child.id() as i32)
            });
        Pid::from_raw(relay.expect("a child process").pid()).unwrap()
    }

    /// Waits for the end: how long it took, the output, the record.
    fn finish(mut self) -> (Duration, i32, String, Record) {
        let started = Instant::now();
        let status = self.child.wait().unwrap();
        let took = started.elapsed();
        let mut text = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let record = record_in(self.folder.path());
        (took, status.code().unwrap(), text, record)
    }
}

#[test]
fn a_killed_relay_ends_the_run_with_what_was_measured() {
    let run = LongRun::start();
    kill_process(run.relay(), Signal::KILL).unwrap();
    let (took, code, text, record) = run.finish();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(code == 6 || code == 1, "{code}: {text}");
    assert!(text.contains("the relay process ended"), "{text}");
    assert!(record.counts.unwrap().visible > 0);
}

#[test]
fn ctrl_c_ends_the_run_in_order_and_its_relay_with_it() {
    let run = LongRun::start();
    let relay = run.relay();
    let generator = Pid::from_raw(run.child.id() as i32).unwrap();
    // As a terminal does it: both get the signal.
    kill_process(relay, Signal::INT).unwrap();
    kill_process(generator, Signal::INT).unwrap();
    let (_, code, text, record) = run.finish();
    assert!(code == 0 || code == 7, "{code}: {text}");
    assert!(text.contains("ended early by the user"), "{text}");
    let counts = record.counts.unwrap();
    assert_eq!(counts.visible, counts.expected);
    assert!(counts.visible > 0);
    assert!(
        rustix::process::test_kill_process(relay).is_err(),
        "the relay is gone"
    );
}
