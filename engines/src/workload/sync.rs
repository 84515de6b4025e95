//! The ways in which two replicas synchronise, and in which a client turns the edits of
//! its user into updates: time, and bytes on the wire.

use std::fmt;
use std::rc::Rc;

use super::merge::{DIVERGED, Delivery, QUADRATIC, batch, branches};
use super::repetition::timed;
use super::subject::{TAIL, WRITER};
use super::{Form, Input, Outcome, Prepared, Subject, Workload, WorkloadError, check};
use crate::peer_ids::peer;
use crate::{
    Capability, EngineError, Export, HeavyWork, Imported, OpRange, PeerId, Replica, VersionVector,
};

/// The peer that receives.
const RECEIVER: PeerId = peer(2);

/// The number of states of a text field that a client sees.
const KEYSTROKES: usize = 10;

pub fn workloads() -> Vec<Workload> {
    let sequential = Input::Sequential;
    let mut all = Vec::new();
    for rounds in [Rounds::One, Rounds::Two] {
        for edits in DIVERGED {
            let variant = format!("{rounds}/diverged-{edits}");
            let row = Workload::new(sequential, variant, move |subject| {
                exchange(rounds, edits, subject)
            });
            let row = row.scale(rounds.to_string(), edits as u64, "edits");
            all.push(match edits > QUADRATIC {
                true => row.heavy(HeavyWork::LongBranches),
                false => row,
            });
        }
    }
    let tail = TAIL as u64;
    let single = Workload::new(sequential, format!("receive-{TAIL}/one-by-one"), one_by_one);
    all.push(single.per(tail).heavy(HeavyWork::ManyChanges));
    let batch = Workload::new(sequential, format!("receive-{TAIL}/batch"), in_a_batch);
    all.push(batch.needs([Capability::Batch]).per(tail));
    for (how, needs) in [
        (Sending::Export, None),
        (Sending::Subscription, Some(Capability::LocalUpdates)),
    ] {
        let variant = format!("send-{TAIL}/{how}");
        let row = Workload::new(sequential, variant, move |subject| send(how, subject));
        all.push(row.needs(needs).per(tail).heavy(HeavyWork::ManyChanges));
    }
    for (how, needs) in [
        (Field::ReplaceSendAll, None),
        (Field::Replace, None),
        (Field::Difference, Some(Capability::TextDiff)),
    ] {
        let variant = format!("textarea-{KEYSTROKES}/{how}");
        let row = Workload::new(sequential, variant, move |subject| field(how, subject));
        let row = row.needs(needs).per(KEYSTROKES as u64);
        all.push(row.heavy(HeavyWork::ManyChanges));
    }
    all
}

/// The number of round trips of an exchange.
#[derive(Debug, Clone, Copy)]
enum Rounds {
    /// Each replica sends everything.
    One,
    /// Each replica sends its version, then what the other lacks.
    Two,
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "one-round",
            Self::Two => "two-rounds",
        })
    }
}

/// Two replicas that diverged, and the messages that they exchange.
struct Exchange {
    replicas: [Box<dyn Replica>; 2],
    sent: usize,
    imported: [Imported; 2],
}

fn exchange(rounds: Rounds, edits: usize, subject: &Subject) -> Prepared<'_> {
    let capabilities = subject.engine().capabilities();
    let state = Exchange {
        replicas: branches(edits, subject)?,
        sent: 0,
        imported: Default::default(),
    };
    timed(
        state,
        move |state| {
            let [a, b] = &mut state.replicas;
            let (to_b, to_a) = match rounds {
                Rounds::One => {
                    let since = &VersionVector::new();
                    let to_b = a.export(Export::Updates { since })?;
                    (to_b, b.export(Export::Updates { since })?)
                }
                Rounds::Two => {
                    let (from_a, from_b) = (a.encoded_version(), b.encoded_version());
                    state.sent = from_a.len() + from_b.len();
                    (a.export_missing(&from_b)?, b.export_missing(&from_a)?)
                }
            };
            state.sent += to_a.len() + to_b.len();
            state.imported = [a.import(&to_a)?, b.import(&to_b)?];
            Ok(())
        },
        move |state| {
            for imported in &state.imported {
                check::brought_all(imported, capabilities)?;
            }
            let [a, b] = &state.replicas;
            check::same(&**a, &**b, state.sent)
        },
    )
}

/// Returns the index of the first of the last txns of the trace.
fn tail(subject: &Subject) -> Result<usize, WorkloadError> {
    let start = subject.txns().checked_sub(TAIL);
    start.ok_or_else(|| subject.unsuitable(format!("it has fewer than {TAIL} txns")))
}

