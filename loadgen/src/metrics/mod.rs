//! What a worker measures, second by second, and how it adds up.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::time::clock::Nanos;

/// A histogram of nanoseconds with three significant digits that grows as
/// needed.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        // 3 is within the range 0..=5 that `new` accepts.
        #[allow(clippy::unwrap_used)]
        Self(Histogram::new(3).unwrap())
    }
}

impl Latency {
    /// Adds a sample.
    pub fn record(&mut self, value: Nanos) {
        // It grows, so no value is out of range. (`saturating_record` does not
        // grow: it would clip everything to the initial range.)
        let _ = self.0.record(value);
    }

    /// Adds all samples of `other`. Exact: both count in the same buckets.
    pub fn add(&mut self, other: &Latency) {
        // It grows, so the addition cannot fail.
        let _ = self.0.add(&other.0);
    }

    /// The histogram, in nanoseconds.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// The value at this quantile, microseconds; `None` without samples.
    pub fn micros_at(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1e3)
    }
}

/// A part of the deliveries that has a histogram of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Edits intended in this stage of the scenario, by index.
    Stage(usize),
    /// Rooms of this class of the scenario, by index.
    RoomSize(usize),
    /// Receivers behind this link of the scenario, by index; none for those
    /// without one.
    Link(Option<usize>),
}

/// Where the time of all deliveries went. Their sum is the sum of the
/// propagation latencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencyBreakdown {
    /// From the intended time until the edit began: the generator was busy.
    pub lag: Nanos,
    /// Making the edit in the writer's replica, and encoding it.
    pub edit: Nanos,
    /// Waiting to be sent: batched, or behind a full queue.
    pub batch: Nanos,
    /// On the simulated links of both ends.
    pub link: Nanos,
    /// In the relay, both kernels and both connections.
    pub relay: Nanos,
    /// Received by this machine, and not yet read by the generator.
    pub queue: Nanos,
    /// Importing it.
    pub import: Nanos,
}

impl LatencyBreakdown {
    /// By the names that they have in the record.
    pub fn named(&self) -> [(&'static str, Nanos); 7] {
        [
            ("generator_lag", self.lag),
            ("edit", self.edit),
            ("batch", self.batch),
            ("link", self.link),
            ("relay", self.relay),
            ("receive_queue", self.queue),
            ("import", self.import),
        ]
    }

    /// Adds those of other deliveries.
    pub fn add(&mut self, other: &LatencyBreakdown) {
        self.lag += other.lag;
        self.edit += other.edit;
        self.batch += other.batch;
        self.link += other.link;
        self.relay += other.relay;
        self.queue += other.queue;
        self.import += other.import;
    }
}

/// How far replicas were behind when a second ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Staleness {
    /// Edits that were owed and not visible, over all replicas.
    pub edits: u64,
    /// Age of the oldest of them.
    pub oldest: Nanos,
}

