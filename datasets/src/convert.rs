//! Writing of traces: as editing-traces JSON, plain or compressed, and in binary form.

use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::DatasetError;
use crate::store::write_atomically_with;
use crate::timestamp;
use crate::trace::{Patch, Trace, TraceKind, Txn};
use crate::{binary, causal};

/// The formats in which a trace can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON in the editing-traces format.
    Json,
    /// JSON in the editing-traces format, compressed with gzip.
    JsonGz,
    /// The binary form, which loads fastest.
    Binary,
}

impl Format {
    /// Derives the format from the ending of a file name: `.json`, `.json.gz` or
    /// `.sbtrace`.
    ///
    /// # Errors
    /// Fails for any other ending.
    pub fn from_path(path: &Path) -> Result<Self, DatasetError> {
        let name = path.to_string_lossy().to_lowercase();
        let endings = [
            (".json", Self::Json),
            (".json.gz", Self::JsonGz),
            (".sbtrace", Self::Binary),
        ];
        let format = endings
            .into_iter()
            .find(|(ending, _)| name.ends_with(ending));
        format
            .map(|(_, format)| format)
            .ok_or_else(|| DatasetError::UnknownFormat {
                path: path.to_owned(),
            })
    }
}

/// Writes a trace to a file atomically, in the format that the file name implies, and
/// returns the file's size in bytes.
///
/// # Errors
/// Fails if the name has another ending, if the file cannot be written, or if the
/// trace is a repeated one and the format is binary, which cannot express that.
pub fn convert(trace: &Trace, path: &Path) -> Result<u64, DatasetError> {
    let format = Format::from_path(path)?;
    if format == Format::Binary && trace.repeats() > 1 {
        return Err(DatasetError::WrongKind {
            name: trace.name().to_owned(),
            is: "a repeated trace",
            wanted: "one that the binary form can hold; convert its base",
        });
    }
    write_atomically_with(path, |file| write(trace, format, file))
}

fn write(trace: &Trace, format: Format, file: &mut impl Write) -> std::io::Result<()> {
    match format {
        Format::Json => write_json(trace, BufWriter::new(file))?.flush(),
        Format::JsonGz => {
            let packed = GzEncoder::new(file, Compression::best());
            let packed = write_json(trace, BufWriter::with_capacity(64 << 10, packed))?;
            packed.into_inner()?.finish()?.flush()
        }
        Format::Binary => file.write_all(&to_binary(trace)),
    }
}

/// Encodes a trace in the binary format.
///
/// # Panics
/// Panics if the trace is a repeated one.
pub fn to_binary(trace: &Trace) -> Vec<u8> {
    assert_eq!(trace.repeats(), 1, "a repeated trace has no binary form");
    // The checksum of a trace is always 64 hex digits.
    let mut source = [0; 32];
    let _ = hex::decode_to_slice(trace.sha256(), &mut source);
    binary::encode(trace.body(), &source)
}

/// Writes a trace as editing-traces JSON and returns the writer. A sequential trace of
/// one agent is written without parents and agents.
///
/// # Errors
/// Returns the errors of the writer.
pub fn write_json<W: Write>(trace: &Trace, mut out: W) -> std::io::Result<W> {
    let graph = trace.kind() == TraceKind::Concurrent || trace.agent_count() > 1;
    out.write_all(b"{")?;
    if graph {
        write!(
            out,
            "\"kind\":\"concurrent\",\"numAgents\":{},",
            trace.agent_count()
        )?;
    }
    out.write_all(b"\"startContent\":")?;
    serde_json::to_writer(&mut out, trace.start_content())?;
    out.write_all(b",\"endContent\":")?;
    serde_json::to_writer(&mut out, trace.end_content())?;
    out.write_all(b",\"txns\":[")?;
    let children = if graph {
        causal::children(trace)
    } else {
        Vec::new()
    };
    for txn in trace.txns() {
        out.write_all(if txn.index() == 0 { b"{" } else { b",{" })?;
        if graph {
            write_ancestry(&mut out, txn, children[txn.index()])?;
        }
        if let Some(time) = txn.time() {
            write!(out, "\"time\":\"{}\",", timestamp::format(time))?;
        }
        write_patches(&mut out, txn.patches())?;
        out.write_all(b"}")?;
    }
    out.write_all(b"]}")?;
    Ok(out)
}

fn write_ancestry(out: &mut impl Write, txn: Txn<'_>, children: u32) -> std::io::Result<()> {
    let parents: Vec<usize> = txn.parents().collect();
    out.write_all(b"\"parents\":")?;
    serde_json::to_writer(&mut *out, &parents)?;
    write!(
        out,
        ",\"numChildren\":{children},\"agent\":{},",
        txn.agent()
    )
}

fn write_patches<'a>(
    out: &mut impl Write,
    patches: impl Iterator<Item = Patch<'a>>,
) -> std::io::Result<()> {
    out.write_all(b"\"patches\":[")?;
    for (at, patch) in patches.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma}[{},{},", patch.pos, patch.del)?;
        serde_json::to_writer(&mut *out, patch.ins)?;
        out.write_all(b"]")?;
    }
    out.write_all(b"]")
}
