//! The compact binary form of a trace: the tables as they lie in memory.
//!
//! All numbers are little-endian. A file is
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `SBTRACE` and a zero byte |
//! | 4 | format version, 1 |
//! | 32 | sha256 of the file that the trace came from |
//! | 9 × 4 | lengths: start text, end text, inserted text (bytes); patches, txns, txn ends, agents, times, parents (entries); then the agent count, and 1 if there is a graph |
//! | | patches: position, deleted, end of the inserted text, 4 bytes each |
//! | | columns by txn: patch ends, agents, parent ends, then the parents, 4 bytes each, then times, 8 bytes each |
//! | | start text, end text, inserted text, UTF-8 |
//! | 32 | BLAKE3 of everything before |
//!
//! With fixed widths, loading is a single pass of copying. A column without
//! information (one patch per txn, one agent, one time) is left out.

use crate::body::{Body, NO_TIME, Parents, PatchRow};
use crate::error::{Fault, Place};
use crate::timestamp;

/// The first bytes of every file.
pub(crate) const MAGIC: &[u8; 8] = b"SBTRACE\0";

/// The format version, which increases with every change of the layout or of the
/// checks when loading.
pub(crate) const VERSION: u32 = 1;

const HASH_LEN: usize = blake3::OUT_LEN;

/// Encodes a trace with the checksum of its source.
pub(crate) fn encode(body: &Body, source_sha256: &[u8; 32]) -> Vec<u8> {
    let no_parents = Parents::default();
    let parents = body.parents.as_ref().unwrap_or(&no_parents);
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(source_sha256);
    let lengths = [
        body.start.len(),
        body.end.len(),
        body.text.len(),
        body.patches.len(),
        body.txn_count(),
        body.txn_ends.len(),
        body.agents.len(),
        body.times.len(),
        parents.list.len(),
        body.agent_count as usize,
        usize::from(body.parents.is_some()),
    ];
    // The loader ensures that each of them is below 2^32.
    put(&mut out, lengths.into_iter().map(|length| length as u32));
    put(
        &mut out,
        body.patches
            .iter()
            .flat_map(|row| [row.pos, row.del, row.ins_end]),
    );
    for column in [&body.txn_ends, &body.agents, &parents.ends, &parents.list] {
        put(&mut out, column.iter().copied());
    }
    out.extend(body.times.iter().flat_map(|time| time.to_le_bytes()));
    for text in [&body.start, &body.end, &body.text] {
        out.extend_from_slice(text.as_bytes());
    }
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    out
}

fn put(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    out.extend(numbers.flat_map(u32::to_le_bytes));
}