macro_rules! metrics {
    (
        latencies { $($(#[$ldoc:meta])* $latency:ident,)+ }
        counts { $($(#[$cdoc:meta])* $count:ident,)+ }
    ) => {
        /// Everything that is counted and timed while a run goes on. Each
        /// worker starts a new one every second; the sum of all is the result,
        /// so nothing is counted in two places.
        #[derive(Debug, Clone, Default)]
        pub struct Metrics {
            $($(#[$ldoc])* pub $latency: Latency,)+
            $($(#[$cdoc])* pub $count: u64,)+
            /// Propagation by part of the deliveries.
            pub groups: BTreeMap<Group, Latency>,
            /// Where the time of the deliveries went.
            pub shares: LatencyBreakdown,
            /// What went wrong, by kind.
            pub errors: BTreeMap<String, u64>,
            /// How far the replicas were behind at the end.
            pub staleness: Staleness,
            /// Clients that were caught up at the end.
            pub live: u64,
            /// Clients that were not, though the scenario did not keep them
            /// away.
            pub unreachable: u64,
        }

        impl Metrics {
            /// Adds all that `other` counted at another time.
            pub fn add(&mut self, other: &Metrics) {
                self.add_parallel(other);
                self.staleness = other.staleness;
                (self.live, self.unreachable) = (other.live, other.unreachable);
            }

            /// Adds all that another worker counted at the same time.
            pub fn add_parallel(&mut self, other: &Metrics) {
                $(self.$latency.add(&other.$latency);)+
                $(self.$count = self.$count.wrapping_add(other.$count);)+
                for (group, latency) in &other.groups {
                    self.groups.entry(*group).or_default().add(latency);
                }
                self.shares.add(&other.shares);
                for (kind, count) in &other.errors {
                    *self.errors.entry(kind.clone()).or_default() += count;
                }
                self.staleness.edits += other.staleness.edits;
                self.staleness.oldest = self.staleness.oldest.max(other.staleness.oldest);
                self.live += other.live;
                self.unreachable += other.unreachable;
            }

            /// The latency distributions by the names they have in the record.
            pub fn distributions(&self) -> Vec<(&'static str, &Latency)> {
                vec![$((stringify!($latency), &self.$latency),)+]
            }
        }
    };
}

metrics! {
    latencies {
        /// From the intended time until visible at another replica. Deliveries
        /// during which the scenario kept either end away are in `delayed`.
        propagation,
        /// From the hand-over to the socket until visible at another replica.
        propagation_from_send,
        /// Like `propagation`, for the deliveries during which the scenario kept
        /// the writer or the receiver away.
        delayed,
        /// From the intended time until the edit began.
        generator_lag,
        /// Making one edit: splice, commit, export.
        edit,
        /// From the hand-over to the socket until the bytes had reached the
        /// receiver's machine, behind its link: both sockets, links and the
        /// relay.
        transit,
        /// From the arrival of a frame at this machine until the generator
        /// took it.
        receive_queue,
        /// Importing one received update.
        import,
        /// From the intended time of an edit until the relay acknowledged it.
        ack,
        /// From the start of a connection until the WebSocket was open.
        connect,
        /// From when a client came until it had everything the relay had.
        join,
        /// The same for clients that came back.
        catch_up,
        /// From the intended time of a presence message until another client
        /// had it.
        presence,
        /// By room, from its last edit until its last delivery.
        convergence_time,
    }
    counts {
        /// Edits made.
        sent,
        /// Arrivals for which the trace had nothing to type, or whose client
        /// had not got the document yet.
        skipped,
        /// Deliveries: an edit visible at one other replica.
        visible,
        /// Messages received.
        frames_in,
        /// Messages sent.
        frames_out,
        /// Payload bytes of the messages received.
        bytes_in,
        /// Payload bytes of the messages sent.
        bytes_out,
        /// Bytes of the updates of the edits made.
        bytes_typed,
        /// Updates received of which every operation was known.
        duplicated,
        /// Messages that could not be read or imported.
        corrupt,
        /// Updates with operations of someone who is not in the room.
        leaked,
        /// Edits whose writers went away for good before they could be sent.
        never_sent,
        /// Connections that ended, or failed, without the scenario's doing.
        disconnects,
        /// Connections that the scenario ended.
        outages,
        /// Sum of the fingerprints of all arrivals, wrapping.
        fingerprint,
        /// Thread CPU time inside edits, nanoseconds.
        edit_cpu,
        /// Thread CPU time inside imports, nanoseconds.
        import_cpu,
    }
}

impl Metrics {
    /// Counts something that went wrong.
    pub fn error(&mut self, kind: &str) {
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(kind.to_owned(), 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_latencies_are_not_clipped() {
        let mut latency = Latency::default();
        latency.record(3_600_000_000_000);
        let max = latency.histogram().max();
        assert!(max.abs_diff(3_600_000_000_000) < 3_600_000_000, "{max}");
    }

    #[test]
    fn the_sum_of_the_parts_is_what_one_histogram_would_have_counted() {
        let samples: Vec<Nanos> = (0..5_000u64).map(|i| i * i * 37 % 3_000_000_007).collect();
        let mut whole = Latency::default();
        let mut parts = [Latency::default(), Latency::default(), Latency::default()];
        for (i, &sample) in samples.iter().enumerate() {
            whole.record(sample);
            parts[i % 3].record(sample);
        }
        let mut sum = Latency::default();
        parts.iter().for_each(|part| sum.add(part));
        assert_eq!(sum.histogram(), whole.histogram());
    }
}
