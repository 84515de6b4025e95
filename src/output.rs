//! The folder that a run writes its results to.

use std::fs;
use std::path::{Path, PathBuf};

use syncbench_loadgen::outcome::Attachment;
use syncbench_reports::export::{Exporter, Html, figures};
use syncbench_reports::file;
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

    /// Writes the record, the files that it names, the report made from it, and
    /// its figures for other tools; the paths of the record and the report. The
    /// record comes first: whatever happens to the rest, nothing measured is lost.
    ///
    /// # Errors
    /// When the folder can no longer be written to, or the report not be made.
    pub fn write(
        &self,
        record: &mut Record,
        attachments: &[Attachment],
    ) -> anyhow::Result<Vec<PathBuf>> {
        let figures = figures(record);
        let names = figures.iter().map(|exporter| exporter.file_name());
        let attached = attachments.iter().map(|file| file.name.clone());
        let names = names.chain(attached);
        record.artifacts = std::iter::once(Html.file_name()).chain(names).collect();
        let path = self.path.join("record.json");
        record.write(&path)?;
        for file in attachments {
            file::write(&self.path.join(&file.name), &file.bytes)?;
        }
        let report = Html.write(record, &self.path)?;
        for exporter in figures {
            exporter.write(record, &self.path)?;
        }
        Ok(vec![path, report])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_that_belongs_to_the_run_is_named_in_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let output = OutputFolder::prepare(folder.path().join("out")).unwrap();
        let mut record = serde_json::from_value(serde_json::json!({
            "schema": syncbench_reports::record::SCHEMA,
            "kind": "load",
            "run": {
                "id": "run", "started_at": "2026-01-01T00:00:00Z", "seed": 1,
                "command": "syncbench run", "syncbench": "0", "datasets": [],
                "machine": { "os": "", "arch": "", "cpu": "", "cpus": 1, "memory_bytes": 0 },
                "engine": "loro", "scenario": {},
            },
            "verdict": { "exit_code": 1, "status": "failure", "reasons": [] },
        }))
        .unwrap();
        let update = Attachment {
            name: "room-0-update.bin".to_owned(),
            bytes: vec![1, 2, 3],
        };
        output.write(&mut record, &[update]).unwrap();
        assert!(
            record
                .artifacts
                .iter()
                .any(|name| name == "room-0-update.bin")
        );
        for artifact in &record.artifacts {
            assert!(output.path().join(artifact).is_file(), "{artifact}");
        }
        let update = fs::read(output.path().join("room-0-update.bin")).unwrap();
        assert_eq!(update, [1, 2, 3]);
    }
}
