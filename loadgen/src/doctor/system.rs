//! CPUs: how many, and whether their speed is fixed.

use std::fs;
use std::thread::available_parallelism;

use super::{Check, Figure, Verdict};

/// The CPUs, and their frequency.
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
            value.push_str(", the rest is withheld by a quota");
        }
    }
    let (verdict, advice) = match usable {
        1 => (
            Verdict::Bad,
            Some("generator and relay share one CPU: the latency is the scheduler's"),
        ),
        2 | 3 => (
            Verdict::Note,
            Some(
                "keep the load low enough that the relay's and the generator's threads find a \
                 free CPU, or put the relay on another machine",
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

/// CPUs that this process may run on, and CPUs that are online.
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
    judged(
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

/// Whether CPUs may run faster than rated, as Intel's driver or the others say.
fn turbo(no_turbo: Option<&str>, boost: Option<&str>) -> Option<bool> {
    let no_turbo = no_turbo.map(|value| value == "0");
    no_turbo.or(boost.map(|value| value == "1"))
}

fn judged(governor: Option<&str>, turbo: Option<bool>) -> Check {
    let (name, title) = ("frequency", "CPU frequency");
    if governor.is_none() && turbo.is_none() {
        return Check::unknown(name, title, "this system, or its hypervisor, does not tell");
    }
    let governor_advice = "set the governor to `performance`: a CPU that clocks down between \
                           edits makes light loads look slow";
    let turbo_advice = "turbo makes figures depend on heat and on the load of other CPUs: switch \
                        it off where you compare";
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
    fn both_drivers_tell_about_turbo_in_their_own_way() {
        assert_eq!(turbo(Some("0"), None), Some(true));
        assert_eq!(turbo(Some("1"), Some("1")), Some(false));
        assert_eq!(turbo(None, Some("0")), Some(false));
        assert_eq!(turbo(None, None), None);
    }

    #[test]
    fn a_fixed_frequency_is_good_and_a_moving_one_is_a_note() {
        assert_eq!(
            judged(Some("performance"), Some(false)).verdict,
            Verdict::Good
        );
        let moving = judged(Some("powersave"), Some(true));
        assert_eq!(moving.verdict, Verdict::Note);
        assert!(moving.advice.unwrap().contains("; turbo"));
        assert_eq!(judged(None, None).verdict, Verdict::Unknown);
    }

    #[test]
    fn this_machine_has_cpus() {
        assert!(cpus().figures[0].value >= 1.0);
    }
}
