//! Samples of the resources that a process, or a group of processes, uses, once
//! a second.

use std::collections::BTreeMap;

use syncbench_reports::record::ProcessUse;

use super::group;
use crate::time::clock::{Nanos, TimeSource};

/// The processes that are sampled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One process, by its pid.
    Process(u32),
    /// Every process of a process group, by the group's id.
    Group(u32),
}

/// The current resource usage of the processes of a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessSample {
    /// The CPU usage since the last sample, in cores: 1.0 is one core all the
    /// time. `None` if no time has passed. The system counts in hundredths of a
    /// second, so samples one second apart are precise to a hundredth of a core.
    pub cpu_cores: Option<f64>,
    /// Resident memory, bytes. In a group, memory that processes share counts
    /// for each of them.
    pub rss_bytes: u64,
    /// The number of threads.
    pub threads: u64,
    /// The number of open descriptors; `None` if a process belongs to another
    /// user.
    pub descriptors: Option<u64>,
}

/// Samples one subject repeatedly, and adds up the resources that it has used
/// since the first sample.
#[derive(Debug, Clone)]
pub struct Sampler {
    subject: Subject,
    first: Totals,
    last: Readings,
    read_at: Nanos,
    /// CPU time of processes of a group that have ended, as far as no other
    /// process of the group has taken it over by waiting for them, seconds.
    ended_cpu_s: f64,
    peak: Peak,
    /// The latest context switches of each thread, including the threads that
    /// have ended.
    switches: BTreeMap<i32, Switches>,
}

/// The totals of a subject at one time.
#[derive(Debug, Clone, Copy)]
struct Totals {
    cpu_s: f64,
    switches: Switches,
}

/// The largest numbers among all samples.
#[derive(Debug, Clone, Copy, Default)]
struct Peak {
    rss_bytes: u64,
    threads: u64,
    descriptors: Option<u64>,
}

/// What tells a process from another one that was given the same pid later.
type ProcessId = (u32, u64);

/// The figures of all processes of a subject at one time.
type Readings = BTreeMap<ProcessId, Reading>;

impl Sampler {
    /// Takes the first sample of `subject`; `None` if there is no such process,
    /// or the system does not report its usage.
    pub fn new(subject: Subject) -> Option<Self> {
        let last = subject.read()?;
        let switches = switches_of(&last);
        let first = Totals {
            cpu_s: subject.cpu_of(&last),
            switches: sum(&switches),
        };
        let mut sampler = Self {
            subject,
            first,
            last,
            read_at: TimeSource::Monotonic.now(),
            ended_cpu_s: 0.0,
            peak: Peak::default(),
            switches,
        };
        sampler.note_peak();
        Some(sampler)
    }

    /// Takes another sample; `None` once all processes have ended.
    pub fn sample(&mut self) -> Option<ProcessSample> {
        let now = TimeSource::Monotonic.now();
        let readings = self.subject.read()?;
        if let Subject::Process(_) = self.subject
            && readings.keys().ne(self.last.keys())
        {
            // Another process has been given the same pid.
            return None;
        }
        let elapsed = now.saturating_sub(self.read_at) as f64 / 1e9;
        let before = self.cpu_s();
        if let Subject::Group(_) = self.subject {
            self.ended_cpu_s += unclaimed_cpu(&self.last, &readings);
        }
        self.read_at = now;
        self.last = readings;
        self.switches.extend(switches_of(&self.last));
        self.note_peak();
        Some(ProcessSample {
            cpu_cores: (elapsed > 0.0).then(|| (self.cpu_s() - before) / elapsed),
            rss_bytes: self.rss_bytes(),
            threads: self.threads(),
            descriptors: self.descriptors(),
        })
    }

    /// Returns the resources used from the first sample to the latest. The pid
    /// of a group is that of its first process.
    pub fn used(&self) -> ProcessUse {
        let (Subject::Process(pid) | Subject::Group(pid)) = self.subject;
        let (before, after) = (self.first.switches, sum(&self.switches));
        ProcessUse {
            pid,
            cpu_s: self.cpu_s() - self.first.cpu_s,
            rss_peak_bytes: self.peak.rss_bytes,
            rss_bytes: Some(self.rss_bytes()),
            rss_after_bytes: None,
            threads: Some(self.peak.threads),
            descriptors: self.peak.descriptors,
            descriptors_after: None,
            switches_voluntary: Some(after.voluntary - before.voluntary),
            switches_involuntary: Some(after.involuntary - before.involuntary),
        }
    }

    fn cpu_s(&self) -> f64 {
        self.subject.cpu_of(&self.last) + self.ended_cpu_s
    }

    fn rss_bytes(&self) -> u64 {
        self.last.values().map(|reading| reading.rss_bytes).sum()
    }

