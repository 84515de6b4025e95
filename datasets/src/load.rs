//! Loading of a checked [`Trace`] by name, from a path or from bytes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::body::Body;
use crate::catalog::{Derived, Entry, Kind, catalog};
use crate::error::{DatasetError, Fault, Place};
use crate::source::{self, sha256_hex};
use crate::trace::Trace;
use crate::{binary, check, json, store};

/// Maximum size of the JSON in a file, in bytes after decompression. The tables take at
/// most twice as much, so a small file cannot exhaust memory.
const MAX_UNPACKED: u64 = 512 << 20;

/// Loads a trace by its catalog name, or from a file: the editing-traces format
/// as `.json` or `.json.gz`, or the binary form. The first bytes determine the format.
/// The trace is replayed as a check. A trace that was checked before is read from the
/// cache folder in binary form.
///
/// # Errors
/// Fails if there is no such trace, if its file is not on this machine or has the wrong
/// checksum, or if it is malformed or does not yield its end text.
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

/// Loads a trace from the bytes of a file in any of the formats and bypasses all
/// caches. Errors and [`Trace::name`] use `name`.
///
/// # Errors
/// Fails if the trace is malformed or does not yield its end text.
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

/// The first bytes of a gzip member.
const GZIP: &[u8] = &[0x1f, 0x8b];

fn parse(bytes: &[u8]) -> Result<Body, Fault> {
    let parsed = if bytes.starts_with(GZIP) {
        let unpacked = Limited::new(Unpacked(GzDecoder::new(bytes)));
        let mut unpacked = BufReader::with_capacity(64 << 10, unpacked);
        let head = unpacked.fill_buf().map_err(|error| {
            let reason = json::unreadable(error);
            Fault::Malformed(Place::default(), reason)
        })?;
        let mark = mark_len(head)?;
        unpacked.consume(mark);
        json::parse(unpacked)?
    } else {
        json::parse(Limited::new(&bytes[mark_len(bytes)?..]))?
    };
    check::finish(parsed)
}

/// Returns the length of the byte order mark of a text, which is 0 without one. Text in
/// another encoding than UTF-8 is refused.
fn mark_len(text: &[u8]) -> Result<usize, Fault> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => {
            let reason = "encoded as UTF-16; save it as UTF-8".to_owned();
            Err(Fault::Malformed(Place::default(), reason))
        }
        _ => Ok(0),
    }
}

/// A reader that unpacks gzip members one after the other. Zeros after the last one are
/// padding, as for gzip itself.
struct Unpacked<'b>(GzDecoder<&'b [u8]>);

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.0.read(buffer)?;
            let rest = *self.0.get_ref();
            if read > 0 || buffer.is_empty() || rest.iter().all(|&byte| byte == 0) {
                return Ok(read);
            }
            if !rest.starts_with(GZIP) {
                return Err(std::io::Error::other(format!(
                    "{} bytes follow the end of the gzip data; remove them",
                    rest.len()
                )));
            }
            self.0 = GzDecoder::new(rest);
        }
    }
}

/// A reader that fails after more than [`MAX_UNPACKED`] bytes.
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
