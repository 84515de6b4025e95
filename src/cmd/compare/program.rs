//! The cell program with a library at another version.
//!
//! A folder for each version holds links to the sources, a copy of the lock
//! file, and a copy of the manifest in which the library is pinned. Cargo
//! changes no more of the lock file than that asks for. All folders share one
//! target folder, so that what they have in common is built once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;
use syncbench_engines::EngineInfo;
use toml::Table;

use super::contender::Contender;
use crate::cmd::BadInput;

/// The program that [`Workshop::build`] builds: `cell`, and nothing else.
const PROGRAM: &str = "syncbench-cell";

/// Where the sources are, and where programs are built from them.
pub struct Workshop {
    /// A checkout of syncbench.
    source: PathBuf,
    /// Folder of all builds.
    builds: PathBuf,
    /// Whether cargo's own messages are shown as they come.
    watched: bool,
}

impl Workshop {
    /// Builds from the checkout at `source`, or the one that this executable
    /// was built from, in the folder `builds`.
    ///
    /// # Errors
    /// When the checkout is not there.
    pub fn new(source: Option<&Path>, builds: &Path, watched: bool) -> Result<Self, BadInput> {
        // Cargo runs elsewhere, and would take a relative path from there.
        let builds = std::path::absolute(builds).map_err(BadInput::new)?;
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = source.unwrap_or(own);
        let is_checkout = |folder: &Path| folder.join("engines/Cargo.toml").is_file();
        match folder.canonicalize() {
            Ok(source) if is_checkout(&source) => Ok(Self {
                source,
                builds,
                watched,
            }),
            _ if source.is_none() => Err(BadInput::new(format!(
                "the sources that this syncbench was built from are not at {} any more; name a \
                 checkout with --source",
                folder.display()
            ))),
            _ => Err(BadInput::new(format!(
                "{} is not a checkout of syncbench",
                folder.display()
            ))),
        }
    }

    /// The cell program with the contender's library at `version`. What was
    /// built before is built again only where sources have changed.
    ///
    /// # Errors
    /// When there is no such version, or the adapter does not fit it.
    pub fn build(&self, contender: &Contender, version: &str) -> anyhow::Result<PathBuf> {
        let folder = self
            .builds
            .join(format!("{}-{version}", contender.engine.name));
        self.set_up(&folder, contender.engine, version)
            .with_context(|| format!("cannot set up {}", folder.display()))?;
        self.resolve(&folder, contender, version)?;
        let built = self.compile(&folder, contender)?;
        let program = folder.join(PROGRAM);
        // The next build with the same target folder replaces what is there.
        fs::copy(&built, &program)
            .with_context(|| format!("cannot copy the program to {}", program.display()))?;
        Ok(program)
    }

    fn set_up(&self, folder: &Path, engine: &EngineInfo, version: &str) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(&self.source)? {
            let entry = entry?;
            let name = entry.file_name();
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let own = ["target", "Cargo.toml", "Cargo.lock"]
                .iter()
                .any(|own| name == *own);
            let link = folder.join(&name);
            if hidden || own || link.exists() {
                continue;
            }
            // A link that leads nowhere is one to an older checkout.
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(entry.path(), link)?;
        }
        fs::copy(self.source.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        let manifest = fs::read_to_string(self.source.join("Cargo.toml"))?;
        let manifest = pinned(manifest.parse()?, engine, version)?;
        fs::write(folder.join("Cargo.toml"), manifest.to_string())?;
        Ok(())
    }

    /// Lets cargo find the packages.
    fn resolve(&self, folder: &Path, contender: &Contender, version: &str) -> anyhow::Result<()> {
        let mut cargo = cargo(folder, "update");
        let output = cargo
            .arg("--workspace")
            .output()
            .context("cannot start cargo, which compiles other versions; is Rust installed?")?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let name = contender.engine.name;
        let message = match said.contains("candidate versions found which didn't match") {
            true => format!("{name} {version} is not on the registry; cargo says:\n{said}"),
            false => format!("cargo cannot fit {name} {version} in:\n{said}"),
        };
        Err(BadInput::new(message.trim_end()).into())
    }

