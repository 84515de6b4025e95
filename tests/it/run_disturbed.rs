//! Disturbed runs: the relay dies or freezes, or the user interrupts them. No
//! measurement is lost, and no problem is hidden.

#![cfg(target_os = "linux")] // finds the relay process in /proc

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use syncbench_reports::record::{self, Record, Status};

const PROGRAM: &str = env!("CARGO_BIN_EXE_syncbench");

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
        let run = Self::launch(Command::new(PROGRAM), &["--duration", "1h"]);
        run.wait_until(|run| run.edits_sent() > 0);
        run
    }

    /// Starts the run, by `program` with these arguments more.
    fn launch(mut program: Command, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = free.local_addr().unwrap();
        drop(free);
        let child = program
            .args(["run", "--clients", "12", "--rooms", "4", "--rate", "100"])
            .args(["-o", path, "--metrics", &metrics.to_string()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            metrics,
        }
    }

    fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds(self) {
            assert!(Instant::now() < deadline, "the run does not get so far");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The text of its metrics; empty before there are any.
    fn live_metrics(&self) -> String {
        let Ok(mut connection) = TcpStream::connect(self.metrics) else {
            return String::new();
        };
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        let asked = connection.write_all(request.as_bytes());
        let _ = asked.and_then(|()| connection.read_to_string(&mut answer));
        answer
    }

    /// The value of a metric without labels of its own, if there is one.
    fn live_metric(&self, name: &str) -> Option<u64> {
        let text = self.live_metrics();
        let mut lines = text.lines();
        let line = lines.find(|line| line.split('{').next() == Some(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// The edits that its metrics tell of.
    fn edits_sent(&self) -> u64 {
        self.live_metric("syncbench_edits_sent_total").unwrap_or(0)
    }

    /// Sends the run a signal.
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// The run's relay process, if it has one by now.
    fn child_process(&self) -> Option<Pid> {
        let is_child = |process: &procfs::process::Process| {
            let stat = process.stat();
            stat.is_ok_and(|stat| stat.ppid == self.child.id() as i32)
        };
        let processes = procfs::process::all_processes().unwrap();
        let relay = processes.flatten().find(is_child)?;
        Pid::from_raw(relay.pid())
    }

    /// The run's relay process.
    fn relay(&self) -> Pid {
        self.child_process().expect("a child process")
    }

    /// Waits for the end of the run. Returns its exit code, its output and its
    /// record.
    fn finish(mut self) -> (i32, String, Record) {
        let (code, text) = self.end();
        let record = Record::read(&self.folder.path().join("record.json")).unwrap();
        (code, text, record)
    }

    /// Waits for the end of the run. Returns its exit code and its output.
    fn end(&mut self) -> (i32, String) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the run does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
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
        (status.code().expect("an exit code"), text)
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
    // As a terminal does it: both get the signal.
    kill_process(relay, Signal::INT).unwrap();
    run.signal(Signal::INT);
    let (code, text, record) = run.finish();
    assert_eq!(code, 130, "{text}");
    assert!(text.contains("interrupted by SIGINT"), "{text}");
    let counts = record.counts.unwrap();
    assert_eq!(counts.visible, counts.expected);
    assert!(counts.visible > 0);
    assert!(
        rustix::process::test_kill_process(relay).is_err(),
        "the relay is gone"
    );
}

/// Whether this process, and so whatever it starts, ignores SIGHUP.
fn ignores_hang_up() -> bool {
    let status = procfs::process::Process::myself().unwrap().status();
    status.unwrap().sigign & 1 != 0
}

#[test]
fn each_signal_has_a_status_and_an_exit_code_and_loses_nothing() {
    let mut signals = vec![(Signal::INT, 130), (Signal::TERM, 143)];
    if !ignores_hang_up() {
        signals.push((Signal::HUP, 129));
    }
    for (signal, expected) in signals {
        let run = LongRun::start();
        // A closed terminal tells the relay as well.
        kill_process(run.relay(), signal).unwrap();
        run.signal(signal);
        let (code, text, record) = run.finish();
        assert_eq!(code, expected, "{text}");
        assert_eq!(record.verdict.status, Status::Interrupted, "{text}");
        assert_eq!(i32::from(record.verdict.exit_code), expected);
        let counts = record.counts.unwrap();
        assert!(counts.visible > 0 && counts.visible == counts.expected);
        assert_eq!(record.convergence.unwrap().converged, 4);
        assert!(record.latency["propagation"].count > 0);
    }
}

#[test]
fn a_partial_run_is_judged_by_what_it_measured_where_the_user_allows_it() {
    let more = ["--duration", "1h", "--allow-partial"];
    let run = LongRun::launch(Command::new(PROGRAM), &more);
    run.wait_until(|run| run.edits_sent() > 0);
    run.signal(Signal::TERM);
    let (code, text, record) = run.finish();
    assert_eq!(code, i32::from(record.verdict.exit_code));
    // A machine that is busy with something else may make the run invalid.
    assert!(code == 0 || code == 7, "{code}: {text}");
    assert!(text.contains("interrupted by SIGTERM"), "{text}");
}

#[test]
fn a_run_that_outlives_its_terminal_is_not_ended_by_its_end() {
    let mut nohup = Command::new("nohup");
    nohup.arg(PROGRAM);
    let run = LongRun::launch(nohup, &["--duration", "1h"]);
    run.wait_until(|run| run.edits_sent() > 0);
    run.signal(Signal::HUP);
    let sent = run.edits_sent();
    run.wait_until(|run| run.edits_sent() > sent);
    run.signal(Signal::INT);
    let (code, text, record) = run.finish();
    assert_eq!(code, 130, "{text}");
    let by = record.course.unwrap().interrupted_by;
    assert_eq!(by, Some(record::Signal::Interrupt));
}

/// All edits were made, and the relay keeps the last deliveries back for ever.
#[test]
fn a_signal_ends_the_wait_for_the_last_deliveries() {
    let pause = r#"fault=[{kind="pause",at="100ms",for="1h"}]"#;
    let run = LongRun::launch(
        Command::new(PROGRAM),
        &[
            "--duration",
            "300ms",
            "--set",
            "drain_timeout=1h",
            "--set",
            pause,
        ],
    );
    run.wait_until(|run| run.edits_sent() == 30);
    run.signal(Signal::TERM);
    let (code, text, record) = run.finish();
    assert_eq!(code, 143, "{text}");
    assert!(text.contains("waited for the last deliveries"), "{text}");
    let counts = record.counts.unwrap();
    assert!(counts.visible < counts.expected, "{text}");
    assert_eq!(record.convergence.unwrap().lost, 0, "{text}");
}

#[test]
fn a_signal_ends_the_wait_for_a_relay_that_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let mut run = LongRun::launch(Command::new(PROGRAM), &["--relay", &url]);
    let connection = silent.accept().unwrap();
    run.signal(Signal::INT);
    let (code, text) = run.end();
    assert_eq!(code, 130, "{text}");
    assert!(text.contains("nothing was measured"), "{text}");
    drop(connection);
}

#[test]
fn a_signal_ends_the_wait_for_a_relay_that_does_not_get_ready() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", free.local_addr().unwrap());
    drop(free);
    let command = ["--relay-cmd", "sleep 3600", "--ready-timeout", "1h"];
    let more = [&command[..], &["--relay", &url]].concat();
    let mut run = LongRun::launch(Command::new(PROGRAM), &more);
    run.wait_until(|run| run.child_process().is_some());
    run.signal(Signal::TERM);
    let (code, text) = run.end();
    assert_eq!(code, 143, "{text}");
    assert!(text.contains("nothing was measured"), "{text}");
}

#[test]
fn live_metrics_tell_how_much_there_is_to_do_and_that_the_run_goes_on() {
    let run = LongRun::start();
    assert_eq!(run.live_metric("syncbench_clients"), Some(12));
    assert_eq!(run.live_metric("syncbench_rooms"), Some(4));
    let scheduled = run.live_metric("syncbench_edits_scheduled_total");
    assert!(scheduled > Some(0));
    let expected = run.live_metric("syncbench_deliveries_expected_total");
    assert!(expected > Some(0));
    let text = run.live_metrics();
    assert!(text.contains("status=\"running\""), "{text}");
    assert!(!text.contains("exit_code"), "{text}");
}

/// The relay stands still for a second while 100 edits a second are intended.
/// However the clients wait, those edits must show how long their readers
/// waited: half of them more than half a second. (Coordinated omission would
/// show one such edit a client.)
#[test]
fn a_frozen_relay_shows_in_proportion_to_the_edits_that_fell_in() {
    let run = LongRun::start();
    let relay = run.relay();
    kill_process(relay, Signal::STOP).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    kill_process(relay, Signal::CONT).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    run.signal(Signal::INT);
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
