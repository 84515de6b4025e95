//! What a workload works on.

use syncbench_datasets::{DatasetError, Entry, Kind, Trace, TraceKind, catalog, read_entry};

/// Name of the data set of workloads that make their own edits. They are
/// seeded, so that they are the same in every run.
pub const SYNTHETIC: &str = "synthetic";

/// The kind of data that a workload works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A trace of one writer after another.
    Sequential,
    /// A trace whose txns form a graph.
    Concurrent,
    /// A document that some engine has stored.
    Document,
    /// Nothing: the workload makes its own edits.
    Synthetic,
}

/// The kind of the data set called `name`, without loading it; `None` when the
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

/// A data set, loaded.
#[derive(Debug, Clone)]
pub enum Data {
    /// An editing trace.
    Trace(Box<Trace>),
    /// A stored document.
    Document(StoredDocument),
    /// None: see [`SYNTHETIC`].
    Synthetic,
}

/// A document as some engine has stored it.
#[derive(Debug, Clone)]
pub struct StoredDocument {
    /// Its entry in the catalog.
    pub entry: &'static Entry,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Data {
    /// Loads a data set by its name in the catalog, a trace also by its path;
    /// [`SYNTHETIC`] is there without loading.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
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

    /// Its kind.
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

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Trace(trace) => trace.name(),
            Self::Document(document) => &document.entry.name,
            Self::Synthetic => SYNTHETIC,
        }
    }

    /// SHA-256 of the file that it came from; `None` where there is no file.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::Trace(trace) => Some(trace.sha256()),
            Self::Document(document) => Some(&document.entry.sha256),
            Self::Synthetic => None,
        }
    }

    /// Characters inserted and deleted, of a trace.
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
