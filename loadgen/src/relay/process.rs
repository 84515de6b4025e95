//! An embedded relay as a child process, so that its CPU and memory are
//! measured apart from the generator's and it can be paused or killed.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// How long a relay may take to say where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a relay may take to end once asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The program that serves as embedded relay. It must announce its address
/// with [`announce`] as the first line on stdout, and end when its stdin does,
/// so that it can never outlive the run, even when that is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Why the embedded relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The program cannot be run.
    #[error("cannot start the embedded relay `{}`: {error}", program.display())]
    Spawn {
        /// The executable.
        program: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It does not answer.
    #[error("the relay `{command}` did not start: {reason}")]
    NotReady {
        /// How it was started.
        command: String,
        /// What it did instead.
        reason: String,
    },
    /// It did not say where it listens.
    #[error("the embedded relay did not start: {0}")]
    NoAnnouncement(String),
}

#[derive(Serialize, Deserialize)]
struct Announcement {
    listening: SocketAddr,
}

/// Says on stdout where a relay listens, for the parent process and for people.
///
/// # Errors
/// When stdout cannot be written.
pub fn announce(listening: SocketAddr) -> io::Result<()> {
    let line = serde_json::to_string(&Announcement { listening })?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// A running embedded relay.
#[derive(Debug)]
pub struct RelayProcess {
    child: Child,
    /// Closed to ask the child to end.
    stdin: Option<ChildStdin>,
    pid: u32,
    address: SocketAddr,
}

impl RelayProcess {
    /// Starts the relay and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started or does not announce an address in time.
    pub async fn start(command: &RelayCommand) -> Result<Self, RelayError> {
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| RelayError::Spawn {
                program: command.program.clone(),
                error,
            })?;
        let address = match timeout(START_TIMEOUT, announced(&mut child)).await {
            Ok(address) => address?,
            Err(_) => return Err(no_announcement("it said nothing for 10 s")),
        };
        let pid = child
            .id()
            .ok_or_else(|| no_announcement("it ended at once"))?;
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            stdin,
            pid,
            address,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes when the process ends by itself.
    ///
    /// # Errors
    /// When the system cannot wait for it.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks the relay to end and waits until it has; kills it when it does not.
    pub async fn stop(mut self) {
        drop(self.stdin.take());
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

async fn announced(child: &mut Child) -> Result<SocketAddr, RelayError> {
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| no_announcement("it has no stdout"))?;
    let line = BufReader::new(stdout).lines().next_line().await;
    let line = line.map_err(|error| no_announcement(&error.to_string()))?;
    let line = line.ok_or_else(|| no_announcement("it ended at once"))?;
    let announcement: Announcement = serde_json::from_str(&line)
        .map_err(|_| no_announcement(&format!("it said `{line}` instead of its address")))?;
    Ok(announcement.listening)
}

fn no_announcement(reason: &str) -> RelayError {
    RelayError::NoAnnouncement(reason.to_owned())
}
