//! `syncbench run`: load a relay, report latency and convergence.

mod display;
mod execute;
mod flags;
mod watcher;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use syncbench_engines::Loro;
use syncbench_loadgen::load::LoadError;
use syncbench_loadgen::scenario::{
    Arrivals, Phase, ProtocolKind, ReadError, ReplicaKind, RunId, SHIPPED, Scenario, Shipped,
};
use syncbench_reports::export::{Exporter, Terminal};
use syncbench_reports::metric;
use syncbench_reports::record::{DatasetRef, Run, Status};
use syncbench_reports::threshold::{self, Threshold};

use execute::{Options, execute};
use flags::Flags;

use super::BadInput;
use crate::conditions;
use crate::output::OutputFolder;
use crate::stderr::complain;
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
  syncbench run --relay wss://example.com/sync/{room} --token-env TOKEN -H 'x-user: {client}'
  syncbench run --threshold 'propagation.p99 < 100ms' --threshold 'lost == 0'")]
pub struct Args {
    /// A scenario: a TOML file, or the name of a built-in one; flags override it
    #[arg(value_name = "SCENARIO.toml|NAME")]
    scenario: Option<String>,

    /// Print the built-in scenarios
    #[arg(long)]
    list: bool,

    /// Simulated clients, each a replica [default: 200]
    #[arg(long, value_name = "N")]
    clients: Option<i64>,

    /// Rooms that the clients are spread over; a room is one shared document [default: 40]
    #[arg(long, value_name = "N")]
    rooms: Option<i64>,

    /// Clients that write; the others only read [default: all]
    #[arg(long, value_name = "N")]
    writers: Option<i64>,

    /// Kind of replica that each client keeps [default: auto]
    #[arg(long, value_enum)]
    replica: Option<ReplicaKind>,

    /// Edits per second, over all clients [default: 1000]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,

    /// Length of the schedule: 10s, 500ms, 2m [default: 10s]
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,

    /// Distances between the edits of one client [default: constant]
    #[arg(long, value_enum)]
    arrivals: Option<Arrivals>,

    /// Phase of the clients' constant-rate schedules [default: spread]
    #[arg(long, value_enum)]
    phase: Option<Phase>,

    /// Trace that the clients type: a catalog name, or the path of a trace file [default:
    /// automerge-paper]
    #[arg(long, value_name = "NAME|FILE")]
    dataset: Option<String>,

    /// Bytes of text that each edit inserts instead of the trace's text
    #[arg(long, value_name = "N")]
    payload: Option<i64>,

    /// Mix kinds of edits by shares that add up to 1: text=0.5,map=0.2,presence=0.3
    #[arg(long, value_name = "KIND=SHARE,...")]
    mix: Option<String>,

    /// Load this relay instead of the embedded one; {room} and {client} are replaced by names
    #[arg(long, value_name = "URL")]
    relay: Option<String>,

    /// Start the relay with this shell command; --relay gives its address
    #[arg(long, value_name = "COMMAND")]
    relay_cmd: Option<String>,

    /// Time within which a relay that the run starts must answer, and a busy one (HTTP 429, 503)
    /// must take the initial clients [default: 10s]
    #[arg(long, value_name = "TIME")]
    ready_timeout: Option<String>,

    /// Protocol between clients and relay [default: broadcast]
    #[arg(long, value_enum)]
    protocol: Option<ProtocolKind>,

    /// Header of the WebSocket handshake, with {room} and {client} replaced by names; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// Environment variable that holds a bearer token for the relay
    #[arg(long, value_name = "VARIABLE")]
    token_env: Option<String>,

    /// Credentials with which clients join rooms of a loro relay; as in -H, names are filled in
    #[arg(long, value_name = "TEXT")]
    join_auth: Option<String>,

    /// Accept any certificate from a wss:// relay
    #[arg(long)]
    insecure: bool,

    /// Any other setting of a scenario file: churn.per_second=0.5
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<i128>,

