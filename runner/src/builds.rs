//! The cell program, built with a library at another version.
//!
//! A folder for each version holds links to the sources, a copy of the lock file, and a
//! copy of the engines' manifest in which the library is pinned. Cargo changes no more
//! of the lock file than that requires. All folders share one target folder, so that
//! common dependencies are built once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Library, ManifestError};

/// The program that [`Builds::build`] builds: `cell`, and nothing else.
const PROGRAM: &str = "syncbench-cell";

/// The manifest that states the versions of the libraries, in a checkout.
const MANIFEST: &str = "engines/Cargo.toml";

/// The folder in which programs are built from one checkout.
#[derive(Debug)]
pub struct Builds {
    /// A checkout of syncbench.
    source: PathBuf,
    /// The folder of all builds.
    folder: PathBuf,
    /// True if cargo's own messages are shown.
    verbose: bool,
}

/// An error in a build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder is not a checkout of syncbench.
    #[error("{} is not a checkout of syncbench", .0.display())]
    NotACheckout(PathBuf),
    /// The path of the builds cannot be made absolute.
    #[error("cannot build in {}: {source}", folder.display())]
    Folder {
        /// The folder of the builds.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The registry does not have that version.
    #[error("{engine} {version} is not on the registry; cargo says:\n{cargo}")]
    UnknownVersion {
        /// The engine.
        engine: String,
        /// The version asked for.
        version: String,
        /// The messages of cargo.
        cargo: String,
    },
    /// The version does not fit the other dependencies.
    #[error("cargo cannot fit {engine} {version} in:\n{cargo}")]
    Unresolved {
        /// The engine.
        engine: String,
        /// The version asked for.
        version: String,
        /// The messages of cargo.
        cargo: String,
    },
    /// The folder of a build cannot be filled.
    #[error("cannot set up {}: {source}", folder.display())]
    SetUp {
        /// The folder of the build.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The checkout's manifest cannot be read.
    #[error("cannot read the manifest of the checkout: {0}")]
    Syntax(#[from] toml::de::Error),
    /// The library cannot be pinned.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Cargo cannot be started.
    #[error("cannot start cargo, which compiles other versions: {0}; is Rust installed?")]
    Cargo(io::Error),
    /// The sources do not compile with that version.
    #[error(
        "{engine}@{version} does not build; its calls may differ from those that the adapter \
         makes\n{cargo}"
    )]
    DoesNotBuild {
        /// The engine.
        engine: String,
        /// The version asked for.
        version: String,
        /// The messages of cargo; empty if they were shown.
        cargo: String,
    },
    /// Cargo's messages do not name the program.
    #[error("cargo did not report the path of the program")]
    NoProgram,
}

impl BuildError {
    /// Returns true if the user asked for something that does not exist.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NotACheckout(_)
                | Self::Folder { .. }
                | Self::UnknownVersion { .. }
                | Self::Unresolved { .. }
        )
    }
}

impl Builds {
    /// Builds from the checkout at `source`, in `folder`. With `verbose`,
    /// cargo's messages are shown.
    ///
    /// # Errors
    /// When `source` is not a checkout.
    pub fn new(source: &Path, folder: &Path, verbose: bool) -> Result<Self, BuildError> {
        // Cargo runs in another folder, and would take a relative path from there.
        let folder = std::path::absolute(folder).map_err(|error| BuildError::Folder {
            folder: folder.to_owned(),
            source: error,
        })?;
        match source.canonicalize() {
            Ok(source) if source.join(MANIFEST).is_file() => Ok(Self {
                source,
                folder,
                verbose,
            }),
            _ => Err(BuildError::NotACheckout(source.to_owned())),
        }
    }

    /// Builds the cell program with the library at `version`, and returns its
    /// path. An earlier build is repeated only if sources have changed.
    ///
    /// # Errors
    /// When there is no such version, or the adapter does not compile with it.
    pub fn build(&self, library: &Library<'_>, version: &str) -> Result<PathBuf, BuildError> {
        let folder = self.folder.join(format!("{}-{version}", library.engine));
        let failed = |source| BuildError::SetUp {
            folder: folder.clone(),
            source,
        };
        self.link_sources(&folder).map_err(failed)?;
        let manifest = fs::read_to_string(self.source.join(MANIFEST)).map_err(failed)?;
        let manifest = library.pin(manifest.parse()?, version)?;
        fs::write(folder.join(MANIFEST), manifest.to_string()).map_err(failed)?;
        resolve(&folder, library, version)?;
        let built = self.compile(&folder, library, version)?;
        let program = folder.join(PROGRAM);
        // The next build with the same target folder overwrites this one.
        fs::copy(&built, &program).map_err(failed)?;
        Ok(program)
    }

