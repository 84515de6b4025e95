//! Imports an edit into a document, with and without the writer's earlier operations
//! before it, and prints what Loro does. The document follows from a seed.
//!
//! ```text
//! repeated_operations [SEED]
//! ```

use std::error::Error;
use std::mem;

use syncbench_engines::{Engine, Loro, panics};

#[path = "../tests/it/panics/repeated.rs"]
mod repeated;

use repeated::Repeated;

/// The peer of the replica that imports.
const READER: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let seed = match std::env::args().nth(1) {
        Some(seed) => seed.parse()?,
        None => 1,
    };
    let made = Repeated::new(seed)?;
    println!("loro {}, seed {seed}", Loro.version());
    for (document, bytes) in [("snapshot", &made.snapshot), ("updates", &made.history)] {
        for (what, update) in [
            ("the edit alone", &made.edit),
            ("all operations", &made.repeating),
        ] {
            let result = import(bytes, update)?;
            println!("opened from {document}, importing {what}: {result}");
        }
    }
    Ok(())
}

/// Opens a document and imports an update. Returns the result in words.
fn import(document: &[u8], update: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut reader = Loro.replica(READER);
    reader.import(document)?;
    let result = match panics::catch(|| reader.import(update)) {
        Ok(Ok(_)) => "ok".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("panicked: {panic}"),
    };
    // Its locks are poisoned after a panic, and dropping it could panic again.
    mem::forget(reader);
    Ok(result)
}
