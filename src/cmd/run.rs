//! `syncbench run`: load a relay, report latency and convergence.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use syncbench_engines::Loro;
use syncbench_loadgen::load::{self, Inputs, LoadError, Progress};
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::relay::RelayCommand;
use syncbench_loadgen::scenario::{self, RelayTarget, Scenario};
use syncbench_loadgen::target::UrlTemplate;
use syncbench_reports::export::{Exporter, Terminal};
use syncbench_reports::record::{DatasetRef, Status};
use tokio::sync::oneshot;

use super::BadInput;
use crate::conditions;
use crate::output::OutputFolder;
use crate::stdout::say;

/// Load a relay with simulated clients; report latency and convergence.
///
/// Every client is a full CRDT replica on a WebSocket of its own and types its
/// stretch of a real editing trace. Edits follow an open-loop schedule, and
/// latency counts from the intended time, so that nothing slow can hide.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  syncbench run
  syncbench run --clients 1000 --rooms 200 --rate 2000 --duration 30s
  syncbench run --relay ws://127.0.0.1:7000/{room} --json

Exit codes: 0 ok, 1 failure, 2 bad usage or input, 6 not converged, 7 invalid measurement")]
pub struct Args {
    /// Simulated clients, each a full replica that writes
    #[arg(long, value_name = "N", default_value_t = Scenario::default().clients)]
    clients: u32,

    /// Rooms that the clients are spread over; a room is one shared document
    #[arg(long, value_name = "N", default_value_t = Scenario::default().rooms)]
    rooms: u32,

    /// Edits per second, over all clients
    #[arg(long, value_name = "N", default_value_t = Scenario::default().rate, allow_negative_numbers = true)]
    rate: f64,

    /// How long edits are scheduled: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::duration)]
    duration: Duration,

    /// How the edits of one client follow each other
    #[arg(long, value_enum, default_value_t = Arrivals::Constant)]
    arrivals: Arrivals,

    /// How the clients' constant rhythms lie to each other
    #[arg(long, value_enum, default_value_t = Phase::Spread)]
    phase: Phase,

    /// Trace that the clients type: a catalog name, or the path of a trace file
    #[arg(long, value_name = "NAME|FILE", default_value_t = Scenario::default().dataset)]
    dataset: String,

    /// Load this relay instead of the embedded one; {room} and {client} stand for names
    #[arg(long, value_name = "URL")]
    relay: Option<String>,

    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = Scenario::default().seed)]
    seed: u64,

    /// Threads that simulate clients [default: one less than CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Print the record as JSON instead of the summary
    #[arg(long)]
    json: bool,

    /// Folder for the record and the report [default: a new one in target/syncbench]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// No progress display
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Arrivals {
    /// At equal distances
    Constant,
    /// At random, with independent exponential distances
    Poisson,
}

#[derive(Clone, Copy, ValueEnum)]
enum Phase {
    /// Evenly over the period: the load is smooth
    Spread,
    /// All at once: the load comes in bursts
    Locked,
}

impl Args {
    fn scenario(&self) -> anyhow::Result<Scenario> {
        let relay = match &self.relay {
            None => RelayTarget::Embedded,
            Some(url) => RelayTarget::Url(url.parse::<UrlTemplate>().map_err(BadInput::new)?),
        };
        let default = Scenario::default();
        let scenario = Scenario {
            relay,
            clients: self.clients,
            rooms: self.rooms,
            rate: self.rate,
            duration: self.duration,
            arrivals: match self.arrivals {
                Arrivals::Constant => scenario::Arrivals::Constant,
                Arrivals::Poisson => scenario::Arrivals::Poisson,
            },
            phase: match self.phase {
                Phase::Spread => scenario::Phase::Spread,
                Phase::Locked => scenario::Phase::Locked,
            },
            dataset: self.dataset.clone(),
            seed: self.seed,
            workers: self.workers.map_or(default.workers, usize::from),
            ..default
        };
        scenario.validate().map_err(BadInput::new)?;
        Ok(scenario)
    }
}

