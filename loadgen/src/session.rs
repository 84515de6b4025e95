//! One client's socket while the run goes on: frames out, frames in.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::task::coop::consume_budget;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::connection::Socket;
use crate::worker::Shared;

/// Where a client's room and slot are in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Index of the room in the worker.
    pub room: usize,
    /// Slot of the client in the room.
    pub slot: usize,
}

/// Serves the client at `seat` until its connection ends, for the reason
/// returned, or until the run closes it (`None`).
pub async fn run(
    shared: Rc<Shared>,
    seat: Seat,
    socket: Socket,
    outgoing: mpsc::Receiver<Bytes>,
    mut closing: watch::Receiver<bool>,
) -> Option<String> {
    let (mut sink, frames) = socket.split();
    let lost = tokio::select! {
        reason = read_frames(&shared, seat, frames) => Some(reason),
        error = write_frames(&shared, seat, &mut sink, outgoing) => Some(error.to_string()),
        // An error means that the worker is gone, which closes as well.
        _ = closing.wait_for(|&closing| closing) => None,
    };
    if lost.is_none() {
        // A relay that does not read any more must not hold up the end.
        let close = sink.send(Message::Close(None));
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), close).await;
    }
    lost
}

async fn read_frames(shared: &Shared, seat: Seat, mut frames: SplitStream<Socket>) -> String {
    loop {
        match frames.next().await {
            Some(Ok(Message::Binary(frame))) => shared.receive(seat, frame),
            Some(Ok(Message::Close(Some(close)))) => {
                return format!("the relay closed it: code {} {}", close.code, close.reason);
            }
            Some(Ok(Message::Close(None))) => return "the relay closed it".to_owned(),
            // Text is not part of the protocol; pings answer themselves.
            Some(Ok(_)) => {}
            Some(Err(error)) => return error.to_string(),
            None => return "the relay closed the connection".to_owned(),
        }
        // One client with a full buffer must not keep the others waiting.
        consume_budget().await;
    }
}

/// Writes what the client's edits queue, one flush for all frames that wait.
async fn write_frames(
    shared: &Shared,
    seat: Seat,
    sink: &mut SplitSink<Socket, Message>,
    mut outgoing: mpsc::Receiver<Bytes>,
) -> WsError {
    loop {
        let Some(frame) = outgoing.recv().await else {
            // The room outlives its sessions, so its queue is never closed.
            return WsError::ConnectionClosed;
        };
        if let Err(error) = write_waiting(shared, seat, sink, &mut outgoing, frame).await {
            return error;
        }
    }
}

async fn write_waiting(
    shared: &Shared,
    seat: Seat,
    sink: &mut SplitSink<Socket, Message>,
    outgoing: &mut mpsc::Receiver<Bytes>,
    first: Bytes,
) -> Result<(), WsError> {
    let mut waiting = Some(first);
    while let Some(frame) = waiting {
        sink.feed(Message::Binary(frame)).await?;
        waiting = outgoing.try_recv().ok().or_else(|| shared.backlog(seat));
    }
    sink.flush().await
}
