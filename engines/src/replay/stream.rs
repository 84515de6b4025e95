//! The updates of a trace, as an engine encoded them, in memory and on disk.

use std::path::{Path, PathBuf};

use syncbench_datasets::{DatasetError, Trace, cache_dir, write_atomically};

use super::{ReplayError, Unit};
use crate::Engine;

const MAGIC: &[u8; 8] = b"SBUPDAT1";

/// A part of the names of cached streams. Change it if an adapter makes different
/// updates of the same edits, for example because it starts from another document.
const EDITION: u32 = 3;

/// The updates of a trace in causal order, each with the agent that sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateStream {
    /// The agent and the end of its bytes, which start at the end of the previous
    /// update.
    index: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

impl UpdateStream {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds an update and returns its place.
    pub(super) fn push(&mut self, agent: usize, update: &[u8]) -> usize {
        self.bytes.extend_from_slice(update);
        self.index.push((agent as u32, self.bytes.len() as u32));
        self.index.len() - 1
    }

    /// Returns the number of updates.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns true if there are no updates.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Returns the size of all updates together, in bytes.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the agent and the bytes of the update at `place`.
    ///
    /// # Panics
    /// Panics if `place` is not below [`UpdateStream::len`].
    pub fn get(&self, place: usize) -> (usize, &[u8]) {
        let start = if place == 0 {
            0
        } else {
            self.index[place - 1].1
        };
        let (agent, end) = self.index[place];
        (agent as usize, &self.bytes[start as usize..end as usize])
    }

    /// Returns all updates in causal order, as agent and bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, &[u8])> {
        (0..self.len()).map(|place| self.get(place))
    }

    /// Reads a stream that [`UpdateStream::write`] wrote.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        let bytes = std::fs::read(path).map_err(|source| DatasetError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::decode(&bytes).ok_or_else(|| ReplayError::Stream(path.to_owned()))
    }

    /// Writes the stream to a file, atomically.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReplayError> {
        write_atomically(path, &self.encode())?;
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&(self.index.len() as u64).to_le_bytes());
        for &(agent, end) in &self.index {
            out.extend_from_slice(&agent.to_le_bytes());
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.bytes);
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, hash) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>()?;
        if blake3::hash(content) != *hash {
            return None;
        }
        let (count, rest) = content.strip_prefix(MAGIC)?.split_first_chunk()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (index, bytes) = rest.split_at_checked(count.checked_mul(8)?)?;
        let (rows, _) = index.as_chunks::<8>();
        let index: Vec<(u32, u32)> = rows.iter().map(row).collect();
        let mut ends = index.iter().map(|&(_, end)| end as usize);
        let whole = ends.clone().is_sorted() && ends.next_back().unwrap_or(0) == bytes.len();
        whole.then(|| Self {
            index,
            bytes: bytes.to_vec(),
        })
    }
}

fn row(bytes: &[u8; 8]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    )
}

/// Returns the path at which the stream of a trace is cached.
pub(super) fn cache_path(
    engine: &dyn Engine,
    trace: &Trace,
    unit: Unit,
) -> Result<PathBuf, ReplayError> {
    let name = format!(
        "{}-x{}-{}-{}-{}-{EDITION}.updates",
        trace.sha256(),
        trace.repeats(),
        engine.name(),
        engine.version(),
        unit.name(),
    );
    Ok(cache_dir()?.join("streams").join(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_stream_survives_being_kept_and_a_damaged_one_is_refused() {
        let mut stream = UpdateStream::new();
        stream.push(1, b"one");
        stream.push(0, b"");
        stream.push(1, b"three");
        let bytes = stream.encode();
        assert_eq!(UpdateStream::decode(&bytes).as_ref(), Some(&stream));
        assert_eq!(
            stream.iter().collect::<Vec<_>>(),
            [(1, &b"one"[..]), (0, b""), (1, b"three")]
        );
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(UpdateStream::decode(&damaged), None, "byte {at}");
            assert_eq!(UpdateStream::decode(&bytes[..at]), None, "cut at {at}");
        }
    }
}
