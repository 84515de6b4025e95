//! From a name, a path or bytes to a checked [`Trace`].

use std::io::{BufReader, Read};
use std::path::Path;

use crate::body::Body;
use crate::catalog::{Derived, Entry, Kind, catalog};
use crate::error::{DatasetError, Fault};
use crate::source::{self, sha256_hex};
use crate::trace::Trace;
use crate::{binary, check, json, store};

/// Most JSON that a file may unpack to, in bytes. The tables take at most twice
/// that, so a small file cannot take all memory.
const MAX_UNPACKED: u64 = 512 << 20;

/// Loads a trace by its catalog name, or from a file: the editing-traces format
/// as `.json` or `.json.gz`, or the binary form. Its format is told by its first
/// bytes. The trace is checked to replay; one that was checked before is taken
/// from the cache folder in binary form.
///
/// # Errors
/// When there is no such trace, its file is not on this machine or not the right
/// one, or it is malformed or does not give its end text.
pub fn load(name_or_path: &str) -> Result<Trace, DatasetError> {
    if let Some(entry) = catalog().entry(name_or_path) {
        return load_entry(entry);
    }
    if let Some(derived) = catalog().derived(name_or_path) {
        return load_derived(derived);
    }
    let path = Path::new(name_or_path);
    if !path.exists() {
        return Err(catalog().unknown(name_or_path));
    }
    let bytes = source::read_file(path)?;
    if bytes.starts_with(binary::MAGIC) {
        return load_bytes(name_or_path, &bytes);
    }
    load_stored(name_or_path, &bytes, sha256_hex(&bytes))
}

fn load_entry(entry: &Entry) -> Result<Trace, DatasetError> {
    if entry.kind == Kind::Document {
        return Err(DatasetError::WrongKind {
            name: entry.name.clone(),
            is: "a document",
            wanted: "a trace",
        });
    }
    let bytes = source::read_entry(entry)?;
    load_stored(&entry.name, &bytes, entry.sha256.clone())
}

fn load_derived(derived: &Derived) -> Result<Trace, DatasetError> {
    let base = load(&derived.base).map_err(|error| match error {
        DatasetError::NotHere { fetch, file, .. } => DatasetError::NotHere {
            name: derived.name.clone(),
            fetch,
            file,
        },
        other => other,
    })?;
    Ok(base.repeated(&derived.name, derived.repeat))
}

fn load_stored(name: &str, bytes: &[u8], sha256: String) -> Result<Trace, DatasetError> {
    if let Some(body) = store::get(&sha256) {
        return Ok(Trace::new(name, sha256, body));
    }
    let body = parse(bytes).map_err(|fault| fault.in_file(name))?;
    store::put(&sha256, &body);
    Ok(Trace::new(name, sha256, body))
}

/// Loads a trace from the bytes of a file in any of the formats, past all
/// caches; `name` is what errors and [`Trace::name`] call it.
///
/// # Errors
/// When it is malformed or does not give its end text.
pub fn load_bytes(name: &str, bytes: &[u8]) -> Result<Trace, DatasetError> {
    let (body, sha256) = if bytes.starts_with(binary::MAGIC) {
        let decoded = binary::decode(bytes).and_then(|(mut body, source)| {
            check::check_body(&body)?;
            body.compact();
            Ok((body, hex::encode(source)))
        });
        decoded.map_err(|fault| fault.in_file(name))?
    } else {
        (
            parse(bytes).map_err(|fault| fault.in_file(name))?,
            sha256_hex(bytes),
        )
    };
    Ok(Trace::new(name, sha256, body))
}

fn parse(bytes: &[u8]) -> Result<Body, Fault> {
    let parsed = if bytes.starts_with(&[0x1f, 0x8b]) {
        let unpacked = Limited::new(flate2::read::MultiGzDecoder::new(bytes));
        json::parse(BufReader::with_capacity(64 << 10, unpacked))?
    } else {
        json::parse(Limited::new(bytes))?
    };
    check::finish(parsed)
}

/// Fails once more than [`MAX_UNPACKED`] bytes have been read.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R> Limited<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            left: MAX_UNPACKED,
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let limit = MAX_UNPACKED >> 20;
            std::io::Error::other(format!("more than {limit} MiB of JSON; split the trace"))
        })?;
        Ok(read)
    }
}
