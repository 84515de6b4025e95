//! Opening a client's WebSocket, and the reasons why one cannot be opened.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio_rustls::rustls;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::client::disconnect::{Disconnect, OTHER_PROTOCOL};
use crate::net::network::Wire;
use crate::net::placeholder::{self, Names};
use crate::net::target::{RelayUrl, UrlError};
use crate::net::tls::TlsError;
use crate::scenario::RelaySettings;

/// A connection that is not open by then has failed.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client's open WebSocket.
pub type Socket = WebSocketStream<Wire>;

/// A reason why a client could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No TCP connection.
    #[error("cannot connect to {url}: {error}; is the relay running there?")]
    Tcp {
        /// The address.
        url: RelayUrl,
        /// The error of the system.
        error: io::Error,
    },
    /// The process ran out of descriptors or ports.
    #[error("cannot connect to {url}: {error}; use fewer clients, or raise the limit (ulimit -n)")]
    Exhausted {
        /// The address.
        url: RelayUrl,
        /// The error of the system.
        error: io::Error,
    },
    /// The server's certificate does not prove that it is the relay.
    #[error("{url}: the certificate is not trusted ({error}); --insecure accepts any certificate")]
    Certificate {
        /// The address.
        url: RelayUrl,
        /// The error of TLS.
        error: io::Error,
    },
    /// The server at the address does not speak TLS.
    #[error("{0} does not speak TLS: write ws:// instead of wss://")]
    NoTls(RelayUrl),
    /// No encrypted connection.
    #[error(
        "{url}: the TLS handshake failed ({error}); write ws:// if the relay does not speak TLS"
    )]
    Tls {
        /// The address.
        url: RelayUrl,
        /// The error of TLS.
        error: io::Error,
    },
    /// The server speaks TLS, although the address says that it does not.
    #[error("{0} speaks TLS: write wss:// instead of ws://")]
    SpeaksTls(RelayUrl),
    /// The relay answered the handshake with an HTTP status that refuses it.
    #[error("{url}: the relay refused the connection with HTTP {status}; {}", advice(*.status))]
    Refused {
        /// The address.
        url: RelayUrl,
        /// The status.
        status: StatusCode,
        /// The time after which the relay asks the client to try again.
        retry_after: Option<Duration>,
    },
    /// The relay does not speak the subprotocol.
    #[error("{url}: {error}; set `subprotocol` in [relay] to one that the relay speaks")]
    Subprotocol {
        /// The address.
        url: RelayUrl,
        /// The fault of its answer.
        error: ProtocolError,
    },
    /// The connection ended before it was a WebSocket.
    #[error(
        "{url}: the connection ended during the WebSocket handshake ({reason}); check the \
         address, and whether it is that of a WebSocket relay"
    )]
    HungUp {
        /// The address.
        url: RelayUrl,
        /// The way in which it ended.
        reason: String,
    },
    /// The server at the address does not speak WebSocket.
    #[error("{url} is not a WebSocket server: {reason}; check the address and the path")]
    NotWebSocket {
        /// The address.
        url: RelayUrl,
        /// The fault of its answer.
        reason: String,
    },
    /// A header of the scenario cannot be sent.
    #[error("header `{name}`: {reason}")]
    Header {
        /// The name of the header.
        name: String,
        /// The fault of the header.
        reason: String,
    },
    /// No answer.
    #[error("{0} did not answer the WebSocket handshake within 10 s; is it a WebSocket relay?")]
    Timeout(RelayUrl),
    /// The relay opened the WebSocket, and then did not let the client in.
    #[error("{url}: {reason}")]
    NotJoined {
        /// The address.
        url: RelayUrl,
        /// The reason.
        reason: String,
    },
    /// The relay did not let the client in, and sent something that is not of the
    /// scenario's protocol.
    #[error("{url}: {reason}")]
    OtherProtocol {
        /// Where to.
        url: RelayUrl,
        /// What the relay sent, and why the client is not in.
        reason: String,
    },
}

