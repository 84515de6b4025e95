//! Versions with the same meaning for every engine.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Identifies the peer that made an operation.
pub type PeerId = u64;

/// The position of an operation in its peer's sequence, from 0.
pub type Counter = u32;

/// A run of consecutive operations of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpRange {
    /// The peer that made the operations.
    pub peer: PeerId,
    /// The counters of the operations, end exclusive.
    pub counters: Range<Counter>,
}

impl fmt::Display for OpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}..{}",
            self.peer, self.counters.start, self.counters.end
        )
    }
}

/// For each peer, the number of its operations that a replica contains. A peer without
/// operations is absent, so equal sets compare equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionVector(BTreeMap<PeerId, Counter>);

impl VersionVector {
    /// Creates the version of an empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of operations of `peer` that it contains, from the first on.
    pub fn get(&self, peer: PeerId) -> Counter {
        self.0.get(&peer).copied().unwrap_or(0)
    }

    /// Adds operations of `peer` up to counter `end`, exclusive. A version that
    /// contains more already stays as it is.
    pub fn advance(&mut self, peer: PeerId, end: Counter) {
        if end > self.get(peer) {
            self.0.insert(peer, end);
        }
    }

    /// Returns true if it contains all of `range`.
    pub fn covers(&self, range: &OpRange) -> bool {
        range.counters.end <= self.get(range.peer)
    }

    /// Returns true if it contains everything that `other` does.
    pub fn includes(&self, other: &VersionVector) -> bool {
        other.iter().all(|(peer, end)| end <= self.get(peer))
    }

    /// Returns true if it contains nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the peers and their numbers of operations, in ascending order of peers.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, Counter)> + '_ {
        self.0.iter().map(|(&peer, &end)| (peer, end))
    }

    /// Encodes the version: eight bytes for each peer and four for its number of
    /// operations, little-endian, in ascending order of peers.
    pub fn encode(&self) -> Vec<u8> {
        self.iter()
            .flat_map(|(peer, end)| [&peer.to_le_bytes()[..], &end.to_le_bytes()[..]].concat())
            .collect()
    }

    /// Decodes what [`VersionVector::encode`] returned; `None` for other bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (peers, []) = bytes.as_chunks::<12>() else {
            return None;
        };
        let peers = peers.iter().map(|bytes| {
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
            let peer = PeerId::from_le_bytes([a, b, c, d, e, f, g, h]);
            (peer, Counter::from_le_bytes([i, j, k, l]))
        });
        Some(peers.collect())
    }

    /// Returns what `self` contains and `other` does not, in ascending order of peers.
    pub fn missing_from(&self, other: &VersionVector) -> Vec<OpRange> {
        self.iter()
            .filter(|&(peer, end)| other.get(peer) < end)
            .map(|(peer, end)| OpRange {
                peer,
                counters: other.get(peer)..end,
            })
            .collect()
    }
}

impl FromIterator<(PeerId, Counter)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (PeerId, Counter)>>(peers: I) -> Self {
        Self(peers.into_iter().filter(|&(_, end)| end > 0).collect())
    }
}

/// A hash over the visible value of a document.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateHash([u8; 32]);

impl StateHash {
    /// Hashes a value. Object keys are sorted, so equal values hash equal.
    pub fn new(value: &serde_json::Value) -> Self {
        // serde_json's map is sorted by key, so its text is canonical.
        Self(*blake3::hash(value.to_string().as_bytes()).as_bytes())
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..8] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
