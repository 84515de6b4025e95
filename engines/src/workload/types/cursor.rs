//! Cursors: positions in a text that follow the text while others edit. A client sends
//! them as presence, and resolves them to draw the cursors of others.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::commit;
use crate::peer_ids::peer;
use crate::workload::repetition::timed;
use crate::workload::{Input, Outcome, Prepared, Subject, Workload, WorkloadError, check};
use crate::{Capability, EngineError, Replica};

/// The number of cursors, one before each character, and of another writer's edits.
const CURSORS: usize = 1000;

/// The first character of the text. Each character occurs once, so that it identifies
/// its position.
const FIRST: u32 = 0x4e00;

pub fn workloads() -> Vec<Workload> {
    let row = |name: &str, prepare: fn(&Subject) -> Prepared<'_>| {
        let variant = format!("cursor/{name}-{CURSORS}");
        let row = Workload::new(Input::Synthetic, variant, prepare);
        row.needs([Capability::Cursors]).per(CURSORS as u64)
    };
    vec![row("create", create), row("resolve", resolve)]
}

fn create(subject: &Subject) -> Prepared<'_> {
    let state = (written(subject)?, Vec::new());
    timed(
        state,
        |(replica, cursors)| {
            *cursors = all(&mut **replica)?;
            Ok(())
        },
        |(replica, cursors)| {
            let places = places(&mut **replica, cursors)?;
            check_places(&**replica, cursors, &places)
        },
    )
}

fn resolve(subject: &Subject) -> Prepared<'_> {
    let mut replica = written(subject)?;
    let cursors = all(&mut *replica)?;
    let mut other = subject.engine().replica(peer(2));
    other.import(&replica.export(crate::Export::Updates {
        since: &Default::default(),
    })?)?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(CURSORS as u64);
    let edits = commit(&mut *other, |other| {
        (0..CURSORS).try_for_each(|_| {
            let pos = rng.random_range(0..=other.text_len());
            other.splice(pos, 0, ".")
        })
    })?;
    replica.import(&edits)?;
    let sought = cursors.clone();
    timed(
        (replica, Vec::new()),
        move |(replica, found)| {
            *found = places(&mut **replica, &sought)?;
            Ok(())
        },
        move |(replica, found)| check_places(&**replica, &cursors, found),
    )
}

fn written(subject: &Subject) -> Result<Box<dyn Replica>, EngineError> {
    let mut replica = subject.engine().replica(peer(1));
    let text: String = (FIRST..).map_while(char::from_u32).take(CURSORS).collect();
    replica.splice(0, 0, &text)?;
    replica.commit();
    Ok(replica)
}

fn all(replica: &mut dyn Replica) -> Result<Vec<Vec<u8>>, EngineError> {
    (0..CURSORS).map(|pos| replica.cursor(pos)).collect()
}

fn places(replica: &mut dyn Replica, cursors: &[Vec<u8>]) -> Result<Vec<usize>, EngineError> {
    let cursors = cursors.iter();
    cursors.map(|cursor| replica.cursor_pos(cursor)).collect()
}

/// Checks that each cursor is before the character at which it was created.
fn check_places(
    replica: &dyn Replica,
    cursors: &[Vec<u8>],
    places: &[usize],
) -> Result<Outcome, WorkloadError> {
    let text: Vec<char> = replica.text().chars().collect();
    let right = (FIRST..).zip(places);
    let right = right.filter(|&(c, &pos)| text.get(pos).map(|&c| c as u32) == Some(c));
    let right = right.count();
    if right != CURSORS {
        return Err(check::wrong(format!(
            "{right} of {CURSORS} cursors are where they were put"
        )));
    }
    let bytes = cursors.iter().map(Vec::len).sum();
    Ok(Outcome::new(bytes, replica.state_hash()))
}
