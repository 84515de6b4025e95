//! Records and reports on disk. Files are written atomically.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::record::{Kind, Record, SCHEMA};

/// An error in reading or writing a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be written.
    #[error("cannot write {}: {source}; name a folder you can write to with -o DIR", path.display())]
    Write {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}; check the path", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not a record.
    #[error("{} is not a record ({reason}); give the record.json of a run, or the output of `syncbench cell`", path.display())]
    NotARecord {
        /// The path of the file.
        path: PathBuf,
        /// The fault and its place in the file.
        reason: String,
    },
    /// The record is of a version that this program does not know.
    #[error(
        "{} has the schema `{found}`, this syncbench reads `{SCHEMA}`; read it with the version that wrote it",
        path.display()
    )]
    Schema {
        /// The path of the file.
        path: PathBuf,
        /// The schema named in it.
        found: String,
    },
    /// The record is of a kind that has no report.
    #[error("{} is the record of another command than `run` or `cell`, which has no report", path.display())]
    NoReport {
        /// The path of the file.
        path: PathBuf,
    },
    /// A folder has no file that could be a record.
    #[error(
        "{} holds no records; it needs .json or .jsonl files, or folders with a record.json",
        folder.display()
    )]
    NoRecords {
        /// The path of the folder.
        folder: PathBuf,
    },
}

impl Record {
    /// Writes the record as indented JSON, see [`write()`].
    ///
    /// # Errors
    /// Fails if the folder cannot be created or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| FileError::Write {
            path: path.to_owned(),
            source: error.into(),
        })?;
        json.push(b'\n');
        write(path, &json)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not a record, or is a record of another
    /// schema version.
    pub fn read(path: &Path) -> Result<Record, FileError> {
        Record::parse(&read(path)?, path)
    }

    /// Parses a record; errors name `path` as the file that contains it.
    pub(crate) fn parse(json: &[u8], path: &Path) -> Result<Record, FileError> {
        let not_a_record = |reason: String| FileError::NotARecord {
            path: path.to_owned(),
            reason,
        };
        // The schema is checked first: in a record of another version, a missing field
        // would tell the user nothing.
        let value: Value =
            serde_json::from_slice(json).map_err(|error| not_a_record(error.to_string()))?;
        match value.get("schema").and_then(Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) => {
                return Err(FileError::Schema {
                    path: path.to_owned(),
                    found: other.to_owned(),
                });
            }
            None => return Err(not_a_record("it has no `schema` field".to_owned())),
        }
        // From the text once more, since errors then tell line and column.
        let record: Record =
            serde_json::from_slice(json).map_err(|error| not_a_record(error.to_string()))?;
        match record.fault() {
            Some(fault) => Err(not_a_record(fault)),
            None => Ok(record),
        }
    }

    /// What is wrong with a record whose fields have the right types, if
    /// anything is: a part that its kind must have, or a histogram.
    fn fault(&self) -> Option<String> {
        match self.kind {
            Kind::Load if self.counts.is_none() => {
                return Some("it is of a load run and has no `counts`".to_owned());
            }
            Kind::Cell if self.cell.is_none() => {
                return Some("it is of a cell and has no `cell`".to_owned());
            }
            _ => {}
        }
        let parts = self.groups.values().flatten();
        let mut distributions = self.latency.iter().chain(parts);
        distributions.find_map(|(name, distribution)| {
            let fault = distribution.check().err()?;
            Some(format!("latency `{name}`: {fault}"))
        })
    }
}

/// Reads the bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|source| FileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Writes `bytes` to `path`, and creates its folder if necessary. The bytes go to a
/// temporary file in the same folder, which is then renamed, so that `path` never holds
/// a part of them, whenever the program or the machine stops.
///
/// # Errors
/// Fails if the folder cannot be created or the file cannot be written. Nothing is left
/// behind then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_and_rename(path, bytes).map_err(|source| FileError::Write {
        path: path.to_owned(),
        source,
    })
}

fn write_and_rename(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // `create_new` gives the usual permissions; tempfile's own files are private.
    let mut partial = tempfile::Builder::new().make_in(folder, |path| File::create_new(path))?;
    partial.write_all(bytes)?;
    partial.as_file().sync_all()?;
    partial.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::ffi::OsString;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    #[test]
    fn a_file_is_written_whole_into_a_new_folder_and_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/record.json");
        write(&path, b"first").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(path.parent().unwrap()), ["record.json"]);
    }

    #[test]
    fn a_file_has_the_usual_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let [ours, usual] = ["ours", "usual"].map(|name| dir.path().join(name));
        write(&ours, b"text").unwrap();
        fs::write(&usual, b"text").unwrap();
        let permissions = |path: &Path| fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions(&ours), permissions(&usual));
    }

    #[test]
    fn a_refused_write_names_the_path_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        let error = write(&taken, b"text").unwrap_err().to_string();
        assert!(
            error.contains("taken") && error.contains("-o DIR"),
            "{error}"
        );
        assert_eq!(names(dir.path()), ["taken"]);

        let file = dir.path().join("taken/file");
        write(&file, b"text").unwrap();
        let error = write(&file.join("record.json"), b"text").unwrap_err();
        assert!(error.to_string().contains("record.json"), "{error}");
    }

    #[test]
    fn what_is_not_a_record_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        let refusal = |text: &str| {
            fs::write(&path, text).unwrap();
            Record::read(&path).unwrap_err().to_string()
        };
        assert!(refusal("{").contains("line 1"));
        assert!(refusal("[]").contains("no `schema` field"));
        assert!(refusal(r#"{"schema": "syncbench/record@9"}"#).contains("`syncbench/record@9`"));
        assert!(refusal(r#"{"schema": "syncbench/record@1"}"#).contains("missing field `kind`"));
        let absent = Record::read(&dir.path().join("absent.json")).unwrap_err();
        assert!(absent.to_string().contains("absent.json"), "{absent}");
    }
}
