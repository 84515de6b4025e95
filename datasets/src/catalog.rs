//! The catalog: the known data sets, with the checksums and counts of their files.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::error::DatasetError;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    // The text is part of this crate and a test reads it, so it cannot fail later.
    toml::from_str(include_str!("../catalog.toml"))
        .unwrap_or_else(|error| panic!("catalog.toml: {error}"))
});

/// The data sets that are known by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// Data sets that are files.
    #[serde(rename = "dataset")]
    pub entries: Vec<Entry>,
    /// Data sets that repeat a base several times.
    pub derived: Vec<Derived>,
}

/// A data set that is a file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name that selects the data set.
    pub name: String,
    /// Kind of the file's content.
    pub kind: Kind,
    /// Path below the mirror folder: the source repository's name, then its path there.
    pub file: String,
    /// Address of the download, pinned to a commit.
    pub url: String,
    /// sha256 of the file, lower-case hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The licence, as the source states it, or `not stated`.
    pub licence: String,
    /// Attribution, as the source states it.
    pub attribution: String,
    /// Encoding of a document.
    pub format: Option<String>,
    /// sha256 of a trace's end text in UTF-8, lower-case hex.
    pub end_sha256: Option<String>,
    /// Criterion for a replay of a trace.
    #[serde(default)]
    pub check: Check,
    /// Reason for a check that is weaker than equality of texts.
    pub check_reason: Option<String>,
    /// Size of a trace's contents.
    pub counts: Option<Counts>,
}

/// A data set that repeats another one several times in one document.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// Name that selects the data set.
    pub name: String,
    /// Name of the entry that is repeated.
    pub base: String,
    /// Number of repetitions of the base.
    pub repeat: usize,
}

/// The kind of content in an entry's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A trace whose txns follow one another.
    Sequential,
    /// A trace whose txns form a graph.
    Concurrent,
    /// An encoded document, not a trace.
    Document,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Sequential => "sequential",
            Self::Concurrent => "concurrent",
            Self::Document => "document",
        })
    }
}

/// The criterion for a replay through an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// The replay must yield the end text.
    #[default]
    Text,
    /// The replay must yield a text as long as the end text, and replicas of the
    /// engine must agree. This is for traces with concurrent inserts at the same
    /// position, which engines order differently. Later edits on top of such a merge
    /// then apply to other characters than the author's, so even the set of
    /// characters may differ.
    Length,
}

/// The size of a trace's contents. Lengths are in Unicode scalar values unless they
/// are stated to be in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Number of transactions (txns).
    pub txns: usize,
    /// Number of patches in all txns.
    pub patches: usize,
    /// Number of characters that all patches insert.
    pub inserted: usize,
    /// Number of characters that all patches delete.
    pub deleted: usize,
    /// Length of the end text.
    pub end_chars: usize,
    /// Length of the end text in UTF-8, in bytes.
    pub end_bytes: usize,
    /// Number of agents that made edits.
    pub agents: usize,
    /// Number of txns with more than one parent.
    pub merges: usize,
}

/// Returns the catalog of this build.
pub fn catalog() -> &'static Catalog {
    &CATALOG
}

impl Catalog {
    /// Returns the file entry called `name`.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Returns the entry that provides the file for `name`: the entry itself, or the
    /// base of a derived one.
    ///
    /// # Errors
    /// Fails if the catalog has no such name.
    pub fn file_of(&self, name: &str) -> Result<&Entry, DatasetError> {
        let base = self.derived(name).map_or(name, |derived| &derived.base);
        self.entry(base).ok_or_else(|| self.unknown(name))
    }

    /// Returns the derived entry called `name`.
    pub fn derived(&self, name: &str) -> Option<&Derived> {
        self.derived.iter().find(|derived| derived.name == name)
    }

    /// Iterates over all names, files first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let derived = self.derived.iter().map(|derived| derived.name.as_str());
        self.entries
            .iter()
            .map(|entry| entry.name.as_str())
            .chain(derived)
    }

    /// Returns the error for an unknown name, which suggests similar names if there
    /// are any.
    pub(crate) fn unknown(&self, name: &str) -> DatasetError {
        let wanted = name.to_lowercase();
        let near: Vec<&str> = self
            .names()
            .filter(|known| is_near(&wanted, &known.to_lowercase()))
            .collect();
        let hint = if near.is_empty() {
            format!("known are {}", self.names().collect::<Vec<_>>().join(", "))
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        DatasetError::Unknown {
            name: name.to_owned(),
            hint,
        }
    }
}

/// Returns true if `wanted` may be a typing error for `known`: one contains the other,
/// or their edit distance is at most a third of the longer one.
fn is_near(wanted: &str, known: &str) -> bool {
    let contained = wanted.len() >= 3 && (known.contains(wanted) || wanted.contains(known));
    contained
        || strsim::levenshtein(wanted, known) * 3
            <= wanted.chars().count().max(known.chars().count())
}
