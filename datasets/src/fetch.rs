//! Downloads, which are resumable and checked, and never leave a file in part.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::catalog::Entry;
use crate::error::DatasetError;
use crate::source::{self, Location};

/// Maximum time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Maximum time until the server answers a request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time to receive a whole body. A timeout loses nothing: the next attempt
/// resumes where this one stopped.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);

/// The progress of a download, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on the disk, including those of earlier attempts.
    pub done: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// The outcome of fetching an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The right file was already on this machine.
    AlreadyHere(Location),
    /// The file was downloaded to this path.
    Downloaded(PathBuf),
}

/// Downloads the entry's file into the cache folder, unless the right file is already
/// embedded, in the mirror or in the cache. Resumes a partial download. Honours the
/// environment variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
///
/// # Errors
/// Fails if the download fails, in which case the received part is kept, or if the
/// file has the wrong checksum, in which case it is kept under another name and
/// never used.
pub fn fetch(entry: &Entry, progress: &mut dyn FnMut(Progress)) -> Result<Fetched, DatasetError> {
    if let Some(location) = source::locate(entry)? {
        match (source::read_entry(entry), location) {
            (Ok(_), location) => return Ok(Fetched::AlreadyHere(location)),
            (Err(DatasetError::Checksum { .. }), Location::Cache(path)) => {
                set_aside(&path)?;
            }
            (Err(error), _) => return Err(error),
        }
    }
    let path = source::download_path(entry)?;
    download(entry, &path, progress)?;
    Ok(Fetched::Downloaded(path))
}

/// Downloads the entry's file to `path`.
fn download(
    entry: &Entry,
    path: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DatasetError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(io("create", dir))?;
    }
    let partial = with_suffix(path, ".part");
    let have = fs::metadata(&partial).map_or(0, |file| file.len());
    if have < entry.bytes {
        let answer = request(entry, have)?;
        let part = Partial::open(&partial, &answer, have)?;
        receive(entry, answer, part, progress)?;
    }
    accept(entry, &partial, path)
}

fn request(entry: &Entry, have: u64) -> Result<Response<Body>, DatasetError> {
    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .user_agent(concat!("syncbench/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.get(&entry.url);
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    request.call().map_err(|error| {
        let fix = "check the network and the proxy variables, or put the file into a folder that SYNCBENCH_DATASETS names";
        failed(entry, format!("{error}; {fix}"))
    })
}

/// A file of which the first part has been downloaded.
struct Partial<'a> {
    path: &'a Path,
    file: File,
    /// The number of bytes that it has.
    done: u64,
}

impl<'a> Partial<'a> {
    /// Opens the partial file at the place where the answer's bytes belong.
    fn open(path: &'a Path, answer: &Response<Body>, have: u64) -> Result<Self, DatasetError> {
        let continued =
            answer.status() == StatusCode::PARTIAL_CONTENT && range_start(answer) == Some(have);
        let mut options = OpenOptions::new();
        // A server that does not know ranges sends the file from its start.
        let options = if continued {
            options.append(true)
        } else {
            options.write(true).truncate(true)
        };
        let file = options.create(true).open(path).map_err(io("write", path))?;
        Ok(Self {
            path,
            file,
            done: if continued { have } else { 0 },
        })
    }
}

/// Returns the offset of the first byte of a partial answer: 5 for
/// `Content-Range: bytes 5-9/10`.
fn range_start(answer: &Response<Body>) -> Option<u64> {
    let range = answer.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

fn receive(
    entry: &Entry,
    answer: Response<Body>,
    partial: Partial<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), DatasetError> {
    let Partial {
        path,
        mut file,
        mut done,
    } = partial;
    let total = entry.bytes;
    // One byte beyond the expected size reveals a file that is too long.
    let mut body = answer.into_body().into_reader().take(total + 1 - done);
    let mut buffer = vec![0; 64 << 10];
    loop {
        progress(Progress {
            done: done.min(total),
            total,
        });
        let read = body.read(&mut buffer).map_err(|error| {
            failed(
                entry,
                format!("stopped after {done} of {total} bytes: {error}; fetch again to continue"),
            )
        })?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(io("write", path))?;
        done += read as u64;
    }
    if done < total {
        return Err(failed(
            entry,
            format!("ended after {done} of {total} bytes; fetch again to continue"),
        ));
    }
    file.sync_all().map_err(io("write", path))
}

/// Gives a complete download its final name if its checksum is right.
fn accept(entry: &Entry, partial: &Path, path: &Path) -> Result<(), DatasetError> {
    let found = source::sha256_hex(&source::read_file(partial)?);
    if found == entry.sha256 {
        return fs::rename(partial, path).map_err(io("write", path));
    }
    let aside = set_aside(partial)?;
    Err(DatasetError::Checksum {
        path: aside,
        found,
        expected: entry.sha256.clone(),
        fix: format!("{} sent another file, kept here and not used", entry.url),
    })
}

/// Renames a file with a wrong checksum, so that it can be examined but is never
/// mistaken for the right one.
fn set_aside(path: &Path) -> Result<PathBuf, DatasetError> {
    let aside = with_suffix(path, ".wrong");
    fs::rename(path, &aside).map_err(io("rename", path))?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(entry: &Entry, reason: String) -> DatasetError {
    DatasetError::Fetch {
        name: entry.name.clone(),
        url: entry.url.clone(),
        reason,
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DatasetError {
    let path = path.to_owned();
    move |source| DatasetError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests;
