//! CPU time that the hypervisor gave to someone else.

/// CPU time, over all CPUs and since boot, that this virtual machine wanted and
/// the hypervisor gave to others, seconds. `None` where the system does not
/// tell. On a machine of one's own it stays 0.
#[cfg(target_os = "linux")]
pub fn steal_seconds() -> Option<f64> {
    use procfs::CurrentSI;
    let total = procfs::KernelStats::current().ok()?.total;
    Some(total.steal? as f64 / procfs::ticks_per_second() as f64)
}

/// CPU time that the hypervisor gave to others; `None`, as only Linux tells.
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
