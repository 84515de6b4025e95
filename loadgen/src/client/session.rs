//! One client's socket while it is open: frames out, frames in, and what the
//! plan does to it.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::task::coop::consume_budget;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message};

use crate::client::connection::Socket;
use crate::client::disconnect::{Disconnect, PendingOutages, SessionEnd};
use crate::protocol::Frame;
use crate::room::{MemberRef, MemberState};
use crate::scenario::LinkFaultKind;
use crate::time::clock::Nanos;
use crate::worker::Shared;

/// After so long without a word from the relay, it is asked for one.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A connection without a word from the relay for so long has been given up:
/// it takes up to one [`KEEPALIVE`] to see that there was none in the next.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(3 * KEEPALIVE.as_secs());

/// A relay that has not let a client in by then never will.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long who leaves waits for what it sent to be acknowledged.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an orderly end of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves the client at `seat` until its connection ends.
pub async fn serve(
    shared: &Shared,
    member: MemberRef,
    socket: Socket,
    pending_outages: &mut PendingOutages,
) -> SessionEnd {
    let (mut sink, mut frames) = socket.split();
    let heard = Cell::new(0u64);
    let ended = tokio::select! {
        lost = read_frames(shared, member, &mut frames, &heard) => SessionEnd::Lost(lost),
        error = write_frames(shared, member, &mut sink) => SessionEnd::Lost(loss_of(&error)),
        lost = keep_alive(shared, member, &heard) => SessionEnd::Lost(lost),
        lost = join_in_time(shared, member) => SessionEnd::Lost(lost),
        ended = follow_plan(shared, member, pending_outages) => ended,
        () = shared.closing() => SessionEnd::Closing,
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

/// Ends the connection in the way that its end asks for.
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
        SessionEnd::Lost(_) => {}
    }
}

/// Says goodbye, and waits until the relay has taken everything before it.
async fn close_in_order(mut socket: Socket) {
    let goodbye = async {
        if socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
}

/// Lets happen to the connection what the plan has for it.
async fn follow_plan(
    shared: &Shared,
    member: MemberRef,
    pending_outages: &mut PendingOutages,
) -> SessionEnd {
    let clock = shared.started().await;
    let until = |at: Nanos| shared.timer.sleep_until(clock.absolute(at));
    let over_by = async |at: Nanos| {
        tokio::select! {
            biased;
            () = until(at) => false,
            () = shared.plan_over() => true,
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
            let _ = timeout(LEAVE_TIMEOUT, shared.has_sent_all(member)).await;
            return SessionEnd::Left;
        }
        let Some(outage) = pending_outages.outages.pop_front() else {
            continue;
        };
        let control = shared.control(member);
        match outage.kind {
            LinkFaultKind::Stall => control.stalled_until.set(clock.absolute(outage.until)),
            LinkFaultKind::HalfOpen => {
                shared.go_away(member);
                control.half_open.set(true);
                pending_outages.unnoticed = Some(outage);
                // Whoever has not noticed until then is told by their system.
                over_by(outage.until).await;
                return SessionEnd::Outage(outage);
            }
            LinkFaultKind::CutMidFrame => {
                shared.go_away(member);
                control.cut_next_frame.set(true);
                pending_outages.unnoticed = Some(outage);
                // Whoever writes nothing until then is cut off all the same.
                over_by(outage.until).await;
                return SessionEnd::Outage(outage);
            }
            LinkFaultKind::Cut | LinkFaultKind::Reset | LinkFaultKind::Offline => {
                return SessionEnd::Outage(outage);
            }
        }
    }
}

/// Ends when the relay does not answer for too long.
async fn keep_alive(shared: &Shared, member: MemberRef, heard: &Cell<u64>) -> Disconnect {
    // Clients that came together must not all ask at the same time.
    sleep(KEEPALIVE.mul_f64(shared.place_of(member))).await;
    loop {
        let before = heard.get();
        sleep(KEEPALIVE).await;
        if heard.get() != before {
            continue;
        }
        shared.queue_keepalive(member);
        sleep(KEEPALIVE).await;
        if heard.get() == before {
            let silent = (2 * KEEPALIVE).as_secs();
            return Disconnect::new("silence", format!("the relay said nothing for {silent} s"));
        }
    }
}

/// Ends when the relay does not let the client in.
async fn join_in_time(shared: &Shared, member: MemberRef) -> Disconnect {
    sleep(JOIN_TIMEOUT).await;
    match shared.status(member) {
        MemberState::Joining => {
            let protocol = shared.protocol_name();
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
    shared: &Shared,
    member: MemberRef,
    frames: &mut SplitStream<Socket>,
    heard: &Cell<u64>,
) -> Disconnect {
    loop {
        let message = frames.next().await;
        heard.set(heard.get() + 1);
        let frame = match message {
            Some(Ok(Message::Binary(frame))) => Some(Frame::Binary(frame)),
            Some(Ok(Message::Text(text))) => Some(Frame::Text(text.as_str().to_owned())),
            Some(Ok(Message::Close(close))) => return closed_by_relay(close),
            // Pings answer themselves.
            Some(Ok(_)) => None,
            Some(Err(error)) => return loss_of(&error),
            None => return Disconnect::new("closed", "the relay closed the connection"),
        };
        if let Some(frame) = frame
            && let Some(reason) = shared.receive(member, frame)
        {
            return Disconnect::new("refused", reason);
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
async fn write_frames(
    shared: &Shared,
    member: MemberRef,
    sink: &mut SplitSink<Socket, Message>,
) -> WsError {
    let wake = shared.wake(member);
    loop {
        if let Err(error) = write_waiting(shared, member, sink).await {
            return error;
        }
        wake.notified().await;
    }
}

async fn write_waiting(
    shared: &Shared,
    member: MemberRef,
    sink: &mut SplitSink<Socket, Message>,
) -> Result<(), WsError> {
    let mut wrote = false;
    while let Some(frame) = shared.next_outgoing(member) {
        sink.feed(message(frame)).await?;
        wrote = true;
    }
    match wrote {
        true => sink.flush().await,
        false => Ok(()),
    }
}

pub(crate) fn message(frame: Frame) -> Message {
    match frame {
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Text(text) => Message::Text(text.into()),
        Frame::Ping => Message::Ping(Bytes::new()),
    }
}
