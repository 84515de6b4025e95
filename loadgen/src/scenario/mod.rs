//! Scenarios: the relay, rooms, clients, edits, links and faults of a load run.
//!
//! [`Scenario`] has the shape of the TOML files: reading one fills in defaults
//! and what follows from other keys, then checks that the parts fit together.
//! A new setting is a field here, a line in the record, and a line in
//! `docs/SCENARIOS.md`; flags, `--set` and the JSON schema read the field. The form
//! of its value (`bounds`, `time`) has its bounds: it refuses what is beyond
//! them, and the schema describes it.

mod access;
mod bounds;
mod clients;
mod link;
mod read;
mod record;
mod relay;
mod run_id;
#[cfg(feature = "schema")]
pub mod schema;
mod shipped;
#[cfg(test)]
mod tests;
mod time;
mod validate;
mod workload;

use std::time::Duration;

use serde::Deserialize;
use syncbench_reports::threshold::Threshold;

use bounds::Seed;
use time::{PositiveTime, Time};

pub use crate::protocol::ProtocolKind;
pub use crate::relay::HistoryKind;
pub use clients::{Churn, Clients, ReplicaKind, RoomClass, Verify};
pub use link::{LinkClass, LinkFault, LinkFaultKind};
pub use read::{ReadError, suggestion};
pub use relay::{RelayFault, RelayFaultKind, RelaySettings};
pub use run_id::{NotARunId, RunId};
pub use shipped::{SHIPPED, Shipped};
pub use validate::ScenarioError;
pub use workload::{
    Arrivals, Document, DocumentForm, EditKind, Mix, Phase, Presence, Stage, Workload,
};

/// A scenario, which `syncbench run` executes. It is written in TOML; every key has a
/// default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scenario {
    /// The purpose of the scenario, and the figures to look at in its result. Part of
    /// the record and the report.
    pub analysis: String,
    /// The length of the schedule. With stages, it is their sum and must not be
    /// given.
    #[serde(with = "PositiveTime")]
    pub duration: Duration,
    /// Seed of everything random. One above 2^63 is written in quotes.
    #[serde(deserialize_with = "Seed::deserialize")]
    #[cfg_attr(feature = "schema", schemars(with = "Seed"))]
    pub seed: u64,
    /// At the end, the time without any delivery after which the run stops
    /// waiting for the edits that are still missing.
    #[serde(with = "Time")]
    pub drain_timeout: Duration,
    /// Conditions that the run must meet, such as `propagation.p99 < 100ms`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<schema::ThresholdText>"))]
    pub thresholds: Vec<Threshold>,
    /// End the run as soon as a threshold can no longer be met: one that limits a count
    /// or a maximum from above, and is exceeded.
    pub abort: bool,
    /// The relay to load.
    pub relay: RelaySettings,
    /// The rooms by size, instead of `clients.count` and `clients.rooms`.
    #[serde(default)]
    pub rooms: Vec<RoomClass>,
    /// The clients that load the relay.
    pub clients: Clients,
    /// The content of the rooms before the first edit.
    pub document: Document,
    /// The work of the clients.
    pub workload: Workload,
    /// Presence messages; none, if absent. They need a protocol that carries
    /// them.
    pub presence: Option<Presence>,
    /// The parts of the run, one after the other, in which rate and number of
    /// clients change.
    pub stages: Vec<Stage>,
    /// The networks that clients are behind; the remaining clients have none in
    /// between.
    #[serde(rename = "link")]
    pub links: Vec<LinkClass>,
    /// Clients that leave for good, each replaced by a new one with an empty
    /// replica.
    pub churn: Churn,
    /// The faults of a relay that the run owns.
    #[serde(rename = "fault")]
    pub faults: Vec<RelayFault>,
    /// Decides peer ids and room names together with the seed. Not part of files,
    /// so that each run has its own.
    #[serde(skip)]
    pub run_id: RunId,
    /// Threads that simulate clients. A room lives in one of them. Not part of
    /// files, because it belongs to the machine.
    #[serde(skip)]
    pub workers: usize,
}

impl Default for Scenario {
    /// The default run: 200 clients in 40 rooms, 1,000 edits/s for 10 s.
    fn default() -> Self {
        let clients = Clients::default();
        Self {
            analysis: String::new(),
            duration: Duration::from_secs(10),
            seed: 1,
            drain_timeout: Duration::from_secs(10),
            thresholds: Vec::new(),
            abort: false,
            relay: RelaySettings::default(),
            rooms: clients.spread(),
            clients,
            document: Document::default(),
            workload: Workload::default(),
            presence: None,
            stages: Vec::new(),
            links: Vec::new(),
            churn: Churn::default(),
            faults: Vec::new(),
            run_id: RunId::default(),
            workers: default_workers(),
        }
    }
}

/// The number of CPUs, less one for the relay.
fn default_workers() -> usize {
    std::thread::available_parallelism()
        .map_or(1, |cpus| cpus.get() - 1)
        .max(1)
}

impl Scenario {
    /// The number of rooms.
    pub fn room_count(&self) -> u32 {
        let counts = self.rooms.iter().map(|class| class.count);
        counts.fold(0, u32::saturating_add)
    }

    /// The edits per second of one writer, while the rate is that of the
    /// workload.
    pub fn rate_per_writer(&self) -> f64 {
        self.workload.rate / f64::from(self.clients.writer_count().max(1))
    }

    /// The updates per second that the writers send together, where the rate is
    /// highest.
    pub fn highest_update_rate(&self) -> f64 {
        let first = self.stages.first();
        let begins_as_workload = first.is_none_or(|stage| stage.rate.is_none() || stage.ramp);
        let begin = begins_as_workload.then_some(self.workload.rate);
        let stages = self.stages.iter().filter_map(|stage| stage.rate);
        let highest = stages.chain(begin).fold(0.0, f64::max);
        let edits = highest * (1.0 - self.workload.presence_share());
        match self.workload.batch.as_secs_f64() {
            batch if batch > 0.0 => edits.min(f64::from(self.clients.writer_count()) / batch),
            _ => edits,
        }
    }

    /// The size of a presence message, bytes; `None` if the clients show no
    /// presence.
    pub fn presence_bytes(&self) -> Option<u32> {
        let is_mixed_in = self.workload.presence_share() > 0.0;
        let bytes = self.presence.map(|presence| presence.bytes);
        bytes.or_else(|| is_mixed_in.then(Presence::default_bytes))
    }

    /// Fills in what follows from other keys: the rooms from the number of
    /// clients or the other way round, and the names and the sum of the stages.
    fn complete(&mut self) {
        if self.rooms.is_empty() {
            self.rooms = self.clients.spread();
        } else {
            let sizes = self.rooms.iter();
            let sizes = sizes.map(|class| class.count.saturating_mul(class.size));
            self.clients.count = sizes.fold(0, u32::saturating_add);
            self.clients.rooms = self.room_count();
        }
        for (number, stage) in (1..).zip(&mut self.stages) {
            if stage.name.is_empty() {
                stage.name = format!("stage-{number}");
            }
        }
        if !self.stages.is_empty() {
            let lengths = self.stages.iter().map(|stage| stage.duration);
            self.duration = lengths.fold(Duration::ZERO, Duration::saturating_add);
        }
    }
}
