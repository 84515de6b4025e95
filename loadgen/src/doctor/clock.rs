//! The cost and resolution of the clock that every latency is read from.

use std::time::Duration;

use rustix::time::{ClockId, clock_getres};
use syncbench_reports::quantity;

use super::{Check, Figure, Verdict};
use crate::time::clock::TimeSource;

/// The number of reads between two checks of the time limit.
const BATCH: u64 = 1_000;

/// Limits on the cost of one read, nanoseconds. It is some tens through the
/// vDSO, some hundreds with a system call, and more than 1,000 from a slow device.
const COST: [f64; 2] = [100.0, 1_000.0];

/// Reads the clock for `bound`, but at least one batch of times.
pub fn check(bound: Duration) -> Check {
    let source = TimeSource::Monotonic;
    let start = source.now();
    let end = start + bound.as_nanos() as u64;
    let (mut last, mut n, mut step) = (start, 0, u64::MAX);
    while last < end || n == 0 {
        for _ in 0..BATCH {
            let now = source.now();
            if now > last {
                step = step.min(now - last);
            }
            last = now;
        }
        n += BATCH;
    }
    let cost = (last - start) as f64 / n as f64;
    let resolution = clock_getres(ClockId::Monotonic);
    let resolution = resolution.tv_sec as f64 * 1e9 + resolution.tv_nsec as f64;
    judge(cost, resolution, step as f64, n)
}

fn judge(cost: f64, resolution: f64, step: f64, n: u64) -> Check {
    let verdict = Verdict::by(cost, COST);
    let source =
        std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.map_or(String::new(), |source| {
        format!(", source {}", source.trim())
    });
    let ns = |value: f64| quantity::duration(value / 1e3);
    let figure = |name, value| Figure {
        name,
        value,
        unit: "ns",
        n: Some(n),
    };
    Check {
        name: "clock",
        title: "reading the clock",
        verdict,
        value: format!("{}, resolution {}{source}", ns(cost), ns(resolution)),
        advice: (verdict != Verdict::Good).then(|| {
            "every sample reads the clock several times: choose the clock source tsc or kvm-clock \
             if the machine has one of them"
                .to_owned()
        }),
        figures: vec![
            figure("cost", cost),
            figure("smallest_step", step),
            Figure::read("resolution", resolution, "ns"),
        ],
    }
}
