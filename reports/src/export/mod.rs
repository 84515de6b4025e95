//! Records in other formats, with one file per format.

mod csv;
mod hdr;
mod html;
mod prometheus;
pub mod tables;
mod terminal;

use std::path::{Path, PathBuf};

pub use self::csv::{CountsCsv, LatencyCsv, SeriesCsv};
pub use hdr::{Hgrm, Hlog};
pub use html::Html;
pub use prometheus::Prometheus;
pub use terminal::Terminal;

use crate::distribution::DistributionError;
use crate::file::{self, FileError};
use crate::plot::PlotError;
use crate::record::Record;

/// Turns records into one format.
pub trait Exporter {
    /// Returns the name of a file in this format, in the folder of the record.
    fn file_name(&self) -> String;

    /// Returns the record in this format.
    ///
    /// # Errors
    /// Fails if a chart or a template cannot be rendered, or if the record lacks the
    /// histogram.
    fn export(&self, record: &Record) -> Result<String, ExportError>;

    /// Writes the record in this format to `folder`, atomically, and returns the path
    /// of the file.
    ///
    /// # Errors
    /// Fails as [`Exporter::export`] does, and if the file cannot be written.
    fn write(&self, record: &Record, folder: &Path) -> Result<PathBuf, ExportError> {
        let path = folder.join(self.file_name());
        file::write(&path, self.export(record)?.as_bytes())?;
        Ok(path)
    }
}

/// Returns the files of figures for other tools, which are written next to the record
/// of a load run: `latency.csv`, `counts.csv`, `series.csv`, `latency.hlog`,
/// `metrics.prom`, and a `.hgrm` for each latency metric that has samples. If a
/// histogram cannot be read, only its own file is missing.
pub fn figures(record: &Record) -> Vec<Box<dyn Exporter>> {
    let mut files: Vec<Box<dyn Exporter>> = vec![Box::new(LatencyCsv), Box::new(CountsCsv)];
    if record.series.is_some() {
        files.push(Box::new(SeriesCsv));
    }
    files.push(Box::new(Hlog));
    files.push(Box::new(Prometheus));
    for hgrm in Hgrm::all(record) {
        files.push(Box::new(hgrm));
    }
    files
}

/// An error in an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A chart could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The page could not be filled in.
    #[error("cannot fill in the report's page: {0}")]
    Template(#[from] askama::Error),
    /// A latency metric has no readable histogram.
    #[error("`{metric}`: {error}")]
    Histogram {
        /// The metric's name in the record.
        metric: String,
        /// The fault of its histogram.
        error: DistributionError,
    },
    /// The record has no such latency metric.
    #[error("the record has no latency `{0}`")]
    NoMetric(String),
    /// A histogram could not be written as a log.
    #[error("cannot write the histograms as a log: {0}")]
    Log(String),
    /// The rows could not be written as CSV.
    #[error("cannot write the figures as CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}
