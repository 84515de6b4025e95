//! The catalog: which data sets there are and what their files must be.

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
    /// Data sets made by playing a base several times over.
    pub derived: Vec<Derived>,
}

/// A data set that is a file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name it is asked for by.
    pub name: String,
    /// What the file holds.
    pub kind: Kind,
    /// Path below the mirror folder: the source repository's name, then its path there.
    pub file: String,
    /// Where it is downloaded from, pinned to a commit.
    pub url: String,
    /// sha256 of the file, lower-case hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The licence, as the source states it, or `not stated`.
    pub licence: String,
    /// Whom to name, as the source states it.
    pub attribution: String,
    /// What a document's bytes are.
    pub format: Option<String>,
    /// sha256 of a trace's end text in UTF-8, lower-case hex.
    pub end_sha256: Option<String>,
    /// How a replay of a trace is judged.
    #[serde(default)]
    pub check: Check,
    /// Why the check is weaker than equality of texts, if it is.
    pub check_reason: Option<String>,
    /// What a trace contains.
    pub counts: Option<Counts>,
}

/// A data set that is another one, played several times over into one document.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The name it is asked for by.
    pub name: String,
    /// The entry that is repeated.
    pub base: String,
    /// How often.
    pub repeat: usize,
}

/// What an entry's file holds.
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

/// How a replay through an engine is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// It must give the end text.
    #[default]
    Text,
    /// It must give a text of the end text's length, and replicas of the engine
    /// must agree. For traces with concurrent inserts at one place, which
    /// engines order differently: edits made on top of such a merge then fall on
    /// other characters than their author's, so not even those need be the same.
    Length,
}

/// What a trace contains; lengths in Unicode scalar values unless they say bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Transactions.
    pub txns: usize,
    /// Patches over all txns.
    pub patches: usize,
    /// Characters inserted over all patches.
    pub inserted: usize,
    /// Characters deleted over all patches.
    pub deleted: usize,
    /// Length of the end text.
    pub end_chars: usize,
    /// Length of the end text in UTF-8, in bytes.
    pub end_bytes: usize,
    /// Agents.
    pub agents: usize,
    /// Txns with more than one parent.
    pub merges: usize,
}

/// The catalog that this build knows.
pub fn catalog() -> &'static Catalog {
    &CATALOG
}

impl Catalog {
    /// The file entry called `name`.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The file behind a name: the entry itself, or the base of a derived one.
    ///
    /// # Errors
    /// When there is no such name.
    pub fn file_of(&self, name: &str) -> Result<&Entry, DatasetError> {
        let base = self.derived(name).map_or(name, |derived| &derived.base);
        self.entry(base).ok_or_else(|| self.unknown(name))
    }

    /// The derived entry called `name`.
    pub fn derived(&self, name: &str) -> Option<&Derived> {
        self.derived.iter().find(|derived| derived.name == name)
    }

    /// Every name, files first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let derived = self.derived.iter().map(|derived| derived.name.as_str());
        self.entries
            .iter()
            .map(|entry| entry.name.as_str())
            .chain(derived)
    }

    /// The error for a name that is not here: near names if there are any.
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

/// Whether one may be a slip of the other: one contains the other, or they are a
/// third of their length or less apart.
fn is_near(wanted: &str, known: &str) -> bool {
    let contained = wanted.len() >= 3 && (known.contains(wanted) || wanted.contains(known));
    contained
        || strsim::levenshtein(wanted, known) * 3
            <= wanted.chars().count().max(known.chars().count())
}
