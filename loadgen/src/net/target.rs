//! Addresses of relays: URL templates with placeholders for room and client.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use syncbench_reports::mask::mask_url;
use tokio_tungstenite::tungstenite::http::Uri;

use super::placeholder::{self, Names};
use super::secret::Secret;

/// The characters of a name that are percent-encoded in a URL. A `/` makes parts
/// of a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The address of a relay, for any room and client: a `ws://` or `wss://` URL
/// with the placeholders `{room}` and `{client}`. Without `{room}`, the room is
/// appended as the last part of the path.
///
/// Credentials (`user:password@`) become a header of the handshake. The template
/// prints without them and without the values of the query.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    /// The URL without credentials.
    address: String,
    /// User and password, encoded as in the URL.
    credentials: Option<Secret>,
    /// The URL as it may be shown.
    shown: String,
}

/// The address of one connection. It prints without its credentials and without
/// the values of its query, but for the names of room and client.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayUrl(Arc<Filled>);

/// A URL template with the names of a connection.
#[derive(PartialEq, Eq)]
struct Filled {
    uri: Uri,
    authorization: Option<Secret>,
    shown: String,
}

/// A reason why a relay URL cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is missing, or neither `ws` nor `wss`.
    #[error("relay URL `{0}`: must start with ws:// or wss://, as in ws://127.0.0.1:7000/{{room}}")]
    Scheme(String),
    /// The text is not a valid URL.
    #[error("relay URL `{url}`: {reason}; write it as ws://127.0.0.1:7000/{{room}}")]
    Malformed {
        /// The URL as entered, without its secrets.
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
    pub fn url(&self, room: &str, client: &str) -> Result<RelayUrl, UrlError> {
        let [room, client] =
            [room, client].map(|name| utf8_percent_encode(name, ENCODED).to_string());
        let names = Names {
            room: &room,
            client: &client,
        };
        let fill = |text: &str| placeholder::fill(text, names);
        let uri: Result<Uri, _> = fill(&self.address).parse();
        let uri = uri.map_err(|error| UrlError::Malformed {
            url: self.shown.clone(),
            reason: error.to_string(),
        })?;
        let credentials = self.credentials.as_ref();
        Ok(RelayUrl(Arc::new(Filled {
            uri,
            authorization: credentials.map(|secret| basic(&fill(secret.expose()))),
            shown: fill(&self.shown),
        })))
    }

    /// Returns `true` if connections must be encrypted.
    pub fn is_secure(&self) -> bool {
        self.address.starts_with("wss://")
    }

    /// Returns `true` if the URL has credentials.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Returns the parts of the credentials and the values of the query.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let credentials = self.credentials.iter();
        let credentials = credentials.flat_map(|secret| secret.expose().split(':'));
        let query = self.address.split_once('?');
        let query = query.into_iter().flat_map(|(_, query)| query.split('&'));
        credentials.chain(query.map(|part| part.split_once('=').map_or(part, |(_, value)| value)))
    }
}

/// The value of an `Authorization` header for credentials as a URL has them.
fn basic(credentials: &str) -> Secret {
    let credentials: Vec<u8> = percent_decode_str(credentials).collect();
    Secret::new(format!("Basic {}", BASE64.encode(credentials)))
}

impl RelayUrl {
    /// Returns the URL to request, without credentials.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// Returns the value of the `Authorization` header that the credentials of
    /// the URL ask for.
    pub fn authorization(&self) -> Option<&Secret> {
        self.0.authorization.as_ref()
    }

    /// Returns the host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.0.uri.host().unwrap_or_default();
        host.trim_matches(['[', ']'])
    }

    /// Returns the port, or the default port of the scheme.
    pub fn port(&self) -> u16 {
        let default = match self.0.uri.scheme_str() {
            Some("wss") => 443,
            _ => 80,
        };
        self.0.uri.port_u16().unwrap_or(default)
    }
}

impl FromStr for UrlTemplate {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let malformed = |reason: String| UrlError::Malformed {
            url: mask_url(url),
            reason,
        };
        let Some((scheme @ ("ws" | "wss"), rest)) = url.split_once("://") else {
            return Err(UrlError::Scheme(mask_url(url)));
        };
        let (authority, place) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, authority),
        };
        check_host(host).map_err(|reason| malformed(reason.to_owned()))?;
        placeholder::check(url).map_err(|error| malformed(error.to_string()))?;
        check_place(place).map_err(|reason| malformed(reason.to_owned()))?;
        let place = match url.contains("{room}") {
            true => place.to_owned(),
            false => with_room(place),
        };
        let user = credentials.map_or(String::new(), |credentials| format!("{credentials}@"));
        let template = Self {
            address: format!("{scheme}://{host}{place}"),
            credentials: credentials.map(Secret::new),
            shown: mask_url(&format!("{scheme}://{user}{host}{place}")),
        };
        template.url("room-0", "client-0")?;
        Ok(template)
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let (name, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    if name.is_empty() {
        return Err("the host is missing");
    }
    if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err("the port must be a number from 1 to 65535");
    }
    Ok(())
}

