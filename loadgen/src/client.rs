//! The life of one client: it comes, connects, and comes back whenever it has
//! lost its connection, until it leaves or the run ends.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::clock::Nanos;
use crate::connection::{ConnectError, Socket, connect};
use crate::link::Link;
use crate::network::Wire;
use crate::plan::{Outage, client_rng};
use crate::session::{Ended, Lost, Seat, Upcoming, serve};
use crate::target::host_and_port;
use crate::worker::{ConnectFailure, Shared};

/// The first wait before a lost connection is opened again; each one after a
/// failure is twice as long, up to [`LONGEST_WAIT`], and half of it random, so
/// that clients who lost their connection together do not come back in step.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Lives the client at `seat`.
pub async fn live(shared: Rc<Shared>, seat: Seat) {
    let plan = shared.plan_of(seat);
    let is_initial = plan.joins.is_none();
    if let Some(joins) = plan.joins {
        // A run that is ended early ends before some have come.
        tokio::select! {
            biased;
            () = until(&shared, joins) => {}
            () = shared.plan_over() => return,
        }
        shared.come(seat, joins);
    } else {
        let now = shared.clock().now();
        shared.come(seat, now);
    }
    let mut upcoming = Upcoming::of(&plan);
    let mut waits = Waits::new(client_rng(shared.seed() ^ 0xBACC, shared.client(seat)));
    loop {
        let began = shared.timer.now();
        match attempt(&shared, seat, &mut upcoming).await {
            Attempt::Ended(Ended::Closing) => return,
            Attempt::Ended(Ended::Left) => return shared.leave(seat),
            Attempt::Ended(Ended::Outage(outage)) => {
                sit_out(&shared, seat, outage).await;
                waits.begin_anew();
            }
            Attempt::Ended(Ended::Lost(lost)) => {
                if is_initial && !shared.has_started() {
                    let reason = lost.reason;
                    return shared.give_up(shared.not_joined(seat, reason));
                }
                shared.lost(seat, lost);
                // A relay that hangs up at once must not be rushed at.
                if shared.timer.now() - began > LONGEST_WAIT.as_nanos() as Nanos {
                    waits.begin_anew();
                }
            }
            Attempt::Failed(failure) => {
                if is_initial && !shared.has_started() {
                    return shared.give_up(failure);
                }
                shared.lost(seat, loss(&failure));
            }
        }
        if leaves_by_now(&shared, plan.leaves) {
            return shared.leave(seat);
        }
        tokio::select! {
            () = shared.timer.sleep_until(shared.timer.now() + waits.next()) => {}
            () = shared.closing() => return,
        }
        upcoming.skip_until(shared.clock().now());
    }
}

/// Completes at a time of the run.
async fn until(shared: &Shared, at: Nanos) {
    let clock = shared.started().await;
    shared.timer.sleep_until(clock.absolute(at)).await;
}

/// Whether the client was to leave meanwhile.
fn leaves_by_now(shared: &Shared, leaves: Option<Nanos>) -> bool {
    leaves.is_some_and(|leaves| leaves <= shared.clock().now())
}

/// What an attempt to be connected came to.
enum Attempt {
    Failed(ConnectFailure),
    Ended(Ended),
}

async fn attempt(shared: &Rc<Shared>, seat: Seat, upcoming: &mut Upcoming) -> Attempt {
    // On the heap: in place, what opening needs would take room for as long as
    // the client lives.
    let opened = tokio::select! {
        opened = Box::pin(open(shared, seat)) => opened,
        () = shared.closing() => return Attempt::Ended(Ended::Closing),
    };
    let socket = match opened {
        Ok(socket) => socket,
        Err(failure) => return Attempt::Failed(failure),
    };
    if let Err(reason) = shared.open(seat) {
        return Attempt::Ended(Ended::Lost(Lost::new("engine", reason)));
    }
    let ended = serve(shared, seat, socket, upcoming).await;
    shared.disconnected(seat, &ended);
    Attempt::Ended(ended)
}

async fn open(shared: &Rc<Shared>, seat: Seat) -> Result<Socket, ConnectFailure> {
    let _permit = shared.permit_to_connect().await;
    let url = shared.url(seat)?;
    let began = shared.timer.now();
    let socket = connect(&url, shared.access(), wire(shared, seat, &url)).await;
    let socket = socket?;
    shared.connected_in(shared.timer.now() - began);
    Ok(socket)
}

/// A connection to the relay, behind the client's link if it has one, and
/// encrypted where the address says so.
async fn wire(
    shared: &Rc<Shared>,
    seat: Seat,
    url: &tokio_tungstenite::tungstenite::http::Uri,
) -> std::io::Result<Wire> {
    let (host, port) = host_and_port(url);
    let client = shared.client(seat);
    let (arrival, control) = (shared.arrival(seat), shared.fresh_control(seat));
    let opening = shared.network().open(host, port, client, arrival.clone());
    let mut wire = opening.await?;
    if let Some(quality) = shared.link_quality(seat) {
        let rng = client_rng(shared.seed() ^ 0x117C, client);
        let timer = shared.timer.clone();
        wire = Box::new(Link::new(wire, quality, control, arrival, timer, rng));
    }
    shared.encrypted(host, wire).await
}

/// The client is away until the outage is over.
async fn sit_out(shared: &Shared, seat: Seat, outage: Outage) {
    let clock = shared.started().await;
    let back = outage.until.max(clock.now());
    shared.back_from(seat, back);
    tokio::select! {
        biased;
        () = shared.timer.sleep_until(clock.absolute(back)) => {}
        // The run was stopped before: it does not wait for an absence.
        () = shared.plan_over() => shared.back_from(seat, clock.now()),
    }
}

fn loss(failure: &ConnectFailure) -> Lost {
    match failure {
        ConnectFailure::Connect(error) => error.loss(),
        ConnectFailure::Url(error) => Lost::new("url", error.to_string()),
        ConnectFailure::Tls(error) => Lost::new("tls", error.clone()),
    }
}

/// How long a client waits before it opens a lost connection again.
struct Waits {
    rng: Xoshiro256PlusPlus,
    failures: u32,
}

impl Waits {
    fn new(rng: Xoshiro256PlusPlus) -> Self {
        Self { rng, failures: 0 }
    }

    /// A connection was there: the next wait is none, and the one after it
    /// short.
    fn begin_anew(&mut self) {
        self.failures = 0;
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

impl From<ConnectError> for ConnectFailure {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}
