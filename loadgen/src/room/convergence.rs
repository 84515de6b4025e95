//! Convergence, proved at the end of a run: equal version vectors and equal
//! state in every replica of a room, every edit sent contained, nothing
//! pending.

use std::collections::HashMap;

use syncbench_engines::{Counter, OpRange, PeerId, StateHash, VersionVector};
use syncbench_reports::record::{Convergence, ConvergenceFailure};

use crate::room::Room;
use crate::room::present::PresentMember;

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
    total.failures.extend(other.failures);
    // The length first, so that `room-2` comes before `room-10`.
    total.failures.sort_by(|one, other| {
        let lengths = one.room.len().cmp(&other.room.len());
        lengths.then_with(|| one.room.cmp(&other.room))
    });
    total.failures.truncate(KEPT_FAILURES);
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
    foreign: Vec<(usize, Vec<OpRange>)>,
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
            let (lacks, extra) = (sent.missing_from(&has), has.missing_from(&made));
            if !lacks.is_empty() {
                let lost = lost(room, slot, &has);
                findings.lost += lost;
                if room.members[slot].was_ever_absent() {
                    findings.lost_by_absence += lost;
                }
                findings.lacking.push((slot, lacks));
            }
            if !extra.is_empty() {
                findings.foreign.push((slot, extra));
            }
            if present.doc.has_pending() {
                findings.pending.push(slot);
            }
        }
        if findings.lacking.is_empty() && findings.foreign.is_empty() {
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
/// from that of the majority.
fn differing(room: &Room) -> (u64, Vec<usize>) {
    let documents =
        present(room).filter_map(|(slot, present)| Some((slot, present.doc.state_hash()?)));
    let hashes: Vec<(usize, StateHash)> = documents.collect();
    let mut votes: HashMap<StateHash, usize> = HashMap::new();
    for (_, hash) in &hashes {
        *votes.entry(*hash).or_default() += 1;
    }
    // Ties go to the first replica, so that the answer does not vary.
    let majority = hashes
        .iter()
        .max_by_key(|(_, hash)| (votes[hash], *hash == hashes[0].1));
    let Some(&(_, majority)) = majority else {
        return (0, Vec::new());
    };
    let others = hashes.iter().filter(|(_, hash)| *hash != majority);
    (hashes.len() as u64, others.map(|(slot, _)| *slot).collect())
}