/// Runs the scenario, writes record and report, prints the result.
pub fn run(args: Args) -> anyhow::Result<Status> {
    let scenario = args.scenario()?;
    let trace = syncbench_datasets::load(&scenario.dataset).map_err(BadInput::new)?;
    let settings = serde_json::to_value(&scenario)?;
    let dataset = DatasetRef {
        name: trace.name().to_owned(),
        sha256: trace.sha256().to_owned(),
    };
    let conditions = conditions::of(&Loro, Some(dataset), scenario.seed, settings);
    let folder = match &args.output {
        Some(folder) => folder.clone(),
        None => PathBuf::from("target/syncbench").join(&conditions.id),
    };
    let output = OutputFolder::prepare(folder)?;
    let outcome = match load_relay(&scenario, trace, &args) {
        Ok(outcome) => outcome,
        Err(error) => {
            output.abandon();
            return Err(error);
        }
    };
    let mut record = outcome.record(conditions);
    let files = output.write(&mut record)?;
    if args.json {
        say!("{}", serde_json::to_string(&record)?);
    } else {
        say!("{}", Terminal::stdout(files).export(&record)?.trim_end());
    }
    Ok(record.verdict.status)
}

fn load_relay(
    scenario: &Scenario,
    trace: syncbench_datasets::Trace,
    args: &Args,
) -> anyhow::Result<Outcome> {
    let program = std::env::current_exe().context("cannot find the syncbench executable")?;
    let listen = ["relay", "--owned", "--listen", "127.0.0.1:0"];
    let inputs = Inputs {
        trace: Arc::new(trace),
        engine: &Loro,
        embedded_relay: RelayCommand {
            program,
            args: listen.map(Into::into).into(),
        },
    };
    let display = Display::new(scenario, args.quiet);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let interrupt = interrupt()?;
        load::run(scenario.clone(), inputs, interrupt, |progress| {
            display.show(&progress)
        })
        .await
        .map_err(|error| match error {
            LoadError::Descriptors(_) | LoadError::Url(_) => BadInput::new(error).into(),
            error => anyhow::Error::from(error),
        })
    });
    display.clear();
    outcome
}

/// Completes at the first Ctrl-C (or SIGTERM): the run ends early with what it
/// has measured. A second one ends the process at once.
fn interrupt() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let (first, interrupted) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        let _ = first.send(());
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        eprintln!("syncbench: interrupted twice, nothing is written");
        std::process::exit(i32::from(Status::Failure.exit_code(false)));
    });
    Ok(async {
        // An error means that the task above is gone, and the run with it.
        let _ = interrupted.await;
    })
}

/// One line on the terminal that shows how the run goes; nothing elsewhere.
struct Display {
    bar: ProgressBar,
    clients: u32,
    duration: Duration,
}

impl Display {
    fn new(scenario: &Scenario, quiet: bool) -> Self {
        let watched = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let bar = match watched && !quiet {
            true => ProgressBar::new(scenario.duration.as_millis() as u64),
            false => ProgressBar::hidden(),
        };
        // A constant template that indicatif accepts; its default otherwise.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            clients: scenario.clients,
            duration: scenario.duration,
        }
    }

    fn show(&self, progress: &Progress) {
        match progress {
            Progress::Connecting { connected } => {
                self.bar
                    .set_message(format!("connecting {connected}/{} clients", self.clients));
            }
            Progress::Running {
                elapsed,
                sent,
                visible,
                p99,
            } => {
                self.bar.set_position(elapsed.as_millis() as u64);
                let (elapsed, duration) = (elapsed.as_secs(), self.duration.as_secs_f64());
                self.bar.set_message(format!(
                    "{elapsed}/{duration} s  {sent} edits sent, {visible} delivered, p99 {p99:.1?}"
                ));
            }
            Progress::Draining => self.bar.set_message("waiting for the last deliveries"),
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
