//! The kind of replica that each client keeps.

use super::Plan;
use crate::scenario::{EditKind, ReplicaKind, Scenario, Verify};

/// The number of light replicas in each room that are compared as documents.
const VERIFIED_A_ROOM: usize = 2;

/// The imports per second that automatic full replicas may take on together. Each
/// costs Loro 0.1 to 0.5 ms, so that they fit into one core.
const AUTOMATIC_IMPORTS: f64 = 2_000.0;

/// The most clients that all keep full replicas automatically: each document takes
/// memory, and time to open.
const AUTOMATIC_CLIENTS: usize = 1_000;

/// Makes all replicas light, if `scenario` does not want full ones.
pub(super) fn assign(plan: &mut Plan, scenario: &Scenario) {
    let is_light = match scenario.clients.replica {
        ReplicaKind::Full => false,
        ReplicaKind::Light => true,
        ReplicaKind::Auto => !fits(plan, scenario) && may_be_light(scenario),
    };
    if !is_light {
        return;
    }
    for client in &mut plan.clients {
        client.full = false;
    }
    let verified = match scenario.clients.verify {
        Verify::Sample => VERIFIED_A_ROOM,
        Verify::Versions => 0,
    };
    for room in &plan.rooms {
        for &client in room.clients.iter().take(verified) {
            plan.clients[client.0 as usize].verified = true;
        }
    }
}

/// The updates per second that the full replicas of `scenario` import together, if
/// it asks for full ones and they may have more to import than a core can: the run
/// then lasts longer than its schedule.
pub fn excessive_imports(scenario: &Scenario) -> Option<f64> {
    let imports = imports_per_second(scenario);
    let is_excessive = imports > AUTOMATIC_IMPORTS;
    (scenario.clients.replica == ReplicaKind::Full && is_excessive).then_some(imports)
}

/// Returns true if every client can keep a full replica.
fn fits(plan: &Plan, scenario: &Scenario) -> bool {
    plan.clients.len() <= AUTOMATIC_CLIENTS && imports_per_second(scenario) <= AUTOMATIC_IMPORTS
}

/// Returns true if light replicas can make the edits of `scenario`.
fn may_be_light(scenario: &Scenario) -> bool {
    let kinds = scenario.workload.edit_shares();
    let only_text = kinds.iter().all(|(kind, _)| *kind == EditKind::Trace);
    only_text && !scenario.document.begins_shallow()
}

/// The imports per second of all clients together, if all keep full replicas, at
/// the highest rate of the scenario.
fn imports_per_second(scenario: &Scenario) -> f64 {
    let late = scenario.clients.late.div_ceil(scenario.room_count().max(1));
    let clients = f64::from(scenario.clients.count.max(1));
    let importers_of_an_edit = scenario.rooms.iter().map(|class| {
        let share_of_edits = f64::from(class.count) * f64::from(class.size) / clients;
        let others = class.size.saturating_add(late).saturating_sub(1);
        share_of_edits * f64::from(others)
    });
    scenario.highest_update_rate() * importers_of_an_edit.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
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

    /// The numbers of full and of verified replicas in each room.
    fn kinds(scenario: &Scenario) -> Vec<(usize, usize)> {
        let plan = Plan::new(scenario);
        let rooms = plan.rooms.iter();
        let kinds = rooms.map(|room| {
            let clients = || room.clients.iter().map(|&client| plan.client(client));
            let full = clients().filter(|client| client.full);
            let verified = clients().filter(|client| client.verified);
            (full.count(), verified.count())
        });
        kinds.collect()
    }

    #[test]
    fn every_replica_is_full_while_the_imports_fit() {
        assert_eq!(kinds(&scenario(4, 10, 200.0)), [(10, 0); 4]);
        assert_eq!(kinds(&scenario(4, 10, 250.0)), [(0, 2); 4]);
        assert_eq!(kinds(&scenario(2, 600, 1.0)), [(0, 2); 2]);
        let mut peak = scenario(4, 10, 10.0);
        peak.stages = vec![Stage {
            name: String::new(),
            duration: Duration::from_secs(1),
            rate: Some(1_000.0),
            ramp: false,
            clients: None,
        }];
        assert_eq!(kinds(&peak), [(0, 2); 4]);
        peak.workload.batch = Duration::from_secs(1);
        assert_eq!(kinds(&peak), [(10, 0); 4]);
    }

    #[test]
    fn two_replicas_of_each_room_are_verified_where_all_are_light() {
        let mut light = scenario(3, 6, 1.0);
        light.clients.replica = ReplicaKind::Light;
        assert_eq!(kinds(&light), [(0, 2); 3]);
        light.clients.verify = Verify::Versions;
        assert_eq!(kinds(&light), [(0, 0); 3]);
    }

    #[test]
    fn full_replicas_that_are_asked_for_may_have_too_much_to_import() {
        let mut crowd = scenario(1, 500, 20.0);
        assert_eq!(excessive_imports(&crowd), None, "they are light");
        crowd.clients.replica = ReplicaKind::Full;
        assert_eq!(excessive_imports(&crowd), Some(9_980.0));
        crowd.workload.rate = 2.0;
        assert_eq!(excessive_imports(&crowd), None);
    }

    #[test]
    fn replicas_are_full_where_light_ones_cannot_edit() {
        let mut map = scenario(4, 10, 10_000.0);
        map.workload.edits = EditKind::Map;
        assert_eq!(kinds(&map), [(10, 0); 4]);
        let mut shallow = scenario(4, 10, 10_000.0);
        shallow.document.typed = 0.5;
        shallow.document.form = DocumentForm::Shallow;
        assert_eq!(kinds(&shallow), [(10, 0); 4]);
    }
}
