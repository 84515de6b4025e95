//! Addresses of relays: URL templates with placeholders for room and client.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio_tungstenite::tungstenite::http::Uri;

/// The address of a relay, for any room and client: a `ws://` or `wss://` URL
/// with the placeholders `{room}` and `{client}`. Without `{room}`, the room is
/// appended as the last part of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);

/// A reason why a relay URL cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is missing, or neither `ws` nor `wss`.
    #[error("relay URL `{0}`: must start with ws:// or wss://, as in ws://127.0.0.1:7000/{{room}}")]
    Scheme(String),
    /// The text is not a valid URL.
    #[error("relay URL `{url}`: {reason}; write it as ws://127.0.0.1:7000/{{room}}")]
    Malformed {
        /// The URL as entered.
        url: String,
        /// The message of the parser.
        reason: String,
    },
}

impl UrlTemplate {
    /// Returns the URL of one client in one room.
    ///
    /// # Errors
    /// If the URL is invalid with these names.
    pub fn url(&self, room: &str, client: &str) -> Result<Uri, UrlError> {
        let url = self.0.replace("{room}", room).replace("{client}", client);
        let malformed = |reason: String| UrlError::Malformed {
            url: self.0.clone(),
            reason,
        };
        let uri: Uri = url.parse().map_err(|err| malformed(format!("{err}")))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(malformed("the host is missing".to_owned()));
        }
        Ok(uri)
    }

    /// Returns `true` if connections must be encrypted.
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("wss://")
    }
}

/// Returns the host of a URL, without the brackets of an IPv6 address, and its
/// port or the default port of its scheme.
pub fn host_and_port(url: &Uri) -> (&str, u16) {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let default = match url.scheme_str() {
        Some("wss") => 443,
        _ => 80,
    };
    (host, url.port_u16().unwrap_or(default))
}

impl FromStr for UrlTemplate {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        if !url.starts_with("ws://") && !url.starts_with("wss://") {
            return Err(UrlError::Scheme(url.to_owned()));
        }
        let template = if url.contains("{room}") {
            Self(url.to_owned())
        } else {
            Self(format!("{}/{{room}}", url.trim_end_matches('/')))
        };
        template.url("room-0", "client-0")?;
        Ok(template)
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for UrlTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UrlTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = String::deserialize(deserializer)?;
        url.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(template: &str) -> String {
        template
            .parse::<UrlTemplate>()
            .unwrap()
            .url("room-3", "client-9")
            .unwrap()
            .to_string()
    }

    #[test]
    fn room_and_client_are_filled_in_or_the_room_is_appended() {
        assert_eq!(
            url("ws://h:1/doc/{room}?user={client}"),
            "ws://h:1/doc/room-3?user=client-9"
        );
        assert_eq!(url("ws://127.0.0.1:7000"), "ws://127.0.0.1:7000/room-3");
        assert_eq!(url("ws://127.0.0.1:7000/"), "ws://127.0.0.1:7000/room-3");
    }

    #[test]
    fn unusable_urls_are_refused_with_a_correct_example() {
        for bad in [
            "",
            "http://h",
            "127.0.0.1:7000",
            "wss://",
            "ws://",
            "ws://:80",
            "ws://a b/",
        ] {
            let message = bad.parse::<UrlTemplate>().unwrap_err().to_string();
            assert!(message.contains("ws://"), "{bad}: {message}");
        }
    }
}
