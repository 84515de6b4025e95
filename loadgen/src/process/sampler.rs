//! Samples of the resources that a process uses, once a second.

use std::collections::BTreeMap;

use syncbench_reports::record::ProcessUse;

use crate::time::clock::{Nanos, TimeSource};

/// The current resource usage of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessSample {
    /// The CPU usage since the last sample, in cores: 1.0 is one core all the
    /// time. `None` if no time has passed. The system counts in hundredths of a
    /// second, so samples one second apart are precise to a hundredth of a core.
    pub cpu_cores: Option<f64>,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// The number of threads.
    pub threads: u64,
    /// The number of open descriptors; `None` if the process belongs to another
    /// user.
    pub descriptors: Option<u64>,
}

/// Samples one process repeatedly, and adds up the resources that it has used
/// since the first sample.
#[derive(Debug, Clone)]
pub struct Sampler {
    first: Reading,
    last: Reading,
    read_at: Nanos,
    peak: Peak,
    /// The latest context switches of each thread, including the threads that
    /// have ended.
    switches: BTreeMap<i32, Switches>,
}

/// The largest numbers among all samples.
#[derive(Debug, Clone, Copy)]
struct Peak {
    threads: u64,
    descriptors: Option<u64>,
}

impl Sampler {
    /// Takes the first sample of the process `pid`; `None` if there is no such
    /// process, or the system does not report its usage.
    pub fn new(pid: u32) -> Option<Self> {
        let first = Reading::of(pid)?;
        Some(Self {
            last: first.clone(),
            read_at: TimeSource::Monotonic.now(),
            peak: Peak {
                threads: first.threads,
                descriptors: first.descriptors,
            },
            switches: first.switches.clone(),
            first,
        })
    }

    /// Takes another sample; `None` once the process has ended.
    pub fn sample(&mut self) -> Option<ProcessSample> {
        let now = TimeSource::Monotonic.now();
        // Meanwhile, another process may have been given the same pid.
        let reading = Reading::of(self.first.pid).filter(|r| r.born == self.first.born)?;
        let elapsed = now.saturating_sub(self.read_at) as f64 / 1e9;
        let cpu = reading.cpu_s - self.last.cpu_s;
        self.peak.threads = self.peak.threads.max(reading.threads);
        self.peak.descriptors = self.peak.descriptors.max(reading.descriptors);
        self.switches.extend(&reading.switches);
        self.read_at = now;
        self.last = reading;
        Some(ProcessSample {
            cpu_cores: (elapsed > 0.0).then(|| cpu / elapsed),
            rss_bytes: self.last.rss_bytes,
            threads: self.last.threads,
            descriptors: self.last.descriptors,
        })
    }

    /// Returns the resources used from the first sample to the latest.
    pub fn used(&self) -> ProcessUse {
        let before = self.first.switches_of_all();
        let after = sum(&self.switches);
        ProcessUse {
            pid: self.first.pid,
            cpu_s: self.last.cpu_s - self.first.cpu_s,
            rss_peak_bytes: self.last.rss_peak_bytes,
            rss_bytes: Some(self.last.rss_bytes),
            threads: Some(self.peak.threads),
            descriptors: self.peak.descriptors,
            switches_voluntary: Some(after.voluntary - before.voluntary),
            switches_involuntary: Some(after.involuntary - before.involuntary),
        }
    }
}

/// The context switches of one or more threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Switches {
    /// Switches because the thread waited for something.
    pub voluntary: u64,
    /// Switches because the scheduler ran another thread.
    pub involuntary: u64,
}

/// The system's figures for a process at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub pid: u32,
    /// The start of the process, in clock ticks since boot.
    pub born: u64,
    pub cpu_s: f64,
    pub rss_bytes: u64,
    pub rss_peak_bytes: u64,
    pub threads: u64,
    pub descriptors: Option<u64>,
    pub switches: BTreeMap<i32, Switches>,
}