/// What to do about a status that refuses a WebSocket.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "it asks for credentials: give it a token (--token-env) or a header (-H)"
        }
        StatusCode::FORBIDDEN => {
            "it does not give this client access: check the token (--token-env) and the headers (-H)"
        }
        StatusCode::NOT_FOUND => {
            "it has nothing at this path: check the URL, and where {room} belongs in it"
        }
        StatusCode::UPGRADE_REQUIRED => {
            "it did not see a WebSocket handshake that it speaks: a proxy in between may have \
             removed the Upgrade header, or it needs a `subprotocol`"
        }
        StatusCode::TOO_MANY_REQUESTS => {
            "it limits how fast clients connect: let them take longer \
             (--set clients.ramp_up=10s), or use fewer"
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "it is overloaded or not ready: wait until it is (--ready-timeout), or use fewer clients"
        }
        status if status.is_redirection() => {
            "redirects are not followed: use the address that it redirects to"
        }
        status if status.is_server_error() => "it failed: look into its log",
        _ => "check the path, the headers and the subprotocol",
    }
}

/// The answer of a relay that takes no more clients for the time being.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// The time that the relay asks the client to wait; zero if it names none.
    pub retry_after: Duration,
}

impl ConnectError {
    /// Classifies the failure of a TCP connection.
    pub(super) fn tcp(url: &RelayUrl, error: io::Error) -> Self {
        let url = url.clone();
        // Running out of descriptors has no kind of its own.
        let out_of_descriptors = matches!(
            Errno::from_io_error(&error),
            Some(Errno::NFILE | Errno::MFILE)
        );
        match error.kind() {
            io::ErrorKind::AddrNotAvailable => Self::Exhausted { url, error },
            _ if out_of_descriptors => Self::Exhausted { url, error },
            _ => Self::Tcp { url, error },
        }
    }

