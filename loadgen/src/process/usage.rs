//! What a process has used so far.

use syncbench_reports::record::ProcessUse;

/// What the process `pid` has used so far; `None` where the system does not
/// tell.
#[cfg(target_os = "linux")]
pub fn usage_of(pid: u32) -> Option<ProcessUse> {
    let reading = super::sampler::Reading::of(pid)?;
    let switches = reading.switches_of_all();
    Some(ProcessUse {
        pid,
        cpu_s: reading.cpu_s,
        rss_peak_bytes: reading.rss_peak_bytes,
        rss_bytes: Some(reading.rss_bytes),
        threads: Some(reading.threads),
        descriptors: reading.descriptors,
        switches_voluntary: Some(switches.voluntary),
        switches_involuntary: Some(switches.involuntary),
    })
}

/// What the process `pid` has used so far; `None` where the system does not
/// tell.
#[cfg(not(target_os = "linux"))]
pub fn usage_of(_pid: u32) -> Option<ProcessUse> {
    None
}

/// What a process used between two samples. Memory has no difference: it is
/// the later sample's. Of threads and descriptors it is the larger number.
///
/// Context switches of threads that ended in between are missing; a
/// [`Sampler`](super::Sampler) that looks every second keeps them.
pub fn usage_since(before: &ProcessUse, after: &ProcessUse) -> ProcessUse {
    let more = |before: Option<u64>, after: Option<u64>| Some(after?.saturating_sub(before?));
    ProcessUse {
        cpu_s: after.cpu_s - before.cpu_s,
        threads: before.threads.max(after.threads),
        descriptors: before.descriptors.max(after.descriptors),
        switches_voluntary: more(before.switches_voluntary, after.switches_voluntary),
        switches_involuntary: more(before.switches_involuntary, after.switches_involuntary),
        ..after.clone()
    }
}
