//! Links: the network between one client and the relay, with its delay, its
//! bandwidth and its faults, inside the client's own connection.
//!
//! A link keeps the order of bytes, as TCP does, and loses none of them except
//! by a fault: what IP loses, TCP sends again, which here is a stall.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::network::{ArrivalStamp, Duplex, Wire};
use crate::time::clock::Nanos;
use crate::time::timer::{Sleep, Timer};

/// Bytes that one direction holds besides those on their way: the buffer of a
/// modem. A writer waits while it is full.
const BUFFER: usize = 64 * 1024;

/// What a link reads at a time.
const CHUNK: usize = 16 * 1024;

/// How a link carries bytes, the same in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LinkConditions {
    /// One way, nanoseconds.
    pub delay: Nanos,
    /// At most so much more, evenly distributed, nanoseconds. Bytes do not
    /// overtake each other: those behind a late one are as late.
    pub jitter: Nanos,
    /// Bytes per second; none is unlimited.
    pub bandwidth: Option<u64>,
}

/// The handle to a link's faults, and what it did last.
#[derive(Debug, Default)]
pub struct LinkHandle {
    /// Nothing gets through before this time, in either direction.
    pub stalled_until: Cell<Nanos>,
    /// Nothing gets through any more, and neither end is told.
    pub half_open: Cell<bool>,
    /// The next write is cut in half, and the connection with it.
    pub cut_next_frame: Cell<bool>,
    /// How long the last bytes to the relay took.
    pub up: Cell<Nanos>,
    /// How long the last bytes from the relay took.
    pub down: Cell<Nanos>,
}

/// A connection behind a link.
pub struct Link {
    wire: Wire,
    up: Direction,
    down: Direction,
    control: Rc<LinkHandle>,
    arrival: ArrivalStamp,
    timer: Timer,
    sleep: Option<Sleep>,
    /// What ended the connection, kept back until what came before is read.
    ended: Option<io::Result<()>>,
}

impl Link {
    /// Puts a link of this quality before `wire`. `rng` draws the jitter;
    /// `arrival` notes when what is read was due.
    pub fn new(
        wire: Wire,
        quality: LinkConditions,
        control: Rc<LinkHandle>,
        arrival: ArrivalStamp,
        timer: Timer,
        mut rng: Xoshiro256PlusPlus,
    ) -> Self {
        // The two ways are late independently of each other.
        let up = Xoshiro256PlusPlus::seed_from_u64(rng.random());
        Self {
            wire,
            up: Direction::new(quality, up),
            down: Direction::new(quality, rng),
            control,
            arrival,
            timer,
            sleep: None,
            ended: None,
        }
    }

    /// Moves what is due: to the relay, and from it into the lane.
    fn advance(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let now = self.timer.now();
        if self.control.half_open.get() {
            return Ok(());
        }
        self.write_due(cx, now)?;
        self.take_in(cx, now);
        Ok(())
    }

