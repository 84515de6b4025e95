//! Undoing and redoing one's own edits, alone and among those of another writer.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::commit;
use crate::peer_ids::peer;
use crate::workload::repetition::timed;
use crate::workload::{Input, Prepared, Subject, Workload, check};
use crate::{Capability, EngineError, Export, HeavyWork, Replica};

/// The numbers of own edits to undo, each in its own commit.
const STEPS: [usize; 4] = [30, 100, 300, 1000];

/// The number of steps from which engines whose undo grows with them take many seconds.
const MANY: usize = 1000;

/// The initial text.
const BASE: &str = "....................";

/// The text that each edit inserts: the letter identifies the writer.
const OWN: &str = "a";
const OTHER: &str = "b";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Undo,
    UndoAmongOthers,
    Redo,
}

pub fn workloads() -> Vec<Workload> {
    let mut all = Vec::new();
    for (name, kind) in [
        ("undo", Row::Undo),
        ("undo-among-others", Row::UndoAmongOthers),
        ("redo", Row::Redo),
    ] {
        for steps in STEPS {
            let variant = format!("undo/{name}-{steps}");
            let row = Workload::new(Input::Synthetic, variant, move |subject| {
                prepare(kind, steps, subject)
            });
            let row = row.needs([Capability::Undo]).per(steps as u64);
            let row = row.scale(format!("undo/{name}"), steps as u64, "steps");
            all.push(match steps < MANY {
                true => row,
                false => row.heavy(HeavyWork::ManyUndoSteps),
            });
        }
    }
    all
}

fn prepare(row: Row, steps: usize, subject: &Subject) -> Prepared<'_> {
    let mut replica = edited(steps, row == Row::UndoAmongOthers, subject)?;
    let all = replica.text();
    let (step, expected): (Step, _) = match row {
        Row::Undo | Row::UndoAmongOthers => (|replica| replica.undo(), all.replace(OWN, "")),
        Row::Redo => {
            take(steps, &mut *replica, |replica| replica.undo())?;
            (|replica| replica.redo(), all)
        }
    };
    let since = replica.version_vector();
    let before = replica.export(Export::Updates {
        since: &Default::default(),
    })?;
    timed(
        (replica, 0),
        move |(replica, done)| {
            *done = take(steps, &mut **replica, step)?;
            Ok(())
        },
        move |(replica, done)| {
            if *done != steps {
                return Err(check::wrong(format!("{done} steps instead of {steps}")));
            }
            check::same_text(&replica.text(), &expected)?;
            let update = replica.export(Export::Updates { since: &since })?;
            let mut reader = subject.engine().replica(peer(3));
            reader.import(&before)?;
            reader.import(&update)?;
            check::same(&**replica, &*reader, update.len())
        },
    )
}

/// Returns a replica with edits that it can undo. The other writer's edits come between
/// them: each writer has seen everything that the other did before.
fn edited(
    steps: usize,
    among_others: bool,
    subject: &Subject,
) -> Result<Box<dyn Replica>, EngineError> {
    let engine = subject.engine();
    let mut own = engine.replica(peer(1));
    let mut other = engine.replica(peer(2));
    other.import(&commit(&mut *own, |own| own.splice(0, 0, BASE))?)?;
    own.watch_undo()?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(steps as u64);
    for _ in 0..steps {
        let pos = rng.random_range(0..=own.text_len());
        let update = commit(&mut *own, |own| own.splice(pos, 0, OWN))?;
        if among_others {
            other.import(&update)?;
            let pos = rng.random_range(0..=other.text_len());
            own.import(&commit(&mut *other, |other| other.splice(pos, 0, OTHER))?)?;
        }
    }
    Ok(own)
}

type Step = fn(&mut dyn Replica) -> Result<bool, EngineError>;

/// Takes that number of steps, and counts those that the engine reports as taken.
fn take(steps: usize, replica: &mut dyn Replica, step: Step) -> Result<usize, EngineError> {
    let mut taken = 0;
    for _ in 0..steps {
        taken += usize::from(step(replica)?);
    }
    Ok(taken)
}
