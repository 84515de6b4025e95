//! Who else takes CPU: the hypervisor, and other processes.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Instant;

use syncbench_reports::quantity;

use super::{Check, Figure, Verdict};
use crate::process::steal_seconds;

/// Share of all CPU time that was stolen.
const STEAL: [f64; 2] = [0.005, 0.02];
/// Load average by CPU.
const LOAD: [f64; 2] = [0.25, 1.0];
/// Cores that one other process uses.
const BUSY: [f64; 2] = [0.5, f64::INFINITY];

const ONLY_LINUX: &str = "only Linux tells";

/// What had been used up when it was taken.
pub struct Snapshot {
    at: Instant,
    steal_s: Option<f64>,
    load: Option<f64>,
    processes: BTreeMap<u32, Process>,
}

/// A process and what it has used.
#[derive(Debug, Clone, PartialEq)]
struct Process {
    name: String,
    cpu_s: f64,
}

/// The process that took most, in cores.
pub struct Busiest {
    name: String,
    pid: u32,
    cores: f64,
}

impl Snapshot {
    pub fn take() -> Snapshot {
        Snapshot {
            at: Instant::now(),
            steal_s: steal_seconds(),
            load: load_average(),
            processes: processes(),
        }
    }

    /// The busiest process since, but for this one.
    pub fn busiest_since(&self) -> Option<Busiest> {
        let elapsed = self.at.elapsed().as_secs_f64();
        busiest(&self.processes, processes(), elapsed)
    }

    /// What has been taken since.
    pub fn checks(&self, busiest: Option<Busiest>) -> [Check; 3] {
        [self.steal(), self.load(), busy(busiest)]
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
            value: format!("{} while this ran", quantity::percent(share)),
            advice: (verdict != Verdict::Good).then(|| {
                "the hypervisor gives this machine's CPUs to others: latencies have gaps that no \
                 relay made; use dedicated CPUs"
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
            value: format!("{load:.2} before this began"),
            advice: (verdict != Verdict::Good).then(|| "wait until the machine is idle".to_owned()),
            figures: vec![Figure::read("load_average_1min", load, "tasks")],
        }
    }
}

fn busy(busiest: Option<Busiest>) -> Check {
    let (name, title) = ("other_processes", "busiest other process");
    let Some(Busiest {
        name: who,
        pid,
        cores,
    }) = busiest
    else {
        return Check::unknown(name, title, ONLY_LINUX);
    };
    let verdict = Verdict::by(cores, BUSY);
    Check {
        name,
        title,
        verdict,
        value: format!("{who} (pid {pid}), {cores:.2} cores"),
        advice: (verdict != Verdict::Good).then(|| format!("end {who}, or wait for it")),
        figures: vec![Figure::read("busiest", cores, "cores")],
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

/// All processes but this one; those that end while they are looked at are
/// left out.
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

/// Who used most in `elapsed` seconds. Who came in between began at nothing.
fn busiest(
    before: &BTreeMap<u32, Process>,
    after: BTreeMap<u32, Process>,
    elapsed: f64,
) -> Option<Busiest> {
    let used = after.into_iter().map(|(pid, process)| {
        let earlier = before.get(&pid).map_or(0.0, |earlier| earlier.cpu_s);
        Busiest {
            name: process.name,
            pid,
            cores: ((process.cpu_s - earlier) / elapsed).max(0.0),
        }
    });
    used.max_by(|a, b| a.cores.total_cmp(&b.cores))
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
    fn what_a_process_used_before_does_not_count() {
        let before = processes(&[(1, 900.0), (2, 0.0)]);
        let after = processes(&[(1, 900.5), (2, 3.0), (3, 0.1)]);
        let busiest = busiest(&before, after, 2.0).unwrap();
        assert_eq!((busiest.pid, busiest.cores), (2, 1.5));
        assert_eq!(busy(Some(busiest)).verdict, Verdict::Note);
    }

    #[test]
    fn without_processes_there_is_no_verdict() {
        assert_eq!(busy(None).verdict, Verdict::Unknown);
    }
}
