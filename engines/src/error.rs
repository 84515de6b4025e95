//! Errors of engines.

/// A reason why an engine refused an operation.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A position or length is outside the text.
    #[error("position {pos} with {del} deleted is past the end of a text of {len} characters")]
    OutOfBounds {
        /// The requested position, in scalar values.
        pos: usize,
        /// The number of scalar values to delete.
        del: usize,
        /// The length of the text, in scalar values.
        len: usize,
    },
    /// The library refused the edit.
    #[error("cannot edit: {0}")]
    Edit(String),
    /// The library could not encode.
    #[error("cannot export: {0}")]
    Export(String),
    /// The library refused the bytes.
    #[error("cannot import: {0}")]
    Import(String),
    /// The engine lacks this capability; the text is the reason.
    #[error("n/a: {0}")]
    Unsupported(&'static str),
}
