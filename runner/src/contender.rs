//! One of the programs that are compared.

use std::path::PathBuf;

/// A program that measures cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// The name in tables.
    pub label: String,
    /// The executable, which takes `cell` and its arguments.
    pub executable: PathBuf,
    /// The value of `--engine`; `None` for the program's own default.
    pub engine: Option<String>,
    /// The version of the library it was built with, if one was asked for. The
    /// records then carry it: an adapter may only know the version that it was
    /// written for.
    pub version: Option<String>,
}