    fn threads(&self) -> u64 {
        self.last.values().map(|reading| reading.threads).sum()
    }

    fn descriptors(&self) -> Option<u64> {
        let counts = self.last.values().map(|reading| reading.descriptors);
        counts.sum()
    }

    /// Notes the largest numbers. The system knows the peak of each process, and
    /// of several together only the samples tell.
    fn note_peak(&mut self) {
        let highest = self.last.values().map(|reading| reading.rss_peak_bytes);
        let highest = highest.max().unwrap_or(0).max(self.rss_bytes());
        self.peak = Peak {
            rss_bytes: self.peak.rss_bytes.max(highest),
            threads: self.peak.threads.max(self.threads()),
            descriptors: self.peak.descriptors.max(self.descriptors()),
        };
    }
}

impl Subject {
    /// Reads the figures of its processes; `None` if all of them have ended.
    fn read(self) -> Option<Readings> {
        let readings: Readings = match self {
            Self::Process(pid) => Reading::of(pid).into_iter().map(Reading::keyed).collect(),
            Self::Group(group) => group::readings(group).map(Reading::keyed).collect(),
        };
        let runs = readings.values().any(|reading| !reading.is_over);
        runs.then_some(readings)
    }

    /// Returns the CPU time of the processes. In a group, it includes that of
    /// the children that they have waited for, which were of the group too.
    fn cpu_of(self, readings: &Readings) -> f64 {
        let readings = readings.values();
        match self {
            Self::Process(_) => readings.map(|reading| reading.cpu_s).sum(),
            Self::Group(_) => readings.map(Reading::cpu_with_children_s).sum(),
        }
    }
}

/// Returns the CPU time of the processes that have ended between two readings
/// of a group, less what the nearest ancestor that is still there has taken over
/// from the children it waited for. A process whose ancestors are gone was left
/// to the system, and nobody takes over anything.
fn unclaimed_cpu(before: &Readings, now: &Readings) -> f64 {
    let mut owed: BTreeMap<Option<ProcessId>, f64> = BTreeMap::new();
    for (id, ended) in before {
        if !now.contains_key(id) {
            let heir = heir_of(ended, before, now);
            *owed.entry(heir).or_default() += ended.cpu_with_children_s();
        }
    }
    let unclaimed = owed.into_iter().map(|(heir, cpu_s)| {
        let claimed = heir.map_or(0.0, |heir| {
            now[&heir].children_cpu_s - before[&heir].children_cpu_s
        });
        (cpu_s - claimed).max(0.0)
    });
    unclaimed.sum()
}

/// The nearest ancestor of a process that is in both readings.
fn heir_of(ended: &Reading, before: &Readings, now: &Readings) -> Option<ProcessId> {
    let mut child = ended;
    loop {
        let mut of_parent = before.range((child.parent, 0)..=(child.parent, u64::MAX));
        let (&id, parent) = of_parent.next()?;
        if now.contains_key(&id) {
            return Some(id);
        }
        child = parent;
    }
}

