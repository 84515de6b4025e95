//! From a name, a path or bytes to a checked [`Trace`].

use std::io::{BufReader, Read};
use std::path::Path;

use crate::catalog::{Derived, Entry, Kind, catalog};
use crate::error::DatasetError;
use crate::trace::Trace;
use crate::{check, json, source};

/// Most JSON that a file may unpack to, in bytes. The tables take at most twice
/// that, so a small file cannot take all memory.
const MAX_UNPACKED: u64 = 512 << 20;

/// Loads a trace by its catalog name, or from a `.json` or `.json.gz` file in the
/// editing-traces format, and makes sure that it replays.
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
    load_bytes(name_or_path, &source::read_file(path)?)
}

fn load_entry(entry: &Entry) -> Result<Trace, DatasetError> {
    if entry.kind == Kind::Document {
        let name = entry.name.clone();
        return Err(DatasetError::WrongKind {
            name,
            is: "a document",
            wanted: "a trace",
        });
    }
    let bytes = source::read_entry(entry)?;
    load_with_sha256(&entry.name, &bytes, entry.sha256.clone())
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

/// Loads a trace from the bytes of a file, plain or packed with gzip; `name` is
/// what errors and [`Trace::name`] call it.
///
/// # Errors
/// When it is malformed or does not give its end text.
pub fn load_bytes(name: &str, bytes: &[u8]) -> Result<Trace, DatasetError> {
    load_with_sha256(name, bytes, source::sha256_hex(bytes))
}

fn load_with_sha256(name: &str, bytes: &[u8], sha256: String) -> Result<Trace, DatasetError> {
    let parsed = if bytes.starts_with(&[0x1f, 0x8b]) {
        json::parse(BufReader::with_capacity(
            64 << 10,
            Limited::new(flate2::read::MultiGzDecoder::new(bytes)),
        ))
    } else {
        json::parse(Limited::new(bytes))
    };
    let body = parsed
        .and_then(check::finish)
        .map_err(|fault| fault.in_file(name))?;
    Ok(Trace::new(name, sha256, body))
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
            std::io::Error::other(format!(
                "more than {} MiB of JSON; split the trace",
                MAX_UNPACKED >> 20
            ))
        })?;
        Ok(read)
    }
}
