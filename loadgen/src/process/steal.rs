//! CPU time that the hypervisor gave to other virtual machines.

/// Returns the CPU time, in seconds over all CPUs since boot, that this virtual
/// machine needed and the hypervisor gave to others; `None` if the system does
/// not report it. On a physical machine it is always 0.
#[cfg(target_os = "linux")]
pub fn steal_seconds() -> Option<f64> {
    use procfs::CurrentSI;
    let total = procfs::KernelStats::current().ok()?.total;
    Some(total.steal? as f64 / procfs::ticks_per_second() as f64)
}

/// Returns `None`: only Linux reports the CPU time that the hypervisor gave to
/// others.
#[cfg(not(target_os = "linux"))]
pub fn steal_seconds() -> Option<f64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_never_falls() {
        let before = steal_seconds().unwrap();
        assert!(before >= 0.0 && steal_seconds().unwrap() >= before);
    }
}
