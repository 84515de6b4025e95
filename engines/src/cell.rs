//! A cell: one workload on one subject, measured alone in its process, within a time
//! budget.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::EngineError;
use crate::allocations::{self, Allocations};
use crate::workload::{Outcome, Repetition, Subject, Workload, WorkloadError};

/// A pattern for the function whose instructions are the timed part of
/// [`run_for_counting`], to pass to callgrind as `--toggle-collect`.
pub const COUNTED_FUNCTION: &str = "*timed_part_to_count*";

/// The limits of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of repetitions to time.
    pub repetitions: usize,
    /// The time after which no repetition is started. A repetition that is under way is
    /// completed, so one is always measured, however long it takes.
    pub budget: Duration,
}

/// The results of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Wall time of each repetition, nanoseconds.
    pub wall_ns: Vec<u64>,
    /// CPU time of the thread in each repetition, nanoseconds.
    pub cpu_ns: Vec<u64>,
    /// The allocations of one warm repetition. `None` if the program does not have the
    /// counting allocator, or if the budget was used up.
    pub allocations: Option<Allocations>,
    /// True if the first repetition alone used up the budget.
    pub budget_spent: bool,
    /// The result of a repetition, besides its time.
    pub outcome: Outcome,
}

/// Measures `workload` on `subject`. Every repetition is checked, outside its time.
///
/// The first repetition warms up caches and lazy statics and is not counted, unless it
/// uses up the budget: then it is the only one. Allocations are counted in a separate
/// repetition that is not timed.
///
/// # Errors
/// Fails if the engine fails or a result is wrong; there is no figure then.
pub fn measure(
    workload: &Workload,
    subject: &Subject,
    limits: Limits,
) -> Result<Measured, WorkloadError> {
    let first = workload.repetition(subject)?;
    // The clock starts here: the first repetition has made what all share, such as the
    // document.
    let started = Instant::now();
    let left = || started.elapsed() < limits.budget;
    let first = Timed::of(first)?;
    let mut measured = Measured {
        wall_ns: Vec::new(),
        cpu_ns: Vec::new(),
        allocations: None,
        budget_spent: !left(),
        outcome: first.outcome.clone(),
    };
    if measured.budget_spent {
        measured.add(&first);
        return Ok(measured);
    }
    measured.allocations = count_allocations(workload, subject)?;
    while measured.wall_ns.len() < limits.repetitions.max(1) {
        measured.add(&Timed::of(workload.repetition(subject)?)?);
        if !left() {
            break;
        }
    }
    Ok(measured)
}

/// Runs a repetition to warm up, and another whose timed part is the function
/// [`COUNTED_FUNCTION`], for a tool that counts instructions from outside. Both are
/// checked. No clock is read, because to find the kernel's, rustix reads memory that
/// valgrind hides from it.
///
/// # Errors
/// Fails if the engine fails or a result is wrong.
pub fn run_for_counting(workload: &Workload, subject: &Subject) -> Result<(), WorkloadError> {
    let mut warm_up = workload.repetition(subject)?;
    warm_up.run()?;
    warm_up.check()?;
    drop(warm_up);
    let mut repetition = workload.repetition(subject)?;
    timed_part_to_count(&mut *repetition)?;
    repetition.check()?;
    Ok(())
}

#[inline(never)]
fn timed_part_to_count(repetition: &mut dyn Repetition) -> Result<(), EngineError> {
    let result = repetition.run();
    // This keeps the call from becoming a tail call, whose jump would leave the
    // function.
    black_box(&result);
    result
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
    fn of(mut repetition: Box<dyn Repetition + '_>) -> Result<Self, WorkloadError> {
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

/// Returns the CPU time that this thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