fn switches_of(readings: &Readings) -> BTreeMap<i32, Switches> {
    let readings = readings.values();
    readings
        .flat_map(|reading| reading.switches.clone())
        .collect()
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
    pub parent: u32,
    /// The start of the process, in clock ticks since boot.
    pub born: u64,
    /// Whether it has ended, and its parent has not waited for it.
    pub is_over: bool,
    pub cpu_s: f64,
    /// The CPU time of the children that it has waited for, and of theirs.
    pub children_cpu_s: f64,
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
        let reading = Self::read(&process, &process.stat().ok()?)?;
        (!reading.is_over).then_some(reading)
    }

    #[cfg(not(target_os = "linux"))]
    pub fn of(_pid: u32) -> Option<Self> {
        None
    }

    /// Reads the figures that `stat` does not have; `None` if the process is
    /// gone.
    #[cfg(target_os = "linux")]
    pub fn read(process: &procfs::process::Process, stat: &procfs::process::Stat) -> Option<Self> {
        let status = process.status().ok()?;
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let is_over = matches!(stat.state, 'Z' | 'X');
        let descriptors = process.fd_count().ok().map(|count| count as u64);
        Some(Self {
            pid: u32::try_from(stat.pid).ok()?,
            parent: u32::try_from(stat.ppid).ok()?,
            born: stat.starttime,
            is_over,
            cpu_s: seconds(stat.utime + stat.stime),
            children_cpu_s: seconds((stat.cutime + stat.cstime).max(0) as u64),
            rss_bytes: status.vmrss.unwrap_or(0) * 1024,
            rss_peak_bytes: status.vmhwm.unwrap_or(0) * 1024,
            threads: if is_over { 0 } else { status.threads },
            descriptors: if is_over { Some(0) } else { descriptors },
            switches: switches_by_thread(process),
        })
    }

    fn keyed(self) -> (ProcessId, Self) {
        ((self.pid, self.born), self)
    }

    fn cpu_with_children_s(&self) -> f64 {
        self.cpu_s + self.children_cpu_s
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
    use std::os::unix::process::CommandExt;
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
        let mut samplers =
            [0, 1].map(|i: usize| Sampler::new(Subject::Process(children[i].id())).unwrap());
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
        let mut sampler = Sampler::new(Subject::Process(std::process::id())).unwrap();
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
        let mut sampler = Sampler::new(Subject::Process(std::process::id())).unwrap();
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

    fn reading(pid: u32, parent: u32, cpu_s: f64, children_cpu_s: f64) -> Reading {
        Reading {
            pid,
            parent,
            born: 1,
            is_over: false,
            cpu_s,
            children_cpu_s,
            rss_bytes: 0,
            rss_peak_bytes: 0,
            threads: 1,
            descriptors: Some(0),
            switches: BTreeMap::new(),
        }
    }

    fn readings(readings: &[Reading]) -> Readings {
        readings.iter().cloned().map(Reading::keyed).collect()
    }

    /// The CPU time of a group never falls, and never counts twice, whoever
    /// waited for a process that has ended.
    #[test]
    fn the_cpu_time_of_ended_processes_is_kept_once() {
        let before = readings(&[
            reading(1, 0, 1.0, 0.0),
            reading(2, 1, 2.0, 0.0),
            reading(3, 2, 4.0, 0.5),
        ]);
        for (now, unclaimed) in [
            // Nobody has ended.
            (before.clone(), 0.0),
            // The parent has waited, and the child went on after the reading.
            (
                readings(&[reading(1, 0, 1.0, 0.0), reading(2, 1, 2.0, 5.0)]),
                0.0,
            ),
            // The parent has not waited.
            (
                readings(&[reading(1, 0, 1.0, 0.0), reading(2, 1, 2.0, 0.0)]),
                4.5,
            ),
            // The parent has waited, and has ended, and was waited for.
            (readings(&[reading(1, 0, 1.0, 7.0)]), 0.0),
            // The parent ended first, and the system waited for the orphan.
            (readings(&[reading(1, 0, 1.0, 2.5)]), 4.0),
            // The first has ended, and the second was left to the system.
            (
                readings(&[reading(2, 77, 2.0, 0.0), reading(3, 2, 4.0, 0.5)]),
                1.0,
            ),
            // Another process was given the pid.
            (
                readings(&[Reading {
                    born: 2,
                    ..reading(1, 0, 0.0, 0.0)
                }]),
                7.5,
            ),
        ] {
            assert_eq!(unclaimed_cpu(&before, &now), unclaimed, "{now:?}");
        }
    }

    #[test]
    fn a_group_is_sampled_with_all_that_it_starts() {
        let burn = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done";
        // Children that end one after the other, and an orphan that stays.
        let script = format!(
            "(sleep 60 &); for n in 1 2 3 4 5 6; do sh -c '{burn}'; done; echo; exec sleep 60"
        );
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let id = shell.id();
        let mut sampler = Sampler::new(Subject::Group(id)).unwrap();
        let mut used = 0.0;
        let (over, is_over) = std::sync::mpsc::channel();
        let mut stdout = shell.stdout.take().unwrap();
        let waits = std::thread::spawn(move || {
            let _ = std::io::Read::read(&mut stdout, &mut [0]);
            over.send(()).unwrap();
        });
        while is_over.recv_timeout(Duration::from_millis(20)).is_err() {
            sampler.sample().unwrap();
            assert!(sampler.used().cpu_s >= used, "it has fallen");
            used = sampler.used().cpu_s;
        }
        waits.join().unwrap();
        let sample = sampler.sample().unwrap();
        let first = Reading::of(id).unwrap();
        let (all, own) = (sampler.used().cpu_s, first.cpu_s + first.children_cpu_s);
        group::signal(id, Signal::KILL);
        shell.wait().unwrap();
        // The children are waited for, so that the shell knows what they used;
        // the system rounds each of them to a hundredth of a second.
        assert!((all - own).abs() < 0.1, "{all} s, {own} s");
        assert!(first.children_cpu_s > 0.0);
        assert_eq!(sample.threads, 2, "the shell, and the orphan");
        while group::is_running(id) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(sampler.sample(), None);
        assert_eq!(sampler.used().cpu_s, all, "the total is kept");
    }

    #[test]
    fn a_process_that_does_not_exist_has_no_sampler() {
        assert!(Sampler::new(Subject::Process(u32::MAX)).is_none());
        assert!(Sampler::new(Subject::Group(u32::MAX)).is_none());
    }
}
