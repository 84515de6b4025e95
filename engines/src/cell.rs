//! A cell: one workload on one subject, measured alone in its process, within
//! a time budget.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::allocations::{self, Allocations};
use crate::workload::{Outcome, Subject, Workload, WorkloadError};

/// How much to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Repetitions to time at the most.
    pub repetitions: usize,
    /// When to stop before that. A repetition that is under way is finished:
    /// one is always measured, however long it takes.
    pub budget: Duration,
}

/// What a cell measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Wall time of each repetition, nanoseconds.
    pub wall_ns: Vec<u64>,
    /// CPU time of the thread in each repetition, nanoseconds.
    pub cpu_ns: Vec<u64>,
    /// What one warm repetition allocated. `None` where the program does not
    /// have the counting allocator, or where the budget was spent.
    pub allocations: Option<Allocations>,
    /// What a repetition came to, besides its time.
    pub outcome: Outcome,
}

/// Measures `workload` on `subject`. Every repetition is checked, outside its
/// time.
///
/// The first repetition warms caches and lazy statics up and is left out,
/// unless it alone spends the budget: then it is all there is. Allocations are
/// counted in a repetition of their own, which is not timed.
///
/// # Errors
/// When the engine fails, or a result is wrong; there is no figure then.
pub fn measure(
    workload: &Workload,
    subject: &Subject,
    limits: Limits,
) -> Result<Measured, WorkloadError> {
    let started = Instant::now();
    let left = || started.elapsed() < limits.budget;
    let first = Timed::repetition(workload, subject)?;
    let mut measured = Measured {
        wall_ns: Vec::new(),
        cpu_ns: Vec::new(),
        allocations: None,
        outcome: first.outcome.clone(),
    };
    if !left() {
        measured.add(&first);
        return Ok(measured);
    }
    measured.allocations = count_allocations(workload, subject)?;
    while measured.wall_ns.len() < limits.repetitions.max(1) {
        measured.add(&Timed::repetition(workload, subject)?);
        if !left() {
            break;
        }
    }
    Ok(measured)
}

impl Measured {
    fn add(&mut self, timed: &Timed) {
        self.wall_ns.push(timed.wall_ns);
        self.cpu_ns.push(timed.cpu_ns);
    }
}

/// One checked repetition.
struct Timed {
    wall_ns: u64,
    cpu_ns: u64,
    outcome: Outcome,
}

impl Timed {
    fn repetition(workload: &Workload, subject: &Subject) -> Result<Self, WorkloadError> {
        let mut repetition = workload.repetition(subject)?;
        let (wall, cpu) = (Instant::now(), thread_cpu());
        repetition.run()?;
        let (cpu, wall) = (thread_cpu() - cpu, wall.elapsed());
        let outcome = repetition.check()?;
        Ok(Self {
            wall_ns: nanos(wall),
            cpu_ns: nanos(cpu),
            outcome,
        })
    }
}

fn count_allocations(
    workload: &Workload,
    subject: &Subject,
) -> Result<Option<Allocations>, WorkloadError> {
    let mut repetition = workload.repetition(subject)?;
    let (ran, allocations) = allocations::count(|| repetition.run());
    ran?;
    repetition.check()?;
    Ok(allocations)
}

/// CPU time that this thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
