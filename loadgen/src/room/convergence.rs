//! Convergence, proved at the end of a run: every replica of a room contains
//! every edit sent, nothing that only this run could have made and did not, and
//! has nothing pending; and those with equal version vectors have equal state.
//!
//! Operations of strangers are counted and named. Nobody knows when they were
//! sent, so that a replica may lack some, or have some pending.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use syncbench_engines::{Counter, OpRange, PeerId, StateHash, VersionVector};
use syncbench_reports::record::{Convergence, ConvergenceFailure, LostEdit, Stranger};

use crate::room::present::PresentMember;
use crate::room::{Origin, Room};
use crate::time::clock::Nanos;

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
    total.pending += findings.waiting;
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
    total.pending += other.pending;
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
    /// The deliveries that never arrived.
    lost: u64,
    /// The lost deliveries to clients that arrived late or lost their connection.
    lost_by_absence: u64,
    /// The deliveries that arrived and wait for others.
    waiting: u64,
    /// The first delivery that never arrived.
    first_lost: Option<MissingDelivery>,
    /// The number of replicas whose documents were compared, and not versions
    /// alone.
    compared: u64,
    /// The operations that never arrived.
    lacking: Vec<(usize, Vec<OpRange>)>,
    /// Operations of this run's clients that cannot be in the room.
    misplaced: Vec<(usize, Vec<OpRange>)>,
    pending: Vec<usize>,
    differing: Vec<usize>,
}

/// An edit that the document of a replica lacks.
#[derive(Debug)]
struct MissingDelivery {
    /// The operations that it lacks.
    operations: OpRange,
    /// The intended time of the edit. One whose time is forgotten was made before
    /// all others.
    intended: Option<Nanos>,
    /// The slot of the writer.
    writer: usize,
    /// The slot of the replica.
    receiver: usize,
}

impl MissingDelivery {
    /// The key by which the first of them is found.
    fn order(&self) -> (Option<Nanos>, PeerId, Counter, usize) {
        let OpRange { peer, counters } = &self.operations;
        (self.intended, *peer, counters.start, self.receiver)
    }

    fn named(&self, room: &Room) -> LostEdit {
        let name = |slot: usize| room.members[slot].client.name();
        LostEdit {
            operations: self.operations.to_string(),
            writer: name(self.writer),
            receiver: name(self.receiver),
            intended_ns: self.intended,
        }
    }
}

impl Findings {
    fn new(room: &Room) -> Self {
        let mut findings = Self::default();
        let sent = with_initial(room, room.edited().map(|(_, peer, end)| (peer, end)));
        let made = with_initial(room, room.created());
        let mut is_complete = true;
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
                is_complete = false;
                findings.note_lacking(room, slot, &lacks);
            }
            if !extra.is_empty() {
                findings.misplaced.push((slot, extra));
            }
        }
        if is_complete && findings.misplaced.is_empty() {
            let (compared, differing) = differing(room);
            findings.compared = compared;
            findings.differing = differing;
        }
        findings
    }

    /// Notes that the document of `slot` lacks the operations of `lacks`: some
    /// never arrived, and others may wait for those.
    fn note_lacking(&mut self, room: &Room, slot: usize, lacks: &[OpRange]) {
        let Some(present) = room.members[slot].present() else {
            return;
        };
        let waiting = present.doc.waiting();
        let absent: Vec<OpRange> = lacks
            .iter()
            .flat_map(|range| waiting.absent_in(range))
            .collect();
        let (waits, lost) = missing(room, slot)
            .partition::<Vec<_>, _>(|edit| waiting.absent_in(&edit.operations).is_empty());
        self.waiting += waits.len() as u64;
        self.lost += lost.len() as u64;
        if room.members[slot].was_ever_absent() {
            self.lost_by_absence += lost.len() as u64;
        }
        let first = self.first_lost.take().into_iter().chain(lost);
        self.first_lost = first.min_by_key(MissingDelivery::order);
        if !absent.is_empty() {
            self.lacking.push((slot, absent));
        }
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
        let first_lost = self.first_lost.as_ref().map(|lost| lost.named(room));
        if let Some(lost) = &first_lost {
            reasons.push(format!("first lost: {lost}"));
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
            first_lost,
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

/// Returns the edits sent in the room that the document of `receiver` lacks.
fn missing(room: &Room, receiver: usize) -> impl Iterator<Item = MissingDelivery> + '_ {
    let present = room.members[receiver].present();
    let has = present.map_or_else(VersionVector::new, |present| present.doc.version_vector());
    let others = room
        .edited()
        .filter(move |&(writer, ..)| writer != receiver);
    others.flat_map(move |(slot, peer, _)| {
        let end = has.get(peer);
        let writer = room.members[slot].writer.into_iter();
        let edits = writer.flat_map(move |writer| room.ledger.missing(writer, end));
        edits.map(move |edit| MissingDelivery {
            operations: OpRange {
                peer,
                counters: edit.counters,
            },
            intended: edit.intended,
            writer: slot,
            receiver,
        })
    })
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
