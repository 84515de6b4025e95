//! One commit as an operation, and the transformation of operations.
//!
//! An operation consists of two sequences of the library: its insertions, and its
//! deletions as positions *after* these. Both count every character that was ever
//! inserted; a deletion hides characters and moves none. So deletions need not be
//! transformed over deletions, and insertions only over insertions.

use std::ops::Range;
use std::rc::Rc;

use operational_transform::{OTError, Operation as Component, OperationSeq};

use crate::adapters::causal::{Payload, Reader, put};
use crate::{Counter, PeerId};

/// The effect of one commit on all characters that were ever inserted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    /// Retains and inserts.
    pub inserts: Option<OperationSeq>,
    /// Retains and deletes.
    pub deletes: Option<OperationSeq>,
}

impl Operation {
    /// Inserts `ins` at the start of `del`, in a document of `len` characters, and
    /// deletes `del`.
    pub fn splice(len: usize, del: Range<usize>, ins: &str) -> Self {
        let mut inserts = OperationSeq::default();
        inserts.retain(del.start as u64);
        inserts.insert(ins);
        inserts.retain((len - del.start) as u64);
        let mut deletes = OperationSeq::default();
        deletes.retain((inserts.target_len() - len + del.start) as u64);
        deletes.delete(del.len() as u64);
        deletes.retain((len - del.end) as u64);
        Self {
            inserts: (!ins.is_empty()).then_some(inserts),
            deletes: (!del.is_empty()).then_some(deletes),
        }
    }

    /// Returns true if the operation can be applied to a document of `len` characters.
    pub fn fits(&self, len: usize) -> bool {
        let inserts = self.inserts.as_ref();
        let between = inserts.map_or(len, OperationSeq::target_len);
        let deletes = self.deletes.as_ref();
        inserts.is_none_or(|inserts| inserts.base_len() == len)
            && deletes.is_none_or(|deletes| deletes.base_len() == between)
    }

    /// Composes consecutive operations into one. Halves are composed recursively, so
    /// that a commit of n splices does not take n² steps.
    pub fn compose(operations: &[Self]) -> Result<Option<Self>, OTError> {
        match operations {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            many => {
                let (first, second) = many.split_at(many.len() / 2);
                let (first, second) = (Self::compose(first)?, Self::compose(second)?);
                first.zip(second).map(|(a, b)| a.then(&b)).transpose()
            }
        }
    }

    fn then(&self, next: &Self) -> Result<Self, OTError> {
        let inserts = match (&self.inserts, &next.inserts) {
            (Some(first), Some(second)) => Some(first.compose(second)?),
            (first, second) => first.clone().or_else(|| second.clone()),
        };
        let deletes = match (over(&self.deletes, &next.inserts)?, &next.deletes) {
            (Some(first), Some(second)) => Some(union(&first, second)?),
            (first, second) => first.or_else(|| second.clone()),
        };
        Ok(Self { inserts, deletes })
    }

    /// Transforms two operations on the same state so that each follows the other. If
    /// both insert at one place, the text of `first` comes first.
    fn transform(first: &Self, second: &Self) -> Result<(Self, Self), OTError> {
        let (a, b) = match (&first.inserts, &second.inserts) {
            (Some(a), Some(b)) => {
                let (a, b) = a.transform(b)?;
                (Some(a), Some(b))
            }
            (a, b) => (a.clone(), b.clone()),
        };
        let first = Self {
            deletes: over(&first.deletes, &b)?,
            inserts: a.clone(),
        };
        let second = Self {
            deletes: over(&second.deletes, &a)?,
            inserts: b,
        };
        Ok((first, second))
    }

