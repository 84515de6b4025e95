//! The CPU time and memory that a run took.

use serde::{Deserialize, Serialize};
use syncbench_reports::record::ProcessUse;

/// The resources that both sides of a run have used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The generator's process, or the sum of its processes.
    pub generator: Option<ProcessUse>,
    /// The relay's process, where its pid is known.
    pub relay: Option<ProcessUse>,
}

impl Usage {
    /// Adds the use of another process of the generator. The relay is the same
    /// one: its use is known from whichever process looked at it.
    pub fn merge(&mut self, other: Self) {
        self.generator = match (self.generator.take(), other.generator) {
            (Some(one), Some(other)) => Some(sum(one, &other)),
            (one, other) => one.or(other),
        };
        self.relay = self.relay.take().or(other.relay);
    }
}

/// The sum of two processes, under the first one's id. Peaks that were not at
/// the same time add up to more than there ever was.
fn sum(one: ProcessUse, other: &ProcessUse) -> ProcessUse {
    let both = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
    ProcessUse {
        pid: one.pid,
        cpu_s: one.cpu_s + other.cpu_s,
        rss_peak_bytes: one.rss_peak_bytes + other.rss_peak_bytes,
        rss_bytes: both(one.rss_bytes, other.rss_bytes),
        rss_after_bytes: both(one.rss_after_bytes, other.rss_after_bytes),
        threads: both(one.threads, other.threads),
        descriptors: both(one.descriptors, other.descriptors),
        descriptors_after: both(one.descriptors_after, other.descriptors_after),
        switches_voluntary: both(one.switches_voluntary, other.switches_voluntary),
        switches_involuntary: both(one.switches_involuntary, other.switches_involuntary),
    }
}
