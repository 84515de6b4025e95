//! What a worker measures, second by second, and how it adds up.

use hdrhistogram::Histogram;

use crate::clock::Nanos;

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
}

/// Everything that is counted and timed while a run goes on. Each worker
/// starts a new one every second; the sum of all is the result, so nothing is
/// counted in two places.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// From the intended time until visible at another replica.
    pub propagation: Latency,
    /// From the hand-over to the socket until visible at another replica.
    pub propagation_from_send: Latency,
    /// From the intended time until the edit began.
    pub generator_lag: Latency,
    /// Making one edit: splice, commit, export.
    pub edit: Latency,
    /// From the hand-over to the socket until the frame was read at the other
    /// end: both sockets, the relay, and waiting for the receiver's turn.
    pub transit: Latency,
    /// Importing one received update.
    pub import: Latency,
    /// From the start of a connection until the WebSocket was open.
    pub connect: Latency,
    /// Edits made and handed over.
    pub sent: u64,
    /// Arrivals that came to a client without a connection.
    pub unconnected: u64,
    /// Arrivals for which the trace had nothing to type.
    pub idle: u64,
    /// Deliveries: an edit visible at one other replica.
    pub visible: u64,
    /// Frames with updates received.
    pub frames_in: u64,
    /// Frames with updates sent.
    pub frames_out: u64,
    /// Payload bytes of the frames received.
    pub bytes_in: u64,
    /// Payload bytes of the frames sent.
    pub bytes_out: u64,
    /// Updates received of which every operation was known.
    pub duplicated: u64,
    /// Frames that could not be imported, or that hold operations of someone
    /// who is not in the room.
    pub corrupt: u64,
    /// Thread CPU time inside edits.
    pub edit_cpu: Nanos,
    /// Thread CPU time inside imports.
    pub import_cpu: Nanos,
}

impl Metrics {
    /// Adds all that `other` counted.
    pub fn add(&mut self, other: &Metrics) {
        self.propagation.add(&other.propagation);
        self.propagation_from_send.add(&other.propagation_from_send);
        self.generator_lag.add(&other.generator_lag);
        self.edit.add(&other.edit);
        self.transit.add(&other.transit);
        self.import.add(&other.import);
        self.connect.add(&other.connect);
        self.sent += other.sent;
        self.unconnected += other.unconnected;
        self.idle += other.idle;
        self.visible += other.visible;
        self.frames_in += other.frames_in;
        self.frames_out += other.frames_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.duplicated += other.duplicated;
        self.corrupt += other.corrupt;
        self.edit_cpu += other.edit_cpu;
        self.import_cpu += other.import_cpu;
    }

    /// The latency distributions by the names they have in the record.
    pub fn distributions(&self) -> [(&'static str, &Latency); 7] {
        [
            ("propagation", &self.propagation),
            ("propagation_from_send", &self.propagation_from_send),
            ("generator_lag", &self.generator_lag),
            ("edit", &self.edit),
            ("transit", &self.transit),
            ("import", &self.import),
            ("connect", &self.connect),
        ]
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
