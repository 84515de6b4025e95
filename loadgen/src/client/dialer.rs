//! Opening clients' connections to the relay.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use super::connection::{CONNECT_TIMEOUT, ConnectError, ConnectFailure, Socket, request, upgrade};
use crate::net::link::{Link, LinkConditions, LinkHandle, LinkSetup};
use crate::net::network::{ArrivalStamp, Network, Wire};
use crate::net::placeholder::Names;
use crate::net::target::{RelayUrl, UrlTemplate};
use crate::net::tls::Tls;
use crate::plan::{ClientId, client_rng};
use crate::scenario::Scenario;
use crate::time::timer::Timer;

/// The number of connections that one worker opens at a time.
const CONNECTING_AT_ONCE: usize = 64;

/// The name of the session that brings the rooms their initial document.
pub const SEEDER: &str = "seeder";

/// The time within which a server that speaks TLS shows that it does.
const TLS_PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Opens connections to the relay, a limited number at a time.
pub struct Dialer {
    scenario: Arc<Scenario>,
    network: Rc<dyn Network>,
    relay: UrlTemplate,
    tls: Option<Tls>,
    timer: Timer,
    permits: Semaphore,
}

/// The client's end of a connection.
pub struct Endpoint {
    /// The room that the client joins.
    pub room: String,
    /// The client's number in the run.
    pub client: ClientId,
    /// Receives the arrival time of the bytes read last.
    pub arrival: ArrivalStamp,
    /// The link that the client is behind, if any.
    pub link: Option<(LinkConditions, Rc<LinkHandle>)>,
}

impl Dialer {
    /// Creates a dialer for the relay at `relay`.
    ///
    /// # Errors
    /// When the relay's address asks for encryption that cannot be set up.
    pub fn new(
        scenario: Arc<Scenario>,
        network: Rc<dyn Network>,
        relay: UrlTemplate,
        timer: Timer,
    ) -> Result<Self, ConnectFailure> {
        let tls = match relay.is_secure() {
            true => Some(Tls::new(scenario.relay.insecure)?),
            false => None,
        };
        Ok(Self {
            scenario,
            network,
            relay,
            tls,
            timer,
            permits: Semaphore::new(CONNECTING_AT_ONCE),
        })
    }

    /// Opens a client's connection.
    ///
    /// # Errors
    /// When the relay cannot be reached, or does not speak WebSocket.
    pub async fn dial(&self, endpoint: Endpoint) -> Result<Socket, ConnectFailure> {
        let (url, request) = self.request(&endpoint.room, &endpoint.client.name())?;
        Ok(self.open(&url, request, endpoint).await?)
    }

    /// Opens the connection on which `seeder` brings the document of `room`.
    ///
    /// # Errors
    /// When the relay cannot be reached, or does not speak WebSocket.
    pub async fn dial_seeder(&self, room: &str) -> Result<(RelayUrl, Socket), ConnectFailure> {
        let (url, request) = self.request(room, SEEDER)?;
        let endpoint = Endpoint {
            room: room.to_owned(),
            client: ClientId(0),
            arrival: ArrivalStamp::default(),
            link: None,
        };
        let socket = self.open(&url, request, endpoint).await?;
        Ok((url, socket))
    }

    /// The address of a connection, and the request that opens it.
    fn request(&self, room: &str, client: &str) -> Result<(RelayUrl, Request), ConnectFailure> {
        let url = self.relay.url(room, client)?;
        let request = request(&url, &self.scenario.relay, Names { room, client })?;
        Ok((url, request))
    }

    async fn open(
        &self,
        url: &RelayUrl,
        request: Request,
        endpoint: Endpoint,
    ) -> Result<Socket, ConnectError> {
        let opening = async { upgrade(url, request, self.wire(url, endpoint).await?).await };
        match timeout(CONNECT_TIMEOUT, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(ConnectError::Timeout(url.clone())),
        }
    }

    /// Returns the failure with its cause, where that is found by asking again:
    /// a server that speaks TLS may answer a client that does not with anything.
    pub async fn explain(&self, failure: ConnectFailure) -> ConnectFailure {
        let url = match &failure {
            ConnectFailure::Connect(error) if !self.relay.is_secure() => error.misunderstood(),
            _ => None,
        };
        match url {
            Some(url) if self.speaks_tls(url).await => ConnectError::SpeaksTls(url.clone()).into(),
            _ => failure,
        }
    }

    async fn speaks_tls(&self, url: &RelayUrl) -> bool {
        let arrival = ArrivalStamp::default();
        let greeting = async {
            let any_certificate = Tls::new(true).map_err(io::Error::other)?;
            let wire = self.network.open(url.host(), url.port(), 0, arrival);
            any_certificate.wrap(url.host(), wire.await?).await
        };
        matches!(timeout(TLS_PROBE_TIMEOUT, greeting).await, Ok(Ok(_)))
    }

    /// Waits for permission to open another connection.
    pub async fn permit(&self) -> impl Sized + '_ {
        // The semaphore is never closed.
        self.permits.acquire().await.ok()
    }

    /// The failure of an initial client that the relay did not let in, although
    /// the WebSocket was open. `unexpected` describes the first frame that was not of
    /// the protocol.
    pub fn not_joined(
        &self,
        (room, client): (&str, ClientId),
        reason: String,
        unexpected: Option<String>,
    ) -> ConnectFailure {
        match self.relay.url(room, &client.name()) {
            Ok(url) => ConnectError::not_joined(url, reason, unexpected).into(),
            Err(error) => error.into(),
        }
    }

    /// Opens a connection, behind the client's link if it has one, and
    /// encrypted where the address says so.
    async fn wire(&self, url: &RelayUrl, endpoint: Endpoint) -> Result<Wire, ConnectError> {
        let Endpoint {
            client, arrival, ..
        } = endpoint;
        let opening = self
            .network
            .open(url.host(), url.port(), client.0, arrival.clone());
        let opened = opening.await;
        let mut wire = opened.map_err(|error| ConnectError::tcp(url, error))?;
        if let Some((conditions, handle)) = endpoint.link {
            let setup = LinkSetup {
                conditions,
                handle,
                arrival,
                timer: self.timer.clone(),
                rng: client_rng(self.scenario.seed ^ 0x117C, client),
            };
            wire = Box::new(Link::new(wire, setup));
        }
        let Some(tls) = &self.tls else {
            return Ok(wire);
        };
        let encrypted = tls.wrap(url.host(), wire).await;
        encrypted.map_err(|error| ConnectError::tls(url, error))
    }
}
