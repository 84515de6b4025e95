//! CPU time that the hypervisor and other processes use.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Instant;

use syncbench_reports::quantity;

use super::{Check, Figure, Verdict};
use crate::process::steal_seconds;

/// Limits on the stolen share of all CPU time.
const STEAL: [f64; 2] = [0.005, 0.02];
/// Limits on the load average per CPU.
const LOAD: [f64; 2] = [0.25, 1.0];
/// Limits on the cores that all other processes use together.
const BUSY: [f64; 2] = [0.5, f64::INFINITY];

const ONLY_LINUX: &str = "only Linux reports it";

/// The CPU time that others had used at one time.
pub struct Snapshot {
    at: Instant,
    steal_s: Option<f64>,
    load: Option<f64>,
    processes: BTreeMap<u32, Process>,
}

/// A process and the CPU time that it has used.
#[derive(Debug, Clone, PartialEq)]
struct Process {
    name: String,
    cpu_s: f64,
}

/// The CPU that other processes used over a period.
pub struct OtherUse {
    /// The cores that all of them used together.
    cores: f64,
    /// The name and pid of the process that used most, and its cores.
    busiest: (String, u32, f64),
}

impl Snapshot {
    /// Records the CPU time used up to now.
    pub fn take() -> Snapshot {
        Snapshot {
            at: Instant::now(),
            steal_s: steal_seconds(),
            load: load_average(),
            processes: processes(),
        }
    }

    /// Returns the CPU that other processes have used since the snapshot.
    pub fn used_since(&self) -> Option<OtherUse> {
        let elapsed = self.at.elapsed().as_secs_f64();
        used_by_others(&self.processes, processes(), elapsed)
    }

    /// Checks the CPU that was stolen or used by others since the snapshot.
    pub fn checks(&self, by_processes: Option<OtherUse>) -> [Check; 3] {
        [self.steal(), self.load(), busy(by_processes)]
    }

    fn steal(&self) -> Check {
        let (name, title) = ("steal", "CPU time stolen");
        let Some(stolen) = self.steal_s.zip(steal_seconds()) else {
            return Check::unknown(name, title, ONLY_LINUX);
        };
        let wall = self.at.elapsed().as_secs_f64() * cpus();
        let share = ((stolen.1 - stolen.0) / wall).max(0.0);
        let verdict = Verdict::by(share, STEAL);
        Check {
            name,
            title,
            verdict,
            value: format!("{} during the checks", quantity::percent(share)),
            advice: (verdict != Verdict::Good).then(|| {
                "the hypervisor gives this machine's CPUs to others, which adds delays that no \
                 relay causes: use dedicated CPUs"
                    .to_owned()
            }),
            figures: vec![Figure::read("steal", share, "share")],
        }
    }

    fn load(&self) -> Check {
        let (name, title) = ("load_average", "load average, 1 minute");
        let Some(load) = self.load else {
            return Check::unknown(name, title, ONLY_LINUX);
        };
        let verdict = Verdict::by(load / cpus(), LOAD);
        Check {
            name,
            title,
            verdict,
            value: format!("{load:.2} before the checks"),
            advice: (verdict != Verdict::Good).then(|| "wait until the machine is idle".to_owned()),
            figures: vec![Figure::read("load_average_1min", load, "tasks")],
        }
    }
}

fn busy(used: Option<OtherUse>) -> Check {
    let (name, title) = ("other_processes", "other processes");
    let Some(OtherUse { cores, busiest }) = used else {
        return Check::unknown(name, title, ONLY_LINUX);
    };
    let (program, pid, most) = busiest;
    let verdict = Verdict::by(cores, BUSY);
    Check {
        name,
        title,
        verdict,
        value: format!("{cores:.2} cores; the busiest is {program} (pid {pid}) with {most:.2}"),
        advice: (verdict != Verdict::Good)
            .then(|| format!("stop {program} and other work, or wait until it ends")),
        figures: vec![
            Figure::read("all", cores, "cores"),
            Figure::read("busiest", most, "cores"),
        ],
    }
}

fn cpus() -> f64 {
    available_parallelism().map_or(1.0, |cpus| usize::from(cpus) as f64)
}

#[cfg(target_os = "linux")]
fn load_average() -> Option<f64> {
    use procfs::Current;
    Some(f64::from(procfs::LoadAverage::current().ok()?.one))
}

#[cfg(not(target_os = "linux"))]
fn load_average() -> Option<f64> {
    None
}

/// Reads all processes but this one, except those that end meanwhile.
#[cfg(target_os = "linux")]
fn processes() -> BTreeMap<u32, Process> {
    let ticks = procfs::ticks_per_second() as f64;
    let all = procfs::process::all_processes().into_iter().flatten();
    all.flatten()
        .filter_map(|process| Some((u32::try_from(process.pid()).ok()?, process.stat().ok()?)))
        .filter(|(pid, _)| *pid != std::process::id())
        .map(|(pid, stat)| {
            let cpu_s = (stat.utime + stat.stime) as f64 / ticks;
            let name = stat.comm;
            (pid, Process { name, cpu_s })
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn processes() -> BTreeMap<u32, Process> {
    BTreeMap::new()
}

/// Returns the CPU that was used in `elapsed` seconds. All CPU time of a process
/// that started in between counts; a process that ended is not counted.
fn used_by_others(
    before: &BTreeMap<u32, Process>,
    after: BTreeMap<u32, Process>,
    elapsed: f64,
) -> Option<OtherUse> {
    let used = after.into_iter().map(|(pid, process)| {
        let earlier = before.get(&pid).map_or(0.0, |earlier| earlier.cpu_s);
        let cores = ((process.cpu_s - earlier) / elapsed).max(0.0);
        (process.name, pid, cores)
    });
    let used: Vec<(String, u32, f64)> = used.collect();
    Some(OtherUse {
        cores: used.iter().map(|(.., cores)| cores).sum(),
        busiest: used.into_iter().max_by(|a, b| a.2.total_cmp(&b.2))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(cpu: &[(u32, f64)]) -> BTreeMap<u32, Process> {
        let process = |cpu_s| Process {
            name: "x".to_owned(),
            cpu_s,
        };
        cpu.iter().map(|&(pid, cpu)| (pid, process(cpu))).collect()
    }

    #[test]
    fn cpu_that_a_process_used_before_does_not_count() {
        let before = processes(&[(1, 900.0), (2, 0.0)]);
        let after = processes(&[(1, 900.5), (2, 3.0), (3, 0.1)]);
        let used = used_by_others(&before, after, 2.0).unwrap();
        assert_eq!((used.busiest.1, used.busiest.2), (2, 1.5));
        assert!((used.cores - 1.8).abs() < 1e-9, "{}", used.cores);
        assert_eq!(busy(Some(used)).verdict, Verdict::Note);
    }

    #[test]
    fn without_processes_there_is_no_verdict() {
        assert_eq!(busy(None).verdict, Verdict::Unknown);
    }
}
