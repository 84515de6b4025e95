//! An embedded relay as a child process, so that its CPU and memory are
//! measured apart from the generator's and it can be paused or killed.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use syncbench_reports::mask::mask_urls;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::net::target::UrlTemplate;

/// The longest time until a relay announces its address.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time until a relay ends after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The program that runs the embedded relay. It must announce its address with
/// [`announce`] as the first line on stdout, and end when its stdin is closed,
/// so that it never outlives the run, even if the run is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayCommand {
    /// The executable.
    pub program: PathBuf,
    /// The arguments of the program.
    pub args: Vec<OsString>,
}

/// A reason why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The program cannot be run.
    #[error("cannot start the relay `{}`: {error}", program.display())]
    Spawn {
        /// The executable.
        program: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Something listens at the relay's address before it is started.
    #[error(
        "something listens at {url} already, before `{}` was started: end it, or use another \
         port; to measure what listens there, give its address alone", mask_urls(.command)
    )]
    Taken {
        /// The command that would start the relay.
        command: String,
        /// The address of the relay.
        url: UrlTemplate,
    },
    /// The relay does not listen.
    #[error("the relay `{}` did not start: {reason}", mask_urls(.command))]
    NotReady {
        /// The command that started it.
        command: String,
        /// The behaviour that was seen instead.
        reason: String,
    },
    /// The relay did not announce its address.
    #[error("the embedded relay did not start: {0}")]
    NoAnnouncement(String),
}

#[derive(Serialize, Deserialize)]
struct Announcement {
    listening: SocketAddr,
}

/// Prints the address of a relay on stdout, for the parent process and for people.
///
/// # Errors
/// If stdout cannot be written.
pub fn announce(listening: SocketAddr) -> io::Result<()> {
    let line = serde_json::to_string(&Announcement { listening })?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Lets the system kill this process when its parent ends, as an embedded relay
/// needs: one that is suspended cannot notice that its stdin was closed.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Where it is refused, the end of stdin still ends a relay that runs.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
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
    /// If it cannot be started or does not announce an address in time.
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
            Err(_) => return Err(no_announcement("it printed nothing for 10 s")),
        };
        let pid = child
            .id()
            .ok_or_else(|| no_announcement("it ended immediately"))?;
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            stdin,
            pid,
            address,
        })
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes when the process ends by itself.
    ///
    /// # Errors
    /// If the system cannot wait for the process.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks the relay to end and waits until it has; kills it if it does not end
    /// in time.
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
    let line = line.ok_or_else(|| no_announcement("it ended immediately"))?;
    let announcement: Announcement = serde_json::from_str(&line)
        .map_err(|_| no_announcement(&format!("it printed `{line}` instead of its address")))?;

    Ok(announcement.listening)
}

fn no_announcement(reason: &str) -> RelayError {
    RelayError::NoAnnouncement(reason.to_owned())
}
