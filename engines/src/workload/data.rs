//! The data that workloads work on.

use syncbench_datasets::{DatasetError, Entry, Kind, Trace, TraceKind, catalog, read_entry};

/// The name of the data set of workloads that make their own edits. These are seeded,
/// so that they are the same in every run.
pub const SYNTHETIC: &str = "synthetic";

/// The kind of data that a workload works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A trace without concurrency.
    Sequential,
    /// A trace whose txns form a graph.
    Concurrent,
    /// A document that an engine has stored.
    Document,
    /// No data: the workload makes its own edits.
    Synthetic,
}

/// Returns the kind of the data set called `name` without loading it, or `None` if the
/// catalog does not have it.
pub fn input_of(name: &str) -> Option<Input> {
    if name == SYNTHETIC {
        return Some(Input::Synthetic);
    }
    let entry = catalog().file_of(name).ok()?;
    Some(match entry.kind {
        Kind::Sequential => Input::Sequential,
        Kind::Concurrent => Input::Concurrent,
        Kind::Document => Input::Document,
    })
}

/// A loaded data set.
#[derive(Debug, Clone)]
pub enum Data {
    /// An editing trace.
    Trace(Box<Trace>),
    /// A stored document.
    Document(StoredDocument),
    /// No data, see [`SYNTHETIC`].
    Synthetic,
}

/// A document as an engine has stored it.
#[derive(Debug, Clone)]
pub struct StoredDocument {
    /// The entry in the catalog.
    pub entry: &'static Entry,
    /// The bytes of the document.
    pub bytes: Vec<u8>,
}

impl Data {
    /// Loads a data set by its name in the catalog; a trace also by its path.
    /// [`SYNTHETIC`] needs no loading.
    ///
    /// # Errors
    /// Fails if there is no such data set, or if it is damaged.
    pub fn load(name_or_path: &str) -> Result<Self, DatasetError> {
        if name_or_path == SYNTHETIC {
            return Ok(Self::Synthetic);
        }
        match catalog().entry(name_or_path) {
            Some(entry) if entry.kind == Kind::Document => {
                let bytes = read_entry(entry)?.into_owned();
                Ok(Self::Document(StoredDocument { entry, bytes }))
            }
            _ => Ok(syncbench_datasets::load(name_or_path)?.into()),
        }
    }

    /// Returns the kind of the data.
    pub fn input(&self) -> Input {
        match self {
            Self::Trace(trace) => match trace.kind() {
                TraceKind::Sequential => Input::Sequential,
                TraceKind::Concurrent => Input::Concurrent,
            },
            Self::Document(_) => Input::Document,
            Self::Synthetic => Input::Synthetic,
        }
    }

    /// Returns the name of the data set.
    pub fn name(&self) -> &str {
        match self {
            Self::Trace(trace) => trace.name(),
            Self::Document(document) => &document.entry.name,
            Self::Synthetic => SYNTHETIC,
        }
    }

    /// Returns the SHA-256 of the file that the data comes from, or `None` if there is
    /// no file.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::Trace(trace) => Some(trace.sha256()),
            Self::Document(document) => Some(&document.entry.sha256),
            Self::Synthetic => None,
        }
    }

    /// Returns true for a trace that changes nothing.
    pub fn is_idle_trace(&self) -> bool {
        matches!(self, Self::Trace(_)) && self.operations() == 0
    }

    /// Returns the number of characters that a trace inserts and deletes, and 0 for
    /// other data.
    pub fn operations(&self) -> u64 {
        match self {
            Self::Trace(trace) => {
                let counts = trace.counts();
                (counts.inserted + counts.deleted) as u64
            }
            _ => 0,
        }
    }
}

impl From<Trace> for Data {
    fn from(trace: Trace) -> Self {
        Self::Trace(Box::new(trace))
    }
}
