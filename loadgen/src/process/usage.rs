//! The total resource usage of a process.

use syncbench_reports::record::ProcessUse;

/// Returns the resources that the process `pid` has used so far; `None` if the
/// system does not report them.
#[cfg(target_os = "linux")]
pub fn usage_of(pid: u32) -> Option<ProcessUse> {
    let reading = super::sampler::Reading::of(pid)?;
    let switches = reading.switches_of_all();
    Some(ProcessUse {
        pid,
        cpu_s: reading.cpu_s,
        rss_peak_bytes: reading.rss_peak_bytes,
        rss_bytes: Some(reading.rss_bytes),
        rss_after_bytes: None,
        threads: Some(reading.threads),
        descriptors: reading.descriptors,
        descriptors_after: None,
        switches_voluntary: Some(switches.voluntary),
        switches_involuntary: Some(switches.involuntary),
    })
}

/// Returns `None`: only Linux reports the resources that a process has used.
#[cfg(not(target_os = "linux"))]
pub fn usage_of(_pid: u32) -> Option<ProcessUse> {
    None
}
