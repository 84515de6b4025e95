//! A library that can be pinned to another version.

use toml::{Table, Value};

/// A library in the manifest of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library<'a> {
    /// The name of the engine that wraps it.
    pub engine: &'a str,
    /// Its key among the workspace's dependencies.
    pub dependency: &'a str,
    /// The cargo feature that adds it; `None` if every build has it.
    pub feature: Option<&'a str>,
    /// Packages that must be of the same release, although their requirements
    /// allow others.
    pub published_together: &'a [&'a str],
}

/// A manifest in which a library cannot be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// A section is missing.
    #[error("the manifest has no [{0}]")]
    NoSection(String),
    /// The workspace does not depend on the library.
    #[error("the workspace does not depend on {0}")]
    NoDependency(String),
}

impl Library<'_> {
    /// Pins the library to exactly `version` in the workspace's manifest.
    /// Packages published together with it are pinned to that version or, if
    /// they were not published again for it, to the last one before.
    ///
    /// # Errors
    /// When the manifest lacks a section or the library.
    pub fn pin(&self, mut manifest: Table, version: &str) -> Result<Table, ManifestError> {
        let exactly = Value::String(format!("={version}"));
        let dependencies = section(&mut manifest, &["workspace", "dependencies"])?;
        match dependencies.get_mut(self.dependency) {
            Some(Value::Table(detailed)) => {
                detailed.insert("version".to_owned(), exactly);
            }
            Some(plain) => *plain = exactly,
            None => return Err(ManifestError::NoDependency(self.dependency.to_owned())),
        }
        let first = first_compatible(version);
        let own = section(&mut manifest, &["dependencies"])?;
        for &package in self.published_together {
            let mut requirement = Table::new();
            requirement.insert("package".to_owned(), package.into());
            requirement.insert(
                "version".to_owned(),
                format!(">={first}, <={version}").into(),
            );
            requirement.insert("default-features".to_owned(), false.into());
            own.insert(format!("pinned-{package}"), requirement.into());
        }
        Ok(manifest)
    }
}

/// The first version that is compatible with `version`, in short: `1` for
/// `1.12.0`, `0.16` for `0.16.12`.
fn first_compatible(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => version.to_owned(),
    }
}

fn section<'a>(manifest: &'a mut Table, path: &[&str]) -> Result<&'a mut Table, ManifestError> {
    path.iter().try_fold(manifest, |table, key| {
        let inner = table.get_mut(*key).and_then(Value::as_table_mut);
        inner.ok_or_else(|| ManifestError::NoSection(path.join(".")))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MANIFEST: &str = r#"
        [workspace.dependencies]
        loro = "1.17"
        loro_0_16 = { package = "loro", version = "=0.16.12" }
        [dependencies]
    "#;

    fn library(dependency: &str) -> Library<'_> {
        Library {
            engine: "loro",
            dependency,
            feature: None,
            published_together: &["loro-internal"],
        }
    }

    fn pinned_to(dependency: &str, version: &str) -> Table {
        let manifest = MANIFEST.parse().unwrap();
        library(dependency).pin(manifest, version).unwrap()
    }

    #[test]
    fn the_library_and_its_parts_are_pinned() {
        let manifest = pinned_to("loro", "1.12.0");
        let library = &manifest["workspace"]["dependencies"]["loro"];
        assert_eq!(library.as_str(), Some("=1.12.0"));
        let part = &manifest["dependencies"]["pinned-loro-internal"];
        assert_eq!(part["package"].as_str(), Some("loro-internal"));
        assert_eq!(part["version"].as_str(), Some(">=1, <=1.12.0"));
    }

    #[test]
    fn a_library_with_a_detailed_dependency_keeps_its_details() {
        let manifest = pinned_to("loro_0_16", "0.16.11");
        let library = &manifest["workspace"]["dependencies"]["loro_0_16"];
        assert_eq!(library["package"].as_str(), Some("loro"));
        assert_eq!(library["version"].as_str(), Some("=0.16.11"));
        let part = &manifest["dependencies"]["pinned-loro-internal"];
        assert_eq!(part["version"].as_str(), Some(">=0.16, <=0.16.11"));
    }

    #[test]
    fn what_the_manifest_lacks_is_named() {
        let refused = library("yrs").pin(MANIFEST.parse().unwrap(), "1.0.0");
        assert_eq!(refused, Err(ManifestError::NoDependency("yrs".to_owned())));
        let refused = library("loro").pin(Table::new(), "1.0.0");
        let section = "workspace.dependencies".to_owned();
        assert_eq!(refused, Err(ManifestError::NoSection(section)));
    }
}
