//! Peer ids as wide as those of real clients.

use crate::version::PeerId;

/// The peer ids of one run: a different one for each number, spread over all 64
/// bits, and the same whenever the seed is.
///
/// Small ids take fewer bytes in every encoding than the random ids of real
/// clients, and they would meet those of other runs in the same document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerIds {
    key: u64,
}

impl PeerIds {
    /// Those of suites and cells, which repeat in every process. The seed is one
    /// whose first three ids ascend, since engines break ties by them.
    pub(crate) const SUITES: Self = Self::new(38);

    /// The peer ids that follow from `seed`.
    pub const fn new(seed: u64) -> Self {
        // With its highest bit set, the key differs from every number.
        Self {
            key: permuted(seed) | 1 << 63,
        }
    }

    /// Returns the peer id of `number`, which must be below 2^63. No two numbers
    /// have the same one, and none has `u64::MAX`, which Loro reserves.
    pub const fn id(self, number: u64) -> PeerId {
        // A permutation that maps 0 to 0, so that only 0 would give the maximum.
        !permuted(number ^ self.key)
    }

    /// Returns the number whose peer id is `peer`. Peers from elsewhere have one
    /// as well; it is almost certainly far above the numbers in use.
    pub const fn number(self, peer: PeerId) -> u64 {
        restored(!peer) ^ self.key
    }
}

/// Returns the peer id of replica `number` of a suite.
pub(crate) const fn peer(number: u64) -> PeerId {
    PeerIds::SUITES.id(number)
}

/// Permutes the 64-bit numbers, with the last steps of splitmix64.
const fn permuted(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

/// Returns the number that [`permuted`] maps to `bits`: its steps undone.
const fn restored(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 31 ^ bits >> 62).wrapping_mul(0x3196_42B2_D24D_8EC3);
    bits = (bits ^ bits >> 27 ^ bits >> 54).wrapping_mul(0x96DE_1B17_3F11_9089);
    bits ^ bits >> 30 ^ bits >> 60
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_peer_id_gives_its_number_back(seed: u64, number in 0..1_u64 << 63) {
            let ids = PeerIds::new(seed);
            prop_assert_eq!(ids.number(ids.id(number)), number);
            prop_assert_ne!(ids.id(number), u64::MAX);
        }

        #[test]
        fn every_peer_has_a_number(seed: u64, peer in 0..u64::MAX) {
            let ids = PeerIds::new(seed);
            prop_assert_eq!(!permuted(ids.number(peer) ^ ids.key), peer);
        }
    }

    #[test]
    fn other_seeds_give_other_ids() {
        let ids = (0..1000).flat_map(|seed| (0..100).map(move |n| PeerIds::new(seed).id(n)));
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), 100_000);
    }

    /// Yrs and cola know peers by this many bits.
    #[test]
    fn the_peers_of_suites_differ_in_their_lower_53_bits() {
        let numbers = (0..100_000).chain([1 << 40]);
        let narrow = numbers.map(|number| peer(number) & ((1 << 53) - 1));
        assert_eq!(narrow.collect::<BTreeSet<_>>().len(), 100_001);
    }

    #[test]
    fn the_first_peers_of_suites_ascend_in_every_engine() {
        let peers = [1, 2, 3].map(peer);
        assert!(peers.is_sorted(), "{peers:?}");
        assert!(peers.map(|peer| peer & ((1 << 53) - 1)).is_sorted());
    }

    #[test]
    fn peer_ids_use_the_whole_width() {
        let wide = (0..10_000).filter(|&number| peer(number) >= 1 << 56);
        assert!(wide.count() > 9_900);
    }
}
