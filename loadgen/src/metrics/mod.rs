//! The measurements of a worker, second by second, and how they add up.

mod latency;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::clock::Nanos;

pub use latency::{Latency, PackedLatency};

/// A part of the deliveries that has a histogram of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Edits intended in this stage of the scenario, by index.
    Stage(usize),
    /// Rooms of this class of the scenario, by index.
    RoomSize(usize),
    /// Receivers behind this link of the scenario, by index; `None` for
    /// receivers without a link.
    Link(Option<usize>),
}

/// The parts of the time of all deliveries, in nanoseconds. They add up to the sum of
/// the propagation latencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Received, and waiting for the client's own earlier work.
    pub queue: Nanos,
    /// Importing it.
    pub import: Nanos,
}

impl LatencyBreakdown {
    /// Returns the parts by their names in the record.
    pub fn named(&self) -> [(&'static str, Nanos); 7] {
        [
            ("generator_lag", self.lag),
            ("edit", self.edit),
            ("batch", self.batch),
            ("link", self.link),
            ("relay", self.relay),
            ("client_queue", self.queue),
            ("import", self.import),
        ]
    }

    /// Adds the parts of other deliveries.
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

/// The lag of replicas behind the edits that they are owed, at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staleness {
    /// Edits that were owed and not visible, over all replicas.
    pub edits: u64,
    /// Age of the oldest of them.
    pub oldest: Nanos,
}

/// The state of a worker's clients at one instant. Gauges add up over workers
/// and never over time, so they are apart from [`Metrics`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// The number of edits and the time by which the replicas were behind.
    pub staleness: Staleness,
    /// Clients that were caught up.
    pub live: u64,
    /// Clients that were not, though the scenario did not keep them away.
    pub unreachable: u64,
}

impl Gauges {
    /// Adds the gauges of other clients at the same instant.
    pub fn add(&mut self, other: &Gauges) {
        self.staleness.edits += other.staleness.edits;
        self.staleness.oldest = self.staleness.oldest.max(other.staleness.oldest);
        self.live += other.live;
        self.unreachable += other.unreachable;
    }
}

macro_rules! metrics {
    (
        latencies { $($(#[$ldoc:meta])* $latency:ident,)+ }
        counts { $($(#[$cdoc:meta])* $count:ident,)+ }
    ) => {
        /// Everything that is counted and timed while a run goes on. Each
        /// worker starts afresh every second; the sum over workers and seconds
        /// is the result, so nothing is counted in two places.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub struct Metrics {
            $($(#[$ldoc])* pub $latency: Latency,)+
            $($(#[$cdoc])* pub $count: u64,)+
            /// Propagation latency by part of the deliveries.
            #[serde(with = "pairs")]
            pub groups: BTreeMap<Group, Latency>,
            /// The parts of the time of the deliveries.
            pub breakdown: LatencyBreakdown,
            /// The errors, by kind.
            pub errors: BTreeMap<String, u64>,
        }

        impl Metrics {
            /// Adds all that `other` counted, at another time or elsewhere.
            pub fn add(&mut self, other: &Metrics) {
                $(self.$latency.add(&other.$latency);)+
                $(self.$count += other.$count;)+
                for (group, latency) in &other.groups {
                    self.groups.entry(*group).or_default().add(latency);
                }
                self.breakdown.add(&other.breakdown);
                for (kind, count) in &other.errors {
                    *self.errors.entry(kind.clone()).or_default() += count;
                }
            }

            /// Returns the latency distributions by their names in the record.
            pub fn distributions(&self) -> Vec<(&'static str, &Latency)> {
                vec![$((stringify!($latency), &self.$latency),)+]
            }

            /// Returns the counts by their names.
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($count), self.$count),)+]
            }
        }
    };
}

metrics! {
    latencies {
        /// From the intended time of an edit until it is visible at another
        /// replica, whose client has a core to itself. Deliveries during which
        /// the scenario kept either end away are in `delayed`.
        propagation,
        /// The part of `propagation` that certainly is not the generator's:
        /// without its lag, and without imports into documents that were behind
        /// because the generator was busy with other clients.
        propagation_at_least,
        /// Like `propagation`, until the generator, whose threads the clients
        /// share, has imported the edit.
        propagation_in_generator,
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
        /// From the arrival of an update at this machine until the client would
        /// import it on a core of its own: behind its earlier imports and edits.
        client_queue,
        /// From then until the generator has imported it: behind other clients.
        generator_queue,
        /// Importing one received update.
        import,
        /// From the intended time of an edit until the relay acknowledged it.
        ack,
        /// From the start of a connection until the WebSocket was open.
        connect,
        /// From the arrival of a client until it had everything the relay had.
        join,
        /// The same for clients that came back.
        catch_up,
        /// From the intended time of a presence message until another client
        /// had it, or a later one of the same user.
        presence,
        /// By room, from its last edit until its last delivery.
        convergence_time,
    }
    counts {
        /// Edits made.
        sent,
        /// Scheduled edits for which the trace had nothing to type, whose client
        /// did not have the document yet, or whose room had ended.
        skipped,
        /// Of those, the edits of clients without the document.
        skipped_joining,
        /// Deliveries: an edit visible at one other replica.
        visible,
        /// Messages received.
        frames_in,
        /// Messages sent.
        frames_out,
        /// Payload bytes of the messages received.
        bytes_in,
        /// Payload bytes of the messages received by clients that had not caught up.
        bytes_joining,
        /// Payload bytes of the messages sent.
        bytes_out,
        /// Bytes of the updates of the edits made.
        bytes_typed,
        /// Updates received of which every operation was known.
        duplicated,
        /// Messages that could not be read or imported.
        corrupt,
        /// Messages that are not of the protocol.
        unexpected_frames,
        /// Updates with operations of a client of another room.
        leaked,
        /// Updates with operations of strangers: of peers that this run does not
        /// have.
        foreign,
        /// Edits whose writers left for good before they could be sent.
        never_sent,
        /// Presence messages sent.
        presence_sent,
        /// Presence messages that were due while their client was not live, or
        /// for which the generator was too late.
        presence_skipped,
        /// Presence messages that arrived at one other client, or were replaced
        /// by a later one that did.
        presence_visible,
        /// Presence messages that the relay refused.
        presence_refused,
        /// Connections that ended, or failed, without the scenario's doing, but
        /// for those in `refused`.
        disconnects,
        /// Connections that the relay refused for the time being.
        refused,
        /// Connections that the scenario ended.
        outages,
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

/// A map as a list of pairs, for formats whose keys have to be text.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Group, Latency};

    pub fn serialize<S: Serializer>(
        map: &BTreeMap<Group, Latency>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Group, Latency>, D::Error> {
        let pairs = Vec::<(Group, Latency)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
