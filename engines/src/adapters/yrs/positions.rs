//! Conversion of positions between scalar values outside and UTF-16 units in Yrs; and
//! splices, which have a position.

use yrs::{GetString, ReadTxn, Text, TransactionMut};

use super::{Splice, YrsReplica};
use crate::{EngineError, TextDocument};

impl YrsReplica {
    /// Returns the length of the text, if there are `del` characters after `pos`.
    pub(super) fn check_bounds(&self, pos: usize, del: usize) -> Result<usize, EngineError> {
        let len = self.text_len();
        match pos > len || del > len - pos {
            true => Err(EngineError::OutOfBounds { pos, del, len }),
            false => Ok(len),
        }
    }

    pub(super) fn apply(&self, txn: &mut TransactionMut<'_>, splice: &Splice) {
        let (pos, del) = self.units(txn, splice.pos, splice.del);
        if del > 0 {
            self.text.remove_range(txn, pos, del);
        }
        if !splice.ins.is_empty() {
            self.text.insert(txn, pos, &splice.ins);
        }
    }

    /// Converts a position and a length to UTF-16 units.
    pub(super) fn units<T: ReadTxn>(&self, txn: &T, pos: usize, len: usize) -> (u32, u32) {
        if !self.wide {
            return (pos as u32, len as u32);
        }
        let text = self.text.get_string(txn);
        let mut units = text.chars().map(|c| c.len_utf16() as u32);
        let start = units.by_ref().take(pos).sum();
        (start, units.take(len).sum())
    }

    /// Converts a position in UTF-16 units to scalar values.
    pub(super) fn scalars<T: ReadTxn>(&self, txn: &T, units: usize) -> usize {
        if !self.wide {
            return units;
        }
        let text = self.text.get_string(txn);
        let ends = text.chars().scan(0, |end, c| {
            *end += c.len_utf16();
            Some(*end)
        });
        ends.take_while(|&end| end <= units).count()
    }
}

pub(super) fn byte_at(text: &str, scalar: usize) -> usize {
    let start = text.char_indices().nth(scalar);
    start.map_or(text.len(), |(byte, _)| byte)
}

/// Returns true if the bytes can contain a UTF-8 sequence of four bytes, that is, a
/// character beyond U+FFFF. Both encodings store strings as they are.
pub(super) fn may_be_wide(bytes: &[u8]) -> bool {
    let leads = |chunk: &[u8]| chunk.iter().fold(false, |any, b| any | (*b >= 0xf0));
    let sequence = |w: &[u8]| w[0] >= 0xf0 && w[1..].iter().all(|b| b & 0xc0 == 0x80);
    bytes.chunks(256).any(leads) && bytes.windows(4).any(sequence)
}
