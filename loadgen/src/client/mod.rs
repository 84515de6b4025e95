//! The life of one client: it arrives, connects, comes back whenever it has
//! lost its connection, and ends when it leaves or the run does.

pub mod connection;
pub mod dialer;
pub mod disconnect;
pub mod session;
pub mod signals;
pub mod state;

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::plan::{ClientId, ClientPlan, Outage, client_rng};
use crate::room::MemberRef;
use crate::room::rooms::Rooms;
use crate::time::clock::Nanos;
use crate::time::timer::Timer;

use connection::{Busy, ConnectFailure, Socket};
use dialer::{Dialer, Endpoint};
use disconnect::{Disconnect, LostConnection, REFUSED};
use signals::RunSignals;
use state::{PendingOutages, SessionEnd};

/// The first wait before a lost connection is opened again; each one after a
/// failure is twice as long, up to [`LONGEST_WAIT`], and half of it random, so
/// that clients that lost their connection together do not come back in step.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The longest time that a client waits because a busy relay asks it to.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// One client, with what it needs of its worker.
pub struct Client {
    /// The client's place in the worker's rooms.
    pub member: MemberRef,
    /// The rooms of the worker.
    pub rooms: Rc<Rooms>,
    /// The signals of the run.
    pub signals: Rc<RunSignals>,
    /// Opens the client's connections.
    pub dialer: Rc<Dialer>,
    /// The timer of the worker.
    pub timer: Timer,
}

/// Runs a client from its arrival to its departure, or the end of the run.
pub async fn run_client(client: Client) {
    if !client.arrive().await {
        return;
    }
    let is_initial = client.plan().joins.is_none();
    let mut pending_outages = PendingOutages::new(client.plan());
    let mut backoff = Backoff::new(client.rng(0xBACC));
    let patience_ends = client.timer.now() + client.patience();
    loop {
        let began = client.timer.now();
        let may_fail_run = is_initial && !client.signals.has_started();
        let wait = match client.connect_and_serve(&mut pending_outages).await {
            SessionEnd::Closing => return,
            SessionEnd::Left => return client.depart(),
            SessionEnd::Outage(outage) => {
                client.wait_out_outage(outage).await;
                backoff.reset();
                backoff.next()
            }
            SessionEnd::Unopened(failure) => {
                let busy = failure.busy();
                let wait = backoff.next_after(busy);
                let is_patient = busy.is_some() && client.timer.now() + wait < patience_ends;
                if may_fail_run && !client.signals.has_started() && !is_patient {
                    return client.signals.fail(failure);
                }
                client.note_unopened(&failure);
                wait
            }
            SessionEnd::Lost(lost) => {
                if may_fail_run && !client.signals.has_started() {
                    return client.signals.fail(client.not_joined(lost));
                }
                client.note_loss(lost);
                // A relay that hangs up at once must not be hammered.
                if client.timer.now() - began > LONGEST_WAIT.as_nanos() as Nanos {
                    backoff.reset();
                }
                backoff.next()
            }
        };
        if client.should_have_left() {
            return client.depart();
        }
        let again = client.timer.now() + wait;
        tokio::select! {
            () = client.timer.sleep_until(again) => {}
            () = client.departure() => return client.depart(),
            () = client.closing() => return,
        }
        pending_outages.skip_until(client.now());
    }
}

impl Client {
    /// The client's number in the run.
    pub fn number(&self) -> ClientId {
        self.rooms.client(self.member)
    }

    /// The client's plan.
    pub fn plan(&self) -> &ClientPlan {
        self.rooms.plan_of(self.member)
    }

    /// Nanoseconds since the start of the schedule.
    pub fn now(&self) -> Nanos {
        self.rooms.meter.now()
    }

    /// Completes when the client has nothing left to do: the run closes its
    /// connections, or the client's room has ended.
    pub async fn closing(&self) {
        tokio::select! {
            () = self.signals.closing() => {}
            () = self.rooms.room_over(self.member) => {}
        }
    }

    fn rng(&self, purpose: u64) -> Xoshiro256PlusPlus {
        client_rng(self.rooms.context.scenario.seed ^ purpose, self.number())
    }

    /// Waits until the client is due, and lets it arrive. Returns false when
    /// the run ends before.
    async fn arrive(&self) -> bool {
        let planned = match self.plan().joins {
            None => self.now(),
            Some(joins) => {
                tokio::select! {
                    biased;
                    () = self.until(joins) => {}
                    () = self.signals.plan_over() => return false,
                }
                joins
            }
        };
        self.rooms.arrive(self.member, planned);
        true
    }

    fn depart(&self) {
        self.rooms.depart(self.member);
    }

    /// Completes at a time of the run.
    async fn until(&self, at: Nanos) {
        let clock = self.signals.started().await;
        self.timer.sleep_until(clock.absolute(at)).await;
    }

    /// Completes when the client leaves for good; never, if it stays.
    async fn departure(&self) {
        match self.plan().leaves {
            Some(leaves) => self.until(leaves).await,
            None => std::future::pending().await,
        }
    }

    /// Returns true if the client's departure was planned for a time that has passed.
    fn should_have_left(&self) -> bool {
        self.plan()
            .leaves
            .is_some_and(|leaves| leaves <= self.now())
    }