impl Reading {
    /// Reads the figures of the process `pid`; `None` if it has ended, even if
    /// its parent has not waited for it.
    #[cfg(target_os = "linux")]
    pub fn of(pid: u32) -> Option<Self> {
        let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
        let (stat, status) = (process.stat().ok()?, process.status().ok()?);
        Some(Self {
            pid,
            born: stat.starttime,
            cpu_s: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
            rss_bytes: status.vmrss? * 1024,
            rss_peak_bytes: status.vmhwm? * 1024,
            threads: status.threads,
            descriptors: process.fd_count().ok().map(|count| count as u64),
            switches: switches_by_thread(&process),
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub fn of(_pid: u32) -> Option<Self> {
        None
    }

    pub fn switches_of_all(&self) -> Switches {
        sum(&self.switches)
    }
}

fn sum(switches: &BTreeMap<i32, Switches>) -> Switches {
    let add = |sum: Switches, of: &Switches| Switches {
        voluntary: sum.voluntary + of.voluntary,
        involuntary: sum.involuntary + of.involuntary,
    };
    switches.values().fold(Switches::default(), add)
}

/// Reads the context switches of each thread, except threads that end meanwhile.
#[cfg(target_os = "linux")]
fn switches_by_thread(process: &procfs::process::Process) -> BTreeMap<i32, Switches> {
    let tasks = process.tasks().into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let status = task.status().ok()?;
            let switches = Switches {
                voluntary: status.voluntary_ctxt_switches?,
                involuntary: status.nonvoluntary_ctxt_switches?,
            };
            Some((task.tid, switches))
        })
        .collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    use super::*;

    #[test]
    fn a_busy_process_uses_cpu_and_an_idle_one_does_not() {
        let start = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).stdin(Stdio::null());
            shell.spawn().unwrap()
        };
        let mut children = [start("while :; do :; done"), start("sleep 60; :")];
        // A stopped process uses no CPU at all, whatever the machine does.
        let idle = Pid::from_child(&children[1]);
        kill_process(idle, Signal::STOP).unwrap();
        waitpid(Some(idle), WaitOptions::UNTRACED).unwrap();
        let mut samplers = [0, 1].map(|i: usize| Sampler::new(children[i].id()).unwrap());
        let mut samples = samplers.each_mut().map(|sampler| sampler.sample().unwrap());
        // However little of the machine the busy one gets.
        for _ in 0..600 {
            if samplers[0].used().cpu_s > 0.0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            samples = samplers.each_mut().map(|sampler| sampler.sample().unwrap());
        }
        let [used, unused] = samplers.each_ref().map(|sampler| sampler.used().cpu_s);
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let [busy, idle] = samples;
        assert!(busy.cpu_cores > Some(0.0), "{busy:?}");
        assert_eq!(idle.cpu_cores, Some(0.0));
        assert!(used > 0.0 && unused == 0.0, "{used} s, {unused} s");
        assert!(busy.rss_bytes > 0 && busy.threads == 1);
        assert_eq!(samplers.each_mut().map(Sampler::sample), [None, None]);
        assert_eq!(samplers[0].used().cpu_s, used, "the total is kept");
    }

    #[test]
    fn the_peak_of_open_descriptors_is_kept_after_they_are_closed() {
        let mut sampler = Sampler::new(std::process::id()).unwrap();
        let before = sampler.sample().unwrap().descriptors.unwrap();
        let sockets: Vec<_> = (0..200)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        // Other tests of this process open and close some at the same time.
        let during = sampler.sample().unwrap().descriptors.unwrap();
        assert!(during > before + 100, "{before}, then {during}");
        drop(sockets);
        sampler.sample().unwrap();
        assert!(sampler.used().descriptors >= Some(during));
    }

    #[test]
    fn a_thread_that_has_ended_keeps_its_context_switches() {
        let mut sampler = Sampler::new(std::process::id()).unwrap();
        let (ready, wait) = std::sync::mpsc::channel();
        let (done, end) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            for _ in 0..50 {
                std::thread::sleep(Duration::from_micros(100));
            }
            ready.send(()).unwrap();
            end.recv().unwrap_err();
        });
        wait.recv().unwrap();
        sampler.sample().unwrap();
        let with_it = sampler.used();
        drop(done);
        sleeper.join().unwrap();
        sampler.sample().unwrap();
        assert!(with_it.switches_voluntary >= Some(50), "{with_it:?}");
        assert!(sampler.used().switches_voluntary >= with_it.switches_voluntary);
    }

    #[test]
    fn a_process_that_does_not_exist_has_no_sampler() {
        assert!(Sampler::new(u32::MAX).is_none());
    }
}
