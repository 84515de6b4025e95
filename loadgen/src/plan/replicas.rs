//! The kind of replica that each client keeps.

use std::collections::BTreeSet;

use super::{Plan, RoomIndex};
use crate::scenario::{EditKind, ReplicaKind, Scenario, Verify};

/// The number of full replicas in each room where the others are light and
/// documents are compared.
const FULL_A_ROOM: usize = 2;

/// The imports per second that automatic full replicas may take on together. Each
/// costs Loro 0.1 to 0.5 ms, so that they fit into one core.
const AUTOMATIC_IMPORTS: f64 = 2_000.0;

/// The most clients that all keep full replicas automatically: each document takes
/// memory, and time to open.
const AUTOMATIC_CLIENTS: usize = 1_000;

/// Makes the replicas light that `scenario` does not want full.
pub(super) fn assign(plan: &mut Plan, scenario: &Scenario) {
    let sampled = match scenario.clients.replica {
        ReplicaKind::Full => return,
        ReplicaKind::Light => plan.rooms.len(),
        ReplicaKind::Auto if may_all_be_full(plan, scenario) => return,
        ReplicaKind::Auto => affordable_rooms(plan, scenario),
    };
    let sampled = match scenario.clients.verify {
        Verify::Sample => spread(sampled, plan.rooms.len()),
        Verify::Versions => BTreeSet::new(),
    };
    for (index, room) in (0..).map(RoomIndex).zip(&plan.rooms) {
        let full = match sampled.contains(&index.0) {
            true => FULL_A_ROOM,
            false => 0,
        };
        for &client in room.clients.iter().skip(full) {
            plan.clients[client.0 as usize].full = false;
        }
    }
}

/// Returns true if no replica has to be light, or none can be.
fn may_all_be_full(plan: &Plan, scenario: &Scenario) -> bool {
    let fits = plan.clients.len() <= AUTOMATIC_CLIENTS
        && imports_per_second(scenario, u32::MAX) <= AUTOMATIC_IMPORTS;
    fits || !may_be_light(scenario)
}

/// Returns true if light replicas can make the edits of `scenario`.
fn may_be_light(scenario: &Scenario) -> bool {
    let kinds = scenario.workload.edit_shares();
    let only_text = kinds.iter().all(|(kind, _)| *kind == EditKind::Trace);
    only_text && !scenario.document.begins_shallow()
}

/// The number of rooms, at least one, in which a sample of full replicas can
/// import what the others send.
fn affordable_rooms(plan: &Plan, scenario: &Scenario) -> usize {
    let wanted = imports_per_second(scenario, FULL_A_ROOM as u32);
    let share = (AUTOMATIC_IMPORTS / wanted).min(1.0);
    ((plan.rooms.len() as f64 * share) as usize).max(1)
}

/// The imports per second at the highest rate of the scenario, if at most `full`
/// clients in each room keep full replicas.
fn imports_per_second(scenario: &Scenario, full: u32) -> f64 {
    let late = scenario.clients.late.div_ceil(scenario.room_count().max(1));
    let clients = f64::from(scenario.clients.count.max(1));
    let importers_of_an_edit = scenario.rooms.iter().map(|class| {
        let size = f64::from(class.size.saturating_add(late));
        let full = f64::from(full).min(size);
        // A full replica does not import its own edits.
        let share_of_edits = f64::from(class.count) * f64::from(class.size) / clients;
        share_of_edits * full * (size - 1.0).max(0.0) / size.max(1.0)
    });
    scenario.highest_update_rate() * importers_of_an_edit.sum::<f64>()
}

/// `number` of `of` indices, at even distances.
fn spread(number: usize, of: usize) -> BTreeSet<u32> {
    (0..number).map(|n| (n * of / number) as u32).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::ClientId;
    use crate::scenario::{DocumentForm, RoomClass, Stage};

    /// A scenario with rooms of these sizes, whose writers make `rate` edits per
    /// second.
    fn scenario(count: u32, size: u32, rate: f64) -> Scenario {
        let mut scenario = Scenario::default();
        scenario.clients.count = count * size;
        scenario.rooms = vec![RoomClass { count, size }];
        scenario.workload.rate = rate;
        scenario
    }

    /// The number of full replicas in each room.
    fn full(scenario: &Scenario) -> Vec<usize> {
        let plan = Plan::new(scenario);
        let is_full = |client: &&ClientId| plan.client(**client).full;
        let rooms = plan.rooms.iter();
        rooms
            .map(|room| room.clients.iter().filter(is_full).count())
            .collect()
    }

    #[test]
    fn every_replica_is_full_while_the_imports_fit() {
        assert_eq!(full(&scenario(4, 10, 200.0)), [10; 4]);
        assert_eq!(full(&scenario(4, 10, 250.0)), [2; 4]);
        let mut peak = scenario(4, 10, 10.0);
        peak.stages = vec![Stage {
            name: String::new(),
            duration: Duration::from_secs(1),
            rate: Some(1_000.0),
            ramp: false,
            clients: None,
        }];
        assert_eq!(full(&peak), [2; 4]);
        peak.workload.batch = Duration::from_secs(1);
        assert_eq!(full(&peak), [10; 4]);
    }

    #[test]
    fn the_sample_is_as_large_as_its_imports_allow() {
        // Each edit is imported by 1.8 full replicas of its room on average.
        assert_eq!(full(&scenario(4, 10, 2_000.0)), [2, 0, 2, 0]);
        assert_eq!(full(&scenario(4, 10, 1_000_000.0)), [2, 0, 0, 0]);
        assert_eq!(full(&scenario(2, 600, 1.0)), [2, 2]);
        let mut versions = scenario(4, 10, 2_000.0);
        versions.clients.verify = Verify::Versions;
        assert_eq!(full(&versions), [0; 4]);
    }

    #[test]
    fn light_replicas_have_a_sample_in_every_room() {
        let mut light = scenario(3, 6, 1_000_000.0);
        light.clients.replica = ReplicaKind::Light;
        assert_eq!(full(&light), [2; 3]);
    }

    #[test]
    fn replicas_are_full_where_light_ones_cannot_edit() {
        let mut map = scenario(4, 10, 10_000.0);
        map.workload.edits = EditKind::Map;
        assert_eq!(full(&map), [10; 4]);
        let mut shallow = scenario(4, 10, 10_000.0);
        shallow.document.typed = 0.5;
        shallow.document.form = DocumentForm::Shallow;
        assert_eq!(full(&shallow), [10; 4]);
    }
}
