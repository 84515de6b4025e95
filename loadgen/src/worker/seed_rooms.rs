//! Seeding rooms: a session that brings each room the document that it contains
//! before the first edit.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::client::connection::{ConnectError, ConnectFailure, Socket};
use crate::client::dialer::{Dialer, SEEDER};
use crate::client::session::{frame, message};
use crate::net::placeholder::Names;
use crate::net::target::RelayUrl;
use crate::protocol::recognise::recognised;
use crate::protocol::{Event, Frame, Protocol, ProtocolError, session};
use crate::room::{InitialDocument, RoomContext};

/// The time within which a relay must take a document.
const SEED_TIMEOUT: Duration = Duration::from_secs(60);

/// Brings every room of the worker its initial document, one after the other.
///
/// # Errors
/// When the relay does not take it.
pub async fn seed_rooms(
    context: &RoomContext,
    dialer: &Dialer,
    document: &InitialDocument,
) -> Result<(), ConnectFailure> {
    for &room in &context.rooms {
        let room = context.identity.room_name(room);
        let (url, socket) = dialer.dial_seeder(&room).await?;
        let mut seeder = Seeder::new(context, socket, &room);
        let seeding = timeout(SEED_TIMEOUT, seeder.seed(context, document));
        let seeded = seeding.await.unwrap_or(Err(SeedError::Timeout));
        seeded.map_err(|error| seeder.failure(url, &error))?;
    }
    Ok(())
}

/// A reason why a room could not be seeded.
#[derive(Debug, thiserror::Error)]
enum SeedError {
    #[error("the relay did not take the initial document within {} s", SEED_TIMEOUT.as_secs())]
    Timeout,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Socket(#[from] WsError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("the relay closed the connection")]
    Closed,
}

/// The session that brings a document and ends again.
struct Seeder {
    sink: SplitSink<Socket, Message>,
    frames: SplitStream<Socket>,
    protocol: Box<dyn Protocol>,
    events: Vec<Event>,
    /// The first frame that was not of the protocol.
    unexpected: Option<Frame>,
}

impl Seeder {
    fn new(context: &RoomContext, socket: Socket, room: &str) -> Self {
        let (sink, frames) = socket.split();
        let relay = &context.scenario.relay;
        let auth = relay.join_auth_of(Names {
            room,
            client: SEEDER,
        });
        Self {
            sink,
            frames,
            protocol: session(relay.protocol, room, context.engine.export_magic(), auth),
            events: Vec::new(),
            unexpected: None,
        }
    }

    /// The failure to bring the document to the relay at `url`.
    fn failure(&self, url: RelayUrl, error: &SeedError) -> ConnectError {
        let unexpected = self.unexpected.as_ref();
        // A relay that refuses a document speaks its protocol.
        let unexpected = unexpected.filter(|_| !matches!(error, SeedError::Refused(_)));
        ConnectError::not_joined(url, error.to_string(), unexpected.map(recognised))
    }

    async fn seed(
        &mut self,
        context: &RoomContext,
        document: &InitialDocument,
    ) -> Result<(), SeedError> {
        let nothing = context.engine.encode_version(&Default::default());
        let mut frames = Vec::new();
        let _ = self.protocol.open(nothing, &mut frames);
        self.send(frames).await?;
        self.wait_for(|event| matches!(event, Event::Joined { .. }))
            .await?;
        let mut frames = Vec::new();
        self.protocol.send(0, document.bytes.to_vec(), &mut frames);
        self.send(frames).await?;
        self.wait_for(|event| matches!(event, Event::Acknowledged(0)))
            .await?;
        let _ = self.sink.close().await;
        Ok(())
    }

    async fn send(&mut self, frames: Vec<Frame>) -> Result<(), SeedError> {
        for frame in frames {
            self.sink.send(message(frame)).await?;
        }
        Ok(())
    }

    async fn wait_for(&mut self, is_wanted: impl Fn(&Event) -> bool) -> Result<(), SeedError> {
        loop {
            for event in self.events.drain(..) {
                match event {
                    Event::Refused(reason)
                    | Event::Evicted(reason)
                    | Event::Rejected { reason, .. } => return Err(SeedError::Refused(reason)),
                    event if is_wanted(&event) => return Ok(()),
                    _ => {}
                }
            }
            let next = self.frames.next().await.ok_or(SeedError::Closed)??;
            if let Some(frame) = frame(next) {
                match self.protocol.receive(frame, &mut self.events) {
                    // A greeting, for example: the relay may take the document
                    // all the same.
                    Err(ProtocolError::Unexpected { frame, .. }) => {
                        self.unexpected.get_or_insert(frame);
                    }
                    read => read?,
                }
            }
        }
    }
}
