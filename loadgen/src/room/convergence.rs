//! Convergence, proved at the end of a run: every replica of a room contains
//! every edit sent, nothing that only this run could have made and did not, and
//! has nothing pending; and those with equal version vectors have equal state.
//!
//! Operations of strangers are counted and named. Nobody knows when they were
//! sent, so that a replica may lack some, or have some pending.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use syncbench_engines::{Counter, OpRange, PeerId, StateHash, VersionVector};
use syncbench_reports::record::{Convergence, ConvergenceFailure, Stranger};

use crate::room::present::PresentMember;
use crate::room::{Origin, Room};

/// The number of failures kept with their details.
const KEPT_FAILURES: usize = 100;

/// The number of failing replicas and missing ranges named per room.
const KEPT_NAMES: usize = 20;

/// Checks one room, which must be quiet, and adds the result to `total`.
pub fn check(room: &Room, total: &mut Convergence) {
    let findings = Findings::new(room);
    total.rooms += 1;
    total.lost += findings.lost;
    total.lost_by_absence += findings.lost_by_absence;
    total.compared += findings.compared;
    let foreign = room.strangers().iter().map(|(_, end)| u64::from(end));
    total.foreign_operations += foreign.sum::<u64>();
    add_strangers(total, strangers(room));
    match findings.failure(room) {
        None => total.converged += 1,
        Some(failure) if total.failures.len() < KEPT_FAILURES => total.failures.push(failure),
        Some(_) => {}
    }
}

/// Adds the results of other rooms to `total`. Failures are kept by the order of
/// their rooms, so that the order of the additions makes no difference.
pub fn add(total: &mut Convergence, other: Convergence) {
    total.rooms += other.rooms;
    total.converged += other.converged;
    total.lost += other.lost;
    total.lost_by_absence += other.lost_by_absence;
    total.compared += other.compared;
    total.foreign_operations += other.foreign_operations;
    add_strangers(total, other.strangers);
    total.failures.extend(other.failures);
    total
        .failures
        .sort_by(|one, other| by_room(&one.room, &other.room));
    total.failures.truncate(KEPT_FAILURES);
}

