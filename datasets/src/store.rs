//! The cache folder, and the traces in it: in binary form and named by the checksum of
//! their source, so that each is unpacked, parsed and replayed only once.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::binary;
use crate::body::Body;
use crate::error::DatasetError;

/// Returns the folder in which downloads, converted traces and update streams are kept:
/// `SYNCBENCH_CACHE`, or else `syncbench` in the user's cache folder.
///
/// # Errors
/// Fails if neither is known.
pub fn cache_dir() -> Result<PathBuf, DatasetError> {
    if let Some(dir) = std::env::var_os("SYNCBENCH_CACHE").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(dir));
    }
    let dirs = directories::ProjectDirs::from("", "", "syncbench").ok_or(DatasetError::NoCache)?;
    Ok(dirs.cache_dir().to_owned())
}

/// Returns a trace that was checked when it was stored. An absent or unreadable one is
/// `None`, since the source can always be loaded again.
pub(crate) fn get(sha256: &str) -> Option<Body> {
    let bytes = std::fs::read(path(sha256)?).ok()?;
    let (body, source) = binary::decode(&bytes).ok()?;
    (hex::encode(source) == sha256).then_some(body)
}

/// Stores a checked trace. A cache that cannot be written only costs time.
pub(crate) fn put(sha256: &str, body: &Body) {
    let mut source = [0; 32];
    if let (Some(path), Ok(())) = (path(sha256), hex::decode_to_slice(sha256, &mut source)) {
        let _ = write_atomically(&path, &binary::encode(body, &source));
    }
}

fn path(sha256: &str) -> Option<PathBuf> {
    let name = format!("{sha256}.v{}.sbtrace", binary::VERSION);
    Some(cache_dir().ok()?.join("traces").join(name))
}

/// Writes a file atomically, so that it never exists in part, and returns its size in
/// bytes. Creates the folders above it.
///
/// # Errors
/// Fails if the file or its folder cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<u64, DatasetError> {
    write_atomically_with(path, |file| file.write_all(bytes))
}

/// Writes a file as [`write_atomically`] does, with content that `write` produces.
pub(crate) fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<u64, DatasetError> {
    let failed = |source| DatasetError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
    // `create_new` gives the usual permissions; tempfile's own files are private.
    let file = tempfile::Builder::new().make_in(dir, |path| File::create_new(path));
    let mut file = file.map_err(failed)?;
    write(file.as_file_mut()).map_err(failed)?;
    let size = file.as_file().metadata().map_err(failed)?.len();
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(size)
}
