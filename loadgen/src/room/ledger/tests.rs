use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn times(at: Nanos) -> Times {
    Times {
        intended: at,
        begun: at,
        made: at + 1,
        sent: at + 1,
    }
}

fn ledger(members: usize) -> Ledger {
    let mut ledger = Ledger::new(members, 0..members);
    (0..members).for_each(|slot| ledger.arrive(slot));
    ledger
}

fn shown(ledger: &mut Ledger, slot: usize, writer: usize, end: Counter) -> Vec<Nanos> {
    let shown = ledger.show(slot, writer, end);
    shown.map(|times| times.intended).collect()
}

#[test]
fn an_edit_is_visible_only_when_its_last_operation_is() {
    let mut ledger = ledger(2);
    ledger.note(0, 5, times(50));
    ledger.note(0, 9, times(90));
    assert!(shown(&mut ledger, 1, 0, 4).is_empty());
    assert_eq!(shown(&mut ledger, 1, 0, 8), [50]);
    let missing: Vec<_> = ledger.missing(0, 8).collect();
    let last = MissingEdit {
        counters: 8..9,
        intended: Some(90),
    };
    assert_eq!(missing, [last]);
    assert_eq!(ledger.oldest_outstanding(1), Some(90));
    assert_eq!(shown(&mut ledger, 1, 0, 9), [90]);
    assert!(ledger.is_complete());
}

#[test]
fn the_same_operations_shown_again_make_nothing_visible() {
    let mut ledger = ledger(3);
    ledger.note(0, 1, times(1));
    assert_eq!(shown(&mut ledger, 1, 0, 1).len(), 1);
    assert!(shown(&mut ledger, 1, 0, 1).is_empty());
    assert_eq!((ledger.expected(), ledger.visible()), (2, 1));
    assert!(!ledger.is_complete());
}

#[test]
fn who_comes_late_is_owed_what_is_made_from_then_on() {
    let mut ledger = Ledger::new(3, [0]);
    ledger.arrive(0);
    ledger.arrive(1);
    ledger.note(0, 1, times(1));
    ledger.arrive(2);
    ledger.note(0, 2, times(2));
    assert_eq!(ledger.expected(), 3);
    assert_eq!(shown(&mut ledger, 2, 0, 2), [2]);
    assert_eq!(shown(&mut ledger, 1, 0, 2), [1, 2]);
    assert!(ledger.is_complete());
}

#[test]
fn who_leaves_is_owed_nothing_any_more() {
    let mut ledger = ledger(3);
    ledger.note(0, 1, times(1));
    ledger.note(0, 2, times(2));
    shown(&mut ledger, 1, 0, 1);
    ledger.depart(1);
    assert_eq!((ledger.expected(), ledger.visible()), (3, 1));
    ledger.note(0, 3, times(3));
    assert_eq!(shown(&mut ledger, 2, 0, 3), [1, 2, 3]);
    assert!(ledger.is_complete());
}

#[test]
fn edits_that_never_left_their_writer_are_owed_to_nobody() {
    let mut ledger = ledger(2);
    ledger.note(0, 1, times(1));
    ledger.note(0, 2, times(2));
    shown(&mut ledger, 1, 0, 1);
    assert_eq!(ledger.withdraw(0, 1), 1);
    assert!(ledger.is_complete());
    assert_eq!(ledger.sent_up_to(0), 1);
}

#[test]
fn what_everyone_has_seen_is_forgotten_and_still_counted() {
    let mut ledger = ledger(3);
    for edit in 1..=10 {
        ledger.note(0, edit, times(u64::from(edit)));
    }
    shown(&mut ledger, 1, 0, 8);
    shown(&mut ledger, 2, 0, 5);
    ledger.forget_seen();
    assert_eq!(ledger.writers[0].times.len(), 5);
    let missing: Vec<_> = ledger.missing(0, 3).collect();
    let named = missing.iter().map(|edit| edit.counters.clone());
    assert!(named.eq((3..10).map(|start| start..start + 1)));
    let intended = missing.iter().map(|edit| edit.intended);
    assert!(intended.eq([None, None, Some(6), Some(7), Some(8), Some(9), Some(10)]));
    assert_eq!(shown(&mut ledger, 2, 0, 10), [6, 7, 8, 9, 10]);
    assert_eq!(shown(&mut ledger, 1, 0, 10), [9, 10]);
    assert!(ledger.is_complete());
}

proptest! {
    /// Compares the ledger with the obvious model: a set of (receiver, writer,
    /// edit).
    #[test]
    fn agrees_with_a_set_of_deliveries(
        members in 2usize..5,
        steps in prop::collection::vec((0u8..3, 0usize..5, 0usize..5, 1u32..6), 1..200),
    ) {
        let mut ledger = ledger(members);
        let mut edits: Vec<Vec<Counter>> = vec![vec![]; members];
        let mut delivered = BTreeSet::new();
        for (step, a, b, amount) in steps {
            let (writer, slot) = (a % members, b % members);
            let end = edits[writer].last().copied().unwrap_or(0) + amount;
            if step == 0 {
                edits[writer].push(end);
                ledger.note(writer, end, times(u64::from(end)));
            } else if step == 1 {
                ledger.forget_seen();
            } else if writer != slot {
                let upto = end.saturating_sub(3);
                let fresh = shown(&mut ledger, slot, writer, upto);
                let model: Vec<_> = edits[writer].iter().copied()
                    .filter(|&e| e <= upto && delivered.insert((slot, writer, e)))
                    .map(u64::from)
                    .collect();
                prop_assert_eq!(fresh, model);
            }
        }
        let sent: usize = edits.iter().map(Vec::len).sum();
        prop_assert_eq!(ledger.expected(), (sent * (members - 1)) as u64);
        prop_assert_eq!(ledger.visible(), delivered.len() as u64);
    }
}
