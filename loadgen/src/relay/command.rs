//! A relay that a shell command starts: a process group of its own, which never
//! outlives the run.
//!
//! The command may be anything that a shell runs, and starts as many processes
//! as it likes. A second shell, the watchdog, waits for the end of its stdin and
//! then kills the group. Only the run holds the other end, so that the group is
//! killed however the run ends, even by SIGKILL. The watchdog is in a group of its
//! own: neither a pause of the relay nor a Ctrl-C in the terminal reaches it.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep};

use crate::process::group;

/// Runs the command `$1` after a line on stdin: not before it is watched.
const GATE: &str = r#"read -r _ && exec sh -c "$1" </dev/null"#;

/// Kills the process group `$1` at the end of stdin.
const WATCHDOG: &str = r#"read -r _; kill -s KILL -- "-$1""#;

/// The longest time until a killed group is gone.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A command that runs, with everything that it has started.
#[derive(Debug)]
pub struct CommandGroup {
    /// The first process, whose pid is the id of the group.
    shell: Child,
    id: u32,
    watchdog: Child,
    /// Open as long as the group may live.
    _lifeline: Option<ChildStdin>,
}

impl CommandGroup {
    /// Starts `command` with a shell.
    ///
    /// # Errors
    /// If the system cannot start a shell.
    pub async fn start(command: &str) -> io::Result<Self> {
        let mut shell = script(GATE, command)?;
        let id = shell.id().ok_or(io::ErrorKind::NotFound)?;
        let mut watchdog = script(WATCHDOG, &id.to_string())?;
        let _lifeline = watchdog.stdin.take();
        if let Some(mut gate) = shell.stdin.take() {
            gate.write_all(b"\n").await?;
        }
        Ok(Self {
            shell,
            id,
            watchdog,
            _lifeline,
        })
    }

    /// Returns the id of the group, which is the pid of its first process.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns how the command's shell ended, if it has.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Completes when the command's shell ends by itself.
    ///
    /// # Errors
    /// If the system cannot wait for it.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.shell.wait().await
    }

    /// Sends `signal` to every process of the group.
    pub fn signal(&self, signal: Signal) {
        group::signal(self.id, signal);
    }

    /// Kills every process of the group, and waits until they are gone.
    pub async fn kill(mut self) {
        let until = Instant::now() + END_TIMEOUT;
        self.signal(Signal::KILL);
        let _ = self.shell.wait().await;
        while group::is_running(self.id) && Instant::now() < until {
            self.signal(Signal::KILL);
            sleep(Duration::from_millis(5)).await;
        }
        // Its work is done, and the id may soon be that of another group.
        let _ = self.watchdog.kill().await;
    }
}

/// Starts a shell with this script and argument, in a process group of its own.
fn script(script: &str, argument: &str) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", script, "sh", argument])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
}
