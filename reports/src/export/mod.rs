//! Records in other formats, one file a format.

mod html;
pub mod tables;
mod terminal;

use std::path::{Path, PathBuf};

pub use html::Html;
pub use terminal::Terminal;

use crate::file::{self, FileError};
use crate::plot::PlotError;
use crate::record::Record;

/// Turns records into one format.
pub trait Exporter {
    /// The name of a file in this format that stands beside its record.
    fn file_name(&self) -> &'static str;

    /// The record in this format.
    ///
    /// # Errors
    /// When a chart or a template cannot be rendered.
    fn export(&self, record: &Record) -> Result<String, ExportError>;

    /// Writes the record in this format to `folder`, whole or not at all, and
    /// tells the path of the file.
    ///
    /// # Errors
    /// As [`Exporter::export`], and when the file cannot be written.
    fn write(&self, record: &Record, folder: &Path) -> Result<PathBuf, ExportError> {
        let path = folder.join(self.file_name());
        file::write(&path, self.export(record)?.as_bytes())?;
        Ok(path)
    }
}

/// Why a record could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A chart could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The page could not be filled in.
    #[error("cannot fill in the report's page: {0}")]
    Template(#[from] askama::Error),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}
