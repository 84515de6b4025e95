//! An engine, at the version of this build or at another.

use std::fmt;
use std::str::FromStr;

use syncbench_engines::EngineInfo;
use syncbench_runner::Library;

/// An engine with an optional version, written as `loro` or `loro@1.12.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    pub engine: &'static EngineInfo,
    /// `None` for the version in this executable.
    pub version: Option<String>,
}

impl FromStr for EngineVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let Some(engine) = EngineInfo::find(name) else {
            let names: Vec<&str> = EngineInfo::ALL.iter().map(|known| known.name).collect();
            return Err(format!(
                "unknown engine `{name}`; the engines are {}",
                names.join(", ")
            ));
        };
        if let Some(version) = version.filter(|version| !is_version(version)) {
            return Err(format!(
                "`{version}` is not a full version; write it as {name}@1.12.0"
            ));
        }
        Ok(Self {
            engine,
            version: version.map(str::to_owned),
        })
    }
}

impl EngineVersion {
    /// Returns the library behind the engine.
    pub fn library(&self) -> Library<'static> {
        library_of(self.engine)
    }
}

fn library_of(engine: &'static EngineInfo) -> Library<'static> {
    Library {
        engine: engine.name,
        dependency: engine.dependency,
        feature: engine.feature,
        published_together: engine.published_together,
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.engine.name),
            None => f.write_str(self.engine.name),
        }
    }
}

/// Returns true for three numbers, with or without a pre-release. The version
/// becomes part of a manifest and of a path, so nothing else is accepted.
fn is_version(text: &str) -> bool {
    let (numbers, pre) = match text.split_once('-') {
        Some((numbers, pre)) => (numbers, Some(pre)),
        None => (text, None),
    };
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let word = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && pre.is_none_or(|pre| !pre.is_empty() && pre.chars().all(word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_contender_is_an_engine_and_perhaps_a_version() {
        for text in [
            "loro",
            "loro@1.12.0",
            "loro-0.16@0.16.11",
            "yrs-v2@0.28.0-rc.1",
        ] {
            assert_eq!(text.parse::<EngineVersion>().unwrap().to_string(), text);
        }
        let loro: EngineVersion = "loro@1.12.0".parse().unwrap();
        assert_eq!(
            (loro.engine.dependency, loro.version.as_deref()),
            ("loro", Some("1.12.0"))
        );
    }

    #[test]
    fn every_known_library_can_be_pinned() {
        let manifest: toml::Table = include_str!("../../../engines/Cargo.toml").parse().unwrap();
        for known in EngineInfo::ALL {
            let pinned = library_of(known).pin(manifest.clone(), "9.9.9");
            assert!(pinned.is_ok(), "{}: {pinned:?}", known.name);
        }
    }

    #[test]
    fn what_is_no_contender_is_answered_with_what_would_be() {
        for (text, answer) in [
            ("lorro@1.12.0", "the engines are loro, "),
            ("loro@1.12", "loro@1.12.0"),
            ("loro@", "loro@1.12.0"),
            ("loro@=1.12.0", "loro@1.12.0"),
            ("loro@1.12.0-/..", "loro@1.12.0"),
        ] {
            let error = text.parse::<EngineVersion>().unwrap_err();
            assert!(error.contains(answer), "{text}: {error}");
        }
    }
}
