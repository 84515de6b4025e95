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
use syncbench_loadgen::scenario::{
    self, ClientSettings, RelaySettings, SHIPPED, Scenario, Settings, Shipped, WorkloadSettings,
};
use syncbench_reports::export::{Exporter, Terminal};
use syncbench_reports::record::{DatasetRef, Status};
use syncbench_reports::threshold::{self, Threshold};
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
  syncbench run classroom
  syncbench run my-scenario.toml --clients 400
  syncbench run --clients 1000 --rooms 200 --rate 2000 --duration 30s
  syncbench run --relay ws://127.0.0.1:7000/{room} --json
  syncbench run --threshold 'propagation.p99 < 100ms' --threshold 'lost == 0'

Exit codes: 0 ok, 1 failure, 2 bad usage or input, 6 not converged, 7 invalid measurement,
99 threshold missed")]
pub struct Args {
    /// A scenario: a file in TOML, or the name of one that comes with syncbench; flags go before
    /// what it says
    #[arg(value_name = "SCENARIO.toml|NAME")]
    scenario: Option<String>,

    /// Print the scenarios that come with syncbench
    #[arg(long)]
    list: bool,

    /// Simulated clients, each a full replica that writes [default: 200]
    #[arg(long, value_name = "N")]
    clients: Option<u32>,

    /// Rooms that the clients are spread over; a room is one shared document [default: 40]
    #[arg(long, value_name = "N")]
    rooms: Option<u32>,

    /// Edits per second, over all clients [default: 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rate: Option<f64>,

    /// How long edits are scheduled: 10s, 500ms, 2m [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    duration: Option<Duration>,

    /// How the edits of one client follow each other [default: constant]
    #[arg(long, value_enum)]
    arrivals: Option<Arrivals>,

    /// How the clients' constant rhythms lie to each other [default: spread]
    #[arg(long, value_enum)]
    phase: Option<Phase>,

    /// Trace that the clients type: a catalog name, or the path of a trace file [default:
    /// automerge-paper]
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,

    /// Load this relay instead of the embedded one; {room} and {client} stand for names
    #[arg(long, value_name = "URL")]
    relay: Option<String>,

    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Threads that simulate clients [default: one less than CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Fail with exit code 99 unless this holds: `propagation.p99 < 100ms`
    ///
    /// metric.stat op value. Metrics: propagation, propagation_from_send,
    /// generator_lag, edit, transit, import, connect (min, mean, max, count,
    /// p50, p99.9, ...); lost, duplicated, corrupt, scheduled, sent, expected,
    /// visible; convergence.rate, sent.rate, visible.rate. May be given often.
    #[arg(long = "threshold", value_name = "EXPR")]
    thresholds: Vec<String>,

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

impl From<Arrivals> for scenario::Arrivals {
    fn from(arrivals: Arrivals) -> Self {
        match arrivals {
            Arrivals::Constant => Self::Constant,
            Arrivals::Poisson => Self::Poisson,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Phase {
    /// Evenly over the period: the load is smooth
    Spread,
    /// All at once: the load comes in bursts
    Locked,
}

impl From<Phase> for scenario::Phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Spread => Self::Spread,
            Phase::Locked => Self::Locked,
        }
    }
}

impl Args {
    /// The scenario, and the thresholds that it names.
    fn scenario(&self) -> anyhow::Result<(Scenario, Vec<Threshold>)> {
        let base = match &self.scenario {
            Some(name) => written(name)?,
            None => Settings::default(),
        };
        let mut scenario = self
            .settings()
            .over(base)
            .scenario()
            .map_err(BadInput::new)?;
        scenario.workers = self.workers.map_or(scenario.workers, usize::from);
        let thresholds = scenario.thresholds.iter().map(|text| text.parse());
        let thresholds = thresholds.collect::<Result<_, _>>();
        Ok((scenario, thresholds.map_err(BadInput::new)?))
    }

    /// What the flags say.
    fn settings(&self) -> Settings {
        Settings {
            analysis: None,
            duration: self.duration,
            seed: self.seed,
            thresholds: self.thresholds.clone(),
            relay: RelaySettings {
                protocol: None,
                url: self.relay.clone(),
            },
            clients: ClientSettings {
                count: self.clients,
                rooms: self.rooms,
            },
            workload: WorkloadSettings {
                dataset: self.dataset.clone(),
                rate: self.rate,
                arrivals: self.arrivals.map(Into::into),
                phase: self.phase.map(Into::into),
            },
        }
    }
}

/// The settings of a shipped scenario, or of a file.
fn written(name: &str) -> anyhow::Result<Settings> {
    if let Some(shipped) = Shipped::named(name) {
        return Ok(shipped.settings()?);
    }
    let toml = std::fs::read_to_string(name).map_err(|error| {
        let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        BadInput::new(format!(
            "no scenario `{name}`: {error}; name a file, or one of {}",
            names.join(", ")
        ))
    })?;
    let settings = Settings::parse(&toml);
    Ok(settings.map_err(|error| BadInput::new(format!("{name}: {error}")))?)
}

/// Prints what comes with syncbench.
fn list() -> anyhow::Result<Status> {
    for shipped in SHIPPED {
        let scenario = shipped.settings()?.scenario()?;
        say!(
            "{}\n  {} clients in {} rooms, {} edits/s for {}\n  {}\n  thresholds: {}\n",
            shipped.name,
            scenario.clients,
            scenario.rooms,
            scenario.rate,
            humantime::format_duration(scenario.duration),
            scenario.analysis.trim().replace('\n', "\n  "),
            scenario.thresholds.join(", "),
        );
    }
    Ok(Status::Ok)
}

/// Runs the scenario, writes record and report, prints the result.
pub fn run(args: Args) -> anyhow::Result<Status> {
    if args.list {
        return list();
    }
    let (scenario, thresholds) = args.scenario()?;
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
    threshold::hold(&mut record, &thresholds);
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
