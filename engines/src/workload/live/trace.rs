//! Traces of several writers as the sessions that they were: each writer's replica
//! makes the edits, and imports what that writer had seen by then.

use crate::replay::{ReplayError, Session, Unit};
use crate::workload::data::Data;
use crate::workload::repetition::timed;
use crate::workload::{Input, Outcome, Prepared, Subject, Workload, check};
use crate::{Capability, EngineError, HeavyWork, StateHash};

pub fn workloads() -> Vec<Workload> {
    let rows = [Unit::Run, Unit::Txn].map(|unit| {
        let variant = format!("trace/{}s", unit.name());
        let row = Workload::new(Input::Concurrent, variant, move |subject| {
            session(unit, subject)
        });
        let many = (unit == Unit::Txn).then_some(Capability::ManyImports);
        row.needs(many)
            .per_operation()
            .heavy(HeavyWork::ManyChanges)
    });
    rows.into()
}

/// The whole session: typing, commits, exports and imports of all writers.
fn session(unit: Unit, subject: &Subject) -> Prepared<'_> {
    let Data::Trace(trace) = subject.data() else {
        return Err(subject.unsuitable("it is not a trace"));
    };
    let session = Session::new(subject.engine(), trace, unit);
    timed(
        session,
        |session| session.run().map_err(engine_error),
        |session| {
            let finished = session.finish(check::recorded(trace));
            let (sent, text) = finished.map_err(|e| check::wrong(e.to_string()))?;
            let bytes = sent.iter().map(|(_, update)| update.len()).sum();
            let state = StateHash::new(&serde_json::json!({ "text": text }));
            Ok(Outcome::new(bytes, state))
        },
    )
}

fn engine_error(e: ReplayError) -> EngineError {
    match e {
        ReplayError::Step { error, .. } => error,
        other => EngineError::Import(other.to_string()),
    }
}
