//! Founding rooms: the documents that they contain before anyone comes.

use std::rc::Rc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::Shared;
use crate::client::connection::{ConnectError, ConnectFailure, Socket, connect};
use crate::client::session::message;
use crate::net::network::ArrivalStamp;
use crate::net::target::host_and_port;
use crate::protocol::{Event, Frame, Protocol, session};
use crate::room::InitialDocument;
use crate::scenario::room_name;

/// A relay that has not taken a document by then never will.
const SEED_TIMEOUT: Duration = Duration::from_secs(60);

/// Gives every room of the worker what it contains from the start, one after
/// the other.
///
/// # Errors
/// When the relay does not take it.
pub async fn seed_rooms(
    shared: &Rc<Shared>,
    initial_document: &InitialDocument,
) -> Result<(), ConnectFailure> {
    for &room in &shared.context.rooms {
        seed_room(shared, &room_name(room), initial_document).await?;
    }
    Ok(())
}

async fn seed_room(
    shared: &Rc<Shared>,
    room: &str,
    initial_document: &InitialDocument,
) -> Result<(), ConnectFailure> {
    let url = shared.relay.url(room, "seeder")?;
    let (host, port) = host_and_port(&url);
    let wire = async {
        let opening = shared
            .network()
            .open(host, port, 0, ArrivalStamp::default());
        shared.encrypted(host, opening.await?).await
    };
    let socket = connect(&url, shared.access(), wire).await?;
    let mut seeder = Seeder::new(shared, socket, room);
    let given = timeout(SEED_TIMEOUT, seeder.give(shared, initial_document)).await;
    let reason = match given {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(reason)) => reason,
        Err(_) => "the relay did not take the document to start with within 60 s".to_owned(),
    };
    Err(ConnectError::NotJoined { url, reason }.into())
}

/// The session of who brings a document and leaves again.
struct Seeder {
    sink: SplitSink<Socket, Message>,
    frames: SplitStream<Socket>,
    protocol: Box<dyn Protocol>,
    events: Vec<Event>,
}

impl Seeder {
    fn new(shared: &Shared, socket: Socket, room: &str) -> Self {
        let (sink, frames) = socket.split();
        Self {
            sink,
            frames,
            protocol: session(shared.context.scenario.protocol, room),
            events: Vec::new(),
        }
    }

    async fn give(
        &mut self,
        shared: &Shared,
        initial_document: &InitialDocument,
    ) -> Result<(), String> {
        let nothing = shared.context.engine.encode_version(&Default::default());
        let mut frames = Vec::new();
        let _ = self.protocol.open(nothing, &mut frames);
        self.send(frames).await?;
        self.wait_for(|event| matches!(event, Event::Joined { .. }))
            .await?;
        let mut frames = Vec::new();
        self.protocol
            .send(0, initial_document.bytes.to_vec(), &mut frames);
        self.send(frames).await?;
        self.wait_for(|event| matches!(event, Event::Acknowledged(0)))
            .await?;
        let _ = self.sink.close().await;
        Ok(())
    }

    async fn send(&mut self, frames: Vec<Frame>) -> Result<(), String> {
        for frame in frames {
            let sent = self.sink.send(message(frame)).await;
            sent.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn wait_for(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<(), String> {
        loop {
            for event in self.events.drain(..) {
                match event {
                    Event::Refused(reason) | Event::Evicted(reason) => return Err(reason),
                    Event::Rejected { reason, .. } => return Err(reason),
                    event if wanted(&event) => return Ok(()),
                    _ => {}
                }
            }
            let frame = match self.frames.next().await {
                Some(Ok(Message::Binary(bytes))) => Frame::Binary(bytes),
                Some(Ok(Message::Text(text))) => Frame::Text(text.as_str().to_owned()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("the relay closed the connection".to_owned()),
            };
            let read = self.protocol.receive(frame, &mut self.events);
            read.map_err(|error| error.to_string())?;
        }
    }
}
