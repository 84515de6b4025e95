//! The built-in scenarios.

use super::settings::{Settings, SettingsError};

/// A built-in scenario.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// The name that `syncbench run` takes.
    pub name: &'static str,
    /// The scenario as TOML.
    pub toml: &'static str,
}

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        &[$(Shipped {
            name: $name,
            toml: include_str!(concat!("../../scenarios/", $name, ".toml")),
        }),+]
    };
}

/// All built-in scenarios.
pub const SHIPPED: &[Shipped] = shipped![
    "classroom",
    "one-document",
    "wiki",
    "keystrokes-at-once",
    "late-join",
    "reconnect-storm",
    "commuters",
    "transatlantic",
    "soak",
    "spike",
    "presence",
    "replace-all",
    "idle-crowd",
    "memoryless",
];

impl Shipped {
    /// The scenario called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        SHIPPED.iter().find(|shipped| shipped.name == name)
    }

    /// The settings of the scenario.
    ///
    /// # Errors
    /// None that a test would let through.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::parse(self.toml)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_shipped_scenario_can_be_run_and_says_what_it_shows() {
        for shipped in SHIPPED {
            let settings = shipped.settings().unwrap();
            assert!(!settings.thresholds.is_empty(), "{}", shipped.name);
            let scenario = settings.scenario().unwrap();
            assert!(scenario.analysis.len() > 80, "{}", shipped.name);
        }
    }
}
