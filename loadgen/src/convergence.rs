//! Convergence, proved at the end of a run: equal version vectors and equal
//! state in every replica of a room, every edit sent contained, nothing
//! pending.

use std::collections::HashMap;

use syncbench_engines::{OpRange, StateHash, VersionVector};
use syncbench_reports::record::{Convergence, ConvergenceFailure};

use crate::room::{Room, peer_of};
use crate::scenario::client_name;

/// Failures kept with their details; a thousand equal ones help nobody.
const KEPT_FAILURES: usize = 100;

/// Failing replicas and missing ranges named per room.
const KEPT_NAMES: usize = 20;

/// Checks one room, which must be quiet, and adds the result to `total`.
pub fn check(room: &Room, total: &mut Convergence) {
    let findings = Findings::of(room);
    total.rooms += 1;
    total.lost += findings.lost;
    match findings.failure(room) {
        None => total.converged += 1,
        Some(failure) if total.failures.len() < KEPT_FAILURES => total.failures.push(failure),
        Some(_) => {}
    }
}

/// Adds the results of other rooms to `total`.
pub fn add(total: &mut Convergence, other: Convergence) {
    total.rooms += other.rooms;
    total.converged += other.converged;
    total.lost += other.lost;
    let room_left = KEPT_FAILURES.saturating_sub(total.failures.len());
    total
        .failures
        .extend(other.failures.into_iter().take(room_left));
}

/// What is wrong in a room, by slot of the replica.
#[derive(Default)]
struct Findings {
    lost: u64,
    lacking: Vec<(usize, Vec<OpRange>)>,
    foreign: Vec<(usize, Vec<OpRange>)>,
    pending: Vec<usize>,
    differing: Vec<usize>,
}

impl Findings {
    fn of(room: &Room) -> Self {
        let mut findings = Self::default();
        let sent: VersionVector = room
            .members
            .iter()
            .enumerate()
            .map(|(slot, member)| (peer_of(member.client), room.ledger.sent_up_to(slot)))
            .collect();
        for (slot, member) in room.members.iter().enumerate() {
            let has = member.replica.version_vector();
            let (lacks, extra) = (sent.missing_from(&has), has.missing_from(&sent));
            if !lacks.is_empty() {
                findings.lost += lost(room, &has);
                findings.lacking.push((slot, lacks));
            }
            if !extra.is_empty() {
                findings.foreign.push((slot, extra));
            }
            if member.replica.has_pending() {
                findings.pending.push(slot);
            }
        }
        if findings.lacking.is_empty() && findings.foreign.is_empty() {
            findings.differing = differing(room);
        }
        findings
    }

    fn failure(&self, room: &Room) -> Option<ConvergenceFailure> {
        let mut reasons = Vec::new();
        let count = |slots: usize| format!("{slots} of {} replicas", room.members.len());
        if !self.lacking.is_empty() {
            reasons.push(format!(
                "{} lack edits that were sent",
                count(self.lacking.len())
            ));
        }
        if !self.foreign.is_empty() {
            reasons.push(format!(
                "{} contain operations that nobody in the room made",
                count(self.foreign.len())
            ));
        }
        if !self.pending.is_empty() {
            reasons.push(format!(
                "{} hold updates whose dependencies never came",
                count(self.pending.len())
            ));
        }
        if !self.differing.is_empty() {
            reasons.push(format!(
                "{} contain the same operations but show another document",
                count(self.differing.len())
            ));
        }
        if reasons.is_empty() {
            return None;
        }
        Some(ConvergenceFailure {
            room: room.name(),
            replicas: self.replicas(room),
            missing: self.missing(),
            reason: reasons.join("; "),
        })
    }

    fn replicas(&self, room: &Room) -> Vec<String> {
        let lacking = self.lacking.iter().map(|(slot, _)| *slot);
        let foreign = self.foreign.iter().map(|(slot, _)| *slot);
        let mut slots: Vec<usize> = lacking
            .chain(foreign)
            .chain(self.pending.clone())
            .chain(self.differing.clone())
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
            .iter()
            .take(KEPT_NAMES)
            .map(|&slot| client_name(room.members[slot].client))
            .collect()
    }

    fn missing(&self) -> Vec<String> {
        let ranges = self.lacking.iter().flat_map(|(_, ranges)| ranges);
        let mut names: Vec<String> = ranges.map(OpRange::to_string).collect();
        names.sort();
        names.dedup();
        names.truncate(KEPT_NAMES);
        names
    }
}

/// Edits sent in the room that a replica at version `has` does not contain.
fn lost(room: &Room, has: &VersionVector) -> u64 {
    let writers = room.members.iter().enumerate();
    writers
        .map(|(slot, writer)| room.ledger.lacking(slot, has.get(peer_of(writer.client))))
        .sum()
}

/// The replicas whose state is not that of the majority.
fn differing(room: &Room) -> Vec<usize> {
    let hashes: Vec<StateHash> = room
        .members
        .iter()
        .map(|member| member.replica.state_hash())
        .collect();
    let mut votes: HashMap<StateHash, usize> = HashMap::new();
    for hash in &hashes {
        *votes.entry(*hash).or_default() += 1;
    }
    // Ties go to the first replica, so that the answer does not vary.
    let majority = hashes
        .iter()
        .max_by_key(|hash| (votes[*hash], *hash == &hashes[0]));
    let Some(majority) = majority else {
        return Vec::new();
    };
    (0..hashes.len())
        .filter(|&slot| hashes[slot] != *majority)
        .collect()
}