    /// Classifies the failure of a TLS handshake.
    pub(super) fn tls(url: &RelayUrl, error: io::Error) -> Self {
        let url = url.clone();
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(_)) => Self::Certificate { url, error },
            Some(rustls::Error::InvalidMessage(_)) => Self::NoTls(url),
            _ => Self::Tls { url, error },
        }
    }

    /// Classifies the failure of a WebSocket handshake.
    fn handshake(url: &RelayUrl, error: WsError) -> Self {
        let url = url.clone();
        match error {
            WsError::Http(response) => Self::status(url, &response),
            WsError::Protocol(error @ ProtocolError::SecWebSocketSubProtocolError(_)) => {
                Self::Subprotocol { url, error }
            }
            WsError::Protocol(ProtocolError::HandshakeIncomplete) => Self::HungUp {
                url,
                reason: "the relay closed it".to_owned(),
            },
            WsError::Io(error) => Self::HungUp {
                url,
                reason: error.to_string(),
            },
            other => Self::NotWebSocket {
                url,
                reason: other.to_string(),
            },
        }
    }

    fn status(url: RelayUrl, response: &Response) -> Self {
        let status = response.status();
        if status.is_success() {
            let reason = format!("it answered HTTP {status}");
            return Self::NotWebSocket { url, reason };
        }
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Self::Refused {
            url,
            status,
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    /// Whether the relay is there, but takes no more clients for the time being.
    pub fn busy(&self) -> Option<Busy> {
        match self {
            Self::Refused {
                status: StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE,
                retry_after,
                ..
            } => Some(Busy {
                retry_after: retry_after.unwrap_or_default(),
            }),
            _ => None,
        }
    }

    /// The address that answered something that may have been meant for a client
    /// that speaks TLS.
    pub(super) fn misunderstood(&self) -> Option<&RelayUrl> {
        match self {
            Self::HungUp { url, .. } | Self::NotWebSocket { url, .. } | Self::Timeout(url) => {
                Some(url)
            }
            Self::Refused { url, status, .. } if *status == StatusCode::BAD_REQUEST => Some(url),
            _ => None,
        }
    }

    /// The relay at `url` opened the WebSocket, and did not let the client in.
    /// `unexpected` describes its first frame that was not of the protocol.
    pub fn not_joined(url: RelayUrl, reason: String, unexpected: Option<String>) -> Self {
        match unexpected {
            None => Self::NotJoined { url, reason },
            Some(frame) => Self::OtherProtocol {
                url,
                reason: format!(
                    "the relay sent {frame}, which is not of the scenario's protocol: choose the \
                     relay's with --protocol; {reason}"
                ),
            },
        }
    }

    /// The error as data: its kind, and the message for people.
    pub fn disconnect(&self) -> Disconnect {
        let kind = match self {
            Self::Tcp { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused"
            }
            Self::Tcp { .. } => "connect",
            Self::Exhausted { .. } => "descriptors or ports exhausted",
            Self::Certificate { .. } => "certificate",
            Self::NoTls(_) | Self::Tls { .. } | Self::SpeaksTls(_) => "tls",
            Self::Refused { status, .. } => {
                return Disconnect::new(&format!("HTTP {}", status.as_u16()), self.to_string());
            }
            Self::Subprotocol { .. }
            | Self::HungUp { .. }
            | Self::NotWebSocket { .. }
            | Self::Header { .. } => "handshake",
            Self::Timeout(_) => "connect timeout",
            Self::NotJoined { .. } => "join timeout",
            Self::OtherProtocol { .. } => OTHER_PROTOCOL,
        };
        Disconnect::new(kind, self.to_string())
    }
}

/// Opens a WebSocket over `wire` with the handshake of `request`.
///
/// # Errors
/// When the other end of the wire does not take it.
pub async fn upgrade(url: &RelayUrl, request: Request, wire: Wire) -> Result<Socket, ConnectError> {
    // The default of 128 KiB would be most of a client's memory.
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let opened = client_async_with_config(request, wire, Some(config)).await;
    let (socket, _) = opened.map_err(|error| ConnectError::handshake(url, error))?;
    Ok(socket)
}

/// Returns the request of a handshake, with the credentials of `url` and the
/// headers, the token and the subprotocol of `relay`.
///
/// # Errors
/// When a header cannot be sent.
pub fn request(
    url: &RelayUrl,
    relay: &RelaySettings,
    names: Names<'_>,
) -> Result<Request, ConnectError> {
    let request = url.uri().clone().into_client_request();
    let mut request = request.map_err(|error| ConnectError::handshake(url, error))?;
    let mut add = |name: &str, value: &str| {
        let fault = |reason: String| ConnectError::Header {
            name: name.to_owned(),
            reason,
        };
        let header = HeaderName::try_from(name).map_err(|e| fault(e.to_string()))?;
        // The value may be a secret: it is not part of the message.
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| fault("its value has characters that headers cannot have".to_owned()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header, value);
        Ok(())
    };
    for (name, value) in &relay.headers {
        add(name, &placeholder::fill(value.expose(), names))?;
    }
    if let Some(authorization) = url.authorization() {
        add(header::AUTHORIZATION.as_str(), authorization.expose())?;
    }
    if let Some(token) = &relay.token {
        let bearer = format!("Bearer {}", token.expose());
        add(header::AUTHORIZATION.as_str(), &bearer)?;
    }
    if let Some(subprotocol) = &relay.subprotocol {
        add(header::SEC_WEBSOCKET_PROTOCOL.as_str(), subprotocol)?;
    }
    Ok(request)
}

/// A reason why a worker could not connect its clients.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// The URL does not work for this room or client.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The relay does not take the client.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// `wss://` cannot be spoken here.
    #[error("cannot use wss://: {0}")]
    Tls(#[from] TlsError),
}

impl ConnectFailure {
    /// The failure as data: its kind, and the message for people.
    pub fn disconnect(&self) -> Disconnect {
        match self {
            Self::Url(_) => Disconnect::new("url", self.to_string()),
            Self::Connect(error) => error.disconnect(),
            Self::Tls(_) => Disconnect::new("tls", self.to_string()),
        }
    }

    /// Whether the relay is there, but takes no more clients for the time being.
    pub fn busy(&self) -> Option<Busy> {
        match self {
            Self::Connect(error) => error.busy(),
            _ => None,
        }
    }
}

impl From<ConnectError> for ConnectFailure {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}
