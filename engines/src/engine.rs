//! A CRDT library at a version, as suites and load tests use it.
//!
//! This module does not know the adapters that implement [`Engine`]; see
//! [`crate::engines`].

use crate::capabilities::Capabilities;
use crate::error::EngineError;
use crate::pace::{HeavyWork, Pace};
use crate::replica::{DetachedDocument, NOT_A_VERSION, Replica};
use crate::version::{OpRange, PeerId, VersionVector};

/// A CRDT library at a version.
pub trait Engine: Sync {
    /// Returns the short name that benchmark ids and `--engine` use, such as
    /// `loro`.
    fn name(&self) -> &'static str;

    /// Returns the name of the library's package.
    fn library(&self) -> &'static str {
        self.name()
    }

    /// Returns the version of the library that is linked, such as `1.17.1`.
    fn version(&self) -> &'static str;

    /// Returns the capabilities, with a reason for each one that is missing.
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    /// Returns why this engine's work in a row differs from the work of the
    /// other engines, so that times must not be compared, or `None` if it is
    /// the same. `suite` and `variant` are those of the benchmark id, as in
    /// `import` and `snapshot+edit`.
    fn not_comparable_because(&self, _suite: &str, _variant: &str) -> Option<&'static str> {
        None
    }

    /// Returns how this engine copes with a kind of heavy work.
    fn pace(&self, _work: HeavyWork) -> Pace {
        Pace::Usual
    }

    /// Returns why it cannot open a document that is stored in `format` (a
    /// `format` of the catalog), or `None` if it can.
    fn cannot_open(&self, _format: &str) -> Option<&'static str> {
        Some("another library has stored this document")
    }

    /// Creates an empty document for `peer`. An engine whose own ids are narrower
    /// takes the lower bits: [`TextDocument::peer`] says which peer it is then.
    ///
    /// [`TextDocument::peer`]: crate::TextDocument::peer
    ///
    /// # Panics
    /// If `peer` is `u64::MAX`, which Loro reserves.
    fn replica(&self, peer: PeerId) -> Box<dyn Replica>;

    /// Creates an empty document that several peers edit at any of its versions,
    /// or returns `None` if the engine has no such documents.
    fn detached_document(&self) -> Option<Box<dyn DetachedDocument>> {
        None
    }

    /// Returns the bytes that every update and snapshot of this engine begins
    /// with, by which a client without a document tells them from other messages.
    /// Empty if there are none.
    fn export_magic(&self) -> &'static [u8] {
        &[]
    }

    /// Returns the operations that an export holds. They are read from its head
    /// and nothing is applied: a relay or a client without a document learns no
    /// more of an update.
    ///
    /// # Errors
    /// If the bytes are damaged or not an export of this engine, and in engines
    /// whose exports do not list their operations.
    fn ranges_of(&self, _export: &[u8]) -> Result<Vec<OpRange>, EngineError> {
        Err(EngineError::Unsupported(
            "the exports of this engine do not list their operations",
        ))
    }

    /// Encodes a version as [`Versioned::encoded_version`] does.
    ///
    /// [`Versioned::encoded_version`]: crate::Versioned::encoded_version
    fn encode_version(&self, version: &VersionVector) -> Vec<u8> {
        version.encode()
    }

    /// Decodes the bytes that [`Versioned::encoded_version`] returned.
    ///
    /// [`Versioned::encoded_version`]: crate::Versioned::encoded_version
    ///
    /// # Errors
    /// If the bytes are not a version.
    fn decode_version(&self, bytes: &[u8]) -> Result<VersionVector, EngineError> {
        VersionVector::decode(bytes).ok_or_else(|| EngineError::Import(NOT_A_VERSION.to_owned()))
    }
}