    /// Returns this operation as if `other`, which precedes it and on which it does not
    /// build, had not happened. This is a transformation over the reverse of `other`:
    /// no part of this operation lies within what `other` inserted.
    pub fn without(&self, other: &Self) -> Result<Self, OTError> {
        let Some(inserted) = &other.inserts else {
            return Ok(self.clone());
        };
        let reverse = reverse(inserted);
        let (inserts, reverse) = match &self.inserts {
            None => (None, reverse),
            Some(inserts) => {
                let (inserts, reverse) = inserts.transform(&reverse)?;
                (Some(inserts), reverse)
            }
        };
        Ok(Self {
            inserts,
            deletes: over(&self.deletes, &Some(reverse))?,
        })
    }
}

const RETAIN: u64 = 0;
const DELETE: u64 = 1;
const INSERT: u64 = 2;

/// The payload is the components of both sequences. The library's own encoding, JSON,
/// is several times as large.
impl Payload for Rc<Operation> {
    const MAGIC: &[u8; 4] = b"OTb1";

    fn put(&self, out: &mut Vec<u8>) {
        put_sequence(out, self.inserts.as_ref());
        put_sequence(out, self.deletes.as_ref());
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Rc::new(Operation {
            inserts: read_sequence(reader, INSERT)?,
            deletes: read_sequence(reader, DELETE)?,
        }))
    }
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

/// Reads a sequence of retains and components of one other kind.
fn read_sequence(reader: &mut Reader<'_>, kind: u64) -> Option<Option<OperationSeq>> {
    let mut sequence = OperationSeq::default();
    for _ in 0..reader.number()? {
        let number = reader.number()?;
        // Numbers this small cannot overflow the sum.
        let len = u64::from(u32::try_from(number >> 2).ok()?);
        match number & 3 {
            RETAIN => sequence.retain(len),
            DELETE if kind == DELETE => sequence.delete(len),
            INSERT if kind == INSERT => {
                sequence.insert(str::from_utf8(reader.bytes(len as usize)?).ok()?);
            }
            _ => return None,
        }
    }
    Some((!sequence.ops().is_empty()).then_some(sequence))
}

/// An operation with its peer, as part of a history.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub peer: PeerId,
    pub counter: Counter,
    pub op: Rc<Operation>,
}

impl Step {
    /// Transforms two steps on the same state so that each follows the other. The text
    /// of the lower peer comes first.
    pub fn transform(&mut self, other: &mut Self) -> Result<(), OTError> {
        if self.op.inserts.is_none() && other.op.inserts.is_none() {
            return Ok(());
        }
        let (first, second) = match self.peer < other.peer {
            true => (self, other),
            false => (other, self),
        };
        let (a, b) = Operation::transform(&first.op, &second.op)?;
        (first.op, second.op) = (Rc::new(a), Rc::new(b));
        Ok(())
    }

    /// Swaps this step with the one before it, on which it does not build.
    pub fn go_before(&mut self, other: &mut Self) -> Result<(), OTError> {
        let without = Rc::new(self.op.without(&other.op)?);
        // The other step has to follow this one now. Transforming the copy as well
        // only gives this step as it was.
        let mut copy = Self {
            op: without.clone(),
            ..*self
        };
        copy.transform(other)?;
        self.op = without;
        Ok(())
    }
}

/// Transforms deletions so that they follow insertions.
fn over(
    deletes: &Option<OperationSeq>,
    inserts: &Option<OperationSeq>,
) -> Result<Option<OperationSeq>, OTError> {
    match (deletes, inserts) {
        (Some(deletes), Some(inserts)) => Ok(Some(deletes.transform(inserts)?.0)),
        _ => Ok(deletes.clone()),
    }
}

/// Combines two sets of deletions on the same state.
fn union(a: &OperationSeq, b: &OperationSeq) -> Result<OperationSeq, OTError> {
    let (_, rest_of_b) = a.transform(b)?;
    a.compose(&rest_of_b)
}

/// Returns the deletions that remove what was inserted.
fn reverse(inserts: &OperationSeq) -> OperationSeq {
    let mut reverse = OperationSeq::default();
    for component in inserts.ops() {
        match component {
            Component::Insert(text) => reverse.delete(text.chars().count() as u64),
            Component::Retain(len) | Component::Delete(len) => reverse.retain(*len),
        }
    }
    reverse
}
