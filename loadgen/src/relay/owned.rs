//! A relay that belongs to a run, which starts, measures, disturbs and ends it.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::{RelayCommand, RelayError, RelayProcess};
use crate::net::target::UrlTemplate;

/// The way in which a relay is started.
#[derive(Debug, Clone)]
pub enum Start {
    /// Starts the embedded relay.
    Embedded {
        /// The executable and its arguments, without the address to listen on.
        command: RelayCommand,
    },
    /// Starts any program with a shell.
    Command {
        /// The program and its arguments.
        command: String,
        /// The address at which it listens once it is ready.
        url: UrlTemplate,
        /// The longest time until it listens.
        ready_timeout: Duration,
    },
}

/// A relay that runs, or that was killed and may be started again.
#[derive(Debug)]
pub struct OwnedRelay {
    start: Start,
    url: UrlTemplate,
    address: Option<SocketAddr>,
    running: Option<Running>,
}

#[derive(Debug)]
enum Running {
    Embedded(RelayProcess),
    Command(Child),
}

impl OwnedRelay {
    /// Starts the relay, and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be started, or does not listen in time.
    pub async fn start(start: Start) -> Result<Self, RelayError> {
        let (running, address, url) = launch(&start, None).await?;
        Ok(Self {
            start,
            url,
            address,
            running: Some(running),
        })
    }

    /// Returns the URL of its rooms.
    pub fn url(&self) -> &UrlTemplate {
        &self.url
    }

    /// Returns its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        match self.running.as_ref()? {
            Running::Embedded(process) => Some(process.pid()),
            Running::Command(child) => child.id(),
        }
    }

    /// Completes when the process ends by itself; never after [`Self::kill`].
    ///
    /// # Errors
    /// If the system cannot wait for the process.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        match &mut self.running {
            Some(Running::Embedded(process)) => process.ended().await,
            Some(Running::Command(child)) => child.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Suspends the process, like a machine that hangs.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes the process after a pause.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // A process that has just ended cannot and need not be signalled.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills the process, which loses everything that it kept in memory.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        match self.running.take() {
            Some(Running::Embedded(mut process)) => drop(process.ended().await),
            Some(Running::Command(mut child)) => drop(child.wait().await),
            None => {}
        }
    }

    /// Starts the relay again at the same address.
    ///
    /// # Errors
    /// If it cannot be started, or does not listen in time.
    pub async fn restart(&mut self) -> Result<(), RelayError> {
        let (running, ..) = launch(&self.start, self.address).await?;
        self.running = Some(running);
        Ok(())
    }

    /// Stops the relay, and waits until it has ended.
    pub async fn stop(mut self) {
        // A paused process could not end.
        self.resume();
        match self.running.take() {
            Some(Running::Embedded(process)) => process.stop().await,
            Some(Running::Command(mut child)) => {
                let _ = child.kill().await;
            }
            None => {}
        }
    }
}

async fn launch(
    start: &Start,
    address: Option<SocketAddr>,
) -> Result<(Running, Option<SocketAddr>, UrlTemplate), RelayError> {
    match start {
        Start::Embedded { command } => {
            let listen = address.map_or("127.0.0.1:0".to_owned(), |address| address.to_string());
            let mut command = command.clone();
            command
                .args
                .extend(["--listen".into(), OsString::from(listen)]);
            let process = RelayProcess::start(&command).await?;
            let address = process.address();
            let url = format!("ws://{address}/").parse();
            let url = url.map_err(|error| RelayError::NoAnnouncement(format!("{error}")))?;
            Ok((Running::Embedded(process), Some(address), url))
        }
        Start::Command {
            command,
            url,
            ready_timeout,
        } => {
            let child = shell(command)?;
            let child = ready(child, command, url, *ready_timeout).await?;
            Ok((Running::Command(child), None, url.clone()))
        }
    }
}

/// Starts `command` with a shell, which it replaces.
fn shell(command: &str) -> Result<Child, RelayError> {
    Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| RelayError::Spawn {
            program: command.into(),
            error,
        })
}

/// Waits until the relay listens at `url`.
async fn ready(
    mut child: Child,
    command: &str,
    url: &UrlTemplate,
    within: Duration,
) -> Result<Child, RelayError> {
    let not_ready = |reason: String| RelayError::NotReady {
        command: command.to_owned(),
        reason,
    };
    let address = url.url("room-0", "client-0");
    let address = address.map_err(|error| not_ready(error.to_string()))?;
    let until = Instant::now() + within;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(not_ready(format!("it ended immediately ({status})")));
        }
        let left = until.saturating_duration_since(Instant::now());
        if let Ok(Ok(_)) = timeout(left, TcpStream::connect((address.host(), address.port()))).await
        {
            return Ok(child);
        }
        if left.is_zero() {
            return Err(not_ready(format!(
                "it does not listen at {url} after {within:?}"
            )));
        }
        sleep(Duration::from_millis(20)).await;
    }
}
