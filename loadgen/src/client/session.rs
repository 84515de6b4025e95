//! One client's socket while it is open: frames out, frames in, and the faults
//! that the plan has for it.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::task::coop::consume_budget;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message};

use super::Client;
use super::connection::Socket;
use super::disconnect::{Disconnect, REFUSED};
use super::state::{PendingOutages, SessionEnd};
use crate::protocol::Frame;
use crate::room::MemberState;
use crate::scenario::LinkFaultKind;
use crate::time::clock::Nanos;

/// The silence after which the relay is asked for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The longest silence of a relay on a connection that has not been closed: it
/// takes up to one [`KEEPALIVE`] to see that the next brought nothing.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(3 * KEEPALIVE.as_secs());

/// The time within which a relay must let a client in.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that a leaving client waits for its updates to be acknowledged.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two looks at whether a leaving client has sent everything.
const SENT_POLL: Duration = Duration::from_millis(5);

/// The time between two looks at whether a joining client has imported what it
/// received.
const IMPORT_POLL: Duration = Duration::from_millis(100);

/// The time that an orderly end of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves the client until its connection ends.
pub async fn serve(
    client: &Client,
    socket: Socket,
    pending_outages: &mut PendingOutages,
) -> SessionEnd {
    let (mut sink, mut frames) = socket.split();
    let heard = Cell::new(0u64);
    let ended = tokio::select! {
        lost = read_frames(client, &mut frames, &heard) => SessionEnd::Lost(lost),
        error = write_frames(client, &mut sink) => SessionEnd::Lost(loss_of(&error)),
        lost = keep_alive(client, &heard) => SessionEnd::Lost(lost),
        lost = join_in_time(client) => SessionEnd::Lost(lost),
        ended = follow_plan(client, pending_outages) => ended,
        () = client.closing() => SessionEnd::Closing,
    };
    let ended = match (ended, pending_outages.unnoticed.take()) {
        (SessionEnd::Lost(_), Some(outage)) => SessionEnd::Outage(outage),
        (ended, _) => ended,
    };
    // Both halves are of one socket.
    if let Ok(socket) = sink.reunite(frames) {
        end(socket, &ended).await;
    }
    ended
}

/// Closes, resets or drops the connection, as its end requires.
async fn end(mut socket: Socket, ended: &SessionEnd) {
    match ended {
        SessionEnd::Closing => {
            // A relay that does not read any more must not hold up the end.
            let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
        }
        SessionEnd::Left => close_in_order(socket).await,
        SessionEnd::Outage(outage) => match outage.kind {
            LinkFaultKind::Offline => close_in_order(socket).await,
            LinkFaultKind::Reset => socket.get_ref().reset_when_dropped(),
            _ => {}
        },
        SessionEnd::Unopened(_) | SessionEnd::Lost(_) => {}
    }
}

/// Closes the WebSocket, and waits until the relay has taken everything sent
/// before.
async fn close_in_order(mut socket: Socket) {
    let goodbye = async {
        if socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
}

/// Applies the outages and the departure that the plan has for the client.
async fn follow_plan(client: &Client, pending_outages: &mut PendingOutages) -> SessionEnd {
    let clock = client.signals.started().await;
    let until = |at: Nanos| client.timer.sleep_until(clock.absolute(at));
    let over_by = async |at: Nanos| {
        tokio::select! {
            biased;
            () = until(at) => false,
            () = client.signals.plan_over() => true,
        }
    };
    loop {
        let outage = pending_outages.outages.front().map(|outage| outage.from);
        let (at, leaves) = match (outage, pending_outages.leaves) {
            (None, None) => pending().await,
            (Some(at), None) => (at, false),
            (Some(at), Some(leaves)) if at < leaves => (at, false),
            (_, Some(leaves)) => (leaves, true),
        };
        if over_by(at).await {
            return pending().await;
        }
        if leaves {
            let _ = timeout(LEAVE_TIMEOUT, has_sent_all(client)).await;
            return SessionEnd::Left;
        }
        let Some(outage) = pending_outages.outages.pop_front() else {
            continue;
        };
        let link = client.rooms.link(client.member);
        match outage.kind {
            LinkFaultKind::Stall => link.stalled_until.set(clock.absolute(outage.until)),
            LinkFaultKind::HalfOpen => {
                client.rooms.go_away(client.member);
                link.half_open.set(true);
                pending_outages.unnoticed = Some(outage);
                // A client that has not noticed by then hears it from its system.
                over_by(outage.until).await;
                return SessionEnd::Outage(outage);
            }
            LinkFaultKind::CutMidFrame => {
                client.rooms.go_away(client.member);
                link.cut_next_frame.set(true);
                pending_outages.unnoticed = Some(outage);
                // A client that writes nothing until then is cut off all the same.
                over_by(outage.until).await;
                return SessionEnd::Outage(outage);
            }
            LinkFaultKind::Cut | LinkFaultKind::Reset | LinkFaultKind::Offline => {
                return SessionEnd::Outage(outage);
            }
        }
    }
}

/// Completes when the client has nothing left to send.
async fn has_sent_all(client: &Client) {
    while !client.rooms.has_sent_all(client.member) {
        sleep(SENT_POLL).await;
    }
}

/// Returns a place from 0 to 1 among all clients, evenly spread.
fn place_of(client: &Client) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    (f64::from(client.number().0) * GOLDEN).fract()
}

