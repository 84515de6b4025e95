//! Deliveries: what becomes visible where, and what made it take so long.

use syncbench_engines::OpRange;

use super::{Member, Room, RoomContext};
use crate::metrics::{Group, LatencyBreakdown, Metrics};
use crate::room::ledger::Times;
use crate::time::clock::Nanos;

/// When an update reached a replica.
#[derive(Clone, Copy)]
pub struct Delivery {
    /// To whom.
    pub slot: usize,
    /// This machine.
    pub arrived: Nanos,
    /// The generator.
    pub received: Nanos,
    /// The document.
    pub visible: Nanos,
}

impl Delivery {
    /// Where the time went since the edit was intended.
    fn shares(&self, times: &Times, link: Nanos) -> LatencyBreakdown {
        let transit = self.arrived.saturating_sub(times.sent);
        let link = link.min(transit);
        LatencyBreakdown {
            lag: times.begun.saturating_sub(times.intended),
            edit: times.made.saturating_sub(times.begun),
            batch: times.sent.saturating_sub(times.made),
            link,
            relay: transit - link,
            queue: self.received - self.arrived.max(times.sent).min(self.received),
            import: self.visible - self.received,
        }
    }
}

impl Room {
    /// Notes that the operations of `applied` are visible to a member; how many
    /// deliveries that makes.
    pub(super) fn note_visible(
        &mut self,
        delivery: Delivery,
        applied: &OpRange,
        metrics: &mut Metrics,
    ) -> u64 {
        let Some(&from) = self.slots.get(&applied.peer) else {
            return 0;
        };
        let Some(writer) = self.members[from].writer else {
            return 0;
        };
        let (sender, receiver) = (&self.members[from], &self.members[delivery.slot]);
        let mut seen = 0;
        for times in self
            .ledger
            .show(delivery.slot, writer, applied.counters.end)
        {
            seen += 1;
            let Delivery { visible, .. } = delivery;
            let latency = visible.saturating_sub(times.intended);
            if sender.was_away(times.intended, visible)
                || receiver.was_away(times.intended, visible)
            {
                metrics.delayed.record(latency);
                continue;
            }
            metrics.propagation.record(latency);
            metrics
                .propagation_from_send
                .record(visible.saturating_sub(times.sent));
            metrics
                .transit
                .record(delivery.arrived.saturating_sub(times.sent));
            metrics
                .receive_queue
                .record(delivery.received - delivery.arrived);
            let link = sender.link_delay_up() + receiver.link_delay_down();
            metrics.shares.add(&delivery.shares(&times, link));
            for group in groups(&self.context, self.class, receiver, times.intended) {
                metrics.groups.entry(group).or_default().record(latency);
            }
        }
        if seen > 0 {
            self.last_delivery = delivery.visible;
        }
        metrics.visible += seen;
        seen
    }
}

/// The parts of the deliveries that one belongs to, of those that the scenario
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
    let link = (!scenario.links.is_empty()).then_some(Group::Link(receiver.plan.link));
    [stage, size, link].into_iter().flatten()
}
