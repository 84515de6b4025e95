//! Disturbed runs: the relay dies or freezes, or the user interrupts them. No
//! measurement is lost, and no problem is hidden.

#![cfg(target_os = "linux")] // finds the relay process in /proc

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use syncbench_reports::record::Record;

/// A run of one hour, unless something ends it.
struct LongRun {
    child: Child,
    folder: tempfile::TempDir,
    /// The address at which it serves its metrics.
    metrics: SocketAddr,
}

impl LongRun {
    /// Starts the run and waits until it has edited for a while.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_syncbench"))
            .args(["run", "--clients", "12", "--rooms", "4", "--rate", "100"])
            .args(["--duration", "1h", "-o", path])
            .args(["--metrics", &metrics.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run = Self {
            child,
            folder,
            metrics,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !run.is_editing() {
            assert!(Instant::now() < deadline, "the run does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        run
    }

    /// Returns true if its metrics count edits.
    fn is_editing(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect(self.metrics) else {
            return false;
        };
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        let asked = connection.write_all(request.as_bytes());
        let read = asked.and_then(|()| connection.read_to_string(&mut answer));
        let mut lines = answer.lines();
        let sent = lines.find(|line| line.starts_with("syncbench_edits_sent_total"));
        read.is_ok() && sent.is_some_and(|line| !line.ends_with(" 0"))
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

    /// Waits for the end of the run. Returns its exit code, its output and its
    /// record.
    fn finish(mut self) -> (i32, String, Record) {
        let status = self.child.wait().unwrap();
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
        let record = Record::read(&self.folder.path().join("record.json")).unwrap();
        (status.code().unwrap(), text, record)
    }
}

/// A failing test must not leave a run of one hour behind.
impl Drop for LongRun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_killed_relay_ends_the_run_with_what_was_measured() {
    let run = LongRun::start();
    kill_process(run.relay(), Signal::KILL).unwrap();
    let (code, text, record) = run.finish();
    assert!(code == 6 || code == 1, "{code}: {text}");
    assert!(text.contains("the relay process ended"), "{text}");
    let counts = record.counts.unwrap();
    assert!(counts.visible > 0);
    assert!(counts.scheduled < 3600 * 100, "it ended before its time");
}

#[test]
fn ctrl_c_ends_the_run_in_order_and_its_relay_with_it() {
    let run = LongRun::start();
    let relay = run.relay();
    let generator = Pid::from_raw(run.child.id() as i32).unwrap();
    // A terminal sends the signal to both.
    kill_process(relay, Signal::INT).unwrap();
    kill_process(generator, Signal::INT).unwrap();
    let (code, text, record) = run.finish();
    assert!(code == 0 || code == 7, "{code}: {text}");
    assert!(text.contains("interrupted by the user"), "{text}");
    let counts = record.counts.unwrap();
    assert_eq!(counts.visible, counts.expected);
    assert!(counts.visible > 0);
    assert!(
        rustix::process::test_kill_process(relay).is_err(),
        "the relay is gone"
    );
}

/// The relay stops for a second, during which 100 edits are intended. However the
/// clients wait, those edits must show how long their readers waited: half of them more
/// than half a second. (Coordinated omission would show one such edit per client.)
#[test]
fn a_frozen_relay_shows_in_proportion_to_the_edits_that_fell_in() {
    let run = LongRun::start();
    let relay = run.relay();
    kill_process(relay, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    kill_process(relay, Signal::CONT).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let generator = Pid::from_raw(run.child.id() as i32).unwrap();
    kill_process(generator, Signal::INT).unwrap();
    let (_, text, record) = run.finish();
    let headline = record.latency["propagation"].histogram().unwrap();
    let slow = headline.count_between(500_000_000, u64::MAX);
    // 50 edits for 2 others each, except for the two at the edges.
    assert!(slow >= 96, "{slow} deliveries took over 0.5 s: {text}");
    let slowest = headline.max();
    assert!(slowest >= 980_000_000, "{slowest} ns: {text}");
    let convergence = record.convergence.unwrap();
    assert_eq!(convergence.converged, convergence.rooms, "{text}");
}
