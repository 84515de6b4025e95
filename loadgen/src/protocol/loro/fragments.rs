//! Assembles updates that arrive in fragments.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The approximate cost of the bookkeeping of one fragment, bytes: a header must
/// not be able to announce more fragments than the limit on bytes allows.
const COST_OF_FRAGMENT: u64 = 64;

/// The incomplete batches by their keys. Their total size is bounded.
#[derive(Debug)]
pub(crate) struct Fragments<K> {
    batches: HashMap<K, Batch>,
    /// The number of bytes that all batches together may announce.
    limit: u64,
}

#[derive(Debug)]
struct Batch {
    count: u64,
    total: u64,
    received: u64,
    /// The fragments by index, since they arrive in any order.
    fragments: BTreeMap<u64, Vec<u8>>,
}

/// A reason why a header or fragment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FragmentError {
    /// The incomplete batches would exceed the limit.
    #[error("an update in fragments is too large")]
    TooLarge,
    /// No header preceded the fragment.
    #[error("a fragment of an unknown batch")]
    Unknown,
    /// The batch does not match its header, and is forgotten.
    #[error("fragments do not match their header")]
    Inconsistent,
}

impl<K: Hash + Eq + Clone> Fragments<K> {
    /// Creates a collection that accepts `limit` bytes for all batches together.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            batches: HashMap::new(),
            limit,
        }
    }

    /// Takes a header. An incomplete batch with the same key starts again.
    pub(crate) fn begin(&mut self, key: K, count: u64, total: u64) -> Result<(), FragmentError> {
        self.batches.remove(&key);
        if count == 0 {
            return Err(FragmentError::Inconsistent);
        }
        let announced: u64 = self.batches.values().map(Batch::cost).sum();
        let batch = Batch {
            count,
            total,
            received: 0,
            fragments: BTreeMap::new(),
        };
        if batch.cost() > self.limit.saturating_sub(announced) {
            return Err(FragmentError::TooLarge);
        }
        self.batches.insert(key, batch);
        Ok(())
    }

    /// Takes a fragment, and returns the whole update if the fragment was the
    /// last one missing. A repeated fragment is ignored.
    pub(crate) fn add(
        &mut self,
        key: &K,
        index: u64,
        fragment: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, FragmentError> {
        let batch = self.batches.get_mut(key).ok_or(FragmentError::Unknown)?;
        let fits = batch.take(index, fragment);
        if fits && !batch.has_all() {
            return Ok(None);
        }
        // The batch is complete or inconsistent: it is no longer pending.
        let batch = self.batches.remove(key).ok_or(FragmentError::Unknown)?;
        match fits && batch.received == batch.total {
            true => Ok(Some(batch.whole())),
            false => Err(FragmentError::Inconsistent),
        }
    }

    /// Forgets a batch. Returns whether it was known.
    pub(crate) fn forget(&mut self, key: &K) -> bool {
        self.batches.remove(key).is_some()
    }

    /// Forgets all batches.
    pub(crate) fn clear(&mut self) {
        self.batches.clear();
    }
}

impl Batch {
    /// Returns the number of bytes that the batch may occupy.
    fn cost(&self) -> u64 {
        self.total.max(self.count.saturating_mul(COST_OF_FRAGMENT))
    }

    /// Takes a fragment. Returns whether it can belong to this batch.
    fn take(&mut self, index: u64, fragment: Vec<u8>) -> bool {
        if index >= self.count {
            return false;
        }
        if self.fragments.contains_key(&index) {
            return true;
        }
        self.received += fragment.len() as u64;
        self.fragments.insert(index, fragment);
        self.received <= self.total
    }

    fn has_all(&self) -> bool {
        self.fragments.len() as u64 == self.count
    }

    fn whole(self) -> Vec<u8> {
        self.fragments.into_values().collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_sizes_of_all_batches_together_are_bounded() {
        let mut fragments = Fragments::new(1000);
        assert_eq!(fragments.begin(1, 2, 600), Ok(()));
        assert_eq!(fragments.begin(2, 2, 600), Err(FragmentError::TooLarge));
        assert_eq!(
            fragments.begin(2, u64::MAX, 1),
            Err(FragmentError::TooLarge)
        );
        assert_eq!(fragments.begin(1, 2, 1000), Ok(()), "starts again");
        assert!(fragments.forget(&1));
        assert_eq!(fragments.begin(2, 1, 600), Ok(()));
    }

    #[test]
    fn a_batch_that_does_not_match_its_header_is_forgotten() {
        let mut fragments = Fragments::new(1000);
        let inconsistent = Err(FragmentError::Inconsistent);
        assert_eq!(fragments.begin(1, 0, 0), Err(FragmentError::Inconsistent));
        for (index, fragment) in [(2, vec![1]), (0, vec![1; 11])] {
            assert_eq!(fragments.begin(1, 2, 10), Ok(()));
            assert_eq!(fragments.add(&1, index, fragment), inconsistent);
            assert_eq!(fragments.add(&1, 0, vec![1]), Err(FragmentError::Unknown));
        }
        assert_eq!(fragments.begin(1, 2, 10), Ok(()));
        assert_eq!(fragments.add(&1, 1, vec![1; 4]), Ok(None));
        assert_eq!(fragments.add(&1, 1, vec![1; 4]), Ok(None), "twice the same");
        assert_eq!(fragments.add(&1, 0, vec![1; 5]), inconsistent, "too short");
    }
}
