//! Light replicas whose documents are compared all the same.
//!
//! Such a replica keeps the updates that it sent and received, and imports them
//! after the schedule, when that delays nobody.

use std::cell::Cell;
use std::rc::Rc;

use syncbench_engines::{Engine, EngineError, PeerId, Replica, panics};

/// The most bytes of updates that the replicas of a worker keep together. Those
/// beyond it are compared by version.
const MAX_KEPT: usize = 256 * 1024 * 1024;

/// The updates that a light replica has sent and received, and the document that
/// they make up.
pub struct Verified {
    /// The updates, one after the other: kept alone, each would keep alive the
    /// buffer that it was read into.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// The bytes that the replicas of the worker may still keep.
    budget: Rc<Budget>,
    document: Option<Box<dyn Replica>>,
}

/// The bytes that the replicas of a worker may still keep.
pub struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(MAX_KEPT))
    }
}

impl Budget {
    /// Takes `bytes`, if so many are left.
    fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        left.inspect(|&left| self.0.set(left)).is_some()
    }
}

impl Verified {
    /// Creates the copy of a replica that has neither sent nor received anything.
    pub fn new(budget: &Rc<Budget>) -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            budget: Rc::clone(budget),
            document: None,
        }
    }

    /// Keeps an update. Returns false if there is no room for it: the document
    /// would then lack it.
    pub fn keep(&mut self, update: &[u8]) -> bool {
        let has_room = self.budget.take(update.len());
        if has_room {
            self.bytes.extend_from_slice(update);
            self.ends.push(self.bytes.len());
        }
        has_room
    }

    /// The updates, in the order in which they were kept.
    fn updates(&self) -> Vec<&[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let ranges = starts.zip(&self.ends);
        ranges
            .map(|(start, &end)| &self.bytes[start..end])
            .collect()
    }

    /// Imports all updates into a document of `peer`. Returns how many of them
    /// are damaged. `importing` is told of each update that is imported by
    /// itself, before the engine is.
    pub fn open(&mut self, engine: &dyn Engine, peer: PeerId, importing: impl FnMut(&[u8])) -> u64 {
        let updates = self.updates();
        let (document, damaged) = match at_once(engine.replica(peer), &updates) {
            Some(document) => (document, 0),
            None => one_by_one(engine.replica(peer), &updates, importing),
        };
        self.release();
        self.document = Some(document);
        damaged
    }

    /// Drops the updates.
    fn release(&mut self) {
        self.budget.0.update(|left| left + self.bytes.len());
        (self.bytes, self.ends) = (Vec::new(), Vec::new());
    }

    /// The document, after [`open`](Self::open).
    pub fn document(&self) -> Option<&dyn Replica> {
        self.document.as_deref()
    }
}

impl Drop for Verified {
    fn drop(&mut self) {
        self.release();
    }
}

/// The document after all updates, imported in one call; `None` if the engine
/// refuses one of them, panics, or has no such call.
fn at_once(mut document: Box<dyn Replica>, updates: &[&[u8]]) -> Option<Box<dyn Replica>> {
    match panics::catch(|| document.import_batch(updates)) {
        Ok(Ok(_)) => Some(document),
        Ok(Err(_)) => None,
        Err(_) => {
            // It may panic again, or wait for ever, when it is dropped.
            std::mem::forget(document);
            None
        }
    }
}

/// The document after all updates that are not damaged, and the number of the
/// others.
fn one_by_one(
    mut document: Box<dyn Replica>,
    updates: &[&[u8]],
    mut importing: impl FnMut(&[u8]),
) -> (Box<dyn Replica>, u64) {
    let mut damaged = 0;
    for update in updates {
        importing(update);
        let imported: Result<_, EngineError> = document.import(update);
        damaged += u64::from(imported.is_err());
    }
    (document, damaged)
}

#[cfg(test)]
mod tests {
    use syncbench_engines::{Export, Loro, OpRange};

    use super::*;

    /// Three updates that build on each other, and the text after them.
    fn updates() -> ([Vec<u8>; 3], String) {
        let mut author = Loro.replica(1);
        let updates = ["one ", "two ", "three "].map(|word| {
            let from = author.own_counter();
            author.splice(0, 0, word).unwrap();
            author.commit();
            let counters = from..author.own_counter();
            let range = OpRange { peer: 1, counters };
            author.export(Export::Range(range)).unwrap()
        });
        (updates, author.text())
    }

    #[test]
    fn the_document_is_what_all_updates_make() {
        let (updates, text) = updates();
        let mut verified = Verified::new(&Rc::default());
        // In whatever order they came, and however often.
        for update in [&updates[2], &updates[0], &updates[1], &updates[0]] {
            assert!(verified.keep(update));
        }
        assert!(verified.document().is_none());
        assert_eq!(verified.open(&Loro, 9, |_| {}), 0);
        assert_eq!(verified.document().unwrap().text(), text);
    }

    #[test]
    fn a_damaged_update_is_found_and_costs_no_other() {
        let (mut updates, text) = updates();
        updates[2].truncate(20);
        let mut verified = Verified::new(&Rc::default());
        assert!(updates.iter().all(|update| verified.keep(update)));
        let mut imported = 0;
        assert_eq!(verified.open(&Loro, 9, |_| imported += 1), 1);
        assert_eq!(imported, 3);
        let remains = verified.document().unwrap().text();
        assert!(
            remains == "two one " && text.ends_with(&remains),
            "{remains}"
        );
    }

    #[test]
    fn the_replicas_of_a_worker_keep_no_more_than_their_budget() {
        let budget = Rc::new(Budget(Cell::new(100)));
        let mut verified = [Verified::new(&budget), Verified::new(&budget)];
        assert!(verified[0].keep(&[0; 60]));
        assert!(!verified[1].keep(&[0; 60]));
        assert!(verified[1].keep(&[0; 40]));
        verified[0].open(&Loro, 9, |_| {});
        assert_eq!(budget.0.get(), 60);
        drop(verified);
        assert_eq!(budget.0.get(), 100);
    }
}
