//! What processes use, and what this one may use.

use syncbench_reports::record::ProcessUse;

/// CPU time and peak memory of the process `pid` so far; `None` where the
/// system does not tell.
#[cfg(target_os = "linux")]
pub fn usage_of(pid: u32) -> Option<ProcessUse> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    let stat = process.stat().ok()?;
    let ticks = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    let peak = process.status().ok()?.vmhwm?;
    Some(ProcessUse {
        pid,
        cpu_s: ticks,
        rss_peak_bytes: peak * 1024,
    })
}

/// CPU time and peak memory of the process `pid` so far; `None` where the
/// system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn usage_of(_pid: u32) -> Option<ProcessUse> {
    None
}

/// What a process used between two samples. Peak memory has no difference: it
/// is the later sample's.
pub fn usage_since(before: &ProcessUse, after: &ProcessUse) -> ProcessUse {
    ProcessUse {
        cpu_s: after.cpu_s - before.cpu_s,
        ..after.clone()
    }
}

/// Too few file descriptors for a run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{clients} clients need {needed} file descriptors, but the limit is {limit}: \
     raise it (ulimit -n {needed}), or use at most {} clients", limit.saturating_sub(SPARE)
)]
pub struct TooFewDescriptors {
    /// Clients asked for.
    pub clients: u64,
    /// Descriptors they need.
    pub needed: u64,
    /// The hard limit.
    pub limit: u64,
}

/// Descriptors for everything that is not a client's socket.
const SPARE: u64 = 64;

/// Raises the soft limit of file descriptors as far as `clients` need; the
/// embedded relay, which needs as many, inherits it.
///
/// # Errors
/// When the hard limit is too low.
#[cfg(unix)]
pub fn reserve_descriptors(clients: u32) -> Result<(), TooFewDescriptors> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let clients = u64::from(clients);
    let needed = clients + SPARE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    let allowed = limit.maximum.is_none_or(|hard| hard >= needed);
    if allowed && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    Err(TooFewDescriptors {
        clients,
        needed,
        limit: limit.maximum.unwrap_or(0),
    })
}
