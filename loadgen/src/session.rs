//! One client's socket while it is open: frames out, frames in, and what the
//! plan does to it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::task::coop::consume_budget;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message};

use crate::clock::Nanos;
use crate::connection::Socket;
use crate::plan::{ClientPlan, Outage};
use crate::protocol::Frame;
use crate::room::Status;
use crate::scenario::LinkFaultKind;
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

/// Where a client's room and slot are in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Index of the room in the worker.
    pub room: usize,
    /// Slot of the client in the room.
    pub slot: usize,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The run is over.
    Closing,
    /// The client has left for good.
    Left,
    /// The plan keeps it away for a time.
    Outage(Outage),
    /// Against the plan.
    Lost(Lost),
}

/// Why a connection ended that should not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// In a word or two, to be counted.
    pub kind: String,
    /// In words, for people.
    pub reason: String,
}

impl Lost {
    /// A loss of this kind.
    pub fn new(kind: &str, reason: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            reason: reason.into(),
        }
    }
}

/// What the plan still has for a client.
#[derive(Debug)]
pub struct Upcoming {
    outages: VecDeque<Outage>,
    leaves: Option<Nanos>,
    /// The outage that has begun without the client's knowing.
    unnoticed: Option<Outage>,
}

impl Upcoming {
    /// Everything that the plan has for a client.
    pub fn of(plan: &ClientPlan) -> Self {
        Self {
            outages: plan.outages.iter().copied().collect(),
            leaves: plan.leaves,
            unnoticed: None,
        }
    }

    /// Drops what has passed by `now`: who has no connection cannot lose it.
    pub fn skip_until(&mut self, now: Nanos) {
        self.outages.retain(|outage| outage.from > now);
        self.unnoticed = None;
    }
}

/// Serves the client at `seat` until its connection ends.
pub async fn serve(shared: &Shared, seat: Seat, socket: Socket, upcoming: &mut Upcoming) -> Ended {
    let (mut sink, mut frames) = socket.split();
    let heard = Cell::new(0u64);
    let ended = tokio::select! {
        lost = read_frames(shared, seat, &mut frames, &heard) => Ended::Lost(lost),
        error = write_frames(shared, seat, &mut sink) => Ended::Lost(loss_of(&error)),
        lost = keep_alive(shared, seat, &heard) => Ended::Lost(lost),
        lost = join_in_time(shared, seat) => Ended::Lost(lost),
        ended = follow_plan(shared, seat, upcoming) => ended,
        () = shared.closing() => Ended::Closing,
    };
    let ended = match (ended, upcoming.unnoticed.take()) {
        (Ended::Lost(_), Some(outage)) => Ended::Outage(outage),
        (ended, _) => ended,
    };
    // Both halves are of one socket.
    if let Ok(socket) = sink.reunite(frames) {
        end(socket, &ended).await;
    }
    ended
}