/// Ends when the relay does not answer for too long.
async fn keep_alive(client: &Client, heard: &Cell<u64>) -> Disconnect {
    // Clients that arrived together must not all ask at the same time.
    sleep(KEEPALIVE.mul_f64(place_of(client))).await;
    loop {
        let before = heard.get();
        sleep(KEEPALIVE).await;
        if heard.get() != before {
            continue;
        }
        client.rooms.queue_keepalive(client.member);
        sleep(KEEPALIVE).await;
        if heard.get() == before {
            let silent = (2 * KEEPALIVE).as_secs();
            return Disconnect::new("silence", format!("the relay said nothing for {silent} s"));
        }
    }
}

/// Ends when the relay does not let the client in.
async fn join_in_time(client: &Client) -> Disconnect {
    sleep(JOIN_TIMEOUT).await;
    // What waits to be imported here has come from the relay in time.
    while client.rooms.has_to_import(client.member) {
        sleep(IMPORT_POLL).await;
    }
    match client.rooms.state(client.member) {
        MemberState::Joining => {
            let protocol = client.rooms.context.scenario.relay.protocol.name();
            let reason = format!(
                "the relay opened the WebSocket, but did not let the client catch up within \
                 {} s; does it speak the {protocol} protocol?",
                JOIN_TIMEOUT.as_secs()
            );
            Disconnect::new("join timeout", reason)
        }
        _ => pending().await,
    }
}

async fn read_frames(
    client: &Client,
    frames: &mut SplitStream<Socket>,
    heard: &Cell<u64>,
) -> Disconnect {
    loop {
        let message = frames.next().await;
        heard.set(heard.get() + 1);
        let frame = match message {
            Some(Ok(Message::Close(close))) => return closed_by_relay(close),
            Some(Ok(message)) => frame(message),
            Some(Err(error)) => return loss_of(&error),
            None => return Disconnect::new("closed", "the relay closed the connection"),
        };
        if let Some(frame) = frame
            && let Some(reason) = client.rooms.receive(client.member, frame)
        {
            return Disconnect::new(REFUSED, reason);
        }
        // One client with a full buffer must not keep the others waiting.
        consume_budget().await;
    }
}

fn closed_by_relay(
    close: Option<tokio_tungstenite::tungstenite::protocol::CloseFrame>,
) -> Disconnect {
    match close {
        None => Disconnect::new("closed", "the relay closed it"),
        Some(close) => Disconnect::new(
            &format!("closed {}", close.code),
            format!("the relay closed it: code {} {}", close.code, close.reason),
        ),
    }
}

fn loss_of(error: &WsError) -> Disconnect {
    let kind = match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => "closed",
        WsError::Io(error) => match error.kind() {
            std::io::ErrorKind::ConnectionReset => "reset",
            std::io::ErrorKind::BrokenPipe => "broken pipe",
            _ => "socket",
        },
        WsError::Capacity(_) => "frame too large",
        WsError::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => "closed",
        _ => "websocket",
    };
    Disconnect::new(kind, error.to_string())
}

/// Writes what the client queues, one flush for all frames that wait.
async fn write_frames(client: &Client, sink: &mut SplitSink<Socket, Message>) -> WsError {
    let wake = client.rooms.wake(client.member);
    loop {
        if let Err(error) = write_waiting(client, sink).await {
            return error;
        }
        wake.notified().await;
    }
}

async fn write_waiting(
    client: &Client,
    sink: &mut SplitSink<Socket, Message>,
) -> Result<(), WsError> {
    let mut wrote = false;
    while let Some(frame) = client.rooms.next_outgoing(client.member) {
        sink.feed(message(frame)).await?;
        wrote = true;
    }
    match wrote {
        true => sink.flush().await,
        false => Ok(()),
    }
}

/// Returns what a message says; `None` for one of the WebSocket itself, which
/// the socket answers.
pub(crate) fn frame(message: Message) -> Option<Frame> {
    match message {
        Message::Binary(bytes) => Some(Frame::Binary(bytes)),
        Message::Text(text) => Some(Frame::Text(text.as_str().to_owned())),
        _ => None,
    }
}

/// Returns a frame as a message of the WebSocket.
pub(crate) fn message(frame: Frame) -> Message {
    match frame {
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Text(text) => Message::Text(text.into()),
        Frame::Ping => Message::Ping(Bytes::new()),
    }
}
