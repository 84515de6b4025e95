//! What can go wrong with a data set, and how to mend it.

use std::path::PathBuf;

/// Why a data set could not be used. Every message names the file or entry, the
/// place in it and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The name is neither in the catalog nor a file.
    #[error(
        "no data set called `{name}` and no such file; {hint}. A path to a .json or .json.gz trace works as well"
    )]
    Unknown {
        /// The name as given.
        name: String,
        /// Near names, or all of them.
        hint: String,
    },
    /// The entry exists, but its file is not on this machine.
    #[error(
        "data set `{name}` is not on this machine; run `syncbench datasets fetch {fetch}`, or point SYNCBENCH_DATASETS at a folder that holds `{file}`"
    )]
    NotHere {
        /// The entry asked for.
        name: String,
        /// The entry to fetch: `name`, or the base it is derived from.
        fetch: String,
        /// Its path below the mirror folder.
        file: String,
    },
    /// The entry exists but is a document, not a trace (or the other way round).
    #[error(
        "data set `{name}` is {is}, not {wanted}; `syncbench datasets list` shows what each one is"
    )]
    WrongKind {
        /// The entry asked for.
        name: String,
        /// What it is.
        is: &'static str,
        /// What was needed.
        wanted: &'static str,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The bytes are not the ones the catalog promises.
    #[error("{}: wrong checksum: sha256 is {found}, the catalog says {expected}; {mend}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// sha256 of the file, hex.
        found: String,
        /// sha256 in the catalog, hex.
        expected: String,
        /// What to do about it.
        mend: String,
    },
    /// The file is not a well-formed trace.
    #[error("{file}: {place}{reason}")]
    Malformed {
        /// The file or entry.
        file: String,
        /// The txn and field where it went wrong.
        place: Place,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// The trace is well-formed, but its edits do not make its end text.
    #[error(
        "{file}: {place}{reason}; a trace that does not replay is never used, get an intact copy"
    )]
    Replay {
        /// The file or entry.
        file: String,
        /// The txn where it went wrong, if it is one.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// A file name that does not say how to write it.
    #[error("{}: cannot tell the format from the name; end it with .json, .json.gz or .sbtrace", path.display())]
    UnknownFormat {
        /// The file asked for.
        path: PathBuf,
    },
    /// A download failed.
    #[error("cannot fetch `{name}` from {url}: {reason}")]
    Fetch {
        /// The entry.
        name: String,
        /// Where from.
        url: String,
        /// The reason and the mend.
        reason: String,
    },
    /// No folder to keep files in could be found.
    #[error(
        "no cache folder: the home folder is unknown; set SYNCBENCH_CACHE to a folder that can be written"
    )]
    NoCache,
}

/// Where in a trace: a txn by its index (from 0) and a field by its name.
/// Displays as nothing when unknown, else with a trailing `: `.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Index of the txn in the file, from 0.
    pub txn: Option<usize>,
    /// The JSON field.
    pub field: Option<&'static str>,
}

impl Place {
    /// The place of a whole txn.
    pub(crate) fn txn(index: usize) -> Self {
        Self {
            txn: Some(index),
            field: None,
        }
    }

    /// A field of a txn.
    pub(crate) fn txn_field(index: usize, field: &'static str) -> Self {
        Self {
            txn: Some(index),
            field: Some(field),
        }
    }

    /// A field of the document itself.
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

/// A fault inside a trace, before the file it came from is known.
#[derive(Debug)]
pub(crate) enum Fault {
    Malformed(Place, String),
    Replay(Place, String),
}

impl Fault {
    /// Names the file.
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