    /// Repeat the peer ids and room names of the run with this id and seed [default: random]
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,

    /// Beginning of the rooms' names; what follows differs in each run [default: room-]
    #[arg(long, value_name = "TEXT")]
    room_prefix: Option<String>,

    /// Threads that simulate clients [default: CPUs less one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Fail with exit code 99 unless this holds: `propagation.p99 < 100ms`; repeatable
    #[arg(long = "threshold", value_name = "EXPR", long_help = threshold_help())]
    thresholds: Vec<String>,

    /// Judge an interrupted run by what it measured, instead of failing with 129, 130 or 143
    #[arg(long)]
    allow_partial: bool,

    /// Check the scenario, its data set and its thresholds, and run nothing
    #[arg(long)]
    dry_run: bool,

    /// Serve live measurements for Prometheus at http://ADDR/metrics
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,

    /// Print the record as JSON instead of the summary
    #[arg(long)]
    json: bool,

    /// Folder for the record and the report [default: a new one in target/syncbench]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Hide the progress display
    #[arg(short, long)]
    quiet: bool,
}

/// Returns the help of `--threshold`, with every metric.
fn threshold_help() -> String {
    format!(
        "Fail with exit code 99 unless this holds: `propagation.p99 < 100ms`; repeatable\n\n{}",
        metric::threshold_help()
    )
}

impl Args {
    /// Returns the scenario that the file and the flags describe.
    fn scenario(&self) -> anyhow::Result<Scenario> {
        let (name, toml) = match &self.scenario {
            Some(name) => (name.as_str(), written(name)?),
            None => ("flags", String::new()),
        };
        let read = Scenario::parse_with(&toml, self.flags()?);
        let mut scenario = read.map_err(|error| match error {
            ReadError::File(_) => BadInput::new(format!("{name}: {error}")),
            // The value of every other flag was checked by itself.
            ReadError::Overrides(_) => BadInput::new(format!("--set: {error}")),
            error => BadInput::new(error),
        })?;
        scenario.run_id = self.run_id.clone().unwrap_or_else(RunId::random);
        scenario.workers = self.workers.map_or(scenario.workers, usize::from);
        Ok(scenario)
    }

    /// Returns the flags as settings of a scenario file.
    fn flags(&self) -> anyhow::Result<toml::Table> {
        let mut flags = Flags::default();
        let text = Option::<String>::clone;
        flags.set("--duration", "duration", text(&self.duration))?;
        let seed = self.seed.map(|seed| seed.to_string());
        flags.set("--seed", "seed", seed)?;
        flags.set("--relay", "relay.url", text(&self.relay))?;
        flags.set("--relay-cmd", "relay.command", text(&self.relay_cmd))?;
        let ready = text(&self.ready_timeout);
        flags.set("--ready-timeout", "relay.ready_timeout", ready)?;
        flags.set_name("--protocol", "relay.protocol", self.protocol)?;
        let prefix = text(&self.room_prefix);
        flags.set("--room-prefix", "relay.room_prefix", prefix)?;
        for header in &self.headers {
            flags.set_header("--header", header)?;
        }
        flags.set("--token-env", "relay.token_env", text(&self.token_env))?;
        flags.set("--join-auth", "relay.join_auth", text(&self.join_auth))?;
        let insecure = self.insecure.then_some(true);
        flags.set("--insecure", "relay.insecure", insecure)?;
        flags.set("--clients", "clients.count", self.clients)?;
        flags.set("--rooms", "clients.rooms", self.rooms)?;
        flags.set("--writers", "clients.writers", self.writers)?;
        flags.set_name("--replica", "clients.replica", self.replica)?;
        flags.set("--dataset", "workload.dataset", text(&self.dataset))?;
        flags.set("--rate", "workload.rate", self.rate)?;
        flags.set_name("--arrivals", "workload.arrivals", self.arrivals)?;
        flags.set_name("--phase", "workload.phase", self.phase)?;
        flags.set("--payload", "workload.payload", self.payload)?;
        flags.set_shares("--mix", "workload.mix", self.mix.as_deref())?;
        let thresholds = (!self.thresholds.is_empty()).then(|| self.thresholds.clone());
        flags.set("--threshold", "thresholds", thresholds)?;
        for setting in &self.set {
            flags.set_written(setting)?;
        }
        Ok(flags.0)
    }
}

