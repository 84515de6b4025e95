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
/// Cores that other processes use, all together.
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

/// What other processes took.
pub struct Taken {
    /// Cores, all together.
    cores: f64,
    /// Who took most: name, pid, cores.
    busiest: (String, u32, f64),
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

    /// What other processes have taken since.
    pub fn taken_since(&self) -> Option<Taken> {
        let elapsed = self.at.elapsed().as_secs_f64();
        taken(&self.processes, processes(), elapsed)
    }

    /// What has been taken since.
    pub fn checks(&self, by_processes: Option<Taken>) -> [Check; 3] {
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

fn busy(taken: Option<Taken>) -> Check {
    let (name, title) = ("other_processes", "other processes");
    let Some(Taken { cores, busiest }) = taken else {
        return Check::unknown(name, title, ONLY_LINUX);
    };
    let (who, pid, most) = busiest;
    let verdict = Verdict::by(cores, BUSY);
    Check {
        name,
        title,
        verdict,
        value: format!("{cores:.2} cores; the most, {most:.2}, by {who} (pid {pid})"),
        advice: (verdict != Verdict::Good)
            .then(|| format!("end {who} and what else works here, or wait for it")),
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

/// What was used in `elapsed` seconds. Who came in between began at nothing,
/// and who has gone is not seen.
fn taken(
    before: &BTreeMap<u32, Process>,
    after: BTreeMap<u32, Process>,
    elapsed: f64,
) -> Option<Taken> {
    let used = after.into_iter().map(|(pid, process)| {
        let earlier = before.get(&pid).map_or(0.0, |earlier| earlier.cpu_s);
        let cores = ((process.cpu_s - earlier) / elapsed).max(0.0);
        (process.name, pid, cores)
    });
    let used: Vec<(String, u32, f64)> = used.collect();
    Some(Taken {
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
    fn what_a_process_used_before_does_not_count() {
        let before = processes(&[(1, 900.0), (2, 0.0)]);
        let after = processes(&[(1, 900.5), (2, 3.0), (3, 0.1)]);
        let taken = taken(&before, after, 2.0).unwrap();
        assert_eq!((taken.busiest.1, taken.busiest.2), (2, 1.5));
        assert!((taken.cores - 1.8).abs() < 1e-9, "{}", taken.cores);
        assert_eq!(busy(Some(taken)).verdict, Verdict::Note);
    }

    #[test]
    fn without_processes_there_is_no_verdict() {
        assert_eq!(busy(None).verdict, Verdict::Unknown);
    }
}
