//! Tests of writers, joiners and compactions in any order: the document of a
//! joiner becomes equal to that of the writers.

use proptest::prelude::*;
use syncbench_engines::StateHash;

use super::*;

/// Three writers and the updates that they sent.
struct Writers {
    replicas: Vec<Box<dyn Replica>>,
    sent: Vec<Bytes>,
}

impl Writers {
    fn new() -> Self {
        let replicas = (1..=3).map(|peer| Loro.replica(peer)).collect();
        Self {
            replicas,
            sent: Vec::new(),
        }
    }

    /// Makes an edit of `writer`, which has seen some of the others' updates, and
    /// returns its update.
    fn edit(&mut self, writer: usize, text: &str) -> Bytes {
        let replica = &mut self.replicas[writer];
        let before = replica.own_counter();
        // Most of the text is deleted again, so that history and state differ.
        let len = replica.text_len();
        let (at, deleted) = (len / 2, if len > 8 { len / 2 } else { 0 });
        replica.splice(at, deleted, text).unwrap();
        replica.commit();
        let range = OpRange {
            peer: replica.peer(),
            counters: before..replica.own_counter(),
        };
        let update = Bytes::from(replica.export(Export::Range(range)).unwrap());
        self.sent.push(update.clone());
        update
    }

    fn see_all(&mut self, writer: usize) {
        see(self.replicas[writer].as_mut(), &self.sent);
    }

    /// Returns the state and version of a replica that has seen all updates.
    fn outcome(&self) -> (StateHash, VersionVector) {
        let mut all = Loro.replica(9);
        see(all.as_mut(), &self.sent);
        assert!(!all.has_pending());
        (all.state_hash(), all.version_vector())
    }
}

fn see(replica: &mut dyn Replica, updates: &[Bytes]) {
    for update in updates {
        replica.import(update).unwrap();
    }
}

fn add(history: &mut History, update: &Bytes) -> bool {
    history.add(vec![Update::read(update.clone()).unwrap()])
}

fn limits(kind: HistoryKind, updates: usize) -> Limits {
    Limits {
        kind,
        updates,
        bytes: 1 << 20,
    }
}

/// Brings `joiner` up to date, if the history allows it.
fn join(history: &History, joiner: &mut dyn Replica) -> Result<(), TooOld> {
    let backfill = history.missing(&joiner.version_vector())?;
    see(joiner, &backfill.into_updates());
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    /// A writer edits, and the update reaches the relay.
    Edit(usize, String),
    /// A writer edits, and the update is held up until the end.
    HoldUp(usize),
    /// A writer sees what the others sent.
    See(usize),
    /// The joiner of this number joins, again if it has joined before.
    Join(usize),
    /// A due compaction begins.
    Begin,
    /// The running compaction ends.
    End,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_usize, "[a-zé😀]{1,4}").prop_map(|(writer, text)| Step::Edit(writer, text)),
        1 => (0..3_usize).prop_map(Step::HoldUp),
        3 => (0..3_usize).prop_map(Step::See),
        2 => (0..4_usize).prop_map(Step::Join),
        2 => Just(Step::Begin),
        2 => Just(Step::End),
    ];
    prop::collection::vec(step, 1..80)
}

/// Plays the steps with a full history: all replicas must become equal.
fn play(steps: Vec<Step>) {
    let mut history = History::new(limits(HistoryKind::Full, 3));
    let mut writers = Writers::new();
    let mut joiners: Vec<_> = (4..8).map(|peer| Loro.replica(peer)).collect();
    let mut held_up = Vec::new();
    let mut compaction = None;
    for step in steps {
        match step {
            Step::Edit(writer, text) => {
                let update = writers.edit(writer, &text);
                assert!(add(&mut history, &update));
                assert!(!add(&mut history, &update), "known already");
            }
            Step::HoldUp(writer) => held_up.push(writers.edit(writer, "-")),
            Step::See(writer) => writers.see_all(writer),
            Step::Join(joiner) => join(&history, joiners[joiner].as_mut()).unwrap(),
            Step::Begin => compaction = compaction.or_else(|| history.compaction()),
            Step::End => end(&mut history, compaction.take()),
        }
    }
    for update in held_up {
        assert!(add(&mut history, &update));
    }
    end(&mut history, compaction);
    let (state, version) = writers.outcome();
    assert_eq!(history.version(), &version);
    joiners.push(Loro.replica(8));
    for mut joiner in joiners {
        join(&history, joiner.as_mut()).unwrap();
        assert_eq!(joiner.version_vector(), version);
        assert_eq!(joiner.state_hash(), state);
    }
}

fn end(history: &mut History, compaction: Option<Compaction>) {
    if let Some(compaction) = compaction {
        history.compacted(Some(compaction.run().unwrap()));
    }
}

