//! The life of one client: it comes, connects, and comes back whenever it has
//! lost its connection, until it leaves or the run ends.

pub mod connection;
pub mod disconnect;
pub mod session;

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::client::connection::{ConnectFailure, Socket, connect};
use crate::client::disconnect::{Disconnect, PendingOutages, SessionEnd};
use crate::client::session::serve;
use crate::net::link::{Link, LinkSetup};
use crate::net::network::Wire;
use crate::net::target::host_and_port;
use crate::plan::{Outage, client_rng};
use crate::room::MemberRef;
use crate::time::clock::Nanos;
use crate::worker::Shared;

/// The first wait before a lost connection is opened again; each one after a
/// failure is twice as long, up to [`LONGEST_WAIT`], and half of it random, so
/// that clients who lost their connection together do not come back in step.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Lives the client at `seat`.
pub async fn run_client(shared: Rc<Shared>, member: MemberRef) {
    let plan = shared.plan_of(member);
    let is_initial = plan.joins.is_none();
    if let Some(joins) = plan.joins {
        // A run that is ended early ends before some have come.
        tokio::select! {
            biased;
            () = until(&shared, joins) => {}
            () = shared.plan_over() => return,
        }
        shared.arrive(member, joins);
    } else {
        let now = shared.clock().now();
        shared.arrive(member, now);
    }
    let mut pending_outages = PendingOutages::new(&plan);
    let mut backoff = Backoff::new(client_rng(shared.seed() ^ 0xBACC, shared.client(member)));
    loop {
        let began = shared.timer.now();
        match attempt(&shared, member, &mut pending_outages).await {
            Attempt::Ended(SessionEnd::Closing) => return,
            Attempt::Ended(SessionEnd::Left) => return shared.depart(member),
            Attempt::Ended(SessionEnd::Outage(outage)) => {
                wait_out_outage(&shared, member, outage).await;
                backoff.reset();
            }
            Attempt::Ended(SessionEnd::Lost(lost)) => {
                if is_initial && !shared.has_started() {
                    let reason = lost.reason;
                    return shared.give_up(shared.not_joined(member, reason));
                }
                shared.lost(member, lost);
                // A relay that hangs up at once must not be rushed at.
                if shared.timer.now() - began > LONGEST_WAIT.as_nanos() as Nanos {
                    backoff.reset();
                }
            }
            Attempt::Failed(failure) => {
                if is_initial && !shared.has_started() {
                    return shared.give_up(failure);
                }
                shared.lost(member, loss(&failure));
            }
        }
        if leaves_by_now(&shared, plan.leaves) {
            return shared.depart(member);
        }
        tokio::select! {
            () = shared.timer.sleep_until(shared.timer.now() + backoff.next()) => {}
            () = shared.closing() => return,
        }
        pending_outages.skip_until(shared.clock().now());
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
    Ended(SessionEnd),
}

async fn attempt(
    shared: &Rc<Shared>,
    member: MemberRef,
    pending_outages: &mut PendingOutages,
) -> Attempt {
    // On the heap: in place, what opening needs would take room for as long as
    // the client lives.
    let opened = tokio::select! {
        opened = Box::pin(open(shared, member)) => opened,
        () = shared.closing() => return Attempt::Ended(SessionEnd::Closing),
    };
    let socket = match opened {
        Ok(socket) => socket,
        Err(failure) => return Attempt::Failed(failure),
    };
    if let Err(reason) = shared.open(member) {
        return Attempt::Ended(SessionEnd::Lost(Disconnect::new("engine", reason)));
    }
    let ended = serve(shared, member, socket, pending_outages).await;
    shared.disconnected(member, &ended);
    Attempt::Ended(ended)
}

async fn open(shared: &Rc<Shared>, member: MemberRef) -> Result<Socket, ConnectFailure> {
    let _permit = shared.permit_to_connect().await;
    let url = shared.url(member)?;
    let began = shared.timer.now();
    let socket = connect(&url, shared.access(), wire(shared, member, &url)).await;
    let socket = socket?;
    shared.connected_in(shared.timer.now() - began);
    Ok(socket)
}

/// A connection to the relay, behind the client's link if it has one, and
/// encrypted where the address says so.
async fn wire(
    shared: &Rc<Shared>,
    member: MemberRef,
    url: &tokio_tungstenite::tungstenite::http::Uri,
) -> std::io::Result<Wire> {
    let (host, port) = host_and_port(url);
    let client = shared.client(member);
    let (arrival, control) = (shared.arrival(member), shared.fresh_control(member));
    let opening = shared.network().open(host, port, client, arrival.clone());
    let mut wire = opening.await?;
    if let Some(conditions) = shared.link_quality(member) {
        let setup = LinkSetup {
            conditions,
            handle: control,
            arrival,
            timer: shared.timer.clone(),
            rng: client_rng(shared.seed() ^ 0x117C, client),
        };
        wire = Box::new(Link::new(wire, setup));
    }
    shared.encrypted(host, wire).await
}

/// The client is away until the outage is over.
async fn wait_out_outage(shared: &Shared, member: MemberRef, outage: Outage) {
    let clock = shared.started().await;
    let back = outage.until.max(clock.now());
    shared.back_from(member, back);
    tokio::select! {
        biased;
        () = shared.timer.sleep_until(clock.absolute(back)) => {}
        // The run was stopped before: it does not wait for an absence.
        () = shared.plan_over() => shared.back_from(member, clock.now()),
    }
}

fn loss(failure: &ConnectFailure) -> Disconnect {
    match failure {
        ConnectFailure::Connect(error) => error.loss(),
        ConnectFailure::Url(error) => Disconnect::new("url", error.to_string()),
        ConnectFailure::Tls(error) => Disconnect::new("tls", error.clone()),
    }
}

/// How long a client waits before it opens a lost connection again.
struct Backoff {
    rng: Xoshiro256PlusPlus,
    failures: u32,
}

impl Backoff {
    fn new(rng: Xoshiro256PlusPlus) -> Self {
        Self { rng, failures: 0 }
    }

    /// A connection was there: the next wait is none, and the one after it
    /// short.
    fn reset(&mut self) {
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
