//! Opening a client's WebSocket.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// A connection that is not open by then has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client's open WebSocket.
pub type Socket = WebSocketStream<TcpStream>;

/// Why a client could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No TCP connection.
    #[error("cannot connect to {url}: {error}; is the relay running there?")]
    Tcp {
        /// Where to.
        url: Uri,
        /// What the system says.
        error: io::Error,
    },
    /// The process ran out of descriptors or ports half-way.
    #[error("cannot connect to {url}: {error}; use fewer clients, or raise the limit (ulimit -n)")]
    Exhausted {
        /// Where to.
        url: Uri,
        /// What the system says.
        error: io::Error,
    },
    /// Someone listens, but does not speak WebSocket there.
    #[error("{url} is not a WebSocket server: {reason}; check the address and the path")]
    NotWebSocket {
        /// Where to.
        url: Uri,
        /// What was wrong with the answer.
        reason: String,
    },
    /// No answer.
    #[error("{0} did not answer the WebSocket handshake within 10 s; is it a WebSocket relay?")]
    Timeout(Uri),
}

/// Opens a WebSocket.
///
/// # Errors
/// When there is no relay at `url`, or it does not speak WebSocket.
pub async fn connect(url: &Uri) -> Result<Socket, ConnectError> {
    match timeout(CONNECT_TIMEOUT, open(url)).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError::Timeout(url.clone())),
    }
}

async fn open(url: &Uri) -> Result<Socket, ConnectError> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(80);
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|error| tcp_error(url, error))?;
    // Without it, keystrokes wait for the relay's delayed ack.
    tcp.set_nodelay(true)
        .map_err(|error| tcp_error(url, error))?;
    // The default of 128 KiB would be most of a client's memory.
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let (socket, _) = client_async_with_config(url.clone(), tcp, Some(config))
        .await
        .map_err(|error| handshake_error(url, error))?;
    Ok(socket)
}

fn tcp_error(url: &Uri, error: io::Error) -> ConnectError {
    let url = url.clone();
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => ConnectError::Exhausted { url, error },
        // EMFILE and ENFILE have no stable kind.
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => {
            ConnectError::Exhausted { url, error }
        }
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