/// Plays the steps with a shallow history and writers that are up to date: all
/// clients that are let in must become equal, and new clients must be let in.
fn play_shallow(steps: Vec<Step>) {
    let mut history = History::new(limits(HistoryKind::Shallow, 3));
    let mut writers = Writers::new();
    let mut joiners: Vec<_> = (4..8).map(|peer| Loro.replica(peer)).collect();
    let mut compaction = None;
    for step in steps {
        match step {
            Step::Edit(writer, text) => {
                writers.see_all(writer);
                let update = writers.edit(writer, &text);
                assert!(add(&mut history, &update));
            }
            Step::Join(joiner) => {
                let joiner = joiners[joiner].as_mut();
                let new = joiner.version_vector().is_empty();
                assert!(join(&history, joiner).is_ok() || !new);
            }
            Step::HoldUp(_) | Step::See(_) => {}
            Step::Begin => compaction = compaction.or_else(|| history.compaction()),
            Step::End => end(&mut history, compaction.take()),
        }
    }
    end(&mut history, compaction);
    let (state, version) = writers.outcome();
    joiners.push(Loro.replica(8));
    for mut joiner in joiners {
        if join(&history, joiner.as_mut()).is_ok() {
            assert_eq!(joiner.version_vector(), version);
            assert_eq!(joiner.state_hash(), state);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn joiners_receive_all_operations_at_any_time(steps in steps()) {
        play(steps);
    }

    #[test]
    fn joiners_of_a_shallow_history_receive_all_operations_or_are_refused(steps in steps()) {
        play_shallow(steps);
    }
}

/// Makes a history of `kind` with `edits` edits, compacted whenever due, and a
/// client that joined after the first five.
fn compacted(kind: HistoryKind, edits: usize) -> (History, Box<dyn Replica>, Writers) {
    let mut history = History::new(limits(kind, 10));
    let mut writers = Writers::new();
    let mut early = Loro.replica(4);
    for edit in 0..edits {
        // Text that does not compress well.
        let text = format!("{:x}", (edit + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        add(&mut history, &writers.edit(0, &text));
        if edit == 4 {
            join(&history, early.as_mut()).unwrap();
        }
        let due = history.compaction();
        end(&mut history, due);
    }
    (history, early, writers)
}

#[test]
fn a_log_does_not_outgrow_its_limit() {
    let (history, ..) = compacted(HistoryKind::Full, 200);
    assert!(history.log.len() <= 10);
    assert!(history.base.is_some());
}

#[test]
fn a_joiner_with_a_part_receives_less_than_the_whole() {
    let (history, mut early, writers) = compacted(HistoryKind::Full, 200);
    let (_, mut late, _) = compacted(HistoryKind::Full, 5);
    see(late.as_mut(), &writers.sent[..190]);
    let sizes = [early.as_mut(), late.as_mut()].map(|joiner| {
        let backfill = history.missing(&joiner.version_vector()).unwrap();
        backfill.into_updates().concat().len()
    });
    assert!(sizes[1] < sizes[0] / 2, "{sizes:?}");
    join(&history, early.as_mut()).unwrap();
    assert_eq!(early.state_hash(), writers.outcome().0);
}

#[test]
fn a_joiner_from_before_a_shallow_start_is_refused() {
    let (history, early, writers) = compacted(HistoryKind::Shallow, 200);
    let refused = history.missing(&early.version_vector());
    assert_eq!(refused.map(|_| ()), Err(TooOld));
    let mut new = Loro.replica(5);
    join(&history, new.as_mut()).unwrap();
    assert_eq!(new.state_hash(), writers.outcome().0);
    let full = compacted(HistoryKind::Full, 200).0;
    let size = |history: &History| history.base.as_ref().unwrap().snapshot.len();
    assert!(size(&history) < size(&full));
}

#[test]
fn an_edit_from_just_before_a_shallow_compaction_is_merged() {
    let (mut history, _, mut writers) = compacted(HistoryKind::Shallow, 40);
    // Another writer is up to date, and edits while a base is made.
    writers.see_all(1);
    let crossing = writers.edit(1, "crossing");
    for _ in 0..11 {
        add(&mut history, &writers.edit(0, "x"));
    }
    let due = history.compaction();
    assert!(due.is_some());
    end(&mut history, due);
    add(&mut history, &crossing);
    let mut new = Loro.replica(5);
    join(&history, new.as_mut()).unwrap();
    assert_eq!(new.state_hash(), writers.outcome().0);
}

#[test]
fn a_failed_compaction_loses_nothing_and_is_not_tried_at_once() {
    let mut history = History::new(limits(HistoryKind::Full, 3));
    let mut writers = Writers::new();
    for _ in 0..4 {
        add(&mut history, &writers.edit(0, "a"));
    }
    assert!(history.compaction().is_some());
    assert!(history.compaction().is_none(), "one at a time");
    history.compacted(None);
    assert!(history.compaction().is_none(), "not at once");
    for _ in 0..4 {
        add(&mut history, &writers.edit(0, "a"));
    }
    assert!(history.compaction().is_some());
}

#[test]
fn damaged_bytes_are_refused_and_an_empty_update_is_nothing_new() {
    let mut writers = Writers::new();
    let mut update = writers.edit(0, "abc").to_vec();
    let last = update.len() - 1;
    update[last] ^= 1;
    assert!(Update::read(update.into()).is_err());
    assert!(Update::read(Bytes::from_static(b"garbage")).is_err());
    let nothing = Loro.replica(7).export(Export::Updates {
        since: &VersionVector::new(),
    });
    let mut history = History::new(limits(HistoryKind::Full, 3));
    assert!(!add(&mut history, &nothing.unwrap().into()));
}