/// Returns the text of a built-in scenario or of a file.
fn written(name: &str) -> anyhow::Result<String> {
    if let Some(shipped) = Shipped::named(name) {
        return Ok(shipped.toml.to_owned());
    }
    std::fs::read_to_string(name).map_err(|error| {
        if error.kind() == ErrorKind::InvalidData {
            return BadInput::new(format!("{name}: not encoded as UTF-8; save it as UTF-8")).into();
        }
        let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        let message = format!(
            "no scenario `{name}`: {error}; name a file, or one of {}",
            names.join(", ")
        );
        BadInput::new(message).into()
    })
}

/// Returns the load of a scenario in a line.
fn outline(scenario: &Scenario) -> String {
    format!(
        "{} clients in {} rooms, {} edits/s for {}",
        scenario.clients.count,
        scenario.room_count(),
        scenario.workload.rate,
        humantime::format_duration(scenario.duration),
    )
}

/// Prints the built-in scenarios.
fn list() -> anyhow::Result<()> {
    for shipped in SHIPPED {
        let scenario = shipped.scenario()?;
        let thresholds = scenario.thresholds.iter().map(Threshold::to_string);
        let thresholds: Vec<String> = thresholds.collect();
        say!(
            "{}\n  {}\n  {}\n  thresholds: {}\n",
            shipped.name,
            outline(&scenario),
            scenario.analysis.trim().replace('\n', "\n  "),
            thresholds.join(", "),
        );
    }
    Ok(())
}

/// Runs the scenario, writes record and report, prints the result. Returns the
/// exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    if args.list {
        list()?;
        return Ok(Status::Ok.exit_code());
    }
    let scenario = args.scenario()?;
    let trace = syncbench_datasets::load(&scenario.workload.dataset).map_err(BadInput::new)?;
    if args.dry_run {
        say!("{}", outline(&scenario));
        return Ok(Status::Ok.exit_code());
    }
    let settings = serde_json::to_value(scenario.recorded(args.scenario.as_deref()))?;
    let dataset = DatasetRef {
        name: trace.name().to_owned(),
        sha256: trace.sha256().to_owned(),
    };
    let conditions = Run {
        run_id: Some(scenario.run_id.to_string()),
        ..conditions::of(&Loro, Some(dataset), scenario.seed, settings)
    };
    let folder = match &args.output {
        Some(folder) => folder.clone(),
        None => PathBuf::from("target/syncbench").join(&conditions.id),
    };
    let output = OutputFolder::prepare(folder)?;
    let options = Options {
        metrics: args.metrics,
        quiet: args.quiet,
    };
    let mut outcome = match execute(&scenario, trace, &conditions, options) {
        Ok(outcome) => outcome,
        Err(error) => {
            output.abandon();
            return interrupted(error);
        }
    };
    outcome.course.partial_allowed = args.allow_partial;
    let mut record = outcome.record(conditions);
    threshold::apply_thresholds(&mut record, &scenario.thresholds);
    let files = output.write(&mut record, &outcome.attachments)?;
    if args.json {
        say!("{}", serde_json::to_string(&record)?);
    } else {
        say!("{}", Terminal::stdout(files).export(&record)?.trim_end());
    }
    Ok(record.verdict.exit_code)
}

/// Returns the exit code of a run that a signal ended before its first edit; any
/// other error is handed on.
fn interrupted(error: anyhow::Error) -> anyhow::Result<u8> {
    match error.downcast_ref() {
        Some(LoadError::Interrupted(signal)) => {
            complain!("syncbench: {error}");
            Ok(signal.exit_code())
        }
        _ => Err(error),
    }
}
