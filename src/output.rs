//! The folder that a run writes its results to.

use std::fs;
use std::path::{Path, PathBuf};

use syncbench_reports::export::{Exporter, Html, figures};
use syncbench_reports::record::Record;

use crate::cmd::BadInput;

/// A folder that is known to be writable before anything is measured.
pub struct OutputFolder {
    path: PathBuf,
    created: bool,
}

impl OutputFolder {
    /// Creates the folder `path` if necessary, and checks that it is writable.
    ///
    /// # Errors
    /// Fails if it is not writable: better now than after the run.
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

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder again, if this run created it, since there is nothing to
    /// write.
    pub fn abandon(self) {
        if self.created {
            // This fails, as it should, if somebody has put a file into it.
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Writes the record, its report and the files for other tools, and returns the
    /// paths of the record and the report. The record is written first, so that no
    /// measurement is lost if the rest fails.
    ///
    /// # Errors
    /// Fails if the folder is no longer writable, or if the report cannot be made.
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