/// Decodes a trace and the sha256 of the file that it came from. The tables satisfy the
/// invariants of [`Body`]; that the edits yield the end text is not checked.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Body, [u8; 32]), Fault> {
    let broken = |reason: &str| {
        Fault::Malformed(
            Place::default(),
            format!("{reason}; make the binary file again"),
        )
    };
    let Some((content, hash)) = bytes.split_last_chunk::<HASH_LEN>() else {
        return Err(broken("cut short"));
    };
    let mut input = Reader(content);
    let magic = input
        .bytes(MAGIC.len())
        .ok_or_else(|| broken("cut short"))?;
    let version = input.number().ok_or_else(|| broken("cut short"))?;
    if magic != MAGIC {
        return Err(broken("not a binary trace"));
    }
    if version != VERSION {
        let reason = format!("binary format {version}, this build reads {VERSION}");
        return Err(broken(&reason));
    }
    if blake3::hash(content) != *hash {
        return Err(broken("damaged or cut short: its checksum is wrong"));
    }
    let (body, sha256) = input
        .content()
        .ok_or_else(|| broken("its lengths are inconsistent"))?;
    check_invariants(&body).map_err(broken)?;
    Ok((body, sha256))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        let bytes = self.bytes(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn rows<T, const WIDTH: usize>(
        &mut self,
        len: usize,
        row: impl Fn(&[u8; WIDTH]) -> T,
    ) -> Option<Vec<T>> {
        let (rows, _) = self.bytes(len.checked_mul(WIDTH)?)?.as_chunks::<WIDTH>();
        Some(rows.iter().map(row).collect())
    }

    fn column(&mut self, len: usize) -> Option<Vec<u32>> {
        self.rows(len, |bytes| u32::from_le_bytes(*bytes))
    }

    fn text(&mut self, len: usize) -> Option<String> {
        Some(std::str::from_utf8(self.bytes(len)?).ok()?.to_owned())
    }

    fn content(mut self) -> Option<(Body, [u8; 32])> {
        let sha256 = self.bytes(32)?.try_into().ok()?;
        let [start, end, text] = [self.length()?, self.length()?, self.length()?];
        let (patches, txns, txn_ends) = (self.length()?, self.number()?, self.length()?);
        let [agents, times, parents] = [self.length()?, self.length()?, self.length()?];
        let agent_count = self.number()?;
        let graph = self.number()? != 0;
        let mut body = Body {
            txn_count: txns,
            agent_count,
            patches: self.rows(patches, patch_row)?,
            txn_ends: self.column(txn_ends)?,
            agents: self.column(agents)?,
            ..Body::default()
        };
        let parent_ends = self.column(if graph { txns as usize } else { 0 })?;
        let list = self.column(parents)?;
        body.parents = graph.then_some(Parents {
            ends: parent_ends,
            list,
        });
        body.times = self.rows(times, |bytes| i64::from_le_bytes(*bytes))?;
        body.start = self.text(start)?;
        body.end = self.text(end)?;
        body.text = self.text(text)?;
        let consistent = self.0.is_empty() && (graph || parents == 0);
        consistent.then_some((body, sha256))
    }
}

fn patch_row(bytes: &[u8; 12]) -> PatchRow {
    let number =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    PatchRow {
        pos: number(0),
        del: number(4),
        ins_end: number(8),
    }
}

fn check_invariants(body: &Body) -> Result<(), &'static str> {
    let count = body.txn_count();
    let text_ends = body.patches.iter().map(|row| row.ins_end);
    if !rises_to(text_ends, body.text.len()) || !on_char_boundaries(body) {
        return Err("patches point outside the text");
    }
    let one_each = body.txn_ends.is_empty() && body.patches.len() == count;
    if !one_each
        && (body.txn_ends.len() != count
            || !rises_to(body.txn_ends.iter().copied(), body.patches.len()))
    {
        return Err("txns point outside the patches");
    }
    let few_agents = body.agent_count >= 1 && body.agent_count as usize <= count.max(1);
    let agents_fit = body.agents.is_empty() || body.agents.len() == count;
    if !few_agents || !agents_fit || body.agents.iter().any(|&agent| agent >= body.agent_count) {
        return Err("agents are out of range");
    }
    if body.times.len() > 1 && body.times.len() != count {
        return Err("times are missing");
    }
    let in_range = |&time: &i64| time == NO_TIME || (0..=timestamp::LAST).contains(&time);
    if !body.times.iter().all(in_range) {
        return Err("times are out of range");
    }
    match &body.parents {
        Some(parents) if !rises_to(parents.ends.iter().copied(), parents.list.len()) => {
            Err("parents are out of range")
        }
        Some(parents) => {
            crate::check::check_parents(parents).map_err(|_| "parents are out of order")
        }
        None => Ok(()),
    }
}

/// Returns true if the column never decreases and ends at `len`.
fn rises_to(column: impl Iterator<Item = u32>, len: usize) -> bool {
    let mut last = Some(0);
    for end in column {
        last = last.filter(|&before| before <= end).map(|_| end);
    }
    last.is_some_and(|last| last as usize == len)
}

fn on_char_boundaries(body: &Body) -> bool {
    body.text.is_ascii()
        || body
            .patches
            .iter()
            .all(|row| body.text.is_char_boundary(row.ins_end as usize))
}
