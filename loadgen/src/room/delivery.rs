//! Deliveries: edits that become visible at a replica, and the parts of their
//! latency.

use syncbench_engines::OpRange;

use super::inbox::OwnTime;
use super::{Member, Room, RoomContext};
use crate::metrics::{Group, LatencyBreakdown, Metrics};
use crate::room::ledger::Times;
use crate::time::clock::Nanos;

/// The way of an update to one replica, by the run's clock.
#[derive(Clone, Copy)]
pub struct Delivery {
    /// The receiving member.
    pub slot: usize,
    /// When the update reached this machine.
    pub arrived: Nanos,
    /// When a client with a core to itself would have imported it.
    pub own: OwnTime,
    /// When the generator had imported it.
    pub done: Nanos,
}

impl Delivery {
    /// The propagation latency, from the intended time to the time at which a
    /// client with a core to itself would show the edit.
    fn latency(&self, times: &Times) -> Nanos {
        self.own.done.saturating_sub(times.intended)
    }

    /// The end of what certainly is not the generator's. An update that waited
    /// behind other clients longer than for its own client met a document that
    /// was behind, which makes imports dearer: then their time is not certain.
    fn certain_end(&self) -> Nanos {
        let waited_for_others = self.done.saturating_sub(self.own.done);
        match waited_for_others > self.own.done - self.arrived {
            true => self.arrived,
            false => self.own.done,
        }
    }

    /// Records one delivery behind links that took `link` together.
    fn record(&self, times: &Times, link: Nanos, metrics: &mut Metrics) {
        metrics.propagation.record(self.latency(times));
        metrics
            .propagation_from_send
            .record(self.own.done.saturating_sub(times.sent));
        metrics
            .propagation_at_least
            .record(self.certain_end().saturating_sub(times.begun));
        metrics
            .propagation_in_generator
            .record(self.done.saturating_sub(times.intended));
        metrics
            .transit
            .record(self.arrived.saturating_sub(times.sent));
        metrics.client_queue.record(self.own.begun - self.arrived);
        metrics
            .generator_queue
            .record(self.done.saturating_sub(self.own.done));
        metrics.breakdown.add(&self.breakdown(times, link));
    }

    /// The parts of the latency since the edit was intended, behind links that
    /// took `link` together.
    fn breakdown(&self, times: &Times, link: Nanos) -> LatencyBreakdown {
        let transit = self.arrived.saturating_sub(times.sent);
        let link = link.min(transit);
        LatencyBreakdown {
            lag: times.begun.saturating_sub(times.intended),
            edit: times.made.saturating_sub(times.begun),
            batch: times.sent.saturating_sub(times.made),
            link,
            relay: transit - link,
            queue: self.own.begun.saturating_sub(self.arrived.max(times.sent)),
            import: self.own.done - self.own.begun,
        }
    }
}

impl Room {
    /// Notes that the operations of `applied` are visible to a member, and
    /// records the deliveries that this makes.
    pub(super) fn note_visible(&mut self, delivery: Delivery, applied: &OpRange) {
        let Some(&from) = self.slots.get(&applied.peer) else {
            return;
        };
        let Some(writer) = self.members[from].writer else {
            return;
        };
        let (sender, receiver) = (&self.members[from], &self.members[delivery.slot]);
        let link = sender.link.up.get() + receiver.link.down.get();
        let shown = self
            .ledger
            .show(delivery.slot, writer, applied.counters.end);
        for times in shown {
            self.last_delivery = delivery.own.done.max(self.last_delivery);
            let period = (times.intended, delivery.done);
            let was_away =
                sender.was_away(period.0, period.1) || receiver.was_away(period.0, period.1);
            self.meter.record(|metrics| match was_away {
                true => metrics.delayed.record(delivery.latency(&times)),
                false => {
                    delivery.record(&times, link, metrics);
                    let groups = groups(&self.context, self.class, receiver, times.intended);
                    for group in groups {
                        let latency = metrics.groups.entry(group).or_default();
                        latency.record(delivery.latency(&times));
                    }
                }
            });
        }
    }
}

/// The groups of deliveries that one belongs to, of those that the scenario
/// tells apart.
fn groups(
    context: &RoomContext,
    class: usize,
    receiver: &Member,
    intended: Nanos,
) -> impl Iterator<Item = Group> + use<> {
    let scenario = &context.scenario;
    let stage = context.stage_ends.partition_point(|&end| end <= intended);
    let stage = (!scenario.stages.is_empty()).then_some(Group::Stage(stage));
    let size = (scenario.rooms.len() > 1).then_some(Group::RoomSize(class));
    let link = (!scenario.links.is_empty()).then_some(Group::Link(receiver.link_class));
    [stage, size, link].into_iter().flatten()
}
