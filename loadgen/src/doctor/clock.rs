//! The clock that every latency is read from.

use std::time::Duration;

use rustix::time::{ClockId, clock_getres};
use syncbench_reports::quantity;

use super::{Check, Figure, Verdict};
use crate::time::clock::TimeSource;

/// Reads between two looks at the bound.
const BATCH: u64 = 1_000;

/// Cost of one read, nanoseconds: through the vDSO it is some tens, by a system
/// call some hundreds, from a slow device more than a microsecond.
const COST: [f64; 2] = [100.0, 1_000.0];

/// Reads the clock for `bound`, or a batch of times if that is longer.
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
    found(cost, resolution, step as f64, n)
}

fn found(cost: f64, resolution: f64, step: f64, n: u64) -> Check {
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
             if the machine has it"
                .to_owned()
        }),
        figures: vec![
            figure("cost", cost),
            figure("smallest_step", step),
            Figure::read("resolution", resolution, "ns"),
        ],
    }
}
