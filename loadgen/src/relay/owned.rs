//! A relay that belongs to a run, which starts, measures, disturbs and ends it.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::command::CommandGroup;
use super::{RelayCommand, RelayError, RelayProcess};
use crate::net::target::UrlTemplate;
use crate::process::{Subject, group, listener_of};

/// The longest time in which an address that something listens at answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The way in which a relay is started.
#[derive(Debug, Clone)]
pub enum Start {
    /// Starts the embedded relay.
    Embedded {
        /// The executable and its arguments, without the address to listen on.
        command: RelayCommand,
    },
    /// Starts any command with a shell.
    Command {
        /// The command, which must run as long as the relay does.
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
    Command(CommandGroup),
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

    /// Returns the processes that it consists of, while it runs.
    pub fn subject(&self) -> Option<Subject> {
        Some(match self.running.as_ref()? {
            Running::Embedded(process) => Subject::Process(process.pid()),
            Running::Command(command) => Subject::Group(command.id()),
        })
    }

    /// Completes when the process, or the shell of the command, ends by itself;
    /// never after [`Self::kill`].
    ///
    /// # Errors
    /// If the system cannot wait for the process.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        match &mut self.running {
            Some(Running::Embedded(process)) => process.ended().await,
            Some(Running::Command(command)) => command.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Suspends all of its processes, like a machine that hangs.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes its processes after a pause.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        match &self.running {
            Some(Running::Embedded(process)) => {
                let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
                // A process that has just ended cannot and need not be signalled.
                let _ = pid.map(|pid| kill_process(pid, signal));
            }
            Some(Running::Command(command)) => command.signal(signal),
            None => {}
        }
    }

    /// Kills all of its processes, which lose everything that they kept in
    /// memory.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        match self.running.take() {
            Some(Running::Embedded(mut process)) => drop(process.ended().await),
            Some(Running::Command(command)) => command.kill().await,
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

    /// Stops the relay, and waits until all of it has ended.
    pub async fn stop(mut self) {
        // A paused process could not end.
        self.resume();
        match self.running.take() {
            Some(Running::Embedded(process)) => process.stop().await,
            Some(Running::Command(command)) => command.kill().await,
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
            let start = Ready {
                command,
                url,
                within: *ready_timeout,
            };
            let running = start.run().await?;
            Ok((Running::Command(running), None, url.clone()))
        }
    }
}

/// A command to run until it listens.
struct Ready<'a> {
    command: &'a str,
    url: &'a UrlTemplate,
    /// The longest time until it listens.
    within: Duration,
}

impl Ready<'_> {
    /// Starts the command, and waits until it listens.
    async fn run(&self) -> Result<CommandGroup, RelayError> {
        let address = self.url.url("room-0", "client-0");
        let address = address.map_err(|error| self.failed(error.to_string()))?;
        let address = (address.host(), address.port());
        if is_taken(address).await {
            return Err(RelayError::Taken {
                command: self.command.to_owned(),
                url: self.url.clone(),
            });
        }
        let running = CommandGroup::start(self.command).await;
        let mut running = running.map_err(|error| RelayError::Spawn {
            program: "sh".into(),
            error,
        })?;
        match self.listens(&mut running, address).await {
            Ok(()) => Ok(running),
            Err(error) => {
                running.kill().await;
                Err(error)
            }
        }
    }

    /// Waits until the command listens at `address`.
    async fn listens(
        &self,
        running: &mut CommandGroup,
        address: (&str, u16),
    ) -> Result<(), RelayError> {
        let until = Instant::now() + self.within;
        loop {
            if let Ok(Some(status)) = running.status() {
                return Err(self.failed(format!(
                    "it ended immediately ({status}); it must run as long as the relay does"
                )));
            }
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(Ok(_)) = timeout(left, TcpStream::connect(address)).await {
                return self.check_owner(running.id());
            }
            if left.is_zero() {
                return Err(self.failed(format!(
                    "it does not listen at {} after {:?}",
                    self.url, self.within
                )));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Refuses a listener that is known to be none of the command's processes:
    /// what happens to them and what they use would not be the relay's.
    fn check_owner(&self, group: u32) -> Result<(), RelayError> {
        match listener_of(self.url).filter(|&pid| !group::contains(group, pid)) {
            None => Ok(()),
            Some(pid) => Err(self.failed(format!(
                "process {pid} listens at {}, and is not in the process group of the command; \
                 let the command run the relay in the foreground, or start the relay yourself \
                 and give its address alone",
                self.url
            ))),
        }
    }

    fn failed(&self, reason: String) -> RelayError {
        RelayError::NotReady {
            command: self.command.to_owned(),
            reason,
        }
    }
}

/// Whether something listens at the address.
async fn is_taken(address: (&str, u16)) -> bool {
    let connected = timeout(ANSWER_TIMEOUT, TcpStream::connect(address)).await;
    matches!(connected, Ok(Ok(_)))
}
