//! A library that can be pinned to another version.

use toml::{Table, Value};

/// A library in the manifest of the engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library<'a> {
    /// The name of the engine that wraps it.
    pub engine: &'a str,
    /// Its key among the dependencies of the engines.
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
    /// The manifest does not state a version of the library.
    #[error("the manifest states no version of {0}")]
    NoVersion(String),
}

impl Library<'_> {
    /// Pins the library to exactly `version` in the manifest of the engines. Packages
    /// published together with it are pinned to that version or, if they were not
    /// published again for it, to the last one before.
    ///
    /// # Errors
    /// Fails if the manifest has no dependencies, or states no version of the library.
    pub fn pin(&self, mut manifest: Table, version: &str) -> Result<Table, ManifestError> {
        let dependencies = section(&mut manifest, "dependencies")?;
        let stated = match dependencies.get_mut(self.dependency) {
            Some(Value::Table(detailed)) => detailed.get_mut("version"),
            plain => plain,
        };
        let no_version = || ManifestError::NoVersion(self.dependency.to_owned());
        *stated.ok_or_else(no_version)? = Value::String(format!("={version}"));
        let first = first_compatible(version);
        for &package in self.published_together {
            let mut requirement = Table::new();
            requirement.insert("package".to_owned(), package.into());
            requirement.insert(
                "version".to_owned(),
                format!(">={first}, <={version}").into(),
            );
            requirement.insert("default-features".to_owned(), false.into());
            dependencies.insert(format!("pinned-{package}"), requirement.into());
        }
        Ok(manifest)
    }
}

/// Returns the first version that is compatible with `version`, abbreviated: `1` for
/// `1.12.0`, `0.16` for `0.16.12`.
fn first_compatible(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => version.to_owned(),
    }
}

fn section<'a>(manifest: &'a mut Table, name: &str) -> Result<&'a mut Table, ManifestError> {
    let section = manifest.get_mut(name).and_then(Value::as_table_mut);
    section.ok_or_else(|| ManifestError::NoSection(name.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MANIFEST: &str = r#"
        [dependencies]
        loro = "1.17"
        loro_0_16 = { package = "loro", version = "=0.16.12" }
        yrs = { workspace = true }
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
        let library = &manifest["dependencies"]["loro"];
        assert_eq!(library.as_str(), Some("=1.12.0"));
        let part = &manifest["dependencies"]["pinned-loro-internal"];
        assert_eq!(part["package"].as_str(), Some("loro-internal"));
        assert_eq!(part["version"].as_str(), Some(">=1, <=1.12.0"));
    }

    #[test]
    fn a_library_with_a_detailed_dependency_keeps_its_details() {
        let manifest = pinned_to("loro_0_16", "0.16.11");
        let library = &manifest["dependencies"]["loro_0_16"];
        assert_eq!(library["package"].as_str(), Some("loro"));
        assert_eq!(library["version"].as_str(), Some("=0.16.11"));
        let part = &manifest["dependencies"]["pinned-loro-internal"];
        assert_eq!(part["version"].as_str(), Some(">=0.16, <=0.16.11"));
    }

    #[test]
    fn what_the_manifest_lacks_is_named() {
        for lacking in ["automerge", "yrs"] {
            let refused = library(lacking).pin(MANIFEST.parse().unwrap(), "1.0.0");
            assert_eq!(refused, Err(ManifestError::NoVersion(lacking.to_owned())));
        }
        let refused = library("loro").pin(Table::new(), "1.0.0");
        let section = "dependencies".to_owned();
        assert_eq!(refused, Err(ManifestError::NoSection(section)));
    }
}
