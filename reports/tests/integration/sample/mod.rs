//! Records made up from seeded distributions, for tests and for looking at
//! reports. They are samples of the format and measurements of nothing.

#![allow(dead_code, reason = "each test uses some of it")]

pub mod cells;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use syncbench_reports::record::{
    Cell, Convergence, ConvergenceFailure, Counts, Course, DatasetRef, Distribution, EndedRoom,
    Incident, Kind, LostConnection, LostEdit, Machine, ProcessUse, Record, Resources, Run, SCHEMA,
    Scale, Series, Signal, Status, Stranger, ThresholdResult, UnexpectedFrame, Verdict, WorkerUse,
};

const SECONDS: usize = 10;
const EDITS_PER_SECOND: usize = 1_000;
const OTHER_REPLICAS: usize = 4;

/// Nanoseconds of each metric, by name.
#[derive(Default)]
struct Samples(BTreeMap<&'static str, Histogram<u64>>);

impl Samples {
    fn add(&mut self, metric: &'static str, nanos: f64) {
        let histogram = self
            .0
            .entry(metric)
            .or_insert_with(|| Histogram::new(3).expect("3 digits are valid"));
        histogram.record(nanos as u64).expect("histograms grow");
    }

    fn merge(&mut self, other: &Samples) {
        for (metric, histogram) in &other.0 {
            match self.0.get_mut(metric) {
                Some(sum) => sum.add(histogram).expect("histograms grow"),
                None => drop(self.0.insert(metric, histogram.clone())),
            }
        }
    }

    fn micros(&self, metric: &str, quantile: f64) -> Option<f64> {
        let histogram = self.0.get(metric)?;
        Some(histogram.value_at_quantile(quantile) as f64 / 1e3)
    }
}

/// A log-normal figure around `median`.
fn log_normal(rng: &mut StdRng, median: f64, sigma: f64) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    median * (sigma * normal).exp()
}

/// One second of the run; in second 6 the relay stalls.
fn second(rng: &mut StdRng, at: usize) -> Samples {
    let mut samples = Samples::default();
    for edit in 0..EDITS_PER_SECOND {
        let lag = log_normal(rng, 55e3, 0.7);
        let made = log_normal(rng, 38e3, 0.3);
        samples.add("generator_lag", lag);
        samples.add("edit", made);
        let stall = match (at, edit) {
            (6, 300..420) => (420 - edit) as f64 * 1e6,
            _ => 0.0,
        };
        for _ in 0..OTHER_REPLICAS {
            let transit = log_normal(rng, 310e3, 0.55) + stall;
            let import = log_normal(rng, 62e3, 0.4);
            samples.add("transit", transit);
            samples.add("import", import);
            samples.add("propagation_from_send", transit + import);
            samples.add("propagation", lag + made + transit + import);
        }
    }
    samples
}

/// The use of processes and the state of replicas in one second.
fn processes(at: usize) -> [(&'static str, f64); 8] {
    let stalled = if at == 6 { 1.0 } else { 0.0 };
    let mib = f64::from(1 << 20);
    [
        ("relay_cpu", 0.19 - 0.1 * stalled),
        ("relay_rss_bytes", (12.0 + 0.2 * at as f64) * mib),
        ("relay_threads", 1.0),
        ("generator_cpu", 0.63 + 0.2 * stalled),
        ("generator_rss_bytes", (120.0 + 6.0 * at as f64) * mib),
        ("generator_threads", 4.0),
        ("staleness_edits", 3.0 + 120.0 * stalled),
        ("staleness_s", 0.0005 + 0.1 * stalled),
    ]
}

fn latency_and_series(seconds: usize) -> (BTreeMap<String, Distribution>, Series) {
    let mut rng = StdRng::seed_from_u64(7);
    let mut total = Samples::default();
    for _ in 0..200 {
        total.add("connect", log_normal(&mut rng, 2.4e6, 0.5));
    }
    let mut columns: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    for at in 0..seconds {
        let samples = second(&mut rng, at);
        let mut put = |column: String, value| columns.entry(column).or_default().push(value);
        let delivered = (EDITS_PER_SECOND * OTHER_REPLICAS) as f64;
        put("sent".into(), Some(EDITS_PER_SECOND as f64));
        put(
            "visible".into(),
            Some(delivered - rng.random_range(0.0..9.0f64).round()),
        );
        for metric in ["propagation", "generator_lag"] {
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
                put(format!("{metric}_{name}"), samples.micros(metric, quantile));
            }
        }
        for (column, value) in processes(at) {
            put(column.into(), Some(value));
        }
        total.merge(&samples);
    }
    let distributions = total
        .0
        .iter()
        .map(|(&metric, histogram)| (metric.to_owned(), Distribution::from_histogram(histogram)));
    let series = Series {
        interval_s: 1.0,
        t: (0..seconds).map(|at| at as f64).collect(),
        columns,
    };
    (distributions.collect(), series)
}

