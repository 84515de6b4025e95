//! Checks whether this machine is fit to measure, and finds the shortest latency
//! that the harness can resolve.
//!
//! Each check measures or reads a value, judges it by limits in the same module,
//! and gives advice if the value is not good.

mod clock;
mod echo;
mod lag;
mod limits;
mod others;
mod system;

use std::io;
use std::time::Duration;

use serde::Serialize;
use syncbench_reports::quantity;
use syncbench_reports::record::Machine;

use crate::metrics::Latency;

/// The schema identifier of a [`Checkup`] as JSON.
pub const SCHEMA: &str = "syncbench/doctor@1";

/// The definition of [`Floor::us`].
const DEFINITION: &str = "the larger of twice the p99 of the idle sleeper's wake-up lag and the \
                          p50 of the WebSocket echo";

/// The results of all checks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checkup {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The machine.
    pub machine: Machine,
    /// The time limit of the measurements, seconds.
    pub duration_s: f64,
    /// The shortest latency that can be distinguished from the harness's own.
    pub floor: Floor,
    /// The checks.
    pub checks: Vec<Check>,
}

/// The shortest latency that this machine can resolve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Floor {
    /// The latency in microseconds; `None` if the time was too short to find it.
    pub us: Option<f64>,
    /// The definition of the figure, for people.
    pub definition: &'static str,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The name for programs.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The result in words; for [`Verdict::Unknown`], the reason why there is
    /// none.
    pub value: String,
    /// Advice on how to improve the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The result in numbers.
    pub figures: Vec<Figure>,
}

/// One number of a check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The name of the number.
    pub name: &'static str,
    /// The number itself.
    pub value: f64,
    /// The unit: `ns`, `us`, `share`, `cores`, or the things that it counts.
    pub unit: &'static str,
    /// The number of samples that it was computed from; absent if it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is nothing to do.
    Good,
    /// The system does not report the value, or the time was too short.
    Unknown,
    /// Measured figures are right, but this contributes to them.
    Note,
    /// Measured figures would say more about this machine than about a relay.
    Bad,
}

/// A measurement that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot measure {what}: {error}")]
pub struct DoctorError {
    what: &'static str,
    error: io::Error,
}

/// Examines this machine for about `duration`.
///
/// # Errors
/// If the system refuses a thread or a loopback connection.
pub fn examine(duration: Duration) -> Result<Checkup, DoctorError> {
    let part = |share: u32| duration * share / 100;
    let failed = |what| move |error| DoctorError { what, error };
    let before = others::Snapshot::take();
    let clock = clock::check(part(2));
    let idle = lag::idle(part(24)).map_err(failed("the wake-up lag"))?;
    let tokio = lag::tokio(part(18)).map_err(failed("tokio's timers"))?;
    let tcp = echo::tcp(part(12)).map_err(failed("the TCP echo"))?;
    let websocket = echo::websocket(part(18)).map_err(failed("the WebSocket echo"))?;
    // Up to here, this process left the CPUs to the others.
    let used_by_others = before.used_since();
    let contended = lag::contended(part(24)).map_err(failed("the wake-up lag under load"))?;

    let mut checks = vec![clock];
    checks.extend(lag::checks(&idle, &contended, &tokio));
    checks.extend(echo::checks(&tcp, &websocket));
    checks.extend(before.checks(used_by_others));
    checks.extend(system::checks());
    checks.extend(limits::checks());
    Ok(Checkup {
        schema: SCHEMA,
        machine: Machine::detect(),
        duration_s: duration.as_secs_f64(),
        floor: Floor::new(&idle, &websocket),
        checks,
    })
}

impl Floor {
    fn new(idle: &Latency, websocket: &Latency) -> Floor {
        let wake_up = quantile(idle, 0.99).map(|p99| 2.0 * p99);
        let echo = quantile(websocket, 0.5);
        Floor {
            us: wake_up.zip(echo).map(|(wake_up, echo)| wake_up.max(echo)),
            definition: DEFINITION,
        }
    }
}

