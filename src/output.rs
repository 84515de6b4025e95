//! The folder that a run writes its results to.

use std::fs;
use std::path::{Path, PathBuf};

use syncbench_reports::export::{Exporter, Html, figures};
use syncbench_reports::record::Record;

use crate::cmd::BadInput;

/// A folder that was found to be writable before anything was measured.
pub struct OutputFolder {
    path: PathBuf,
    created: bool,
}

impl OutputFolder {
    /// Makes sure that `path` is a folder that can be written to.
    ///
    /// # Errors
    /// When it is not: better now than after the run.
    pub fn prepare(path: PathBuf) -> Result<Self, BadInput> {
        let created = !path.exists();
        let unwritable = |error: std::io::Error| {
            BadInput::new(format!(
                "cannot write to the output folder {}: {error}; choose another with -o",
                path.display()
            ))
        };
        fs::create_dir_all(&path).map_err(unwritable)?;
        let probe = path.join(format!(".syncbench-{}", std::process::id()));
        fs::write(&probe, [])
            .and_then(|()| fs::remove_file(&probe))
            .map_err(unwritable)?;
        Ok(Self { path, created })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves nothing behind, as there is nothing to write.
    pub fn abandon(self) {
        if self.created {
            // Fails where the user has put something into it: that stays.
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Writes the record, the report made from it, and its figures for other
    /// tools; the paths of the record and the report. The record comes first:
    /// whatever happens to the rest, nothing measured is lost.
    ///
    /// # Errors
    /// When the folder can no longer be written to, or the report not be made.
    pub fn write(&self, record: &mut Record) -> anyhow::Result<Vec<PathBuf>> {
        let figures = figures(record);
        let names = figures.iter().map(|exporter| exporter.file_name());
        record.artifacts = std::iter::once(Html.file_name()).chain(names).collect();
        let path = self.path.join("record.json");
        record.write(&path)?;
        let report = Html.write(record, &self.path)?;
        for exporter in figures {
            exporter.write(record, &self.path)?;
        }
        Ok(vec![path, report])
    }
}
