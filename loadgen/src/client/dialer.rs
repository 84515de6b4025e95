//! Opening clients' connections to the relay.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::http::Uri;

use super::connection::{ConnectError, ConnectFailure, Socket, connect};
use crate::net::link::{Link, LinkConditions, LinkHandle, LinkSetup};
use crate::net::network::{ArrivalStamp, Network, Wire};
use crate::net::target::{UrlError, UrlTemplate, host_and_port};
use crate::net::tls::Tls;
use crate::plan::{ClientId, client_rng};
use crate::scenario::Scenario;
use crate::time::timer::Timer;

/// The number of connections that one worker opens at a time.
const CONNECTING_AT_ONCE: usize = 64;

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
        let url = self.url(&endpoint.room, endpoint.client)?;
        let socket = connect(&url, &self.scenario.relay, self.wire(&url, endpoint)).await;
        Ok(socket?)
    }

    /// Opens the connection on which `seeder` brings the document of `room`.
    ///
    /// # Errors
    /// When the relay cannot be reached, or does not speak WebSocket.
    pub async fn dial_seeder(&self, room: &str) -> Result<(Uri, Socket), ConnectFailure> {
        let url = self.relay.url(room, "seeder")?;
        let endpoint = Endpoint {
            room: room.to_owned(),
            client: ClientId(0),
            arrival: ArrivalStamp::default(),
            link: None,
        };
        let socket = connect(&url, &self.scenario.relay, self.wire(&url, endpoint)).await?;
        Ok((url, socket))
    }

    /// Waits for permission to open another connection.
    pub async fn permit(&self) -> impl Sized + '_ {
        // The semaphore is never closed.
        self.permits.acquire().await.ok()
    }

    /// The address that the client connects to.
    ///
    /// # Errors
    /// When the names make it no URL.
    pub fn url(&self, room: &str, client: ClientId) -> Result<Uri, UrlError> {
        self.relay.url(room, &client.name())
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
        match self.url(room, client) {
            Ok(url) => ConnectError::not_joined(url, reason, unexpected).into(),
            Err(error) => error.into(),
        }
    }

    /// Opens a connection, behind the client's link if it has one, and
    /// encrypted where the address says so.
    async fn wire(&self, url: &Uri, endpoint: Endpoint) -> io::Result<Wire> {
        let (host, port) = host_and_port(url);
        let Endpoint {
            client, arrival, ..
        } = endpoint;
        let opening = self.network.open(host, port, client.0, arrival.clone());
        let mut wire = opening.await?;
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
        match &self.tls {
            Some(tls) => tls.wrap(host, wire).await,
            None => Ok(wire),
        }
    }
}