fn counts(seconds: usize) -> Counts {
    let sent = (EDITS_PER_SECOND * seconds) as u64;
    let delivered = sent * OTHER_REPLICAS as u64;
    Counts {
        clients: 200,
        rooms: 40,
        scheduled: sent,
        sent,
        expected: delivered,
        visible: delivered,
        frames_in: delivered,
        frames_out: sent,
        bytes_in: delivered * 112,
        bytes_out: sent * 112,
        bytes_typed: sent * 112,
        presence_sent: 2_000,
        presence_skipped: 3,
        presence_expected: 8_000,
        presence_visible: 8_000,
        connecting_us: Some(48_200),
        schedule: Some("00c0ffee00c0ffee".to_owned()),
        ..Counts::default()
    }
}

fn verdict(status: Status, reasons: &[&str]) -> Verdict {
    Verdict {
        exit_code: status.exit_code(),
        status,
        reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
    }
}

/// The conditions of the samples.
pub fn run() -> Run {
    Run {
        id: "20260131T081500.250Z-1".into(),
        started_at: "2026-01-31T08:15:00Z".into(),
        seed: 1,
        run_id: None,
        command: "syncbench run --clients 200 --rooms 40".into(),
        syncbench: "0.1.0".into(),
        machine: Machine {
            os: "Sample OS 1, Linux 6.1.0".into(),
            arch: "x86_64".into(),
            cpu: "Sample CPU".into(),
            cpus: 2,
            memory_bytes: 16 << 30,
        },
        datasets: vec![DatasetRef {
            name: "automerge-paper".into(),
            sha256: "0123456789abcdef".repeat(4),
        }],
        engine: "loro 1.17.1".into(),
        scenario: json!({
            "relay": "embedded", "protocol": "broadcast", "clients": 200, "rooms": 40,
            "rate": 1000.0, "duration_s": 10.0, "arrivals": "constant", "phase": "spread",
            "dataset": "automerge-paper", "seed": 1, "workers": 1, "drain_timeout_s": 10.0,
        }),
    }
}

/// A run in which all is well. It has every optional part.
pub fn healthy() -> Record {
    let (latency, series) = latency_and_series(SECONDS);
    Record {
        schema: SCHEMA.into(),
        kind: Kind::Load,
        run: Run {
            run_id: Some("9c3fa1d2".into()),
            ..run()
        },
        verdict: verdict(Status::Ok, &[]),
        convergence: Some(Convergence {
            rooms: 40,
            converged: 40,
            ..Convergence::default()
        }),
        counts: Some(counts(SECONDS)),
        groups: [(
            "stage".to_owned(),
            [("peak".to_owned(), latency["propagation"].clone())].into(),
        )]
        .into(),
        latency,
        attribution: [("relay", 0.6), ("import", 0.3), ("client_queue", 0.1)]
            .map(|(part, share)| (part.to_owned(), share))
            .into(),
        attribution_ns: [("relay", 6_000), ("import", 3_000), ("client_queue", 1_000)]
            .map(|(part, nanos)| (part.to_owned(), nanos))
            .into(),
        course: Some(course()),
        errors: [("reset".to_owned(), 2)].into(),
        resources: Some(Resources {
            generator: ProcessUse {
                pid: 4242,
                cpu_s: 6.31,
                rss_peak_bytes: 182 << 20,
                rss_bytes: Some(180 << 20),
                rss_after_bytes: Some(170 << 20),
                threads: Some(4),
                descriptors: Some(231),
                descriptors_after: Some(31),
                switches_voluntary: Some(41_230),
                switches_involuntary: Some(812),
            },
            relay: Some(ProcessUse {
                pid: 4243,
                cpu_s: 1.87,
                rss_peak_bytes: 14 << 20,
                rss_bytes: Some(14 << 20),
                rss_after_bytes: Some(12 << 20),
                threads: Some(1),
                descriptors: Some(214),
                descriptors_after: Some(14),
                switches_voluntary: Some(29_871),
                switches_involuntary: Some(97),
            }),
            generator_cpu_by_activity: [("edit", 0.41), ("import", 2.66), ("other", 3.24)]
                .map(|(activity, cpu_s)| (activity.to_owned(), cpu_s))
                .into(),
        }),
        series: Some(series),
        marked: Vec::new(),
        thresholds: vec![ThresholdResult {
            threshold: "propagation.p99 < 100ms".into(),
            met: true,
            not_judged: false,
            value: Some(900.0),
            limit: Some(100_000.0),
            unit: "us".into(),
            observed: Some("900 µs".into()),
        }],
        artifacts: vec!["report.html".into()],
        cell: None,
    }
}

