//! Records from many files and folders.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::file::{self, FileError};
use crate::record::{Kind, Record};

/// The inputs of a report that are no records. A report without them would look
/// complete, so there is none.
#[derive(Debug, thiserror::Error)]
pub struct Refused(pub Vec<FileError>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "{error}"))?;
        f.write_str("nothing was written: leave these out, or give intact ones")
    }
}

/// Reads every record in `paths`, in their order; those of a folder by file name.
/// A file holds one record, or one record a line as `syncbench cell` prints them.
/// Of a folder, its `.json` and `.jsonl` files are read, and the `record.json` of
/// each folder in it, as runs leave them.
///
/// # Errors
/// When a file, or a line of one, is no record that a report can show. All of
/// them are named.
pub fn collect(paths: &[PathBuf]) -> Result<Vec<Record>, Refused> {
    let mut collected = Collected::default();
    for path in paths {
        match path.is_dir() {
            true => collected.folder(path),
            false => collected.file(path),
        }
    }
    match collected.refused.is_empty() {
        true => Ok(collected.records),
        false => Err(Refused(collected.refused)),
    }
}

/// The records so far, and what was refused.
#[derive(Default)]
struct Collected {
    records: Vec<Record>,
    refused: Vec<FileError>,
}

impl Collected {
    fn folder(&mut self, folder: &Path) {
        match files_of(folder) {
            Ok(files) if files.is_empty() => self.refused.push(FileError::NoRecords {
                folder: folder.to_owned(),
            }),
            Ok(files) => files.iter().for_each(|file| self.file(file)),
            Err(source) => self.refused.push(FileError::Read {
                path: folder.to_owned(),
                source,
            }),
        }
    }

    fn file(&mut self, path: &Path) {
        match file::read(path) {
            Ok(bytes) if is_lines(&bytes) => self.lines(&bytes, path),
            Ok(bytes) => self.add(parse(&bytes, path)),
            Err(error) => self.refused.push(error),
        }
    }

    fn lines(&mut self, bytes: &[u8], path: &Path) {
        for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            // Compilers name a line in this form.
            let place = PathBuf::from(format!("{}:{}", path.display(), at + 1));
            self.add(parse(line, &place).map_err(within_line));
        }
    }

    fn add(&mut self, record: Result<Record, FileError>) {
        match record {
            Ok(record) => self.records.push(record),
            Err(error) => self.refused.push(error),
        }
    }
}

/// The record that `json` is, if a report can show it.
fn parse(json: &[u8], path: &Path) -> Result<Record, FileError> {
    let record = Record::parse(json, path)?;
    match record.kind {
        Kind::Load | Kind::Cell => Ok(record),
        Kind::Gate | Kind::Capacity | Kind::Audit => Err(FileError::NoReport {
            path: path.to_owned(),
        }),
    }
}

/// The error without a line of its own: the file's is in its path.
fn within_line(mut error: FileError) -> FileError {
    if let FileError::NotARecord { reason, .. } = &mut error {
        *reason = reason.replace(" at line 1 column", " at column");
    }
    error
}

/// Returns true if each line is a separate document. Then the first line does not end
/// within its outermost bracket, as it does in indented JSON.
fn is_lines(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty()).unwrap_or_default();
    first.len() > 1
}

/// Returns the files of a folder that may hold records, ordered by name.
fn files_of(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let run = path.join("record.json");
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending {
            _ if run.is_file() => files.push(run),
            Some("json" | "jsonl") if path.is_file() => files.push(path),
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}