/// The last txns into a replica that has the rest, with an import for each.
fn one_by_one(subject: &Subject) -> Prepared<'_> {
    let start = tail(subject)?;
    let receiver = subject.replica(RECEIVER, start, Form::Updates)?;
    let updates = subject.txn_updates(start)?;
    Delivery::prepare(subject, receiver, updates, subject.whole()?)
}

/// The last txns into a replica that has the rest, as one batch.
fn in_a_batch(subject: &Subject) -> Prepared<'_> {
    let start = tail(subject)?;
    let receiver = subject.replica(RECEIVER, start, Form::Updates)?;
    let capabilities = subject.engine().capabilities();
    batch(
        receiver,
        subject.txn_updates(start)?,
        subject.whole()?,
        capabilities,
    )
}

/// The way in which a client gets the update of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// The client exports the operations since the previous commit.
    Export,
    /// The library passes them to a subscriber.
    Subscription,
}

impl fmt::Display for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Export => "export",
            Self::Subscription => "subscription",
        })
    }
}

/// A replica that has all but the last txns types these, and must have an update for
/// each in the end.
fn send(how: Sending, subject: &Subject) -> Prepared<'_> {
    let start = tail(subject)?;
    let mut writer = subject.replica(WRITER, start, Form::Updates)?;
    if how == Sending::Subscription {
        writer.watch_local_updates()?;
    }
    let end = subject.whole()?;
    let trace = subject.trace()?;
    timed(
        (writer, Vec::with_capacity(TAIL)),
        move |(writer, updates)| {
            for txn in start..trace.txn_count() {
                let before = writer.own_counter();
                for patch in trace.txn(txn).patches() {
                    writer.splice(patch.pos, patch.del, patch.ins)?;
                }
                writer.commit();
                if how == Sending::Export {
                    updates.push(export_commit(&mut **writer, before)?);
                }
            }
            updates.extend(writer.take_local_updates());
            Ok(())
        },
        move |(_, updates)| {
            let mut receiver = subject.replica(RECEIVER, start, Form::Updates)?;
            for update in updates.iter() {
                receiver.import(update)?;
            }
            check::shows(&*receiver, &end.version, &end.text)?;
            let bytes = updates.iter().map(Vec::len).sum();
            Ok(Outcome::new(bytes, receiver.state_hash()))
        },
    )
}

fn export_commit(writer: &mut dyn Replica, before: u32) -> Result<Vec<u8>, EngineError> {
    let range = OpRange {
        peer: writer.peer(),
        counters: before..writer.own_counter(),
    };
    writer.export(Export::Range(range))
}

/// The way in which a client turns the content of a text field into an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// Replaces the whole text, and sends the whole document.
    ReplaceSendAll,
    /// Replaces the whole text, and sends the operations.
    Replace,
    /// Lets the library find the difference, and sends the operations.
    Difference,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReplaceSendAll => "replace+all",
            Self::Replace => "replace+updates",
            Self::Difference => "difference+updates",
        })
    }
}

/// The first keystrokes of the last txns, each as the new content of the field,
/// imported by another replica before the next one.
fn field(how: Field, subject: &Subject) -> Prepared<'_> {
    let start = tail(subject)?;
    let contents = contents(subject, start)?;
    let writer = subject.replica(WRITER, start, Form::Updates)?;
    let receiver = subject.replica(RECEIVER, start, Form::Updates)?;
    let typed = Rc::clone(&contents);
    timed(
        ([writer, receiver], 0),
        move |([writer, receiver], sent)| {
            for content in typed.iter() {
                let before = writer.own_counter();
                match how {
                    Field::Difference => writer.update_text(content)?,
                    _ => writer.splice(0, writer.text_len(), content)?,
                }
                writer.commit();
                let update = match how {
                    Field::ReplaceSendAll => {
                        let since = &VersionVector::new();
                        writer.export(Export::Updates { since })?
                    }
                    _ => export_commit(&mut **writer, before)?,
                };
                receiver.import(&update)?;
                *sent += update.len();
            }
            Ok(())
        },
        move |([writer, receiver], sent)| {
            let end = contents.last().map_or("", String::as_str);
            check::same_text(&receiver.text(), end)?;
            check::same(&**writer, &**receiver, *sent)
        },
    )
}

/// Returns the text after each of some txns from `start` on.
fn contents(subject: &Subject, start: usize) -> Result<Rc<Vec<String>>, WorkloadError> {
    subject.cached("sync/contents", || {
        let mut writer = subject.replica(WRITER, start, Form::Updates)?;
        let mut contents = Vec::with_capacity(KEYSTROKES);
        for txn in start..start + KEYSTROKES {
            subject.play(&mut *writer, txn..txn + 1)?;
            contents.push(writer.text());
        }
        Ok(contents)
    })
}
