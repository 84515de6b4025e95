//! Links: the simulated network between one client and the relay, with its
//! delay, its bandwidth and its faults, inside the client's own connection.
//!
//! A link keeps bytes in order, as TCP does, and loses none of them except by a
//! fault. TCP retransmits packets that IP loses, which here is a stall.

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

/// Bytes that one direction buffers in addition to those in flight, as a modem
/// does. A writer waits while the buffer is full.
const BUFFER: usize = 64 * 1024;

/// The largest number of bytes that a link reads at once.
const CHUNK: usize = 16 * 1024;

/// Delay, jitter and bandwidth of a link, the same in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LinkConditions {
    /// The one-way delay, nanoseconds.
    pub delay: Nanos,
    /// The largest additional delay, nanoseconds, drawn from a uniform
    /// distribution. Bytes do not overtake each other: those behind a late byte
    /// are as late.
    pub jitter: Nanos,
    /// Bytes per second; `None` is unlimited.
    pub bandwidth: Option<u64>,
}

/// Controls the faults of a link, and reports its most recent delays.
#[derive(Debug, Default)]
pub struct LinkHandle {
    /// Until this time, the link passes no bytes in either direction.
    pub stalled_until: Cell<Nanos>,
    /// The link passes no more bytes, and neither end is notified.
    pub half_open: Cell<bool>,
    /// The link sends only half of the next write, and then closes the
    /// connection.
    pub cut_next_frame: Cell<bool>,
    /// The delay of the most recent bytes to the relay, nanoseconds.
    pub up: Cell<Nanos>,
    /// The delay of the most recent bytes from the relay, nanoseconds.
    pub down: Cell<Nanos>,
}

/// The settings of a link and its connections to the run.
pub struct LinkSetup {
    /// Delay, jitter and bandwidth.
    pub conditions: LinkConditions,
    /// Controls the faults of the link.
    pub handle: Rc<LinkHandle>,
    /// Receives the time at which the bytes that are read were due.
    pub arrival: ArrivalStamp,
    /// The timer of the link's thread.
    pub timer: Timer,
    /// Draws the jitter.
    pub rng: Xoshiro256PlusPlus,
}

/// A connection behind a link.
pub struct Link {
    wire: Wire,
    /// From the client to the relay.
    up: Direction,
    /// From the relay to the client.
    down: Direction,
    handle: Rc<LinkHandle>,
    arrival: ArrivalStamp,
    timer: Timer,
    sleep: Option<Sleep>,
    /// The end of the connection, reported once all bytes before it are read.
    ended: Option<io::Result<()>>,
}

impl Link {
    /// Puts a link in front of `wire`.
    pub fn new(wire: Wire, setup: LinkSetup) -> Self {
        let LinkSetup {
            conditions,
            handle,
            arrival,
            timer,
            mut rng,
        } = setup;
        // Each direction has its own jitter.
        let up = Xoshiro256PlusPlus::seed_from_u64(rng.random());
        Self {
            wire,
            up: Direction::new(conditions, up),
            down: Direction::new(conditions, rng),
            handle,
            arrival,
            timer,
            sleep: None,
            ended: None,
        }
    }

    /// Writes the bytes that are due to the relay, and reads from it.
    fn advance(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let now = self.timer.now();
        if self.handle.half_open.get() {
            return Ok(());
        }
        self.write_due(cx, now)?;
        self.read_ahead(cx, now);
        Ok(())
    }

