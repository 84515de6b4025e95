//! An edit as a client makes it: committed, and exported as an update.

use crate::{EngineError, Export, OpRange, Replica};

/// Makes an edit, commits it, and returns the update that a client sends for it.
pub fn commit(
    replica: &mut dyn Replica,
    edit: impl FnOnce(&mut dyn Replica) -> Result<(), EngineError>,
) -> Result<Vec<u8>, EngineError> {
    let start = replica.own_counter();
    edit(replica)?;
    replica.commit();
    let counters = start..replica.own_counter();
    let peer = replica.peer();
    replica.export(Export::Range(OpRange { peer, counters }))
}
