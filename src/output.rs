//! The folder that a run writes its results to.

use std::fs;
use std::path::{Path, PathBuf};

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

    /// Leaves nothing behind, as there is nothing to write.
    pub fn abandon(self) {
        if self.created {
            // Fails where the user has put something into it: that stays.
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The path of the file `name` in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When the folder can no longer be written to.
    pub fn write(&self, record: &Record) -> anyhow::Result<()> {
        record.write(&self.file("record.json"))?;
        Ok(())
    }
}
