//! Updates that come in fragments, until they are whole.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// What the bookkeeping of one fragment costs, about: a header must not be
/// able to announce more fragments than fit the limit on bytes.
const COST_OF_FRAGMENT: u64 = 64;

/// The batches under way, by what names them. What they hold is bounded.
#[derive(Debug)]
pub(crate) struct Fragments<K> {
    batches: HashMap<K, Batch>,
    /// What all batches together may announce, bytes.
    limit: u64,
}

#[derive(Debug)]
struct Batch {
    count: u64,
    total: u64,
    received: u64,
    /// By index, as they come in any order.
    fragments: BTreeMap<u64, Vec<u8>>,
}

/// Why a header or fragment is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FragmentError {
    /// There would be more than the limit under way.
    #[error("an update in fragments that is too large")]
    TooLarge,
    /// No header came before.
    #[error("a fragment of an unknown batch")]
    Unknown,
    /// The batch is not what its header said, and is forgotten.
    #[error("fragments that do not fit their header")]
    Inconsistent,
}

impl<K: Hash + Eq + Clone> Fragments<K> {
    /// None under way; `limit` is for all batches together, in bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            batches: HashMap::new(),
            limit,
        }
    }

    /// Takes a header. A batch of that name that is under way begins anew.
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

    /// Takes a fragment; the whole update if it was the last one missing. One
    /// that came before is passed over.
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
        // Whole or hopeless: it is not under way any more.
        let batch = self.batches.remove(key).ok_or(FragmentError::Unknown)?;
        match fits && batch.received == batch.total {
            true => Ok(Some(batch.whole())),
            false => Err(FragmentError::Inconsistent),
        }
    }

    /// Gives up on a batch; whether it was under way.
    pub(crate) fn forget(&mut self, key: &K) -> bool {
        self.batches.remove(key).is_some()
    }

    /// Gives up on all of them.
    pub(crate) fn clear(&mut self) {
        self.batches.clear();
    }
}

impl Batch {
    /// What it may come to hold, bytes.
    fn cost(&self) -> u64 {
        self.total.max(self.count.saturating_mul(COST_OF_FRAGMENT))
    }

    /// Whether the fragment can belong to this batch.
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
    fn what_a_header_announces_is_bounded_together_with_the_others() {
        let mut fragments = Fragments::new(1000);
        assert_eq!(fragments.begin(1, 2, 600), Ok(()));
        assert_eq!(fragments.begin(2, 2, 600), Err(FragmentError::TooLarge));
        assert_eq!(
            fragments.begin(2, u64::MAX, 1),
            Err(FragmentError::TooLarge)
        );
        assert_eq!(fragments.begin(1, 2, 1000), Ok(()), "begins anew");
        assert!(fragments.forget(&1));
        assert_eq!(fragments.begin(2, 1, 600), Ok(()));
    }

    #[test]
    fn a_batch_that_is_not_what_its_header_said_is_forgotten() {
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