impl Check {
    /// Creates a check without a value, with the reason.
    fn unknown(name: &'static str, title: &'static str, why: impl Into<String>) -> Check {
        Check {
            name,
            title,
            verdict: Verdict::Unknown,
            value: format!("n/a: {}", why.into()),
            advice: None,
            figures: Vec::new(),
        }
    }

    /// Creates a check that judges a distribution by its 99th percentile: good up
    /// to the first of `limits`, bad above the second, microseconds.
    fn from_latency(
        name: &'static str,
        title: &'static str,
        latency: &Latency,
        limits: [f64; 2],
        advice: &str,
    ) -> Check {
        let (Some(p50), Some(p99), Some(max)) = (
            quantile(latency, 0.5),
            quantile(latency, 0.99),
            quantile(latency, 1.0),
        ) else {
            return Check::unknown(name, title, "the time was too short for a sample");
        };
        let verdict = Verdict::by(p99, limits);
        let n = Some(latency.histogram().len());
        let figure = |name, value| Figure {
            name,
            value,
            unit: "us",
            n,
        };
        Check {
            name,
            title,
            verdict,
            value: format!(
                "p50 {}, p99 {}, max {}",
                quantity::duration(p50),
                quantity::duration(p99),
                quantity::duration(max)
            ),
            advice: (verdict != Verdict::Good).then(|| advice.to_owned()),
            figures: vec![figure("p50", p50), figure("p99", p99), figure("max", max)],
        }
    }
}

impl Figure {
    /// Creates a number that was read, not sampled.
    fn read(name: &'static str, value: f64, unit: &'static str) -> Figure {
        Figure {
            name,
            value,
            unit,
            n: None,
        }
    }
}

impl Verdict {
    /// Judges `value`: good up to the first limit, bad above the second.
    fn by(value: f64, [good, bad]: [f64; 2]) -> Verdict {
        match value {
            value if value <= good => Verdict::Good,
            value if value <= bad => Verdict::Note,
            _ => Verdict::Bad,
        }
    }
}

/// Returns a quantile in microseconds; `None` without samples.
fn quantile(latency: &Latency, quantile: f64) -> Option<f64> {
    let histogram = latency.histogram();
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(micros: &[u64]) -> Latency {
        let mut latency = Latency::default();
        micros.iter().for_each(|us| latency.record(us * 1000));
        latency
    }

    #[test]
    fn limits_separate_good_from_bad() {
        let verdicts = [1.0, 2.0, 2.5, 3.0, 9.0].map(|value| Verdict::by(value, [2.0, 3.0]));
        use Verdict::{Bad, Good, Note};
        assert_eq!(verdicts, [Good, Good, Note, Note, Bad]);
    }

    #[test]
    fn the_floor_is_the_larger_of_timer_and_echo() {
        let floor = |idle: u64, echo: u64| Floor::new(&latency(&[idle]), &latency(&[echo])).us;
        assert!((floor(100, 50).unwrap() - 200.0).abs() < 1.0);
        assert!((floor(100, 500).unwrap() - 500.0).abs() < 1.0);
        assert_eq!(Floor::new(&latency(&[]), &latency(&[5])).us, None);
    }

    #[test]
    fn a_check_without_samples_says_so_and_has_no_verdict() {
        let check = Check::from_latency("a", "a", &latency(&[]), [1.0, 2.0], "fix it");
        assert_eq!(check.verdict, Verdict::Unknown);
        assert!(check.value.contains("too short") && check.figures.is_empty());
    }

    #[test]
    fn a_check_gives_advice_if_its_verdict_is_not_good() {
        let advice =
            |us| Check::from_latency("a", "a", &latency(&[us]), [10.0, 20.0], "fix it").advice;
        assert_eq!(advice(5), None);
        assert_eq!(advice(50).as_deref(), Some("fix it"));
    }
}
