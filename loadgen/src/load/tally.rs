//! Adding up what the workers of a run report.

use std::ops::ControlFlow;
use std::time::Duration;

use syncbench_reports::record::{Course, EndedRoom, Incident, LostConnection, Signal, WorkerUse};

use super::Progress;
use crate::outcome::{Attachment, Layout, Outcome, Rows, Usage};
use crate::plan::Plan;
use crate::room;
use crate::scenario::Scenario;
use crate::time::clock::Nanos;
use crate::worker::{Finished, WorkerEvent};

/// The number of seconds in a row after which a relay that no client can reach,
/// against the scenario, counts as unreachable.
const UNREACHABLE_FOR: u64 = 5;

/// The sum of what the workers of a run have reported.
pub struct Tally {
    outcome: Outcome,
    rows: Rows,
    initial_clients: usize,
    /// The initial clients that are live, by worker.
    live: Vec<usize>,
    /// The workers that will report nothing any more.
    ended: usize,
    /// The workers whose rooms have all ended.
    without_rooms: usize,
    unreachable_for: u64,
}

impl Tally {
    /// Creates the empty tally of a run with `workers` workers.
    pub fn new(scenario: &Scenario, plan: &Plan, workers: usize) -> Self {
        let mut outcome = Outcome::empty(Layout::new(scenario, plan));
        outcome.course.workers.threads = workers as u64;
        Self {
            outcome,
            rows: Rows::new(workers),
            initial_clients: plan.initial_clients(),
            live: vec![0; workers],
            ended: 0,
            without_rooms: 0,
            unreachable_for: 0,
        }
    }

    /// Returns true if every worker is done.
    pub fn is_finished(&self) -> bool {
        self.ended == self.live.len()
    }

    /// Returns true if every initial client is live.
    pub fn is_connected(&self) -> bool {
        self.live.iter().sum::<usize>() == self.initial_clients
    }

    /// Returns true if no client has reached the relay for too long, against the
    /// scenario, so that the run cannot yield anything more.
    pub fn cannot_recover(&self) -> bool {
        self.unreachable_for >= UNREACHABLE_FOR
    }

    /// Returns true if the run's own relay has ended by itself.
    pub fn relay_is_gone(&self) -> bool {
        self.outcome.course.relay_ended.is_some()
    }

    /// Whether all rooms of the run have ended: nothing more will come of it.
    pub fn has_no_room_left(&self) -> bool {
        self.without_rooms == self.live.len()
    }

    /// Whether a worker has failed.
    pub fn has_failed_worker(&self) -> bool {
        self.outcome.course.worker_failed.is_some()
    }

    /// The rows so far, to note what the processes use.
    pub fn rows(&mut self) -> &mut Rows {
        &mut self.rows
    }

    /// Notes how long the initial clients took to connect.
    pub fn note_connected(&mut self, took: Duration) {
        self.outcome.connecting = took;
    }

    /// Whether a signal has interrupted the run.
    pub fn is_interrupted(&self) -> bool {
        self.outcome.course.interrupted_ns.is_some()
    }

    /// Notes that `signal` interrupted the run.
    pub fn note_interrupted(&mut self, at: Nanos, signal: Signal) {
        let course = &mut self.outcome.course;
        course.interrupted_ns.get_or_insert(at);
        course.interrupted_by.get_or_insert(signal);
    }

    /// Notes that the watcher stopped the run.
    pub fn note_aborted(&mut self, at: Nanos, what: String) {
        let incident = Incident { at_ns: at, what };
        self.outcome.course.aborted.get_or_insert(incident);
    }

    /// Notes that the run's own relay ended by itself.
    pub fn note_relay_ended(&mut self, at: Nanos, what: String) {
        let incident = Incident { at_ns: at, what };
        self.outcome.course.relay_ended.get_or_insert(incident);
    }

    /// Notes that the run is stopped because no client can reach the relay.
    pub fn note_unreachable(&mut self, at: Nanos) {
        self.outcome.course.unreachable_ns.get_or_insert(at);
    }

