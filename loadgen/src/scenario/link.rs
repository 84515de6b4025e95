//! Settings of links: the networks between clients and relay.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounds::{Above, Within};
use super::time::{PositiveTime, Time};
use crate::net::link::LinkConditions;
use crate::time::clock::Nanos;

/// A network that a share of the clients is behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinkClass {
    /// The name of the link in the result.
    pub name: String,
    /// The share of the clients behind it.
    #[serde(with = "Above::<f64, 0, 1>")]
    pub share: f64,
    /// The delay one way.
    #[serde(with = "Time")]
    pub delay: Duration,
    /// The largest additional delay; it is evenly distributed, and bytes do not
    /// overtake each other.
    #[serde(with = "Time")]
    pub jitter: Duration,
    /// Kilobits (1,000 bits) per second, each way; unlimited, if absent.
    #[serde(
        with = "Within::<u64, 1, 1_000_000_000>",
        skip_serializing_if = "Option::is_none"
    )]
    pub kbit: Option<u64>,
    /// The faults of the link.
    #[serde(rename = "fault")]
    pub faults: Vec<LinkFault>,
}

impl Default for LinkClass {
    fn default() -> Self {
        Self {
            name: "link".to_owned(),
            share: 1.0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            kbit: None,
            faults: Vec::new(),
        }
    }
}

impl LinkClass {
    /// The delay, jitter and bandwidth of the link.
    pub fn conditions(&self) -> LinkConditions {
        LinkConditions {
            delay: self.delay.as_nanos() as Nanos,
            jitter: self.jitter.as_nanos() as Nanos,
            bandwidth: self.kbit.map(|kbit| kbit.saturating_mul(1_000) / 8),
        }
    }
}

/// A fault of a link.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(extend("oneOf" = [{ "required": ["at"] }, { "required": ["every"] }]))
)]
pub struct LinkFault {
    /// The kind of fault.
    pub kind: LinkFaultKind,
    /// The time at which it happens once, to all clients of the link.
    #[serde(default, with = "Time", skip_serializing_if = "Option::is_none")]
    pub at: Option<Duration>,
    /// The time after which it happens again, to each client at its own times.
    #[serde(
        default,
        with = "PositiveTime",
        skip_serializing_if = "Option::is_none"
    )]
    pub every: Option<Duration>,
    /// The time until the link works again, or the client may come back.
    #[serde(rename = "for", with = "PositiveTime")]
    pub lasting: Duration,
}

/// The kinds of faults of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LinkFaultKind {
    /// Nothing gets through for the time, then everything does
    Stall,
    /// The connection is closed
    Cut,
    /// The connection ends in the middle of the next frame that is sent
    CutMidFrame,
    /// The connection is reset
    Reset,
    /// Nothing gets through any more, and neither end notices
    HalfOpen,
    /// The user goes offline in order, continues to edit, and comes back
    Offline,
}
