//! Commits as bytes.
//!
//! Runs of consecutive commits of one peer, each with what its peer had newly
//! seen and its components; all numbers as LEB128. The first eight bytes of a
//! BLAKE3 hash end an update, since the library's own form (JSON) has no
//! checksum.

use std::rc::Rc;

use operational_transform::{Operation as Component, OperationSeq};

use super::Commit;
use super::operation::Operation;
use crate::{Counter, EngineError};

const MAGIC: &[u8; 4] = b"OTb1";
const SUM: usize = 8;

const RETAIN: u64 = 0;
const DELETE: u64 = 1;
const INSERT: u64 = 2;

pub(super) fn encode<'a>(commits: impl Iterator<Item = &'a Commit>) -> Vec<u8> {
    let commits: Vec<&Commit> = commits.collect();
    let mut out = MAGIC.to_vec();
    let follows = |a: &&Commit, b: &&Commit| a.peer == b.peer && a.counter + 1 == b.counter;
    for run in commits.chunk_by(follows) {
        put(&mut out, run[0].peer);
        put(&mut out, u64::from(run[0].counter));
        put(&mut out, run.len() as u64);
        run.iter().for_each(|commit| put_commit(&mut out, commit));
    }
    let sum = blake3::hash(&out);
    out.extend_from_slice(&sum.as_bytes()[..SUM]);
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Commit>, EngineError> {
    let damaged = || EngineError::Import("checksum mismatch".to_owned());
    let (content, sum) = bytes.split_last_chunk::<SUM>().ok_or_else(damaged)?;
    if blake3::hash(content).as_bytes()[..SUM] != *sum {
        return Err(damaged());
    }
    let foreign = || EngineError::Import("the bytes are not an update of this engine".to_owned());
    let rest = content.strip_prefix(MAGIC).ok_or_else(foreign)?;
    Reader(rest).commits().ok_or_else(foreign)
}

fn put_commit(out: &mut Vec<u8>, commit: &Commit) {
    put(out, commit.seen.len() as u64);
    for &(peer, end) in &commit.seen {
        put(out, peer);
        put(out, u64::from(end));
    }
    put_sequence(out, commit.op.inserts.as_ref());
    put_sequence(out, commit.op.deletes.as_ref());
}

fn put_sequence(out: &mut Vec<u8>, sequence: Option<&OperationSeq>) {
    let components = sequence.map_or(&[][..], OperationSeq::ops);
    put(out, components.len() as u64);
    for component in components {
        match component {
            Component::Retain(len) => put(out, len << 2 | RETAIN),
            Component::Delete(len) => put(out, len << 2 | DELETE),
            Component::Insert(text) => {
                put(out, (text.len() as u64) << 2 | INSERT);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`encode`] wrote; `None` where it cannot have.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn commits(&mut self) -> Option<Vec<Commit>> {
        let mut commits = Vec::new();
        while !self.0.is_empty() {
            let peer = self.number()?;
            let first = self.counter()?;
            for i in 0..self.counter()? {
                commits.push(Commit {
                    peer,
                    counter: first.checked_add(i)?,
                    seen: self.seen()?,
                    op: Rc::new(self.operation()?),
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

    fn operation(&mut self) -> Option<Operation> {
        let (inserts, deletes) = (self.sequence(INSERT)?, self.sequence(DELETE)?);
        Some(Operation { inserts, deletes })
    }

    /// A sequence of retains and of one other kind.
    fn sequence(&mut self, kind: u64) -> Option<Option<OperationSeq>> {
        let mut sequence = OperationSeq::default();
        for _ in 0..self.number()? {
            let number = self.number()?;
            // No sum of so small numbers overflows.
            let len = u64::from(u32::try_from(number >> 2).ok()?);
            match number & 3 {
                RETAIN => sequence.retain(len),
                DELETE if kind == DELETE => sequence.delete(len),
                INSERT if kind == INSERT => sequence.insert(self.text(len as usize)?),
                _ => return None,
            }
        }
        Some((!sequence.ops().is_empty()).then_some(sequence))
    }

    fn text(&mut self, len: usize) -> Option<&str> {
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn counter(&mut self) -> Option<Counter> {
        self.number()?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
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
