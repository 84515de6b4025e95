//! Traces of several writers into an empty replica, in the forms in which they can
//! arrive.

use std::rc::Rc;

use syncbench_datasets::{Trace, catalog};

use super::{Delivery, batch};
use crate::peer_ids::peer;
use crate::replay::{ReplayError, Replayed, Unit, judge, replay, replay_cached};
use crate::workload::data::Data;
use crate::workload::subject::Document;
use crate::workload::{Form, Input, Prepared, Subject, Workload, WorkloadError, check};
use crate::{Capability, Engine, HeavyWork, PeerId};

/// The peer that receives, which is not one of the writers.
const READER: PeerId = peer(1 << 40);

pub fn workloads() -> Vec<Workload> {
    let mut all = vec![Workload::new(Input::Concurrent, "blob", blob)];
    for unit in [Unit::Run, Unit::Txn] {
        let name = format!("{}s", unit.name());
        let single = Workload::new(Input::Concurrent, name.clone(), move |subject| {
            let receiver = subject.engine().replica(READER);
            Delivery::prepare(subject, receiver, updates(subject, unit)?, end(subject)?)
        });
        let batched = Workload::new(Input::Concurrent, name + "-batch", move |subject| {
            let receiver = subject.engine().replica(READER);
            let capabilities = subject.engine().capabilities();
            batch(
                receiver,
                updates(subject, unit)?,
                end(subject)?,
                capabilities,
            )
        });
        // The replay that makes the updates imports the same number.
        let many = (unit == Unit::Txn).then_some(Capability::ManyImports);
        all.push(single.needs(many));
        all.push(batched.needs([Capability::Batch]).needs(many));
    }
    let all = all.into_iter();
    all.map(|row| row.per_operation().heavy(HeavyWork::ManyChanges))
        .collect()
}

/// All updates as one blob, from a replica with the whole history to an empty one.
fn blob(subject: &Subject) -> Prepared<'_> {
    let end = end(subject)?;
    let updates = vec![end.bytes(Form::Updates)?.to_vec()].into();
    let receiver = subject.engine().replica(READER);
    Delivery::prepare(subject, receiver, updates, end)
}

/// Returns the document at the end of the trace.
fn end(subject: &Subject) -> Result<Rc<Document>, WorkloadError> {
    subject.cached("merge/concurrent", || {
        let mut collector = subject.engine().replica(READER);
        let updates = updates(subject, Unit::Run)?;
        match subject.engine().capabilities().has(Capability::Batch) {
            true => {
                let batch: Vec<&[u8]> = updates.iter().map(Vec::as_slice).collect();
                collector.import_batch(&batch)?;
            }
            false => {
                for update in updates.iter() {
                    collector.import(update)?;
                }
            }
        }
        let trace = trace(subject)?;
        judge(
            &collector.text(),
            trace.end_content(),
            check::recorded(trace),
        )
        .map_err(|mismatch| check::wrong(mismatch.to_string()))?;
        subject.encode(&mut *collector)
    })
}

/// Returns the updates that the writers of the trace sent, in causal order.
fn updates(subject: &Subject, unit: Unit) -> Result<Rc<[Vec<u8>]>, WorkloadError> {
    let name = format!("merge/concurrent/{}", unit.name());
    let updates = subject.cached(&name, || {
        let replayed = replayed(subject.engine(), trace(subject)?, unit);
        let replayed = replayed.map_err(|e| check::wrong(e.to_string()))?;
        let updates = replayed.stream.iter().map(|(_, update)| update.to_vec());
        Ok(Rc::<[Vec<u8>]>::from(updates.collect::<Vec<_>>()))
    })?;
    Ok(Rc::clone(&updates))
}

/// Replays a trace. Replays of the catalog's traces are kept from run to run, since
/// some take minutes.
fn replayed(engine: &dyn Engine, trace: &Trace, unit: Unit) -> Result<Replayed, ReplayError> {
    let judged_by = check::recorded(trace);
    match catalog().file_of(trace.name()) {
        Ok(_) => replay_cached(engine, trace, unit, judged_by, &mut |_, _| ()),
        Err(_) => replay(engine, trace, unit, judged_by, &mut |_, _| ()),
    }
}

fn trace(subject: &Subject) -> Result<&Trace, WorkloadError> {
    match subject.data() {
        Data::Trace(trace) => Ok(trace),
        _ => Err(subject.unsuitable("it is not a trace")),
    }
}
