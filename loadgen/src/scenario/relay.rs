//! Settings of the relay: its protocol, its address, and what happens to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access;
use super::time::{PositiveTime, Time};
use crate::net::secret::Secret;
use crate::net::target::UrlTemplate;
use crate::protocol::ProtocolKind;
use crate::relay::HistoryKind;

/// The relay to load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(extend(
        "dependentRequired" = { "command": ["url"] },
        "not" = { "required": ["token_env", "token_file"] }
    ))
)]
pub struct RelaySettings {
    /// The protocol between clients and relay.
    pub protocol: ProtocolKind,
    /// The address of a relay that is already running; `{room}` and `{client}`
    /// are replaced by names. Without an address, the embedded relay is
    /// started as a process of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "String", regex(pattern = r"^wss?://"))
    )]
    pub url: Option<UrlTemplate>,
    /// A shell command that runs the relay. The run starts it and ends it, with
    /// every process that it has started; `url` gives the relay's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub command: Option<String>,
    /// The time within which a relay that the run starts must answer, and within
    /// which one that is busy (HTTP 429 or 503) must take the initial clients.
    #[serde(with = "PositiveTime")]
    pub ready_timeout: Duration,
    /// At the end, how long neither the memory nor the descriptors of a relay
    /// that the run owns must have reached a new low, before what it still uses
    /// after all clients have left is measured.
    #[serde(with = "PositiveTime")]
    pub settle: Duration,
    /// The part of a room's history that the embedded relay keeps, where its
    /// protocol has a memory.
    pub history: HistoryKind,
    /// The beginning of the rooms' names: letters, digits, `.`, `_`, `~` and `-`.
    /// What follows differs in each run.
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^[A-Za-z0-9._~-]{0,64}$"))
    )]
    pub room_prefix: String,
    /// Header lines of the WebSocket handshake, in which `{room}` and `{client}`
    /// are replaced by names. Their values are never recorded.
    #[serde(skip_serializing, deserialize_with = "access::headers")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, String>"))]
    pub headers: BTreeMap<String, Secret>,
    /// The WebSocket subprotocol to ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subprotocol: Option<String>,
    /// The environment variable that holds a bearer token. Never recorded.
    #[serde(skip_serializing)]
    pub token_env: Option<String>,
    /// The file that holds a bearer token. Never recorded.
    #[serde(skip_serializing)]
    pub token_file: Option<PathBuf>,
    /// The credentials with which clients join a room, where the protocol takes
    /// them; `{room}` and `{client}` are replaced by names. Never recorded.
    #[serde(skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub join_auth: Option<Secret>,
    /// Accept any certificate from a wss:// relay.
    pub insecure: bool,
    /// The bearer token itself, which reading a scenario takes from
    /// `token_env` or `token_file`.
    #[serde(skip)]
    pub token: Option<Secret>,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            protocol: ProtocolKind::Broadcast,
            url: None,
            command: None,
            ready_timeout: Duration::from_secs(10),
            settle: Duration::from_millis(500),
            history: HistoryKind::Full,
            room_prefix: "room-".to_owned(),
            headers: BTreeMap::new(),
            subprotocol: None,
            token_env: None,
            token_file: None,
            join_auth: None,
            insecure: false,
            token: None,
        }
    }
}

impl RelaySettings {
    /// The settings of a `broadcast` relay that is running at `url`.
    pub fn at(url: UrlTemplate) -> Self {
        Self {
            url: Some(url),
            ..Self::default()
        }
    }

    /// Returns true if the run starts and ends the relay.
    pub fn is_owned(&self) -> bool {
        self.command.is_some() || self.url.is_none()
    }
}

/// Something that happens to a relay which the run owns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(extend(
        "if" = { "properties": { "kind": { "enum": ["pause", "restart"] } } },
        "then" = { "required": ["for"] }
    ))
)]
pub struct RelayFault {
    /// The kind of fault.
    pub kind: RelayFaultKind,
    /// The time at which it begins, since the start of the schedule.
    #[serde(with = "Time")]
    pub at: Duration,
    /// The time until the relay goes on, or is started again; `kill` needs none.
    #[serde(
        rename = "for",
        default,
        with = "PositiveTime",
        skip_serializing_if = "Option::is_none"
    )]
    pub lasting: Option<Duration>,
}

/// The kinds of faults of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RelayFaultKind {
    /// The relay is stopped, and goes on afterwards
    Pause,
    /// The relay is killed, and started again afterwards; what it kept in
    /// memory is gone
    Restart,
    /// The relay is killed for good
    Kill,
}