    async fn connect_and_serve(&self, pending_outages: &mut PendingOutages) -> SessionEnd {
        // On the heap: in place, what opening needs would take memory for as
        // long as the client lives.
        let opened = tokio::select! {
            opened = Box::pin(self.connect()) => opened,
            () = self.closing() => return SessionEnd::Closing,
        };
        let socket = match opened {
            Ok(socket) => socket,
            Err(failure) => return SessionEnd::Unopened(failure),
        };
        let ended = match self.rooms.begin_session(self.member) {
            Ok(()) => session::serve(self, socket, pending_outages).await,
            Err(error) => SessionEnd::Lost(Disconnect::new("engine", error.to_string())),
        };
        let is_outage = matches!(ended, SessionEnd::Outage(_));
        self.rooms.disconnected(self.member, is_outage);
        ended
    }

    async fn connect(&self) -> Result<Socket, ConnectFailure> {
        let _permit = self.dialer.permit().await;
        let handle = self.rooms.renew_link(self.member);
        let conditions = self.plan().link.map(|class| {
            let links = &self.rooms.context.scenario.links;
            links[class].conditions()
        });
        let endpoint = Endpoint {
            room: self.rooms.room_name(self.member),
            client: self.number(),
            arrival: self.rooms.arrival(self.member),
            link: conditions.map(|conditions| (conditions, handle)),
        };
        let began = self.timer.now();
        let socket = self.dialer.dial(endpoint).await?;
        let took = self.timer.now() - began;
        self.rooms
            .meter
            .record(|metrics| metrics.connect.record(took));
        Ok(socket)
    }

    /// Keeps the client away until the outage is over.
    async fn wait_out_outage(&self, outage: Outage) {
        let clock = self.signals.started().await;
        let back = outage.until.max(clock.now());
        self.rooms.back_from(self.member, back);
        tokio::select! {
            biased;
            () = self.timer.sleep_until(clock.absolute(back)) => {}
            // The run was stopped before: it does not wait for an absence.
            () = self.signals.plan_over() => self.rooms.back_from(self.member, clock.now()),
        }
    }

    /// The time for which an initial client comes back to a relay that is busy
    /// before the run begins, nanoseconds.
    fn patience(&self) -> Nanos {
        let scenario = &self.rooms.context.scenario;
        scenario.relay.ready_timeout.as_nanos() as Nanos
    }

    /// Counts a connection that could not be opened: as refused, if the relay
    /// asked the client to come back, and as lost otherwise.
    fn note_unopened(&self, failure: &ConnectFailure) {
        let lost = failure.disconnect();
        if failure.busy().is_none() {
            return self.note_loss(lost);
        }
        self.rooms.meter.record(|metrics| {
            metrics.error(&lost.kind);
            metrics.refused += 1;
        });
    }

    /// Counts a connection that was lost, or could not be opened.
    fn note_loss(&self, lost: Disconnect) {
        self.rooms.meter.record(|metrics| {
            metrics.error(&lost.kind);
            metrics.disconnects += 1;
        });
        self.signals.keep_loss(LostConnection {
            client: self.number(),
            at: self.now(),
            reason: lost.reason,
        });
    }

    fn not_joined(&self, lost: Disconnect) -> ConnectFailure {
        let room = self.rooms.room_name(self.member);
        let unexpected = self.rooms.unexpected_frame();
        // A relay that refuses a client speaks its protocol.
        let unexpected = unexpected.filter(|_| lost.kind != REFUSED);
        let frame = unexpected.map(|frame| frame.to_string());
        self.dialer
            .not_joined((&room, self.number()), lost.reason, frame)
    }
}

/// The waits before a lost connection is opened again.
struct Backoff {
    rng: Xoshiro256PlusPlus,
    failures: u32,
}

impl Backoff {
    fn new(rng: Xoshiro256PlusPlus) -> Self {
        Self { rng, failures: 0 }
    }

    /// Starts over after a connection that held: the next wait is zero, and the
    /// one after it short.
    fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the wait after a connection that could not be opened. A relay that
    /// is busy is never asked again at once, or before it says.
    fn next_after(&mut self, busy: Option<Busy>) -> Nanos {
        let Some(busy) = busy else {
            return self.next();
        };
        self.failures = self.failures.max(1);
        let asked = busy.retry_after.min(LONGEST_RETRY_AFTER);
        asked.as_nanos() as Nanos + self.next()
    }

    fn next(&mut self) -> Nanos {
        let doubled = 1u32
            .checked_shl(self.failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let most = FIRST_WAIT
            .saturating_mul(doubled)
            .min(LONGEST_WAIT)
            .as_nanos() as Nanos;
        self.failures += 1;
        match self.failures {
            1 => 0,
            _ => self.rng.random_range(most / 2..=most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_relay_is_not_asked_again_at_once_or_before_it_says() {
        let first = FIRST_WAIT.as_nanos() as Nanos;
        let longest = LONGEST_WAIT.as_nanos() as Nanos;
        let busy = |seconds| {
            let retry_after = Duration::from_secs(seconds);
            Some(Busy { retry_after })
        };
        let mut backoff = Backoff::new(client_rng(1, ClientId(0)));
        assert_eq!(backoff.next_after(None), 0);
        backoff.reset();
        let wait = backoff.next_after(busy(0));
        assert!((first / 2..=first).contains(&wait), "{wait}");
        for _ in 0..100 {
            let wait = backoff.next_after(busy(7)) - 7_000_000_000;
            assert!((first / 2..=longest).contains(&wait), "{wait}");
        }
        let wait = backoff.next_after(busy(u64::MAX));
        assert!(wait <= LONGEST_RETRY_AFTER.as_nanos() as Nanos + longest);
    }
}