/// A cell with every optional figure.
pub fn cell() -> Cell {
    Cell {
        workload: "import".into(),
        engine: "loro".into(),
        engine_version: "1.17.1".into(),
        dataset: "automerge-paper".into(),
        variant: "snapshot+edit".into(),
        n: 3,
        samples_wall_ns: vec![10_300_000, 10_200_000, 10_400_000],
        samples_cpu_ns: vec![10_200_000, 10_100_000, 10_300_000],
        encoded_bytes: 229_440,
        allocs: Some(388),
        alloc_bytes: Some(4_822_471),
        peak_bytes: Some(1_820_740),
        live_bytes: Some(1_605_228),
        instructions: Some(7_968_962),
        result_hash: "00112233445566".into(),
        elements: Some(259_778),
        document_bytes: Some(229_440),
        scale: Some(Scale {
            series: "snapshot+edit".into(),
            size: 259_778,
            unit: "operations".into(),
        }),
        finding: Some("12Hi3".into()),
        differs: Some("decoded when needed".into()),
        unavailable: Some("not in a real cell with samples".into()),
    }
}

/// Two rooms lost edits; the texts try to break out of where they are shown.
pub fn not_converged() -> Record {
    let failure = |room: &str, replicas: &[&str], missing: &[&str], reason: &str| {
        let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        ConvergenceFailure {
            room: room.to_owned(),
            replicas: own(replicas),
            missing: own(missing),
            first_lost: missing.first().map(|operations| LostEdit {
                operations: (*operations).to_owned(),
                writer: "client-7".to_owned(),
                receiver: replicas[0].to_owned(),
                intended_ns: Some(2_345_000_000),
            }),
            reason: reason.to_owned(),
        }
    };
    let mut record = healthy();
    record.run.command = "syncbench run --relay 'ws://relay/?<script>alert(1)</script>'".into();
    record.verdict = verdict(
        Status::NotConverged,
        &[
            "2 of 40 rooms did not converge; room-7: 2 of 5 replicas lack edits",
            "31 deliveries never arrived: the edits are lost",
            "210 deliveries arrived, and wait in the replica for operations that did not",
        ],
    );
    record.convergence = Some(Convergence {
        rooms: 40,
        converged: 38,
        lost: 31,
        duplicated: 3,
        corrupt: 1,
        unexpected_frames: 2,
        lost_by_absence: 20,
        pending: 210,
        compared: 200,
        leaked: 0,
        foreign: 8,
        foreign_operations: 60,
        strangers: vec![Stranger {
            room: "room-5".into(),
            peer: "81985529216486895".into(),
            operations: 60,
        }],
        failures: vec![
            failure(
                "room-7",
                &["client-47", "client-87"],
                &["8:210..231", "8:210..219"],
                "2 of 5 replicas lack edits; first lost: 8:210..231 of client-7, made at 2.345 s, at \
                 client-47",
            ),
            failure(
                "<img src=x onerror=alert(1)>",
                &["client-12"],
                &["13:0..1"],
                "a reason with \"quotes\" & <b>markup</b>",
            ),
        ],
    });
    if let Some(counts) = &mut record.counts {
        counts.visible -= 31 + 210;
    }
    record
}