/// Ends the connection in the way that its end asks for.
async fn end(mut socket: Socket, ended: &Ended) {
    match ended {
        Ended::Closing => {
            // A relay that does not read any more must not hold up the end.
            let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
        }
        Ended::Left => close_in_order(socket).await,
        Ended::Outage(outage) => match outage.kind {
            LinkFaultKind::Offline => close_in_order(socket).await,
            LinkFaultKind::Reset => socket.get_ref().reset_when_dropped(),
            _ => {}
        },
        Ended::Lost(_) => {}
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
async fn follow_plan(shared: &Shared, seat: Seat, upcoming: &mut Upcoming) -> Ended {
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
        let outage = upcoming.outages.front().map(|outage| outage.from);
        let (at, leaves) = match (outage, upcoming.leaves) {
            (None, None) => pending().await,
            (Some(at), None) => (at, false),
            (Some(at), Some(leaves)) if at < leaves => (at, false),
            (_, Some(leaves)) => (leaves, true),
        };
        if over_by(at).await {
            return pending().await;
        }
        if leaves {
            let _ = timeout(LEAVE_TIMEOUT, shared.has_sent_all(seat)).await;
            return Ended::Left;
        }
        let Some(outage) = upcoming.outages.pop_front() else {
            continue;
        };
        let control = shared.control(seat);
        match outage.kind {
            LinkFaultKind::Stall => control.stalled_until.set(clock.absolute(outage.until)),
            LinkFaultKind::HalfOpen => {
                shared.go_away(seat);
                control.half_open.set(true);
                upcoming.unnoticed = Some(outage);
                // Whoever has not noticed until then is told by their system.
                over_by(outage.until).await;
                return Ended::Outage(outage);
            }
            LinkFaultKind::CutMidFrame => {
                shared.go_away(seat);
                control.cut_next_frame.set(true);
                upcoming.unnoticed = Some(outage);
                // Whoever writes nothing until then is cut off all the same.
                over_by(outage.until).await;
                return Ended::Outage(outage);
            }
            LinkFaultKind::Cut | LinkFaultKind::Reset | LinkFaultKind::Offline => {
                return Ended::Outage(outage);
            }
        }
    }
}

/// Ends when the relay does not answer for too long.
async fn keep_alive(shared: &Shared, seat: Seat, heard: &Cell<u64>) -> Lost {
    // Clients that came together must not all ask at the same time.
    sleep(KEEPALIVE.mul_f64(shared.place_of(seat))).await;
    loop {
        let before = heard.get();
        sleep(KEEPALIVE).await;
        if heard.get() != before {
            continue;
        }
        shared.queue_keepalive(seat);
        sleep(KEEPALIVE).await;
        if heard.get() == before {
            let silent = (2 * KEEPALIVE).as_secs();
            return Lost::new("silence", format!("the relay said nothing for {silent} s"));
        }
    }
}

/// Ends when the relay does not let the client in.
async fn join_in_time(shared: &Shared, seat: Seat) -> Lost {
    sleep(JOIN_TIMEOUT).await;
    match shared.status(seat) {
        Status::Joining => {
            let protocol = shared.protocol_name();
            let reason = format!(
                "the relay opened the WebSocket, but did not let the client catch up within \
                 {} s; does it speak the {protocol} protocol?",
                JOIN_TIMEOUT.as_secs()
            );
            Lost::new("join timeout", reason)
        }
        _ => pending().await,
    }
}

async fn read_frames(
    shared: &Shared,
    seat: Seat,
    frames: &mut SplitStream<Socket>,
    heard: &Cell<u64>,
) -> Lost {
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
            None => return Lost::new("closed", "the relay closed the connection"),
        };
        if let Some(frame) = frame
            && let Some(reason) = shared.receive(seat, frame)
        {
            return Lost::new("refused", reason);
        }
        // One client with a full buffer must not keep the others waiting.
        consume_budget().await;
    }
}

fn closed_by_relay(close: Option<tokio_tungstenite::tungstenite::protocol::CloseFrame>) -> Lost {
    match close {
        None => Lost::new("closed", "the relay closed it"),
        Some(close) => Lost::new(
            &format!("closed {}", close.code),
            format!("the relay closed it: code {} {}", close.code, close.reason),
        ),
    }
}

fn loss_of(error: &WsError) -> Lost {
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
    Lost::new(kind, error.to_string())
}

/// Writes what the client queues, one flush for all frames that wait.
async fn write_frames(
    shared: &Shared,
    seat: Seat,
    sink: &mut SplitSink<Socket, Message>,
) -> WsError {
    let wake = shared.wake(seat);
    loop {
        if let Err(error) = write_waiting(shared, seat, sink).await {
            return error;
        }
        wake.notified().await;
    }
}

async fn write_waiting(
    shared: &Shared,
    seat: Seat,
    sink: &mut SplitSink<Socket, Message>,
) -> Result<(), WsError> {
    let mut wrote = false;
    while let Some(frame) = shared.next_outgoing(seat) {
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
