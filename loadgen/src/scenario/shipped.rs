//! The built-in scenarios.

use super::{ReadError, Scenario};

/// A scenario that can be run by its name.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// The name that `syncbench run` takes.
    pub name: &'static str,
    /// The text of the scenario file.
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

/// The built-in scenarios.
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
    "whiteboard",
    "replace-all",
    "idle-crowd",
    "memoryless",
];

impl Shipped {
    /// The scenario called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        SHIPPED.iter().find(|shipped| shipped.name == name)
    }

    /// Reads the scenario.
    ///
    /// # Errors
    /// None: a test reads every built-in scenario.
    pub fn scenario(&self) -> Result<Scenario, ReadError> {
        Scenario::parse(self.toml)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_shipped_scenario_can_be_run_and_says_what_it_shows() {
        for shipped in SHIPPED {
            let scenario = shipped.scenario().unwrap();
            assert!(!scenario.thresholds.is_empty(), "{}", shipped.name);
            assert!(scenario.analysis.len() > 80, "{}", shipped.name);
        }
    }
}
