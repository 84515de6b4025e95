//! Updates that arrive late, out of order or twice: the end of a trace into a replica
//! that has the rest.

use std::rc::Rc;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;

use super::{RECEIVER, arrived};
use crate::workload::repetition::timed;
use crate::workload::subject::TAIL;
use crate::workload::{Form, Input, Prepared, Subject, Workload, check};
use crate::{Capability, Imported};

/// The number of updates that arrive out of order. It is small because some engines
/// search all pending updates again at each import.
const UPDATES: usize = 200;

pub fn workloads() -> Vec<Workload> {
    let row = |name, order: fn(&mut Vec<Vec<u8>>)| {
        let variant = format!("{name}-{UPDATES}");
        Workload::new(Input::Sequential, variant, move |subject| {
            ordered(order, subject)
        })
    };
    vec![
        row("late", |updates| updates.rotate_left(1)).needs([Capability::KeepsEarly]),
        row("reversed", |updates| updates.reverse()).needs([Capability::KeepsEarly]),
        row("shuffled", |updates| {
            updates.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(1));
        })
        .needs([Capability::KeepsEarly]),
        row("twice", |updates| updates.extend_from_within(..)),
    ]
}

/// Imports the updates after the first part of the trace in the order that `order`
/// gives. After the last one, each must have been applied exactly once.
fn ordered(order: fn(&mut Vec<Vec<u8>>), subject: &Subject) -> Prepared<'_> {
    let Some(start) = subject.txns().checked_sub(TAIL) else {
        return Err(subject.unsuitable(format!("it has fewer than {TAIL} txns")));
    };
    let receiver = subject.replica(super::RECEIVER, start, Form::Updates)?;
    let tail = subject.txn_updates(start)?;
    let in_order = &tail[..UPDATES];
    let end = subject.cached("merge/order", || {
        let mut reference = subject.replica(RECEIVER, start, Form::Updates)?;
        for update in in_order {
            reference.import(update)?;
        }
        subject.encode(&mut *reference)
    })?;
    let mut updates = in_order.to_vec();
    order(&mut updates);
    let updates: Rc<[Vec<u8>]> = updates.into();
    let before = receiver.version_vector();
    let sent = Rc::clone(&updates);
    timed(
        (receiver, Vec::<Imported>::with_capacity(updates.len())),
        move |(receiver, imported)| {
            for update in sent.iter() {
                imported.push(receiver.import(update)?);
            }
            Ok(())
        },
        move |(receiver, imported)| {
            let counted = |ranges: &mut dyn Iterator<Item = &crate::OpRange>| {
                ranges.map(|range| range.counters.len()).sum::<usize>()
            };
            let applied = counted(&mut imported.iter().flat_map(|i| &i.applied));
            let brought = counted(&mut end.version.missing_from(&before).iter());
            if applied != brought {
                return Err(check::wrong(format!(
                    "{applied} operations were applied where {brought} came"
                )));
            }
            arrived(&**receiver, &updates, &end)
        },
    )
}
