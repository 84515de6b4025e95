//! Time travel: reading, copying, undoing and editing the past.

use super::{Form, Input, Outcome, Prepared, Subject, Workload, WorkloadError, check, timed};
use crate::peer_ids::peer;
use crate::{Capability, EngineError, History, Moment, PeerId, Replica};

/// The peer that holds the document.
const HOLDER: PeerId = peer(2);

/// The number of edits that are made in the past.
const EDITS: usize = 100;

/// The past version of the rows that need one, in per cent of the txns.
const THEN: usize = 50;

pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for percent in [10, 50, 90] {
        for back in [false, true] {
            let suffix = if back { "+back" } else { "" };
            let variant = format!("checkout-{percent}%{suffix}");
            let row = Workload::new(Input::Sequential, variant, move |subject| {
                checkout(percent, back, subject)
            });
            all.push(row.needs([Capability::Checkout]));
        }
    }
    let row = |variant: &str,
               capability: Capability,
               prepare: for<'a> fn(&'a Subject) -> Prepared<'a>| {
        Workload::new(Input::Sequential, variant, prepare).needs([capability])
    };
    all.push(row("fork", Capability::Forks, fork));
    all.push(row("fork-at-50%", Capability::ForksAt, fork_at));
    all.push(row("diff-50%", Capability::TimeTravel, diff));
    all.push(row("apply-diff-50%", Capability::TimeTravel, apply_diff));
    all.push(row("revert-to-50%", Capability::TimeTravel, revert));
    all.push(row("edit-at-50%", Capability::TimeTravel, edit_in_the_past).per(EDITS as u64));
    all
}

fn past(replica: &mut dyn Replica) -> Result<&mut dyn History, EngineError> {
    let none = EngineError::Unsupported("the engine gives no access to past versions");
    replica.history().ok_or(none)
}

/// Returns a replica that holds the whole document, and a moment in its past.
fn holder(percent: usize, subject: &Subject) -> Result<(Box<dyn Replica>, Moment), WorkloadError> {
    let then = subject.document(txns(percent, subject))?;
    let mut replica = subject.replica(HOLDER, subject.txns(), Form::Updates)?;
    let moment = past(&mut *replica)?.moment(&then.version)?;
    Ok((replica, moment))
}

fn txns(percent: usize, subject: &Subject) -> usize {
    subject.txns() * percent / 100
}

/// Checks that a replica shows the first txns of the trace.
fn shows_txns(
    replica: &dyn Replica,
    percent: usize,
    subject: &Subject,
) -> Result<Outcome, WorkloadError> {
    let expected = subject.document(txns(percent, subject))?;
    check::same_text(&replica.text(), &expected.text)?;
    Ok(Outcome::new(0, replica.state_hash()))
}

fn checkout(percent: usize, back: bool, subject: &Subject) -> Prepared<'_> {
    timed(
        holder(percent, subject)?,
        move |(replica, moment)| {
            let history = past(&mut **replica)?;
            history.checkout(moment)?;
            match back {
                true => history.checkout_latest(),
                false => Ok(()),
            }
        },
        move |(replica, moment)| {
            if back {
                // The text alone would not show that nothing happened.
                past(&mut **replica)?.checkout(moment)?;
                shows_txns(&**replica, percent, subject)?;
                past(&mut **replica)?.checkout_latest()?;
                return shows_txns(&**replica, 100, subject);
            }
            shows_txns(&**replica, percent, subject)
        },
    )
}

fn fork(subject: &Subject) -> Prepared<'_> {
    let replica = subject.replica(HOLDER, subject.txns(), Form::Updates)?;
    timed(
        (replica, None),
        |(replica, copy)| {
            *copy = Some(past(&mut **replica)?.fork(peer(3))?);
            Ok(())
        },
        |(replica, copy)| {
            let copy = copy.as_deref().ok_or_else(|| check::wrong("no copy"))?;
            check::same(&**replica, copy, 0)
        },
    )
}

fn fork_at(subject: &Subject) -> Prepared<'_> {
    let (replica, moment) = holder(THEN, subject)?;
    timed(
        (replica, moment, None),
        |(replica, moment, copy)| {
            *copy = Some(past(&mut **replica)?.fork_at(moment, peer(3))?);
            Ok(())
        },
        |(_, _, copy)| {
            let copy = copy.as_deref().ok_or_else(|| check::wrong("no copy"))?;
            check::contains(copy, &subject.document(txns(THEN, subject))?.version)?;
            shows_txns(copy, THEN, subject)
        },
    )
}

/// Computes the difference from then to now; applied to the old text, it must give the
/// new one.
fn diff(subject: &Subject) -> Prepared<'_> {
    let (mut replica, then) = holder(THEN, subject)?;
    let now = past(&mut *replica)?.moment(&subject.whole()?.version)?;
    timed(
        (replica, None),
        move |(replica, difference)| {
            *difference = Some(past(&mut **replica)?.diff(&then, &now)?);
            Ok(())
        },
        |(_, difference)| {
            let difference = difference
                .take()
                .ok_or_else(|| check::wrong("no difference"))?;
            let mut other = subject.replica(peer(3), txns(THEN, subject), Form::Updates)?;
            past(&mut *other)?.apply_diff(difference)?;
            shows_txns(&*other, 100, subject)
        },
    )
}

fn apply_diff(subject: &Subject) -> Prepared<'_> {
    let (mut replica, then) = holder(THEN, subject)?;
    let now = past(&mut *replica)?.moment(&subject.whole()?.version)?;
    let difference = past(&mut *replica)?.diff(&then, &now)?;
    let other = subject.replica(peer(3), txns(THEN, subject), Form::Updates)?;
    timed(
        (other, Some(difference)),
        |(other, difference)| match difference.take() {
            Some(difference) => past(&mut **other)?.apply_diff(difference),
            None => Ok(()),
        },
        |(other, _)| shows_txns(&**other, 100, subject),
    )
}

fn revert(subject: &Subject) -> Prepared<'_> {
    timed(
        holder(THEN, subject)?,
        |(replica, moment)| past(&mut **replica)?.revert_to(moment),
        |(replica, _)| {
            // The change is made by new edits, so that it reaches other replicas.
            let mut other = subject.replica(peer(3), subject.txns(), Form::Updates)?;
            other.import(&Form::Updates.export(&mut **replica)?)?;
            check::same(&**replica, &*other, 0)?;
            shows_txns(&**replica, THEN, subject)
        },
    )
}

/// Edits the start of the text in the past, then returns to the latest version.
fn edit_in_the_past(subject: &Subject) -> Prepared<'_> {
    timed(
        holder(THEN, subject)?,
        |(replica, moment)| {
            past(&mut **replica)?.edit_at(moment, HOLDER)?;
            for _ in 0..EDITS {
                replica.splice(0, 0, "x")?;
                replica.commit();
            }
            past(&mut **replica)?.checkout_latest()
        },
        |(replica, _)| {
            let expected = subject.whole()?.text.chars().count() + EDITS;
            if replica.text_len() != expected {
                return Err(check::wrong(
                    "the edits of the past are not in the latest text",
                ));
            }
            let mut other = subject.replica(peer(3), subject.txns(), Form::Updates)?;
            other.import(&Form::Updates.export(&mut **replica)?)?;
            check::same(&**replica, &*other, 0)
        },
    )
}
