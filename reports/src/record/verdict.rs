//! The verdict on a run, and what it follows from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The exit code of the process, see [`Status::exit_code`].
    pub exit_code: u8,
    /// The one-word result.
    pub status: Status,
    /// The reasons, one sentence each; empty for `ok`.
    pub reasons: Vec<String>,
}

/// The one-word result of a run. Exit codes are defined here alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The run passed.
    Ok,
    /// The tool failed, or something that it needs (relay, disk).
    Failure,
    /// Bad usage or bad input, or a relay of another protocol; nothing was
    /// measured.
    Usage,
    /// A regression against the baseline.
    Regression,
    /// The samples do not allow a verdict.
    Inconclusive,
    /// The baseline is missing or not comparable.
    NoBaseline,
    /// Replicas differ or edits were lost.
    NotConverged,
    /// The figures do not measure the relay: the generator was the bottleneck, or
    /// the load was not the one that the scenario asked for.
    Invalid,
    /// A threshold was missed.
    Threshold,
    /// A signal ended the run before its end; the figures are of the part until
    /// then.
    Interrupted,
}

impl Status {
    /// The exit code of the process. An inconclusive result is a success. A run
    /// that another signal than SIGINT interrupted has the code of that signal,
    /// see [`Signal::exit_code`].
    pub fn exit_code(self) -> u8 {
        match self {
            Status::Ok | Status::Inconclusive => 0,
            Status::Failure => 1,
            Status::Usage => 2,
            Status::Regression => 3,
            Status::NoBaseline => 5,
            Status::NotConverged => 6,
            Status::Invalid => 7,
            Status::Threshold => 99,
            Status::Interrupted => Signal::Interrupt.exit_code(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Ok => "ok",
            Status::Failure => "failure",
            Status::Usage => "usage",
            Status::Regression => "regression",
            Status::Inconclusive => "inconclusive",
            Status::NoBaseline => "no baseline",
            Status::NotConverged => "not converged",
            Status::Invalid => "invalid",
            Status::Threshold => "threshold missed",
            Status::Interrupted => "interrupted",
        })
    }
}

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Signal {
    /// Ctrl-C in a terminal.
    #[serde(rename = "SIGINT")]
    Interrupt,
    /// The request of a service manager, or of a CI system whose time is up.
    #[serde(rename = "SIGTERM")]
    Terminate,
    /// The terminal was closed.
    #[serde(rename = "SIGHUP")]
    HangUp,
}

impl Signal {
    /// The exit code of a process that the signal ended, as shells report it.
    pub fn exit_code(self) -> u8 {
        128 + match self {
            Signal::HangUp => 1,
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::HangUp => "SIGHUP",
        })
    }
}

/// A latency figure of which more is the generator's own than may pass as the
/// relay's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MarkedFigure {
    /// The latency, by its name in `latency`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub metric: String,
    /// The statistic: `mean`, a percentile such as `p99`, or `max`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub stat: String,
    /// The figure, microseconds.
    pub observed_us: f64,
    /// The part of it that is the generator's, microseconds.
    pub own_us: f64,
}

/// A threshold and the value it was compared with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThresholdResult {
    /// The threshold as it was written.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub threshold: String,
    /// True if the threshold was met.
    pub met: bool,
    /// True if the figure is the generator's rather than the relay's, so that
    /// the threshold was not judged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_judged: bool,
    /// The observed value, in `unit`; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit that it was compared with, in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The unit of `value` and `limit`: `us` (microseconds), `share` (0 to 1),
    /// `bytes`, `cores`, or nothing for a plain number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The observed value as text for people; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}