    /// Writes the bytes that have reached the relay's end of the link.
    fn write_due(&mut self, cx: &mut Context<'_>, now: Nanos) -> io::Result<()> {
        let stalled_until = self.handle.stalled_until.get();
        if now < stalled_until {
            return Ok(());
        }
        let mut wrote = false;
        while let Some(segment) = self.up.due(now) {
            match Pin::new(&mut self.wire).poll_write(cx, &segment.bytes) {
                Poll::Pending => break,
                Poll::Ready(Ok(written)) => {
                    let due = segment.due.max(stalled_until.min(now));
                    self.handle.up.set(due - segment.accepted);
                    self.up.consume(written);
                    wrote = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if wrote {
            // If the connection cannot flush now, the next write flushes it.
            let _ = Pin::new(&mut self.wire).poll_flush(cx)?;
        }
        Ok(())
    }

    /// Reads all bytes that the relay has sent and the link can hold.
    fn read_ahead(&mut self, cx: &mut Context<'_>, now: Nanos) {
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

    /// Schedules a wake-up of the task for the time at which the next bytes are
    /// due.
    fn wake_when_due(&mut self, cx: &mut Context<'_>) {
        if self.handle.half_open.get() {
            return;
        }
        let next = [self.up.next_due(), self.down.next_due()];
        let Some(next) = next.into_iter().flatten().min() else {
            return;
        };
        let next = next.max(self.handle.stalled_until.get());
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

    /// Writes the first half of `bytes` without delay, and returns the error
    /// that ends the connection.
    fn cut_frame(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Error {
        while let Some(segment) = self.up.segments.front() {
            match Pin::new(&mut self.wire).poll_write(cx, &segment.bytes) {
                Poll::Ready(Ok(written)) => self.up.consume(written),
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
        let open = !self.handle.half_open.get() && now >= self.handle.stalled_until.get();
        let stalled_until = self.handle.stalled_until.get();
        if open && let Some(segment) = self.down.due(now) {
            let taken = segment.bytes.len().min(into.remaining());
            into.put_slice(&segment.bytes[..taken]);
            // Bytes that a stall held up were not due before its end.
            let due = segment.due.max(stalled_until);
            let accepted = segment.accepted;
            self.handle.down.set(due - accepted);
            self.arrival.set(due);
            self.down.consume(taken);
            return Poll::Ready(Ok(()));
        }
        if open
            && self.down.segments.is_empty()
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
        if self.handle.cut_next_frame.take() {
            return Poll::Ready(Err(self.cut_frame(cx, bytes)));
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
        // The bytes that the link has accepted are in flight.
        self.advance(cx)?;
        self.wake_when_due(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.advance(cx)?;
        if !self.up.segments.is_empty() && !self.handle.half_open.get() {
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
    conditions: LinkConditions,
    segments: VecDeque<Segment>,
    /// Bytes in `segments`.
    bytes: usize,
    /// The time at which all bytes accepted so far have passed the bottleneck.
    busy_until: Nanos,
    /// The time at which the last segment is due.
    last_due: Nanos,
    rng: Xoshiro256PlusPlus,
}

/// Bytes in flight that were accepted together.
struct Segment {
    accepted: Nanos,
    /// The time at which the bytes reach the other end.
    due: Nanos,
    bytes: Bytes,
}

impl Direction {
    fn new(conditions: LinkConditions, rng: Xoshiro256PlusPlus) -> Self {
        Self {
            conditions,
            segments: VecDeque::new(),
            bytes: 0,
            busy_until: 0,
            last_due: 0,
            rng,
        }
    }

    /// Accepts bytes at `now`. They pass the bottleneck one after the other and
    /// then travel; no byte arrives before those in front of it.
    fn accept(&mut self, bytes: &[u8], now: Nanos) {
        let passing = match self.conditions.bandwidth {
            None => 0,
            Some(rate) => bytes.len() as u64 * 1_000_000_000 / rate.max(1),
        };
        self.busy_until = self.busy_until.max(now) + passing;
        let jitter = match self.conditions.jitter {
            0 => 0,
            max => self.rng.random_range(0..=max),
        };
        let due = self.busy_until + self.conditions.delay + jitter;
        self.last_due = self.last_due.max(due);
        self.bytes += bytes.len();
        self.segments.push_back(Segment {
            accepted: now,
            due: self.last_due,
            bytes: Bytes::copy_from_slice(bytes),
        });
    }

    /// Returns whether the direction can accept more bytes.
    fn has_room(&self) -> bool {
        let in_flight = match self.conditions.bandwidth {
            None => 16 * BUFFER as u64,
            Some(rate) => rate.saturating_mul(self.conditions.delay) / 1_000_000_000,
        };
        self.bytes < BUFFER + in_flight as usize
    }

    /// The first segment, if it is due at `now`.
    fn due(&mut self, now: Nanos) -> Option<&Segment> {
        self.segments.front().filter(|segment| segment.due <= now)
    }

    /// The time at which the first segment is due.
    fn next_due(&self) -> Option<Nanos> {
        self.segments.front().map(|segment| segment.due)
    }

    /// Removes the first `bytes` bytes, which have left the link.
    fn consume(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(segment) = self.segments.front_mut() {
            segment.bytes.advance(bytes);
            if segment.bytes.is_empty() {
                self.segments.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn direction(conditions: LinkConditions) -> Direction {
        Direction::new(conditions, Xoshiro256PlusPlus::seed_from_u64(1))
    }

    #[test]
    fn bytes_pass_the_bottleneck_one_after_the_other() {
        let mut direction = direction(LinkConditions {
            delay: 5_000_000,
            jitter: 0,
            bandwidth: Some(1_000_000),
        });
        direction.accept(&[0; 1_000], 0);
        direction.accept(&[0; 1_000], 0);
        direction.accept(&[0; 1_000], 10_000_000);
        let due: Vec<_> = direction
            .segments
            .iter()
            .map(|segment| segment.due)
            .collect();
        assert_eq!(due, [6_000_000, 7_000_000, 16_000_000]);
    }

    proptest! {
        #[test]
        fn jitter_never_lets_bytes_overtake(jitter in 1u64..50_000_000, gaps in prop::collection::vec(0u64..9_000_000, 1..60)) {
            let conditions = LinkConditions { delay: 20_000_000, jitter, bandwidth: None };
            let mut direction = direction(conditions);
            let mut now = 0;
            for gap in gaps {
                now += gap;
                direction.accept(&[1], now);
            }
            let due: Vec<_> = direction.segments.iter().map(|segment| segment.due).collect();
            prop_assert!(due.is_sorted());
            for segment in &direction.segments {
                prop_assert!(segment.due >= segment.accepted + conditions.delay);
            }
        }
    }
}