/// The generator could not keep up.
pub fn invalid() -> Record {
    let mut record = healthy();
    record.verdict = verdict(
        Status::Invalid,
        &[
            "the generator sent 10000 of 100000 scheduled edits (10.0 %, at least 99.9 % are needed); \
             the largest rate it held was 1000 edits/s, with its workers' CPU 100 % busy: use fewer \
             edits per second, or more cores",
        ],
    );
    if let Some(counts) = &mut record.counts {
        counts.scheduled = 100_000;
    }
    record
}

/// The relay died after three seconds.
pub fn ended_early() -> Record {
    let mut record = healthy();
    let (latency, series) = latency_and_series(3);
    record.latency = latency;
    record.series = Some(series);
    record.counts = Some(counts(3));
    record.verdict = verdict(
        Status::NotConverged,
        &[
            "the relay process ended 3.1 s into the run (signal: 9 (SIGKILL))",
            "200 of 200 clients lost their connection; first client-3, 3.1 s into the run: closed",
            "40 of 40 rooms did not converge",
        ],
    );
    record.convergence = Some(Convergence {
        rooms: 40,
        ..Convergence::default()
    });
    if let Some(resources) = &mut record.resources {
        resources.relay = None;
    }
    record
}

/// Nothing was ever measured.
pub fn nothing() -> Record {
    let empty = Histogram::new(3).expect("3 digits are valid");
    let mut record = healthy();
    record.verdict = verdict(
        Status::Failure,
        &["the relay closed every connection at once"],
    );
    record.convergence = None;
    record.counts = Some(Counts {
        clients: 200,
        rooms: 40,
        ..Counts::default()
    });
    for distribution in record.latency.values_mut() {
        *distribution = Distribution::from_histogram(&empty);
    }
    record.series = None;
    record.resources = None;
    record
}

/// All of them, with a name.
pub fn all() -> [(&'static str, Record); 5] {
    [
        ("healthy", healthy()),
        ("not-converged", not_converged()),
        ("invalid", invalid()),
        ("ended-early", ended_early()),
        ("nothing", nothing()),
    ]
}

/// The course of a run in which everything happened that can.
fn course() -> Course {
    let incident = |at_ns, what: &str| Incident {
        at_ns,
        what: what.to_owned(),
    };
    Course {
        planned_ns: 10_000_000_000,
        planned_faults: 1,
        faults: vec![incident(2_000_000_000, "paused")],
        interrupted_ns: Some(9_000_000_000),
        interrupted_by: Some(Signal::Terminate),
        partial_allowed: true,
        aborted: Some(incident(
            8_000_000_000,
            "`lost == 0` cannot be met any more",
        )),
        relay_ended: Some(incident(7_000_000_000, "signal: 9")),
        unreachable_ns: Some(7_500_000_000),
        worker_failed: Some(incident(6_000_000_000, "it panicked")),
        ended_rooms: vec![EndedRoom {
            at_ns: 4_000_000_000,
            room: "room-3".to_owned(),
            reason: "loro 1.17.1 panicked while importing an update".to_owned(),
            artifact: Some("room-3-update.bin".to_owned()),
        }],
        lost_connections: vec![LostConnection {
            at_ns: 5_000_000_000,
            client: "client-7".to_owned(),
            reason: "the relay closed the connection".to_owned(),
        }],
        rejected: Some("permission denied".to_owned()),
        presence_refused: Some("invalid update".to_owned()),
        unexpected_frame: Some(UnexpectedFrame {
            at_ns: 4_000_000_000,
            client: "client-7".to_owned(),
            frame: "a text frame of 11 bytes: `<b>hello</b>`".to_owned(),
            looks_like: Some("JSON".to_owned()),
        }),
        engine_error: Some("out of bounds".to_owned()),
        workers: WorkerUse {
            threads: 1,
            cpu_ns: 4_000_000_000,
            elapsed_ns: 10_000_000_000,
            edit_cpu_ns: 1_000_000_000,
            import_cpu_ns: 2_000_000_000,
        },
    }
}