/// Orders names of rooms: the length first, so that `room-2` comes before
/// `room-10`.
fn by_room(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// The strangers that a room has operations of.
fn strangers(room: &Room) -> Vec<Stranger> {
    let strangers = room.strangers().iter().map(|(peer, end)| Stranger {
        room: room.name(),
        peer: peer.to_string(),
        operations: u64::from(end),
    });
    strangers.collect()
}

/// Keeps the names of the first strangers.
fn add_strangers(total: &mut Convergence, strangers: Vec<Stranger>) {
    total.strangers.extend(strangers);
    let by_name = |one: &Stranger, other: &Stranger| {
        by_room(&one.room, &other.room).then_with(|| one.peer.cmp(&other.peer))
    };
    total.strangers.sort_by(by_name);
    total.strangers.truncate(KEPT_NAMES);
}

/// The faults found in a room, by slot of the replica.
#[derive(Default)]
struct Findings {
    lost: u64,
    /// The lost deliveries to clients that arrived late or lost their connection.
    lost_by_absence: u64,
    /// The number of replicas whose documents were compared, and not versions
    /// alone.
    compared: u64,
    lacking: Vec<(usize, Vec<OpRange>)>,
    /// Operations of this run's clients that cannot be in the room.
    misplaced: Vec<(usize, Vec<OpRange>)>,
    pending: Vec<usize>,
    differing: Vec<usize>,
}

impl Findings {
    fn new(room: &Room) -> Self {
        let mut findings = Self::default();
        let sent = with_initial(room, room.edited().map(|(_, peer, end)| (peer, end)));
        let made = with_initial(room, room.created());
        for (slot, present) in present(room) {
            let has = present.doc.version_vector();
            let (lacks, mut extra) = (sent.missing_from(&has), has.missing_from(&made));
            extra.retain(|range| room.origin_of(range) != Origin::Stranger);
            // What a stranger's operations wait for may never be sent here.
            let may_wait = lacks.is_empty() && !room.strangers().is_empty();
            if present.doc.has_pending() && !may_wait {
                findings.pending.push(slot);
            }
            if !lacks.is_empty() {
                let lost = lost(room, slot, &has);
                findings.lost += lost;
                if room.members[slot].was_ever_absent() {
                    findings.lost_by_absence += lost;
                }
                findings.lacking.push((slot, lacks));
            }
            if !extra.is_empty() {
                findings.misplaced.push((slot, extra));
            }
        }
        if findings.lacking.is_empty() && findings.misplaced.is_empty() {
            let (compared, differing) = differing(room);
            findings.compared = compared;
            findings.differing = differing;
        }
        findings
    }

    fn failure(&self, room: &Room) -> Option<ConvergenceFailure> {
        let mut reasons = Vec::new();
        let replicas = present(room).count();
        let count = |slots: usize| format!("{slots} of {replicas} replicas");
        if !self.lacking.is_empty() {
            reasons.push(format!(
                "{} lack edits that were sent",
                count(self.lacking.len())
            ));
        }
        if !self.misplaced.is_empty() {
            reasons.push(format!(
                "{} contain operations that nobody in the room made{}",
                count(self.misplaced.len()),
                self.hint(room),
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

    /// What may be behind misplaced operations.
    fn hint(&self, room: &Room) -> &'static str {
        let mut ranges = self.misplaced.iter().flat_map(|(_, ranges)| ranges);
        match ranges.any(|range| room.origin_of(range) == Origin::OtherRoom) {
            true => " (they are of another room)",
            false => " (is another run with this --run-id on the relay?)",
        }
    }

    fn replicas(&self, room: &Room) -> Vec<String> {
        let lacking = self.lacking.iter().map(|(slot, _)| *slot);
        let misplaced = self.misplaced.iter().map(|(slot, _)| *slot);
        let mut slots: Vec<usize> = lacking
            .chain(misplaced)
            .chain(self.pending.clone())
            .chain(self.differing.clone())
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
            .iter()
            .take(KEPT_NAMES)
            .map(|&slot| room.members[slot].client.name())
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

/// The members that are present at the end, by slot.
fn present(room: &Room) -> impl Iterator<Item = (usize, &PresentMember)> {
    let members = room.members.iter().enumerate();
    members.filter_map(|(slot, member)| Some((slot, member.present()?)))
}

/// Adds the operations that the room contained before the first edit.
fn with_initial(room: &Room, operations: impl Iterator<Item = (PeerId, Counter)>) -> VersionVector {
    let initial = room.initial_version();
    initial.iter().chain(operations).collect()
}

/// The number of edits sent in the room that the replica of `slot`, at version
/// `has`, does not contain.
fn lost(room: &Room, slot: usize, has: &VersionVector) -> u64 {
    let others = room.edited().filter(|&(writer, ..)| writer != slot);
    others
        .filter_map(|(writer, peer, _)| {
            let writer = room.members[writer].writer?;
            Some(room.ledger.lacking(writer, has.get(peer)))
        })
        .sum()
}

/// The number of documents compared, and the replicas whose document differs
/// from that of the majority. Only replicas with the same operations can be
/// compared: without strangers, and edits that their writers could not send,
/// all have the same.
fn differing(room: &Room) -> (u64, Vec<usize>) {
    let mut by_version: BTreeMap<Vec<u8>, Vec<(usize, StateHash)>> = BTreeMap::new();
    for (slot, present) in present(room) {
        if let Some(hash) = present.doc.state_hash() {
            let version = present.doc.version_vector().encode();
            by_version.entry(version).or_default().push((slot, hash));
        }
    }
    by_version.retain(|_, same| same.len() > 1);
    let compared = by_version.values().map(|same| same.len() as u64).sum();
    let mut differing: Vec<usize> = by_version
        .values()
        .flat_map(|same| minority(same))
        .collect();
    differing.sort_unstable();
    (compared, differing)
}

/// The replicas whose document differs from that of the majority.
fn minority(hashes: &[(usize, StateHash)]) -> Vec<usize> {
    let mut votes: HashMap<StateHash, usize> = HashMap::new();
    for (_, hash) in hashes {
        *votes.entry(*hash).or_default() += 1;
    }
    // Ties go to the first replica, so that the answer does not vary.
    let majority = hashes
        .iter()
        .max_by_key(|(_, hash)| (votes[hash], *hash == hashes[0].1));
    let Some(&(_, majority)) = majority else {
        return Vec::new();
    };
    let others = hashes.iter().filter(|(_, hash)| *hash != majority);
    others.map(|(slot, _)| *slot).collect()
}
