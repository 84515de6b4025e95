//! Sources of a data set's bytes: the executable, the mirror, the cache, or a path.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::catalog::Entry;
use crate::error::DatasetError;
use crate::store::cache_dir;

/// Maximum size of a file that is read, in bytes: a hundred times that of the
/// largest known one.
const MAX_FILE: u64 = 256 << 20;

#[cfg(embedded_trace)]
static EMBEDDED: Option<&[u8]> = Some(include_bytes!(concat!(
    env!("OUT_DIR"),
    "/automerge-paper.json.gz"
)));
#[cfg(not(embedded_trace))]
static EMBEDDED: Option<&[u8]> = None;

/// Name of the entry that the build embeds.
const EMBEDDED_NAME: &str = "automerge-paper";

/// Returns true if this executable contains the entry `automerge-paper`, which then
/// needs no file.
pub fn has_embedded_trace() -> bool {
    EMBEDDED.is_some()
}

/// The place of an entry's file on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The file is part of this executable.
    Embedded,
    /// The file is in the folder that `SYNCBENCH_DATASETS` names.
    Mirror(PathBuf),
    /// The file is in the cache folder.
    Cache(PathBuf),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.pad("embedded"),
            Self::Mirror(_) => f.pad("mirror"),
            Self::Cache(_) => f.pad("cache"),
        }
    }
}

/// Returns the mirror folder, which `SYNCBENCH_DATASETS` names; `None` if it names
/// none.
///
/// # Errors
/// Fails if there is no such folder.
pub fn mirror() -> Result<Option<PathBuf>, DatasetError> {
    let named = std::env::var_os("SYNCBENCH_DATASETS").filter(|value| !value.is_empty());
    match named.map(PathBuf::from) {
        Some(path) if !path.is_dir() => Err(DatasetError::NoMirror { path }),
        named => Ok(named),
    }
}

/// Returns the path at which a downloaded entry is kept.
pub(crate) fn download_path(entry: &Entry) -> Result<PathBuf, DatasetError> {
    Ok(cache_dir()?.join("datasets").join(&entry.file))
}

/// Finds the entry's file: in the executable, else in the mirror, else in the cache.
///
/// # Errors
/// Fails if there is no mirror where `SYNCBENCH_DATASETS` says.
pub fn locate(entry: &Entry) -> Result<Option<Location>, DatasetError> {
    let mirror = mirror()?;
    if entry.name == EMBEDDED_NAME && has_embedded_trace() {
        return Ok(Some(Location::Embedded));
    }
    let mirrored = mirror
        .map(|dir| dir.join(&entry.file))
        .filter(|path| path.is_file());
    if let Some(path) = mirrored {
        return Ok(Some(Location::Mirror(path)));
    }
    let cached = download_path(entry).ok().filter(|path| path.is_file());
    Ok(cached.map(Location::Cache))
}

/// Reads the file of a catalog entry and verifies its checksum.
///
/// # Errors
/// Fails if the file is not on this machine, cannot be read, or differs from the one
/// in the catalog.
pub fn read_entry(entry: &Entry) -> Result<Cow<'static, [u8]>, DatasetError> {
    let Some(location) = locate(entry)? else {
        return Err(DatasetError::NotHere {
            name: entry.name.clone(),
            fetch: entry.name.clone(),
            file: entry.file.clone(),
        });
    };
    let (path, bytes, fix) = match location {
        // The build has verified its checksum.
        Location::Embedded => return Ok(Cow::Borrowed(EMBEDDED.unwrap_or_default())),
        Location::Mirror(path) => (
            path.clone(),
            read_file(&path)?,
            "replace it in the mirror folder".to_owned(),
        ),
        Location::Cache(path) => (
            path.clone(),
            read_file(&path)?,
            format!("`syncbench datasets fetch {}` replaces it", entry.name),
        ),
    };
    let found = sha256_hex(&bytes);
    if found != entry.sha256 {
        return Err(DatasetError::Checksum {
            path,
            found,
            expected: entry.sha256.clone(),
            fix,
        });
    }
    Ok(Cow::Owned(bytes))
}

/// Reads a whole file, unless it is larger than [`MAX_FILE`].
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, DatasetError> {
    let failed = |source| DatasetError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        let reason = format!(
            "larger than {} MiB; split the trace or pack it with gzip",
            MAX_FILE >> 20
        );
        return Err(failed(std::io::Error::other(reason)));
    }
    Ok(bytes)
}

/// Returns the sha256 in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
