//! What an engine can refuse.

/// Why an engine refused an operation.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A position or length is outside the text.
    #[error("position {pos} with {del} deleted is past the end of a text of {len} characters")]
    OutOfBounds {
        /// Position asked for, scalar values.
        pos: usize,
        /// Length to delete, scalar values.
        del: usize,
        /// Length of the text, scalar values.
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
    /// The engine has no such power.
    #[error("n/a: {0}")]
    Unsupported(&'static str),
}
