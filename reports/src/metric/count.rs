//! The counts of a run.

use super::{Metric, Unit, Worse};
use crate::record::{Convergence, Counts, Record};

/// One number for the whole run.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// Its name and meaning.
    pub metric: Metric,
    /// The name of its Prometheus family; a counter's ends in `_total`.
    pub prometheus: &'static str,
    read: fn(&Record) -> Option<u64>,
}

impl Count {
    /// The value in a record; `None` where the record has no such part.
    pub fn of(&self, record: &Record) -> Option<u64> {
        (self.read)(record)
    }
}

macro_rules! counts {
    ($($part:ident.$field:ident as $name:literal, $title:literal, $prometheus:literal,
        $worse:ident $unit:ident: $meaning:literal;)+) => {
        [$(Count {
            metric: Metric {
                name: $name,
                title: $title,
                unit: Unit::$unit,
                worse: Worse::$worse,
                meaning: $meaning,
            },
            prometheus: concat!("syncbench_", $prometheus),
            read: |record| $part(record, |part| part.$field.into()),
        },)+]
    };
}

/// Every count.
pub const COUNTS: [Count; 39] = counts! {
    counts.clients as "clients", "clients", "clients", Neither Number:
        "Simulated clients.";
    counts.full_replicas as "full_replicas", "full replicas", "full_replicas", Neither Number:
        "Clients that keep a document; the others keep the version of one.";
    counts.rooms as "rooms", "rooms", "rooms", Neither Number:
        "Rooms, each with one shared document.";
    counts.scheduled as "scheduled", "edits scheduled", "edits_scheduled_total", Neither Number:
        "Edits the schedule asked for within the run.";
    counts.sent as "sent", "edits sent", "edits_sent_total", Lower Number:
        "Edits made and handed to the sockets.";
    counts.withdrawn as "never_sent", "edits never sent", "edits_never_sent_total", Higher Number:
        "Edits of clients that left for good before they could send them.";
    counts.skipped as "skipped", "edits skipped", "edits_skipped_total", Neither Number:
        "Scheduled edits for which the trace had nothing to type, whose client did not have the \
         document yet, or whose room had ended.";
    counts.skipped_joining as "skipped_joining", "edits skipped while joining",
        "edits_skipped_joining_total", Higher Number:
        "Scheduled edits whose client did not have the document yet; `skipped` includes them.";
    counts.unsent as "unsent", "edits sent too late", "edits_unsent_total", Higher Number:
        "Scheduled edits for which the generator was too late, so that they were not sent.";
    counts.expected as "expected", "deliveries expected", "deliveries_expected_total", Neither Number:
        "Deliveries owed: for each edit sent, the other replicas of its room.";
    counts.visible as "visible", "deliveries visible", "deliveries_visible_total", Lower Number:
        "Deliveries made: an edit that became visible at one other replica.";
    counts.frames_in as "frames_in", "frames received", "frames_received_total", Neither Number:
        "WebSocket frames with updates received by clients.";
    counts.frames_out as "frames_out", "frames sent", "frames_sent_total", Neither Number:
        "WebSocket frames with updates sent by clients.";
    counts.bytes_in as "bytes_in", "bytes received", "received_bytes_total", Higher Bytes:
        "Payload bytes of the frames received.";
    counts.bytes_joining as "bytes_joining", "bytes received while joining",
        "received_joining_bytes_total", Higher Bytes:
        "Payload bytes of the frames received by clients that had not caught up, such as documents.";
    counts.bytes_out as "bytes_out", "bytes sent", "sent_bytes_total", Higher Bytes:
        "Payload bytes of the frames sent.";
    counts.bytes_typed as "bytes_typed", "bytes of updates made", "typed_bytes_total", Higher Bytes:
        "Bytes of the updates of the edits made, before any protocol framed them.";
    counts.presence_sent as "presence_sent", "presence messages sent",
        "presence_messages_sent_total", Neither Number:
        "Presence messages sent, such as cursors.";
    counts.presence_skipped as "presence_skipped", "presence messages skipped",
        "presence_messages_skipped_total", Neither Number:
        "Presence messages that were due while their client was not live, or for which the \
         generator was too late.";
    counts.presence_expected as "presence_expected", "deliveries of presence expected",
        "presence_deliveries_expected_total", Neither Number:
        "Deliveries of presence messages owed: for each one sent, the other live clients of its \
         room.";
    counts.presence_visible as "presence_visible", "deliveries of presence made",
        "presence_deliveries_total", Lower Number:
        "Presence messages that arrived at one other client, or were replaced by a later one \
         that did.";
    counts.presence_refused as "presence_refused", "presence messages refused",
        "presence_messages_refused_total", Higher Number:
        "Presence messages that the relay refused.";
    counts.disconnects as "disconnects", "connections lost or failed", "disconnects_total", Higher Number:
        "Connections that ended or failed although the scenario did not ask for it.";
    counts.refused as "refused", "connections refused", "connections_refused_total", Higher Number:
        "Connections that the relay refused for the time being (HTTP 429 or 503); the clients \
         came back later.";
    counts.outages as "outages", "connections ended by the scenario", "outages_total", Neither Number:
        "Connections that the scenario ended.";
    counts.connecting_us as "connecting", "time to connect", "connecting_seconds", Higher Micros:
        "Time from the first attempt to connect until every initial client had everything that \
         the relay had, ramp-up included.";
    convergence.rooms as "rooms_checked", "rooms checked", "rooms_checked", Neither Number:
        "Rooms whose replicas were compared after the run.";
    convergence.converged as "rooms_converged", "rooms converged", "rooms_converged", Lower Number:
        "Rooms whose replicas ended equal but for what strangers sent, with every edit present.";
    convergence.compared as "compared", "documents compared", "documents_compared", Neither Number:
        "Replicas whose documents were compared by value; the others were compared by version.";
    convergence.lost as "lost", "deliveries lost", "deliveries_lost_total", Higher Number:
        "Edits sent that never arrived at a replica of the room, counted per replica.";
    convergence.lost_by_absence as "lost_by_absence", "deliveries lost by absence",
        "deliveries_lost_by_absence_total", Higher Number:
        "Deliveries lost at clients that came late or had lost their connection; `lost` includes \
         them.";
    convergence.pending as "pending", "deliveries pending", "deliveries_pending_total", Higher Number:
        "Edits that arrived at a replica and wait there for operations that did not, counted per \
         replica.";
    convergence.duplicated as "duplicated", "updates received twice", "updates_duplicated_total", Higher Number:
        "Updates that reached a replica which already had all of their operations.";
    convergence.corrupt as "corrupt", "corrupt frames", "frames_corrupt_total", Higher Number:
        "Updates and messages of the protocol that could not be read or imported.";
    convergence.unexpected_frames as "unexpected_frames", "unexpected frames",
        "frames_unexpected_total", Neither Number:
        "Frames from the relay that are neither updates nor messages of the protocol: greetings, \
         heartbeats, another protocol.";
    convergence.leaked as "leaked", "updates leaked from other rooms", "updates_leaked_total", Higher Number:
        "Updates with operations of a client of another room of the run.";
    convergence.foreign as "foreign", "updates of strangers", "updates_foreign_total", Neither Number:
        "Updates with operations of peers that are neither clients of the run nor in its initial \
         document.";
    convergence.foreign_operations as "foreign_operations", "operations of strangers",
        "operations_foreign_total", Neither Number:
        "Operations of such peers in the rooms, each counted once.";
    errors.sum as "errors", "errors", "errors_total", Higher Number:
        "Everything that went wrong on the connections; the record counts it by kind.";
};

/// A value that a record may lack.
struct Value(Option<u64>);

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self(Some(value))
    }
}

impl From<Option<u64>> for Value {
    fn from(value: Option<u64>) -> Self {
        Self(value)
    }
}

/// The sum of the errors of all kinds.
struct Errors {
    sum: u64,
}

fn counts(record: &Record, read: fn(&Counts) -> Value) -> Option<u64> {
    read(record.counts.as_ref()?).0
}

fn convergence(record: &Record, read: fn(&Convergence) -> Value) -> Option<u64> {
    read(record.convergence.as_ref()?).0
}

fn errors(record: &Record, read: fn(&Errors) -> Value) -> Option<u64> {
    let sum = record.errors.values().sum();
    // Without counts nothing was watched that could go wrong.
    let watched = record.counts.is_some() || sum > 0;
    watched.then(|| read(&Errors { sum }).0)?
}
