//! Opening a client's WebSocket.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Uri, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::client::disconnect::{Disconnect, OTHER_PROTOCOL};
use crate::net::network::Wire;
use crate::net::target::UrlError;
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
        url: Uri,
        /// The error of the system.
        error: io::Error,
    },
    /// The process ran out of descriptors or ports.
    #[error("cannot connect to {url}: {error}; use fewer clients, or raise the limit (ulimit -n)")]
    Exhausted {
        /// The address.
        url: Uri,
        /// The error of the system.
        error: io::Error,
    },
    /// The server at the address does not speak WebSocket.
    #[error("{url} is not a WebSocket server: {reason}; check the address and the path")]
    NotWebSocket {
        /// The address.
        url: Uri,
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
    Timeout(Uri),
    /// The relay opened the WebSocket, and then did not let the client in.
    #[error("{url}: {reason}")]
    NotJoined {
        /// The address.
        url: Uri,
        /// The reason.
        reason: String,
    },
    /// The relay did not let the client in, and sent something that is not of the
    /// scenario's protocol.
    #[error("{url}: {reason}")]
    OtherProtocol {
        /// Where to.
        url: Uri,
        /// What the relay sent, and why the client is not in.
        reason: String,
    },
}

impl ConnectError {
    /// The relay at `url` opened the WebSocket, and did not let the client in.
    /// `unexpected` describes its first frame that was not of the protocol.
    pub fn not_joined(url: Uri, reason: String, unexpected: Option<String>) -> Self {
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
            Self::NotWebSocket { .. } | Self::Header { .. } => "handshake",
            Self::Timeout(_) => "connect timeout",
            Self::NotJoined { .. } => "join timeout",
            Self::OtherProtocol { .. } => OTHER_PROTOCOL,
        };
        Disconnect::new(kind, self.to_string())
    }
}

/// Opens a WebSocket over what `wire` opens, with the headers, the token and the
/// subprotocol of `relay`.
///
/// # Errors
/// When there is no relay at `url`, or it does not speak WebSocket.
pub async fn connect(
    url: &Uri,
    relay: &RelaySettings,
    wire: impl Future<Output = io::Result<Wire>>,
) -> Result<Socket, ConnectError> {
    match timeout(CONNECT_TIMEOUT, open(url, relay, wire)).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError::Timeout(url.clone())),
    }
}

async fn open(
    url: &Uri,
    relay: &RelaySettings,
    wire: impl Future<Output = io::Result<Wire>>,
) -> Result<Socket, ConnectError> {
    let request = request(url, relay)?;
    let wire = wire.await.map_err(|error| tcp_error(url, error))?;
    // The default of 128 KiB would be most of a client's memory.
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let (socket, _) = client_async_with_config(request, wire, Some(config))
        .await
        .map_err(|error| handshake_error(url, error))?;
    Ok(socket)
}

fn request(url: &Uri, relay: &RelaySettings) -> Result<Request, ConnectError> {
    let request = url.clone().into_client_request();
    let mut request = request.map_err(|error| handshake_error(url, error))?;
    let mut add = |name: &str, value: &str| {
        let fault = |reason: String| ConnectError::Header {
            name: name.to_owned(),
            reason,
        };
        let header = HeaderName::try_from(name).map_err(|e| fault(e.to_string()))?;
        // The value may be a secret: it is not part of the message.
        let value = HeaderValue::try_from(value)
            .map_err(|_| fault("its value has characters that headers cannot have".to_owned()))?;
        request.headers_mut().insert(header, value);
        Ok(())
    };
    for (name, value) in &relay.headers {
        add(name, value)?;
    }
    if let Some(token) = &relay.token {
        add(header::AUTHORIZATION.as_str(), &format!("Bearer {token}"))?;
    }
    if let Some(subprotocol) = &relay.subprotocol {
        add(header::SEC_WEBSOCKET_PROTOCOL.as_str(), subprotocol)?;
    }
    Ok(request)
}

fn tcp_error(url: &Uri, error: io::Error) -> ConnectError {
    let url = url.clone();
    // Running out of descriptors has no kind of its own.
    let out_of_descriptors = matches!(
        Errno::from_io_error(&error),
        Some(Errno::NFILE | Errno::MFILE)
    );
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => ConnectError::Exhausted { url, error },
        _ if out_of_descriptors => ConnectError::Exhausted { url, error },
        _ => ConnectError::Tcp { url, error },
    }
}

fn handshake_error(url: &Uri, error: WsError) -> ConnectError {
    let reason = match error {
        WsError::Http(response) => format!("it answered HTTP {}", response.status()),
        other => format!("{other}"),
    };
    ConnectError::NotWebSocket {
        url: url.clone(),
        reason,
    }
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
}

impl From<ConnectError> for ConnectFailure {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}
