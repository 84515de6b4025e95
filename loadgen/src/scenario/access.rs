//! What a connection needs besides its address: headers, a token, credentials.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use syncbench_reports::mask::MASK;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, header};

use super::RelaySettings;
use crate::net::placeholder::{self, Names};
use crate::net::secret::Secret;
use crate::net::target::UrlTemplate;

/// The length of the shortest word of a secret that is looked for in text, bytes.
const MIN_SECRET: usize = 6;

impl RelaySettings {
    /// Returns the credentials with which the client joins the room; empty
    /// without any.
    pub fn join_auth_of(&self, names: Names<'_>) -> Vec<u8> {
        let auth = self.join_auth.as_ref();
        auth.map_or(Vec::new(), |auth| {
            placeholder::fill(auth.expose(), names).into_bytes()
        })
    }

    /// Returns `text` without the secrets of these settings: a relay may quote
    /// what a client has shown it. Words that are too short to be secret are
    /// kept.
    pub fn hide_secrets(&self, text: &str) -> String {
        let own = [&self.token, &self.join_auth].into_iter().flatten();
        let own = own.chain(self.headers.values()).map(Secret::expose);
        let of_url = self.url.iter().flat_map(UrlTemplate::secrets);
        let words = own.chain(of_url).flat_map(placeholder::texts);
        let words = words.flat_map(str::split_whitespace);
        words
            .filter(|word| word.len() >= MIN_SECRET)
            .fold(text.to_owned(), |text, word| text.replace(word, MASK))
    }

    /// Reads the token from the place that the settings name, without the line
    /// end that files have.
    pub(super) fn read_token(&mut self) -> Result<(), String> {
        let token = match (&self.token_env, &self.token_file) {
            (None, None) => return Ok(()),
            (Some(name), None) => from_environment(name)?,
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            (Some(_), Some(_)) => return Err("use either token_env or token_file".to_owned()),
        };
        let token = token.trim();
        if token.is_empty() || HeaderValue::try_from(token).is_err() {
            return Err("it is empty, or has characters that headers cannot have".to_owned());
        }
        self.token = Some(Secret::new(token));
        Ok(())
    }

    /// Checks that the settings give each connection valid headers, and only
    /// one kind of credentials.
    pub(super) fn check_access(&self) -> Result<(), String> {
        for (name, value) in &self.headers {
            check_header(name, value)?;
        }
        let has_header = self.headers.contains_key(header::AUTHORIZATION.as_str());
        let in_url = self.url.as_ref().is_some_and(|url| url.has_credentials());
        let kinds = [has_header, in_url, self.token.is_some()];
        if kinds.into_iter().filter(|&given| given).count() > 1 {
            return Err(
                "the Authorization header is set more than once: use one of a token \
                 (--token-env), a header (-H), and user:password@ in the URL"
                    .to_owned(),
            );
        }
        let Some(auth) = &self.join_auth else {
            return Ok(());
        };
        if !self.protocol.takes_join_auth() {
            let protocol = self.protocol.name();
            return Err(format!(
                "protocol {protocol} has no credentials for joining a room: drop `join_auth` \
                 (--join-auth), or use loro"
            ));
        }
        placeholder::check(auth.expose()).map_err(|error| format!("join_auth: {error}"))
    }
}

fn from_environment(name: &str) -> Result<String, String> {
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name(name) {
        // It may be the token itself.
        return Err("token_env is the name of an environment variable, not a token".to_owned());
    }
    std::env::var(name).map_err(|_| format!("the environment variable `{name}` is not set"))
}

/// Checks a header, whose value is not part of the message.
fn check_header(name: &str, value: &Secret) -> Result<(), String> {
    let fault = |reason: &str| Err(format!("header `{name}`: {reason}"));
    let names = Names {
        room: "room-0",
        client: "client-0",
    };
    let is_own = name.starts_with("sec-websocket-") || ["connection", "upgrade"].contains(&name);
    if name == header::SEC_WEBSOCKET_PROTOCOL.as_str() {
        return fault("set `subprotocol` in [relay] instead");
    }
    if is_own {
        return fault("it is part of every WebSocket handshake and cannot be set");
    }
    if let Err(error) = placeholder::check(value.expose()) {
        return fault(&error.to_string());
    }
    match HeaderValue::try_from(placeholder::fill(value.expose(), names)) {
        Ok(_) => Ok(()),
        Err(_) => fault("its value has characters that headers cannot have"),
    }
}

/// Reads the headers, whose names are the same in upper and lower case.
pub(super) fn headers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Secret>, D::Error> {
    // The error of a map would quote a value of another type.
    let toml::Value::Table(table) = toml::Value::deserialize(deserializer)? else {
        return Err(D::Error::custom(
            "headers are a table: write headers = { x-user = \"{client}\" }",
        ));
    };
    let mut headers = BTreeMap::new();
    for (name, value) in table {
        let header = HeaderName::try_from(&name)
            .map_err(|_| D::Error::custom(format!("`{name}` is not the name of a header")))?;
        let value = Secret::deserialize(value)
            .map_err(|error| D::Error::custom(format!("header `{name}`: {}", error.message())))?;
        if headers.insert(header.as_str().to_owned(), value).is_some() {
            return Err(D::Error::custom(format!(
                "header `{header}` is set twice: its name is the same in upper and lower case"
            )));
        }
    }
    Ok(headers)
}
