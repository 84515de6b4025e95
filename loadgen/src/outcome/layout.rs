//! The layout of a run: as much of its scenario as an outcome needs.

use serde::{Deserialize, Serialize};

use crate::metrics::Group;
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::time::clock::Nanos;

/// The size of a run, and the names of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Clients, including those that come later.
    pub clients: u64,
    /// Clients that keep full replicas.
    pub full_replicas: u64,
    /// Rooms.
    pub rooms: u64,
    /// The planned length of the schedule.
    pub duration: Nanos,
    /// Faults of the relay that are planned.
    pub relay_faults: u64,
    /// Names of the stages.
    pub stages: Vec<String>,
    /// Clients per room, by class of rooms.
    pub room_sizes: Vec<u32>,
    /// Names of the links.
    pub links: Vec<String>,
}

impl Layout {
    /// The layout of `scenario`, whose plan is `plan`.
    pub fn new(scenario: &Scenario, plan: &Plan) -> Self {
        let stages = scenario.stages.iter().map(|stage| stage.name.clone());
        let sizes = scenario.rooms.iter().map(|class| class.size);
        let links = scenario.links.iter().map(|link| link.name.clone());
        Self {
            clients: plan.clients.len() as u64,
            full_replicas: plan.full_replicas() as u64,
            rooms: scenario.room_count().into(),
            duration: scenario.duration.as_nanos() as Nanos,
            relay_faults: scenario.faults.len() as u64,
            stages: stages.collect(),
            room_sizes: sizes.collect(),
            links: links.collect(),
        }
    }

    /// Returns the kind of parts that `group` belongs to and its name among
    /// them, or `None` for a part that the run does not have.
    pub fn name_of(&self, group: Group) -> Option<(&'static str, String)> {
        Some(match group {
            Group::Stage(index) => ("stage", self.stages.get(index)?.clone()),
            Group::RoomSize(index) => ("room_size", self.room_sizes.get(index)?.to_string()),
            Group::Link(None) => ("link", "none".to_owned()),
            Group::Link(Some(index)) => ("link", self.links.get(index)?.clone()),
        })
    }
}
