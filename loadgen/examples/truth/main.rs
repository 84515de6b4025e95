//! Injects delays of known size, and prints the measured latencies beside the
//! expected ones, as a Markdown table.
//!
//! ```sh
//! cargo build --release
//! cargo run --release -p syncbench-loadgen --example truth -- target/release/syncbench
//! ```
//!
//! With `loaded` behind the path, measures instead a relay that takes 200 ms while
//! the replicas' imports keep the generator busy; with `noisy`, a relay that takes
//! 20 ms, many times, while others use the machine too.
//!
//! In the first table, each room has one writer and one reader, with ten edits per second: further
//! apart than any jitter here, since bytes do not overtake each other, and an
//! edit behind a late one would be late too. There is only one writer, because
//! importing concurrent edits takes an engine milliseconds, which no link causes.

mod noise;
mod slow_relay;

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;
use noise::Noise;
use slow_relay::SlowRelay;
use syncbench_reports::record::{Record, Status};

/// The length of each run, seconds.
const SECONDS: f64 = 15.0;

/// The time for which the relay or the links stall, milliseconds.
const STALL_MS: f64 = 1_000.0;

/// The largest jitter in each direction, milliseconds.
const JITTER_MS: f64 = 20.0;

/// The time for which the slow relay holds back every frame, milliseconds.
const SLOW_MS: f64 = 200.0;

/// The time for which the relay of the noisy runs holds back every frame,
/// milliseconds: 5 % of it is the least that can mark a figure.
const NOISY_MS: f64 = 20.0;

/// The number of noisy runs, and the length of each, seconds.
const NOISY_RUNS: usize = 200;
const NOISY_SECONDS: f64 = 2.0;

/// The number of threads that make the noise.
const NEIGHBOURS: u64 = 2;

/// A figure is right if it is not further than this share from the expected one.
const RIGHT: f64 = 0.05;

/// The figures that are looked at, and their quantiles.
const FIGURES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// The bytes of a WebSocket header for a payload of 126 to 65,535 bytes: with a
/// mask to the relay, and without on the way back.
const HEADERS: [f64; 2] = [8.0, 4.0];

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result {
    let usage = "usage: truth PATH-OF-SYNCBENCH [loaded|noisy]";
    let bench = Bench {
        program: std::env::args().nth(1).ok_or(usage)?,
    };
    match std::env::args().nth(2).as_deref() {
        Some("loaded") => return bench.loaded(),
        Some("noisy") => return bench.noisy(),
        Some(other) => return Err(format!("{usage}, not {other}").into()),
        None => {}
    }
    println!("| injected | figure | expected, ms | measured, ms | difference | n |");
    println!("|---|---|---:|---:|---:|---:|");
    let floor = Floor::of(&bench.run("nothing", &[])?)?;
    bench.delays(&floor)?;
    bench.jitter(&floor)?;
    bench.bandwidth(&floor)?;
    bench.stalls(&floor)
}

/// The latencies of the same run without an injected delay, milliseconds.
struct Floor {
    p50: f64,
    mean: f64,
}

impl Floor {
    fn of(measured: &Measured) -> Result<Self> {
        let floor = Self {
            p50: measured.quantile(0.5),
            mean: measured.mean(),
        };
        for (figure, value) in [("p50", floor.p50), ("mean", floor.mean)] {
            let n = measured.propagation.len();
            println!("| nothing: the floor | {figure} | | {value:.2} | | {n} |");
        }
        Ok(floor)
    }
}

struct Bench {
    program: String,
}

impl Bench {
    fn delays(&self, floor: &Floor) -> Result {
        for delay in [5.0, 25.0, 100.0] {
            let name = format!("{delay} ms each way");
            let measured = self.run(&name, &[&format!("link=[{{delay='{delay}ms'}}]")])?;
            measured.row("p50", 2.0 * delay + floor.p50, measured.quantile(0.5));
            measured.row("mean", 2.0 * delay + floor.mean, measured.mean());
        }
        Ok(())
    }