    fn write_due(&mut self, cx: &mut Context<'_>, now: Nanos) -> io::Result<()> {
        let stalled_until = self.control.stalled_until.get();
        if now < stalled_until {
            return Ok(());
        }
        let mut wrote = false;
        while let Some(piece) = self.up.due(now) {
            match Pin::new(&mut self.wire).poll_write(cx, &piece.bytes) {
                Poll::Pending => break,
                Poll::Ready(Ok(written)) => {
                    let due = piece.due.max(stalled_until.min(now));
                    self.control.up.set(due - piece.accepted);
                    self.up.taken(written);
                    wrote = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if wrote {
            // A wire that cannot flush now does so with the next write.
            let _ = Pin::new(&mut self.wire).poll_flush(cx)?;
        }
        Ok(())
    }

    fn take_in(&mut self, cx: &mut Context<'_>, now: Nanos) {
        while self.ended.is_none() && self.down.has_room() {
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.wire).poll_read(cx, &mut read) {
                Poll::Pending => return,
                Poll::Ready(Err(error)) => self.ended = Some(Err(error)),
                Poll::Ready(Ok(())) if read.filled().is_empty() => self.ended = Some(Ok(())),
                Poll::Ready(Ok(())) => self.down.accept(read.filled(), now),
            }
        }
    }

    /// Has the task woken when the next bytes are due.
    fn wake_when_due(&mut self, cx: &mut Context<'_>) {
        if self.control.half_open.get() {
            return;
        }
        let next = [self.up.next_due(), self.down.next_due()];
        let Some(next) = next.into_iter().flatten().min() else {
            return;
        };
        let next = next.max(self.control.stalled_until.get());
        if self.sleep.as_ref().is_none_or(|sleep| sleep.at() != next) {
            self.sleep = Some(self.timer.sleep_until(next));
        }
        if let Some(sleep) = &mut self.sleep
            && Pin::new(sleep).poll(cx).is_ready()
        {
            self.sleep = None;
            cx.waker().wake_by_ref();
        }
    }

    /// Sends half of what is to be written, at once, and ends the connection.
    fn cut_within(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Error {
        while let Some(piece) = self.up.pieces.front() {
            match Pin::new(&mut self.wire).poll_write(cx, &piece.bytes) {
                Poll::Ready(Ok(written)) => self.up.taken(written),
                _ => break,
            }
        }
        let half = &bytes[..bytes.len() / 2];
        let _ = Pin::new(&mut self.wire).poll_write(cx, half);
        let _ = Pin::new(&mut self.wire).poll_flush(cx);
        io::Error::new(io::ErrorKind::BrokenPipe, "the link was cut within a frame")
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.advance(cx)?;
        let now = self.timer.now();
        let open = !self.control.half_open.get() && now >= self.control.stalled_until.get();
        let stalled_until = self.control.stalled_until.get();
        if open && let Some(piece) = self.down.due(now) {
            let taken = piece.bytes.len().min(into.remaining());
            into.put_slice(&piece.bytes[..taken]);
            // What a stall held up was not due before its end.
            let due = piece.due.max(stalled_until);
            let accepted = piece.accepted;
            self.control.down.set(due - accepted);
            self.arrival.set(due);
            self.down.taken(taken);
            return Poll::Ready(Ok(()));
        }
        if open
            && self.down.pieces.is_empty()
            && let Some(ended) = self.ended.take()
        {
            return Poll::Ready(ended);
        }
        self.wake_when_due(cx);
        Poll::Pending
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.control.cut_next_frame.take() {
            return Poll::Ready(Err(self.cut_within(cx, bytes)));
        }
        let now = self.timer.now();
        if !self.up.has_room() {
            self.advance(cx)?;
            if !self.up.has_room() {
                self.wake_when_due(cx);
                return Poll::Pending;
            }
        }
        self.up.accept(bytes, now);
        self.advance(cx)?;
        self.wake_when_due(cx);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What the link has taken is on its way.
        self.advance(cx)?;
        self.wake_when_due(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.advance(cx)?;
        if !self.up.pieces.is_empty() && !self.control.half_open.get() {
            self.wake_when_due(cx);
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.wire).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

impl Duplex for Link {
    fn reset_when_dropped(&self) {
        self.wire.reset_when_dropped();
    }
}

/// One direction of a link.
struct Direction {
    quality: LinkConditions,
    pieces: VecDeque<Segment>,
    bytes: usize,
    /// When the bytes accepted so far have all passed the bottleneck.
    busy_until: Nanos,
    last_due: Nanos,
    rng: Xoshiro256PlusPlus,
}

/// Bytes on their way.
struct Segment {
    accepted: Nanos,
    due: Nanos,
    bytes: Bytes,
}

impl Direction {
    fn new(quality: LinkConditions, rng: Xoshiro256PlusPlus) -> Self {
        Self {
            quality,
            pieces: VecDeque::new(),
            bytes: 0,
            busy_until: 0,
            last_due: 0,
            rng,
        }
    }

    /// Bytes pass the bottleneck one after the other, then travel; none
    /// arrives before those in front of it.
    fn accept(&mut self, bytes: &[u8], now: Nanos) {
        let passing = match self.quality.bandwidth {
            None => 0,
            Some(rate) => bytes.len() as u64 * 1_000_000_000 / rate.max(1),
        };
        self.busy_until = self.busy_until.max(now) + passing;
        let jitter = match self.quality.jitter {
            0 => 0,
            most => self.rng.random_range(0..=most),
        };
        let due = self.busy_until + self.quality.delay + jitter;
        self.last_due = self.last_due.max(due);
        self.bytes += bytes.len();
        self.pieces.push_back(Segment {
            accepted: now,
            due: self.last_due,
            bytes: Bytes::copy_from_slice(bytes),
        });
    }

    fn has_room(&self) -> bool {
        let travelling = match self.quality.bandwidth {
            None => 16 * BUFFER as u64,
            Some(rate) => rate.saturating_mul(self.quality.delay) / 1_000_000_000,
        };
        self.bytes < BUFFER + travelling as usize
    }

    fn due(&mut self, now: Nanos) -> Option<&Segment> {
        self.pieces.front().filter(|piece| piece.due <= now)
    }

    fn next_due(&self) -> Option<Nanos> {
        self.pieces.front().map(|piece| piece.due)
    }

    /// The first bytes have left.
    fn taken(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(piece) = self.pieces.front_mut() {
            piece.bytes.advance(bytes);
            if piece.bytes.is_empty() {
                self.pieces.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lane(quality: LinkConditions) -> Direction {
        Direction::new(quality, Xoshiro256PlusPlus::seed_from_u64(1))
    }

    #[test]
    fn bytes_pass_the_bottleneck_one_after_the_other() {
        let mut lane = lane(LinkConditions {
            delay: 5_000_000,
            jitter: 0,
            bandwidth: Some(1_000_000),
        });
        lane.accept(&[0; 1_000], 0);
        lane.accept(&[0; 1_000], 0);
        lane.accept(&[0; 1_000], 10_000_000);
        let due: Vec<_> = lane.pieces.iter().map(|piece| piece.due).collect();
        assert_eq!(due, [6_000_000, 7_000_000, 16_000_000]);
    }

    proptest! {
        #[test]
        fn jitter_never_lets_bytes_overtake(jitter in 1u64..50_000_000, gaps in prop::collection::vec(0u64..9_000_000, 1..60)) {
            let quality = LinkConditions { delay: 20_000_000, jitter, bandwidth: None };
            let mut lane = lane(quality);
            let mut now = 0;
            for gap in gaps {
                now += gap;
                lane.accept(&[1], now);
            }
            let due: Vec<_> = lane.pieces.iter().map(|piece| piece.due).collect();
            prop_assert!(due.is_sorted());
            for piece in &lane.pieces {
                prop_assert!(piece.due >= piece.accepted + quality.delay);
            }
        }
    }
}