    /// The executable that cargo builds.
    fn compile(&self, folder: &Path, contender: &Contender) -> anyhow::Result<PathBuf> {
        let mut cargo = cargo(folder, "build");
        cargo
            .args(["--release", "--locked", "--no-default-features"])
            .args([
                "--bin",
                PROGRAM,
                "--message-format",
                "json-render-diagnostics",
            ])
            .arg("--target-dir")
            .arg(self.builds.join("target"))
            .args(["--features", "cell-program"])
            .args(
                contender
                    .engine
                    .feature
                    .iter()
                    .flat_map(|f| ["--features", f]),
            );
        if self.watched {
            cargo.stderr(Stdio::inherit());
        }
        let output = cargo.output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!(
                "{contender} does not build; its calls may differ from those that the adapter \
                 makes\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        executable(&String::from_utf8_lossy(&output.stdout))
            .context("cargo did not say where it put the program")
    }
}

fn cargo(folder: &Path, command: &str) -> Command {
    // As cargo tells the programs that it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.arg(command).current_dir(folder).stdin(Stdio::null());
    cargo
}

/// The manifest with the library of `engine` at exactly `version`, and the
/// crates that are published together with it at that version or, where the
/// library had no need to publish them again, the last one before.
fn pinned(mut manifest: Table, engine: &EngineInfo, version: &str) -> anyhow::Result<Table> {
    let exactly = toml::Value::String(format!("={version}"));
    let dependencies = table(&mut manifest, &["workspace", "dependencies"])?;
    match dependencies.get_mut(engine.dependency) {
        Some(toml::Value::Table(detailed)) => detailed.insert("version".to_owned(), exactly),
        Some(plain) => Some(std::mem::replace(plain, exactly)),
        None => bail!("the workspace does not depend on {}", engine.dependency),
    };
    let series = series(version);
    let own = table(&mut manifest, &["dependencies"])?;
    for &package in engine.published_together {
        let mut requirement = Table::new();
        requirement.insert("package".to_owned(), package.into());
        requirement.insert(
            "version".to_owned(),
            format!(">={series}, <={version}").into(),
        );
        requirement.insert("default-features".to_owned(), false.into());
        own.insert(format!("pinned-{package}"), requirement.into());
    }
    Ok(manifest)
}

/// The first version that is compatible with `version`, in short: `1` for
/// `1.12.0`, `0.16` for `0.16.12`.
fn series(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => version.to_owned(),
    }
}

fn table<'a>(manifest: &'a mut Table, path: &[&str]) -> anyhow::Result<&'a mut Table> {
    path.iter().try_fold(manifest, |table, key| {
        let inner = table.get_mut(*key).and_then(toml::Value::as_table_mut);
        inner.with_context(|| format!("the manifest has no [{}]", path.join(".")))
    })
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

    fn pinned_to(engine: &str, version: &str) -> Table {
        let manifest = include_str!("../../../Cargo.toml").parse().unwrap();
        pinned(manifest, EngineInfo::find(engine).unwrap(), version).unwrap()
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
        let manifest = pinned_to("loro-0.16", "0.16.11");
        let library = &manifest["workspace"]["dependencies"]["loro_0_16"];
        assert_eq!(library["package"].as_str(), Some("loro"));
        assert_eq!(library["version"].as_str(), Some("=0.16.11"));
        let part = &manifest["dependencies"]["pinned-loro-internal"];
        assert_eq!(part["version"].as_str(), Some(">=0.16, <=0.16.11"));
    }

    #[test]
    fn every_known_library_can_be_pinned() {
        for known in EngineInfo::ALL {
            pinned_to(known.name, "9.9.9");
        }
    }

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
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workshop = Workshop::new(Some(source), Path::new("builds"), false).unwrap();
        assert!(workshop.builds.is_absolute());
    }

    #[test]
    fn sources_that_are_gone_are_named() {
        let gone = Workshop::new(Some(Path::new("no-such-folder")), Path::new("x"), false);
        let error = gone.err().unwrap().to_string();
        assert_eq!(error, "no-such-folder is not a checkout of syncbench");
    }
}
