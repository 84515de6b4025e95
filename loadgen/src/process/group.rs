//! Process groups: a command, with everything that it has started.

use rustix::process::{Pid, Signal, getpgid, kill_process_group};

use super::sampler::Reading;

/// Reads the figures of every process of the group, also of those that have
/// ended and that nobody has waited for yet.
#[cfg(target_os = "linux")]
pub(super) fn readings(group: u32) -> impl Iterator<Item = Reading> {
    let processes = procfs::process::all_processes().into_iter().flatten();
    processes.flatten().filter_map(move |process| {
        let stat = process.stat().ok()?;
        let is_member = u32::try_from(stat.pgrp) == Ok(group);
        is_member.then(|| Reading::read(&process, &stat))?
    })
}

/// Returns nothing: only Linux reports the resources that processes use.
#[cfg(not(target_os = "linux"))]
pub(super) fn readings(_group: u32) -> impl Iterator<Item = Reading> {
    std::iter::empty()
}

/// Returns whether the process `pid` belongs to the group.
pub fn contains(group: u32, pid: u32) -> bool {
    let of_process = raw(pid).and_then(|pid| getpgid(Some(pid)).ok());
    of_process.is_some() && of_process == raw(group)
}

/// Sends `signal` to every process of the group.
pub fn signal(group: u32, signal: Signal) {
    if let Some(group) = raw(group) {
        // A group that has just ended cannot and need not be signalled.
        let _ = kill_process_group(group, signal);
    }
}

/// Returns whether any process of the group still runs.
#[cfg(target_os = "linux")]
pub fn is_running(group: u32) -> bool {
    // The system also counts processes that nobody has waited for, and in some
    // containers nobody ever does.
    readings(group).any(|reading| !reading.is_over)
}

/// Returns whether any process of the group is left.
#[cfg(not(target_os = "linux"))]
pub fn is_running(group: u32) -> bool {
    raw(group).is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
