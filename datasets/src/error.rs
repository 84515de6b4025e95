//! Errors of data sets, each with its remedy.

use std::path::PathBuf;

/// The reason that a data set could not be used. Every message names the file or
/// entry, the place in it and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The name is neither in the catalog nor the path of a file.
    #[error(
        "no data set called `{name}` and no such file; {hint}. A path to a .json or .json.gz trace works as well"
    )]
    Unknown {
        /// The name as given.
        name: String,
        /// Similar names, or all names if none is similar.
        hint: String,
    },
    /// The entry exists, but its file is not on this machine.
    #[error(
        "data set `{name}` is not on this machine; run `syncbench datasets fetch {fetch}`, or point SYNCBENCH_DATASETS at a folder that holds `{file}`"
    )]
    NotHere {
        /// The name of the requested entry.
        name: String,
        /// The entry to fetch: `name`, or the base it is derived from.
        fetch: String,
        /// Its path below the mirror folder.
        file: String,
    },
    /// The mirror folder does not exist.
    #[error("SYNCBENCH_DATASETS names {}, which is not a folder; correct or unset it", path.display())]
    NoMirror {
        /// The path that the variable names.
        path: PathBuf,
    },
    /// The entry exists but is a document, not a trace (or the other way round).
    #[error(
        "data set `{name}` is {is}, not {wanted}; `syncbench datasets list` shows what each one is"
    )]
    WrongKind {
        /// The name of the requested entry.
        name: String,
        /// The kind of the entry.
        is: &'static str,
        /// The kind that was needed.
        wanted: &'static str,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The attempted operation, such as `read`.
        action: &'static str,
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The bytes differ from those in the catalog.
    #[error("{}: wrong checksum: sha256 is {found}, the catalog says {expected}; {fix}", path.display())]
    Checksum {
        /// The path of the file.
        path: PathBuf,
        /// sha256 of the file, in hex.
        found: String,
        /// sha256 in the catalog, in hex.
        expected: String,
        /// The remedy for the user.
        fix: String,
    },
    /// The file is not a well-formed trace.
    #[error("{file}: {place}{reason}")]
    Malformed {
        /// The file or entry.
        file: String,
        /// The txn and field with the error.
        place: Place,
        /// The error, and the expected content.
        reason: String,
    },
    /// The trace is well-formed, but its edits do not yield its end text.
    #[error(
        "{file}: {place}{reason}; a trace that does not replay is never used: correct it (positions and lengths count Unicode scalar values), or get an intact copy"
    )]
    Replay {
        /// The file or entry.
        file: String,
        /// The txn with the error, if it is in a single one.
        place: Place,
        /// The description of the error.
        reason: String,
    },
    /// The format cannot be derived from the file name.
    #[error("{}: cannot tell the format from the name; end it with .json, .json.gz or .sbtrace", path.display())]
    UnknownFormat {
        /// The path of the requested file.
        path: PathBuf,
    },
    /// The download of a file failed.
    #[error("cannot fetch `{name}` from {url}: {reason}")]
    Fetch {
        /// The entry to download.
        name: String,
        /// The address of the download.
        url: String,
        /// The reason, and the remedy.
        reason: String,
    },
    /// No cache folder could be determined.
    #[error(
        "no cache folder: the home folder is unknown; set SYNCBENCH_CACHE to a folder that can be written"
    )]
    NoCache,
}

/// A place in a trace: a txn by its index (from 0) and a field by its name. It
/// displays as nothing when unknown, and with a trailing `: ` otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The index of the txn in the file, from 0.
    pub txn: Option<usize>,
    /// The name of the JSON field.
    pub field: Option<&'static str>,
}

impl Place {
    /// Returns the place of a whole txn.
    pub(crate) fn txn(index: usize) -> Self {
        Self {
            txn: Some(index),
            field: None,
        }
    }

    /// Returns the place of a field in a txn.
    pub(crate) fn txn_field(index: usize, field: &'static str) -> Self {
        Self {
            txn: Some(index),
            field: Some(field),
        }
    }

    /// Returns the place of a field at the top level of the document.
    pub(crate) fn field(field: &'static str) -> Self {
        Self {
            txn: None,
            field: Some(field),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.txn, self.field) {
            (None, None) => Ok(()),
            (Some(txn), None) => write!(f, "txn {txn}: "),
            (None, Some(field)) => write!(f, "field `{field}`: "),
            (Some(txn), Some(field)) => write!(f, "txn {txn}, field `{field}`: "),
        }
    }
}

/// An error in a trace, before its file is known.
#[derive(Debug)]
pub(crate) enum Fault {
    Malformed(Place, String),
    Replay(Place, String),
}

impl Fault {
    /// Returns the place of the error.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Malformed(place, _) | Self::Replay(place, _) => *place,
        }
    }

    /// Adds the name of the file to the error.
    pub(crate) fn in_file(self, file: &str) -> DatasetError {
        let file = file.to_owned();
        match self {
            Self::Malformed(place, reason) => DatasetError::Malformed {
                file,
                place,
                reason,
            },
            Self::Replay(place, reason) => DatasetError::Replay {
                file,
                place,
                reason,
            },
        }
    }
}
