//! The scenario as the record of a run has it.
//!
//! Its names are flat and stay as they are, whatever becomes of the keys of the
//! files: old and new records are compared by them. Secrets are left out.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use syncbench_reports::mask::mask_urls;
use syncbench_reports::threshold::Threshold;

use super::{
    Arrivals, Churn, Document, EditKind, HistoryKind, LinkFault, Mix, Phase, ProtocolKind,
    RelayFault, RelaySettings, ReplicaKind, RoomClass, Scenario, Verify,
};
use crate::net::link::LinkConditions;

impl Scenario {
    /// The settings of the scenario under the names that records have for them,
    /// and the scenario's own name, if it has one.
    pub fn recorded<'a>(&'a self, name: Option<&'a str>) -> impl Serialize + 'a {
        Recorded {
            name,
            ..Recorded::new(self)
        }
    }
}

#[derive(Serialize)]
struct Recorded<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    relay: RecordedRelay,
    protocol: ProtocolKind,
    history: HistoryKind,
    room_prefix: &'a str,
    access: RecordedAccess<'a>,
    rooms: &'a [RoomClass],
    clients: u32,
    writers: u32,
    late: u32,
    replica: ReplicaKind,
    verify: Verify,
    ramp_up_s: Seconds,
    sources: &'a [IpAddr],
    document: &'a Document,
    rate: f64,
    duration_s: Seconds,
    stages: Vec<RecordedStage<'a>>,
    arrivals: Arrivals,
    phase: Phase,
    edits: EditKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    mix: Option<Mix>,
    payload: Option<u32>,
    batch_s: Seconds,
    presence: Option<RecordedPresence>,
    dataset: &'a str,
    links: Vec<RecordedLink<'a>>,
    churn: Churn,
    faults: &'a [RelayFault],
    seed: u64,
    workers: usize,
    drain_timeout_s: Seconds,
    ready_timeout_s: Seconds,
    settle_s: Seconds,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    thresholds: &'a [Threshold],
    abort: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    analysis: &'a str,
}

impl<'a> Recorded<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        // Taken apart, so that the compiler finds a setting that is missing.
        let Scenario {
            analysis,
            duration,
            seed,
            drain_timeout,
            thresholds,
            abort,
            relay,
            rooms,
            clients,
            document,
            workload,
            presence,
            stages: _,
            links,
            churn,
            faults,
            // The record has it beside the seed.
            run_id: _,
            workers,
        } = scenario;
        Self {
            name: None,
            relay: RecordedRelay::new(relay),
            protocol: relay.protocol,
            history: relay.history,
            room_prefix: &relay.room_prefix,
            access: RecordedAccess::new(relay),
            rooms,
            clients: clients.count,
            writers: clients.writer_count(),
            late: clients.late,
            replica: clients.replica,
            verify: clients.verify,
            ramp_up_s: Seconds(clients.ramp_up),
            sources: &clients.sources,
            document,
            rate: workload.rate,
            duration_s: Seconds(*duration),
            stages: recorded_stages(scenario),
            arrivals: workload.arrivals,
            phase: workload.phase,
            edits: workload.edits,
            mix: workload.mix,
            payload: workload.payload,
            batch_s: Seconds(workload.batch),
            presence: presence.map(|presence| RecordedPresence {
                every_s: Seconds(presence.every),
                bytes: presence.bytes,
            }),
            dataset: &workload.dataset,
            links: links
                .iter()
                .map(|link| RecordedLink {
                    name: &link.name,
                    share: link.share,
                    quality: link.conditions(),
                    faults: &link.faults,
                })
                .collect(),
            churn: *churn,
            faults,
            seed: *seed,
            workers: *workers,
            drain_timeout_s: Seconds(*drain_timeout),
            ready_timeout_s: Seconds(relay.ready_timeout),
            settle_s: Seconds(relay.settle),
            thresholds,
            abort: *abort,
            analysis,
        }
    }
}

/// A time as a number of seconds.
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum RecordedRelay {
    Embedded,
    Url(String),
    Command { command: String, url: String },
}

impl RecordedRelay {
    fn new(relay: &RelaySettings) -> Self {
        match (&relay.command, &relay.url) {
            (_, None) => Self::Embedded,
            (None, Some(url)) => Self::Url(url.to_string()),
            (Some(command), Some(url)) => Self::Command {
                command: mask_urls(command),
                url: url.to_string(),
            },
        }
    }
}

/// The settings of a connection besides its address, without anything that may be
/// secret.
#[derive(Serialize)]
struct RecordedAccess<'a> {
    /// The names of the headers.
    headers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprotocol: Option<&'a str>,
    /// True if there is a token.
    token: bool,
    /// Whether clients join rooms with credentials.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    join_auth: bool,
    insecure: bool,
}

impl<'a> RecordedAccess<'a> {
    fn new(relay: &'a RelaySettings) -> Self {
        Self {
            headers: relay.headers.keys().map(String::as_str).collect(),
            subprotocol: relay.subprotocol.as_deref(),
            token: relay.token.is_some(),
            join_auth: relay.join_auth.is_some(),
            insecure: relay.insecure,
        }
    }
}

#[derive(Serialize)]
struct RecordedStage<'a> {
    name: &'a str,
    duration_s: Seconds,
    rate: f64,
    ramp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<u32>,
}

/// The stages, with the rate that each ends at.
fn recorded_stages(scenario: &Scenario) -> Vec<RecordedStage<'_>> {
    let mut rate = scenario.workload.rate;
    let stages = scenario.stages.iter().map(|stage| {
        rate = stage.rate.unwrap_or(rate);
        RecordedStage {
            name: &stage.name,
            duration_s: Seconds(stage.duration),
            rate,
            ramp: stage.ramp,
            clients: stage.clients,
        }
    });
    stages.collect()
}

#[derive(Serialize)]
struct RecordedPresence {
    every_s: Seconds,
    bytes: u32,
}

#[derive(Serialize)]
struct RecordedLink<'a> {
    name: &'a str,
    share: f64,
    quality: LinkConditions,
    faults: &'a [LinkFault],
}