    /// Measures jitter. The sum of two uniform distributions up to `m` is a
    /// triangular one up to `2 m`: above its middle, the quantile q is
    /// `2 m - m * sqrt(2 (1 - q))`.
    fn jitter(&self, floor: &Floor) -> Result {
        let name = format!("0 to {JITTER_MS} ms each way");
        let measured = self.run(&name, &[&format!("link=[{{jitter='{JITTER_MS}ms'}}]")])?;
        measured.row("mean", JITTER_MS + floor.mean, measured.mean());
        for quantile in [0.5, 0.9, 0.99_f64] {
            let triangle = JITTER_MS * (2.0 - (2.0 * (1.0 - quantile)).sqrt());
            let figure = format!("p{}", 100.0 * quantile);
            let expected = triangle + floor.p50;
            measured.row(&figure, expected, measured.quantile(quantile));
        }
        Ok(())
    }

    /// Measures a limited bandwidth. Each byte, including headers, takes time in
    /// both directions.
    fn bandwidth(&self, floor: &Floor) -> Result {
        let name = "256 kbit/s each way, 1,000 bytes typed";
        let measured = self.run(name, &["link=[{kbit=256}]", "workload.payload=1000"])?;
        let counts = measured.record.counts.as_ref().ok_or("no counts")?;
        let update = counts.bytes_typed as f64 / counts.sent as f64;
        let bytes: f64 = HEADERS.iter().map(|header| update + header).sum();
        let passing = bytes * 8.0 / 256.0;
        measured.row("p50", passing + floor.p50, measured.quantile(0.5));
        measured.row("mean", passing + floor.mean, measured.mean());
        Ok(())
    }

    /// Measures stalls. An edit that is due in a stall waits for its end, so these
    /// waits are uniform up to the length of the stall. The slowest share s of all
    /// edits therefore waits for at least the length of the stall less s of the
    /// run.
    fn stalls(&self, floor: &Floor) -> Result {
        let stall = "link=[{fault=[{kind='stall',at='5s',for='1s'}]}]";
        let pause = "fault=[{kind='pause',at='5s',for='1s'}]";
        for (name, fault) in [
            ("links stall for 1 s", stall),
            ("relay paused for 1 s", pause),
        ] {
            let measured = self.run(name, &[fault])?;
            for quantile in [0.95, 0.99] {
                let figure = format!("p{}", 100.0 * quantile);
                let expected = STALL_MS - (1.0 - quantile) * SECONDS * 1e3 + floor.p50;
                measured.row(&figure, expected, measured.quantile(quantile));
            }
            let max = measured.propagation.max() as f64 / 1e6;
            measured.row("max", STALL_MS + floor.p50, max);
        }
        Ok(())
    }

    /// Measures a relay that takes [`SLOW_MS`] for every frame, beside replicas
    /// whose imports take up to all of the generator's time. A figure is right,
    /// or it is marked as the generator's.
    fn loaded(&self) -> Result {
        println!("| edits/s | figure | expected, ms | measured, ms | difference | marked | n |");
        println!("|---:|---|---:|---:|---:|---|---:|");
        let delay = Duration::from_secs_f64(SLOW_MS / 1e3);
        for rate in [100, 200, 400, 800] {
            let relay = SlowRelay::start(&self.program, delay)?;
            let rate_text = rate.to_string();
            let arguments = [
                "--relay",
                &relay.url(),
                "--replica",
                "full",
                "--rate",
                &rate_text,
            ];
            let measured = self.measure(&rate_text, SECONDS, ("40", "8"), &arguments)?;
            for (stat, quantile) in FIGURES {
                measured.loaded_row(stat, quantile, relay.held(0.5)?)?;
            }
        }
        Ok(())
    }

    /// Measures a relay that takes [`NOISY_MS`] for every frame, many times, on a
    /// machine that others use too. A figure that is right must not be marked.
    fn noisy(&self) -> Result {
        let _noise = Noise::start(NEIGHBOURS);
        let delay = Duration::from_secs_f64(NOISY_MS / 1e3);
        let mut judged = FIGURES.map(|(stat, _)| Judged::new(stat));
        for run in 1..=NOISY_RUNS {
            let relay = SlowRelay::start(&self.program, delay)?;
            let arguments = ["--relay", &relay.url(), "--rate", "200"];
            let name = format!("run {run}");
            let measured = self.measure(&name, NOISY_SECONDS, ("40", "8"), &arguments)?;
            for (judged, (stat, quantile)) in judged.iter_mut().zip(FIGURES) {
                let expected = measured.expected(relay.held(0.5)?, quantile)?;
                judged.add(&measured, stat, expected, quantile);
            }
            eprint!("\r{run} of {NOISY_RUNS} runs");
        }
        eprintln!();
        println!(
            "| figure | right | right, and marked | wrong, and marked | wrong, and not marked |"
        );
        println!("|---|---:|---:|---:|---:|");
        judged.iter().for_each(Judged::row);
        Ok(())
    }

