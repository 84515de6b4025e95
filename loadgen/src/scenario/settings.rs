//! Settings: what a user wrote of a scenario, in a file or as flags. Whatever is
//! not written has a default.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use syncbench_reports::similar::similar;

use super::{Arrivals, Phase, ProtocolKind, RelayTarget, Scenario, ScenarioError};
use crate::target::{UrlError, UrlTemplate};

/// A scenario as it was written. Files are strict: a key that is not here is an
/// error.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What the scenario shows, and what to look at in its result.
    pub analysis: Option<String>,
    /// How long edits are scheduled.
    #[serde(deserialize_with = "duration")]
    pub duration: Option<Duration>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// Conditions that the run must keep to, such as `propagation.p99 < 100ms`.
    pub thresholds: Vec<String>,
    /// The relay to load.
    pub relay: RelaySettings,
    /// Who loads it.
    pub clients: ClientSettings,
    /// What they do.
    pub workload: WorkloadSettings,
}

/// The relay to load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelaySettings {
    /// How clients and relay speak.
    pub protocol: Option<ProtocolKind>,
    /// The address of a relay that runs already, `{room}` and `{client}` in it;
    /// without one, the embedded relay.
    pub url: Option<String>,
}

/// Who loads the relay.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientSettings {
    /// Simulated clients; every one writes.
    pub count: Option<u32>,
    /// Rooms that they are spread over.
    pub rooms: Option<u32>,
}

/// What the clients do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadSettings {
    /// Catalog name or path of the trace that they type.
    pub dataset: Option<String>,
    /// Edits per second, over all clients.
    pub rate: Option<f64>,
    /// How the edits of one client follow each other.
    pub arrivals: Option<Arrivals>,
    /// How the clients' constant rhythms lie to each other.
    pub phase: Option<Phase>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = humantime::parse_duration(&text);
    duration.map(Some).map_err(|error| {
        let message = format!("`{text}` is no duration ({error}); write it as \"10s\" or \"2m\"");
        serde::de::Error::custom(message)
    })
}

/// Why settings make no scenario.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not TOML, or has keys or values that do not belong there.
    #[error("{0}")]
    File(String),
    /// The address of the relay is not usable.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The parts do not fit together.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

impl Settings {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// Where the file is wrong, and what could stand there.
    pub fn parse(toml: &str) -> Result<Self, SettingsError> {
        toml::from_str(toml).map_err(|error| SettingsError::File(explained(&error)))
    }

    /// These settings, and where they say nothing those of `base`. Thresholds
    /// of both are kept.
    pub fn over(self, base: Self) -> Self {
        Self {
            analysis: self.analysis.or(base.analysis),
            duration: self.duration.or(base.duration),
            seed: self.seed.or(base.seed),
            thresholds: [base.thresholds, self.thresholds].concat(),
            relay: RelaySettings {
                protocol: self.relay.protocol.or(base.relay.protocol),
                url: self.relay.url.or(base.relay.url),
            },
            clients: ClientSettings {
                count: self.clients.count.or(base.clients.count),
                rooms: self.clients.rooms.or(base.clients.rooms),
            },
            workload: WorkloadSettings {
                dataset: self.workload.dataset.or(base.workload.dataset),
                rate: self.workload.rate.or(base.workload.rate),
                arrivals: self.workload.arrivals.or(base.workload.arrivals),
                phase: self.workload.phase.or(base.workload.phase),
            },
        }
    }

    /// The scenario, defaults filled in.
    ///
    /// # Errors
    /// The first contradiction, and the mend.
    pub fn scenario(self) -> Result<Scenario, SettingsError> {
        let default = Scenario::default();
        let relay = match self.relay.url {
            None => RelayTarget::Embedded,
            Some(url) => RelayTarget::Url(url.parse::<UrlTemplate>()?),
        };
        let scenario = Scenario {
            relay,
            protocol: self.relay.protocol.unwrap_or(default.protocol),
            clients: self.clients.count.unwrap_or(default.clients),
            rooms: self.clients.rooms.unwrap_or(default.rooms),
            rate: self.workload.rate.unwrap_or(default.rate),
            duration: self.duration.unwrap_or(default.duration),
            arrivals: self.workload.arrivals.unwrap_or(default.arrivals),
            phase: self.workload.phase.unwrap_or(default.phase),
            dataset: self.workload.dataset.unwrap_or(default.dataset),
            seed: self.seed.unwrap_or(default.seed),
            thresholds: self.thresholds,
            analysis: self.analysis.unwrap_or_default(),
            ..default
        };
        scenario.validate()?;
        Ok(scenario)
    }
}

/// The message of the parser, which shows the place, and what was probably
/// meant.
fn explained(error: &toml::de::Error) -> String {
    let message = error.to_string();
    let text = error.message();
    let Some(rest) = text.strip_prefix("unknown field `") else {
        return message.trim_end().to_owned();
    };
    let mut names = rest.split('`').step_by(2);
    let written = names.next().unwrap_or_default();
    match similar(written, names) {
        Some(name) => format!("{}\ndid you mean `{name}`?", message.trim_end()),
        None => message.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_fills_in_what_flags_do_not_say() {
        let file = Settings::parse(
            r#"
            analysis = "why"
            duration = "2m"
            thresholds = ["lost == 0"]
            [relay]
            url = "ws://127.0.0.1:7000/{room}"
            [clients]
            count = 30
            rooms = 3
            [workload]
            rate = 12
            arrivals = "poisson"
            "#,
        )
        .unwrap();
        let flags = Settings {
            seed: Some(7),
            thresholds: vec!["corrupt == 0".to_owned()],
            clients: ClientSettings {
                count: Some(60),
                ..ClientSettings::default()
            },
            ..Settings::default()
        };
        let scenario = flags.over(file).scenario().unwrap();
        assert_eq!((scenario.clients, scenario.rooms), (60, 3));
        assert_eq!(scenario.duration, Duration::from_secs(120));
        assert_eq!(
            (scenario.rate, scenario.arrivals),
            (12.0, Arrivals::Poisson)
        );
        assert_eq!((scenario.seed, scenario.analysis.as_str()), (7, "why"));
        assert_eq!(scenario.thresholds, ["lost == 0", "corrupt == 0"]);
        assert!(matches!(scenario.relay, RelayTarget::Url(_)));
    }

    #[test]
    fn nothing_written_is_the_default_run() {
        let scenario = Settings::default().scenario().unwrap();
        assert_eq!(scenario, Scenario::default());
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_mend() {
        for (toml, messages) in [
            ("[clients]\ncont = 3", ["line 2", "did you mean `count`?"]),
            ("[cliens]\ncount = 3", ["line 1", "did you mean `clients`?"]),
            ("duration = \"3 parsecs\"", ["line 1", "write it as"]),
            ("duration = 3", ["line 1", "expected a string"]),
            ("[clients]\ncount = -3", ["line 2", "-3"]),
            ("[workload]\narrivals = \"often\"", ["line 2", "`poisson`"]),
            ("[clients", ["line 1", "clients"]),
        ] {
            let error = Settings::parse(toml).unwrap_err().to_string();
            for message in messages {
                assert!(error.contains(message), "{toml}: {error}");
            }
        }
    }

    #[test]
    fn contradictions_are_found_in_files_too() {
        let file = Settings::parse("[clients]\ncount = 3\nrooms = 4").unwrap();
        let error = file.scenario().unwrap_err().to_string();
        assert!(error.contains("4 rooms for 3 clients"), "{error}");
    }
}