    /// Fills `folder` with links to the sources, and with copies of the workspace's
    /// manifest and lock file.
    fn link_sources(&self, folder: &Path) -> io::Result<()> {
        let copied = ["Cargo.toml", "Cargo.lock"];
        link_entries(
            &self.source,
            folder,
            &["target", "engines", copied[0], copied[1]],
        )?;
        for file in copied {
            fs::copy(self.source.join(file), folder.join(file))?;
        }
        let engines = folder.join("engines");
        if engines.is_symlink() {
            // A manifest written through the link would replace the source's.
            fs::remove_file(&engines)?;
        }
        link_entries(&self.source.join("engines"), &engines, &["Cargo.toml"])
    }

    /// Compiles the program and returns the path of cargo's executable.
    fn compile(
        &self,
        folder: &Path,
        library: &Library<'_>,
        version: &str,
    ) -> Result<PathBuf, BuildError> {
        let mut cargo = cargo(folder, "build");
        cargo
            .args(["--release", "--locked", "--no-default-features"])
            .args(["--bin", PROGRAM])
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--target-dir")
            .arg(self.folder.join("target"))
            .args(["--features", "cell-program"])
            .args(
                library
                    .feature
                    .map(|name| format!("--features=syncbench-engines/{name}")),
            );
        if self.verbose {
            cargo.stderr(Stdio::inherit());
        }
        let output = cargo.output().map_err(BuildError::Cargo)?;
        if !output.status.success() {
            return Err(BuildError::DoesNotBuild {
                engine: library.engine.to_owned(),
                version: version.to_owned(),
                cargo: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        executable(&String::from_utf8_lossy(&output.stdout)).ok_or(BuildError::NoProgram)
    }
}

/// Creates links in the folder `to` to the entries of the folder `from`, except hidden
/// ones and `others`.
fn link_entries(from: &Path, to: &Path, others: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let link = to.join(&name);
        if hidden || others.iter().any(|other| name == *other) || link.exists() {
            continue;
        }
        // A broken link leads to a checkout that no longer exists.
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(entry.path(), link)?;
    }
    Ok(())
}

/// Lets cargo find the packages of the pinned manifest.
fn resolve(folder: &Path, library: &Library<'_>, version: &str) -> Result<(), BuildError> {
    let mut cargo = cargo(folder, "update");
    let output = cargo.arg("--workspace").output();
    let output = output.map_err(BuildError::Cargo)?;
    if output.status.success() {
        return Ok(());
    }
    let (engine, version) = (library.engine.to_owned(), version.to_owned());
    let cargo = String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned();
    Err(
        match cargo.contains("candidate versions found which didn't match") {
            true => BuildError::UnknownVersion {
                engine,
                version,
                cargo,
            },
            false => BuildError::Unresolved {
                engine,
                version,
                cargo,
            },
        },
    )
}

fn cargo(folder: &Path, command: &str) -> Command {
    // Cargo sets this variable for the programs that it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.arg(command).current_dir(folder).stdin(Stdio::null());
    cargo
}

/// The program's path, from the messages of `cargo build`.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == PROGRAM)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"loro"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"syncbench-cell"},"executable":"/x/syncbench-cell"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some("/x/syncbench-cell".into()));
        assert_eq!(executable(""), None);
    }

    #[test]
    fn all_versions_share_one_folder_wherever_cargo_runs() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let builds = Builds::new(&source, Path::new("builds"), false).unwrap();
        assert!(builds.folder.is_absolute());
    }

    #[test]
    fn a_folder_that_is_not_a_checkout_is_named() {
        let gone = Builds::new(Path::new("no-such-folder"), Path::new("x"), false);
        let error = gone.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no-such-folder is not a checkout of syncbench"
        );
        assert!(error.is_usage());
    }

    #[test]
    fn the_sources_are_linked_and_what_a_build_changes_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let builds = Builds::new(&source, folder.path(), false).unwrap();
        let build = folder.path().join("loro-1.12.0");
        fs::create_dir(&build).unwrap();
        let [other, engines] = ["other", "engines"].map(|name| build.join(name));
        // A manifest written through such a link would change the source.
        std::os::unix::fs::symlink(&other, &engines).unwrap();
        // The second time changes nothing.
        for _ in 0..2 {
            builds.link_sources(&build).unwrap();
            assert!(build.join("reports").is_symlink() && engines.join("src").is_symlink());
            assert!(!build.join("Cargo.lock").is_symlink() && !build.join("target").exists());
            assert!(!engines.is_symlink() && !engines.join("Cargo.toml").exists());
        }
    }
}