/// Checks the path and the query, whose words in braces are placeholders.
fn check_place(place: &str) -> Result<(), &'static str> {
    let names = Names {
        room: "",
        client: "",
    };
    if place.contains('#') {
        return Err("a WebSocket URL has no fragment (write %23 for a `#`)");
    }
    if placeholder::fill(place, names).contains(['{', '}']) {
        return Err("braces are for {room} and {client} (write %7B and %7D for others)");
    }
    Ok(())
}

/// Appends the room to the path, which a query may follow.
fn with_room(place: &str) -> String {
    let (path, query) = place.split_at(place.find('?').unwrap_or(place.len()));
    format!("{}/{{room}}{query}", path.trim_end_matches('/'))
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown)
    }
}

impl fmt::Debug for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.shown)
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

    fn url(template: &str) -> RelayUrl {
        template
            .parse::<UrlTemplate>()
            .unwrap()
            .url("room-3", "client-9")
            .unwrap()
    }

    #[test]
    fn names_go_where_the_template_says_or_the_room_is_appended_to_the_path() {
        for (template, filled) in [
            (
                "ws://h:1/doc/{room}?user={client}",
                "ws://h:1/doc/room-3?user=client-9",
            ),
            ("ws://127.0.0.1:7000", "ws://127.0.0.1:7000/room-3"),
            ("ws://127.0.0.1:7000/", "ws://127.0.0.1:7000/room-3"),
            ("ws://h/sync?token=T", "ws://h/sync/room-3?token=T"),
            ("ws://h?token=T", "ws://h/room-3?token=T"),
            ("ws://h/sync?doc={room}", "ws://h/sync?doc=room-3"),
            ("ws://{room}.h/sync", "ws://room-3.h/sync"),
            ("ws://h/{client}", "ws://h/client-9/room-3"),
            (
                "ws://[::1]:7000/%7Bid%7D",
                "ws://[::1]:7000/%7Bid%7D/room-3",
            ),
        ] {
            assert_eq!(url(template).uri().to_string(), filled, "{template}");
        }
    }

    #[test]
    fn names_are_encoded_so_that_they_change_no_other_part() {
        let template: UrlTemplate = "ws://h/{room}?user={client}".parse().unwrap();
        let url = template.url("a b/{client}?x=1", "c&d=é").unwrap();
        assert_eq!(
            url.uri().to_string(),
            "ws://h/a%20b/%7Bclient%7D%3Fx%3D1?user=c%26d%3D%C3%A9"
        );
    }

    #[test]
    fn host_and_port_are_those_of_the_url_or_its_scheme() {
        for (template, host, port) in [
            ("ws://h", "h", 80),
            ("wss://me:pw@h/", "h", 443),
            ("ws://[::1]:7000", "::1", 7000),
        ] {
            let url = url(template);
            assert_eq!((url.host(), url.port()), (host, port), "{template}");
        }
    }

    #[test]
    fn credentials_become_a_header_and_secrets_are_not_shown() {
        let template: UrlTemplate = "wss://{client}:s3cret%40x@h/sync?token=s3cret&doc={room}"
            .parse()
            .unwrap();
        let url = template.url("room-3", "client-9").unwrap();
        let authorization = url.authorization().unwrap().expose();
        let decoded = authorization.strip_prefix("Basic ").unwrap();
        assert_eq!(BASE64.decode(decoded).unwrap(), b"client-9:s3cret@x");
        assert_eq!(
            url.uri().to_string(),
            "wss://h/sync?token=s3cret&doc=room-3"
        );
        assert_eq!(url.to_string(), "wss://***@h/sync?token=***&doc=room-3");
        let shown = format!("{template:?} {template} {url:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        let recorded = serde_json::to_string(&template).unwrap();
        assert_eq!(recorded, r#""wss://***@h/sync?token=***&doc={room}""#);
    }

    #[test]
    fn unusable_urls_are_refused_with_a_reason_a_correct_example_and_no_secret() {
        for (bad, reason) in [
            ("", "must start with"),
            ("http://h", "must start with"),
            ("127.0.0.1:7000", "must start with"),
            ("me:s3cret@h", "must start with"),
            ("wss://", "the host is missing"),
            ("ws://", "the host is missing"),
            ("ws:///room", "the host is missing"),
            ("ws://:80", "the host is missing"),
            ("ws://me:s3cret@/room", "the host is missing"),
            ("ws://h:99999", "the port must be a number from 1 to 65535"),
            ("ws://h:0", "the port must be a number from 1 to 65535"),
            ("ws://me:s3/cret@h", "the port must be a number"),
            ("ws://a b/", "invalid"),
            ("ws://h/{rom}?t=s3cret", "did you mean `{room}`?"),
            ("ws://h/{room", "braces are for {room}"),
            ("ws://h/a#s3cret", "no fragment"),
        ] {
            let message = bad.parse::<UrlTemplate>().unwrap_err().to_string();
            assert!(message.contains(reason), "{bad}: {message}");
            assert!(message.contains("ws://127.0.0.1"), "{bad}: {message}");
            assert!(!message.contains("cret"), "{bad}: {message}");
        }
    }
}
