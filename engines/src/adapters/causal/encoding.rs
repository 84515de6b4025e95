//! Commits as bytes.
//!
//! An update consists of runs of consecutive commits of one peer. Each commit has what
//! its peer had newly seen, and its payload; all numbers are LEB128. The first eight
//! bytes of a BLAKE3 hash end the update, since the libraries' own encodings have no
//! checksum.

use super::Commit;
use crate::{Counter, EngineError};

/// The length of the checksum in bytes.
const SUM: usize = 8;

/// A library's encoding of a commit.
pub(crate) trait Payload: Sized {
    /// The first bytes of an update.
    const MAGIC: &[u8; 4];

    /// Appends the payload.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads what [`Payload::put`] wrote; `None` if it cannot have written these bytes.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

pub(super) fn encode<'a, T: Payload + 'a>(commits: impl Iterator<Item = &'a Commit<T>>) -> Vec<u8> {
    let commits: Vec<&Commit<T>> = commits.collect();
    let mut out = T::MAGIC.to_vec();
    let follows = |a: &&Commit<T>, b: &&Commit<T>| a.peer == b.peer && a.counter + 1 == b.counter;
    for run in commits.chunk_by(follows) {
        put(&mut out, run[0].peer);
        put(&mut out, u64::from(run[0].counter));
        put(&mut out, run.len() as u64);
        for commit in run {
            put(&mut out, commit.seen.len() as u64);
            for &(peer, end) in &commit.seen {
                put(&mut out, peer);
                put(&mut out, u64::from(end));
            }
            commit.payload.put(&mut out);
        }
    }
    let sum = blake3::hash(&out);
    out.extend_from_slice(&sum.as_bytes()[..SUM]);
    out
}

pub(super) fn decode<T: Payload>(bytes: &[u8]) -> Result<Vec<Commit<T>>, EngineError> {
    let damaged = || EngineError::Import("checksum mismatch".to_owned());
    let (content, sum) = bytes.split_last_chunk::<SUM>().ok_or_else(damaged)?;
    if blake3::hash(content).as_bytes()[..SUM] != *sum {
        return Err(damaged());
    }
    let foreign = || EngineError::Import("the bytes are not an update of this engine".to_owned());
    let rest = content.strip_prefix(T::MAGIC).ok_or_else(foreign)?;
    Reader(rest).commits().ok_or_else(foreign)
}

/// Appends a number as LEB128.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`encode`] wrote. Its methods return `None` for bytes that it cannot have
/// written.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn commits<T: Payload>(&mut self) -> Option<Vec<Commit<T>>> {
        let mut commits = Vec::new();
        while !self.0.is_empty() {
            let peer = self.number()?;
            let first = self.counter()?;
            for i in 0..self.counter()? {
                commits.push(Commit {
                    peer,
                    counter: first.checked_add(i)?,
                    seen: self.seen()?,
                    payload: T::read(self)?,
                });
            }
        }
        Some(commits)
    }

    fn seen(&mut self) -> Option<Box<[(u64, Counter)]>> {
        (0..self.number()?)
            .map(|_| Some((self.number()?, self.counter()?)))
            .collect()
    }

    /// Reads the next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn counter(&mut self) -> Option<Counter> {
        self.number()?.try_into().ok()
    }

    /// Reads a number in LEB128.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
