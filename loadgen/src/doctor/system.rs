//! The number of CPUs, and their frequency settings.

use std::fs;
use std::thread::available_parallelism;

use super::{Check, Figure, Verdict};

/// Checks the CPUs and their frequency.
pub fn checks() -> [Check; 2] {
    [cpus(), frequency()]
}

fn cpus() -> Check {
    let usable = available_parallelism().map_or(1, usize::from);
    let mut figures = vec![Figure::read("usable", usable as f64, "cpus")];
    let mut value = format!("{usable} usable");
    if let Some((allowed, online)) = affinity() {
        value = format!("{usable} usable; affinity {allowed} of {online}");
        figures.push(Figure::read("affinity", allowed as f64, "cpus"));
        figures.push(Figure::read("online", online as f64, "cpus"));
        if usable < allowed {
            value.push_str(", limited by a quota");
        }
    }
    let (verdict, advice) = match usable {
        1 => (
            Verdict::Bad,
            Some(
                "generator and relay share one CPU, so latencies measure the scheduler: use a \
                 machine with more CPUs",
            ),
        ),
        2 | 3 => (
            Verdict::Note,
            Some(
                "keep the load low enough that the threads of relay and generator find a free \
                 CPU, or put the relay on another machine",
            ),
        ),
        _ => (Verdict::Good, None),
    };
    Check {
        name: "cpus",
        title: "CPUs",
        verdict,
        value,
        advice: advice.map(str::to_owned),
        figures,
    }
}

/// Returns the number of CPUs that this process may run on, and the number of
/// CPUs that are online.
#[cfg(target_os = "linux")]
fn affinity() -> Option<(usize, usize)> {
    use procfs::CurrentSI;
    let allowed = rustix::thread::sched_getaffinity(None).ok()?.count() as usize;
    let online = procfs::KernelStats::current().ok()?.cpu_time.len();
    Some((allowed, online))
}

#[cfg(not(target_os = "linux"))]
fn affinity() -> Option<(usize, usize)> {
    None
}

fn frequency() -> Check {
    judge(
        read("cpu0/cpufreq/scaling_governor").as_deref(),
        turbo(
            read("intel_pstate/no_turbo").as_deref(),
            read("cpufreq/boost").as_deref(),
        ),
    )
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/devices/system/cpu/{path}")).ok()?;
    Some(text.trim().to_owned())
}

/// Returns whether CPUs may run above their rated frequency, as reported by
/// Intel's driver or by the other drivers.
fn turbo(no_turbo: Option<&str>, boost: Option<&str>) -> Option<bool> {
    let no_turbo = no_turbo.map(|value| value == "0");
    no_turbo.or(boost.map(|value| value == "1"))
}

fn judge(governor: Option<&str>, turbo: Option<bool>) -> Check {
    let (name, title) = ("frequency", "CPU frequency");
    if governor.is_none() && turbo.is_none() {
        return Check::unknown(
            name,
            title,
            "this system or its hypervisor does not report it",
        );
    }
    let governor_advice = "set the governor to `performance`: a CPU that slows down between edits \
                           makes light loads look slow";
    let turbo_advice = "switch turbo off for comparisons: it makes figures depend on heat and on \
                        the load of other CPUs";
    let fixed = governor.is_none_or(|governor| governor == "performance");
    let advice: Vec<&str> = [
        (!fixed).then_some(governor_advice),
        (turbo == Some(true)).then_some(turbo_advice),
    ]
    .into_iter()
    .flatten()
    .collect();
    let turbo = turbo.map(|on| if on { "on" } else { "off" });
    Check {
        name,
        title,
        verdict: match advice.is_empty() {
            true => Verdict::Good,
            false => Verdict::Note,
        },
        value: format!(
            "governor {}, turbo {}",
            governor.unwrap_or("unknown"),
            turbo.unwrap_or("unknown")
        ),
        advice: (!advice.is_empty()).then(|| advice.join("; ")),
        figures: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turbo_is_read_from_both_kinds_of_drivers() {
        assert_eq!(turbo(Some("0"), None), Some(true));
        assert_eq!(turbo(Some("1"), Some("1")), Some(false));
        assert_eq!(turbo(None, Some("0")), Some(false));
        assert_eq!(turbo(None, None), None);
    }

    #[test]
    fn a_fixed_frequency_is_good_and_a_moving_one_is_a_note() {
        assert_eq!(
            judge(Some("performance"), Some(false)).verdict,
            Verdict::Good
        );
        let moving = judge(Some("powersave"), Some(true));
        assert_eq!(moving.verdict, Verdict::Note);
        assert!(moving.advice.unwrap().contains("; switch turbo off"));
        assert_eq!(judge(None, None).verdict, Verdict::Unknown);
    }

    #[test]
    fn this_machine_has_cpus() {
        assert!(cpus().figures[0].value >= 1.0);
    }
}