    /// Notes what the scenario did to the relay.
    pub fn note_fault(&mut self, at: Nanos, what: String) {
        let incident = Incident { at_ns: at, what };
        self.outcome.course.faults.push(incident);
    }

    /// Takes an event that happened at `now`, and tells `watcher` what it
    /// means. Breaks when the watcher does.
    pub fn take(
        &mut self,
        event: WorkerEvent,
        now: Nanos,
        watcher: &mut impl FnMut(Progress<'_>) -> ControlFlow<String>,
    ) -> ControlFlow<String> {
        match event {
            WorkerEvent::Connected { worker, live } => {
                self.live[worker] = live;
                return watcher(Progress::Connecting {
                    connected: self.live.iter().sum(),
                    of: self.initial_clients,
                });
            }
            WorkerEvent::Second {
                second,
                metrics,
                gauges,
            } => {
                self.outcome.total.add(&metrics);
                if let Some(row) = self.rows.add(second, &metrics, &gauges) {
                    let cut_off = row.gauges.live == 0 && row.gauges.unreachable > 0;
                    self.unreachable_for = if cut_off { self.unreachable_for + 1 } else { 0 };
                    let Outcome { total, layout, .. } = &self.outcome;
                    return watcher(Progress::Running {
                        second: row,
                        total,
                        layout,
                    });
                }
            }
            WorkerEvent::Draining => return watcher(Progress::Draining),
            WorkerEvent::NoRoomLeft => self.without_rooms += 1,
            WorkerEvent::Finished(finished) => self.finish(*finished),
            WorkerEvent::Failed(what) => {
                self.ended += 1;
                self.outcome.fingerprint = None;
                let incident = Incident { at_ns: now, what };
                self.outcome.course.worker_failed.get_or_insert(incident);
            }
            // The coordinator handles it while it waits for connections.
            WorkerEvent::ConnectFailed(_) => {}
        }
        ControlFlow::Continue(())
    }

    /// Adds what a worker came to, in the way in which processes are added up.
    fn finish(&mut self, finished: Finished) {
        self.ended += 1;
        let lost = finished.lost.into_iter().map(|lost| LostConnection {
            at_ns: lost.at,
            client: lost.client.name(),
            reason: lost.reason,
        });
        let ended_rooms = finished.ended_rooms.into_iter();
        let (ended_rooms, attachments): (Vec<_>, Vec<_>) = ended_rooms.map(recorded).unzip();
        let course = Course {
            ended_rooms,
            lost_connections: lost.collect(),
            rejected: finished.rejected,
            presence_refused: finished.presence_refused,
            unexpected_frame: finished.unexpected_frame,
            engine_error: finished.engine_error,
            workers: WorkerUse {
                cpu_ns: finished.busy,
                elapsed_ns: finished.elapsed,
                ..WorkerUse::default()
            },
            ..Course::default()
        };
        self.outcome.add(Outcome {
            unsent: finished.unsent,
            expected: finished.expected,
            presence_expected: finished.presence_expected,
            convergence: finished.convergence,
            fingerprint: finished.fingerprint,
            attachments: attachments.into_iter().flatten().collect(),
            course,
            ..Outcome::empty(self.outcome.layout.clone())
        });
    }

    /// Returns the outcome, once the tally is finished.
    pub fn outcome(self, usage: Usage) -> Outcome {
        let mut outcome = self.outcome;
        outcome.count_from_total();
        outcome.rows = self.rows.finish();
        outcome.usage = usage;
        outcome
    }
}

/// A room that ended early as the record has it, and the file that goes with it.
fn recorded(ended: room::EndedRoom) -> (EndedRoom, Option<Attachment>) {
    let attachment = ended.update.map(|bytes| Attachment {
        name: format!("room-{}-update.bin", ended.room.0),
        bytes,
    });
    let ended = EndedRoom {
        at_ns: ended.at,
        room: ended.name,
        reason: ended.reason,
        artifact: attachment.as_ref().map(|file| file.name.clone()),
    };
    (ended, attachment)
}