    fn run(&self, injected: &str, set: &[&str]) -> Result<Measured> {
        let settings = set.iter().flat_map(|setting| ["--set", setting]);
        let mut arguments = vec!["--writers", "20", "--rate", "200"];
        arguments.extend(settings);
        self.measure(injected, SECONDS, ("40", "20"), &arguments)
    }

    fn measure(
        &self,
        injected: &str,
        seconds: f64,
        (clients, rooms): (&str, &str),
        arguments: &[&str],
    ) -> Result<Measured> {
        let mut command = Command::new(&self.program);
        command.args(["run", "--clients", clients, "--rooms", rooms]);
        command.args(["--duration", &format!("{seconds}s"), "--json"]);
        command.args(arguments);
        let output = command.output()?;
        let record: Record = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        if record.verdict.status != Status::Ok {
            eprintln!("{injected}: {:?}", record.verdict);
        }
        let propagation = record.latency.get("propagation").ok_or("no propagation")?;
        Ok(Measured {
            injected: injected.to_owned(),
            propagation: propagation.histogram()?,
            record,
        })
    }
}

/// The measurements of one run.
struct Measured {
    injected: String,
    propagation: Histogram<u64>,
    record: Record,
}

impl Measured {
    fn quantile(&self, quantile: f64) -> f64 {
        self.propagation.value_at_quantile(quantile) as f64 / 1e6
    }

    fn mean(&self) -> f64 {
        self.propagation.mean() / 1e6
    }

    /// The figure to expect at this quantile, where the proxy held back most frames
    /// for `held` milliseconds. The client's import of the update is part of the
    /// latency, and varies much more than what the proxy does.
    fn expected(&self, held: f64, quantile: f64) -> Result<f64> {
        let import = self.record.latency.get("import").ok_or("no imports")?;
        let import = import.histogram()?.value_at_quantile(quantile);
        Ok(held + import as f64 / 1e6)
    }

    /// Returns true if the figure is marked as the generator's.
    fn is_marked(&self, stat: &str) -> bool {
        let mut marked = self.record.marked.iter();
        marked.any(|figure| figure.metric == "propagation" && figure.stat == stat)
    }

    /// Prints a row of the table of a loaded generator, where the proxy held back
    /// frames for `held` milliseconds.
    fn loaded_row(&self, stat: &str, quantile: f64, held: f64) -> Result {
        let expected = self.expected(held, quantile)?;
        let measured = self.quantile(quantile);
        let percent = 100.0 * (measured - expected) / expected;
        let mark = if self.is_marked(stat) { "yes" } else { "" };
        let (rate, n) = (&self.injected, self.propagation.len());
        println!(
            "| {rate} | {stat} | {expected:.1} | {measured:.1} | {percent:+.1} % | {mark} | {n} |"
        );
        Ok(())
    }

    /// Prints a row of the table, with times in milliseconds.
    fn row(&self, figure: &str, expected: f64, measured: f64) {
        let percent = 100.0 * (measured - expected) / expected;
        let (injected, n) = (&self.injected, self.propagation.len());
        println!(
            "| {injected} | {figure} | {expected:.2} | {measured:.2} | {percent:+.1} % | {n} |"
        );
    }
}

/// How often a figure was right, and marked, over many runs.
struct Judged {
    stat: &'static str,
    /// Runs by whether the figure was right, and then by whether it was marked.
    runs: [[usize; 2]; 2],
}

impl Judged {
    fn new(stat: &'static str) -> Self {
        Self {
            stat,
            runs: [[0; 2]; 2],
        }
    }

    fn add(&mut self, measured: &Measured, stat: &str, expected: f64, quantile: f64) {
        let is_right = (measured.quantile(quantile) - expected).abs() <= RIGHT * expected;
        self.runs[usize::from(is_right)][usize::from(measured.is_marked(stat))] += 1;
    }

    fn row(&self) {
        let [[missed, caught], [right, alarms]] = self.runs;
        println!(
            "| {} | {right} | {alarms} | {caught} | {missed} |",
            self.stat
        );
    }
}
