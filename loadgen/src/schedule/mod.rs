//! The open-loop schedule: the intended time of every action of every client.
//!
//! Intended times come from the scenario and the seed alone and never wait for
//! an answer, so a slow relay or generator cannot hide behind them
//! (coordinated omission, Gil Tene).

mod profile;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use syncbench_datasets::Trace;

use crate::plan::{ClientId, ClientPlan, Plan, client_rng};
use crate::scenario::{Arrivals, Phase, Scenario};
use crate::time::clock::Nanos;

pub use profile::Profile;

/// An action of a client at its intended time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduledAction {
    /// The intended time, nanoseconds since the start of the schedule.
    pub intended: Nanos,
    /// The client.
    pub client: ClientId,
    /// The action.
    pub action: Action,
}

/// The kinds of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// An edit.
    Edit,
    /// A presence message.
    Presence,
}

impl ScheduledAction {
    /// Returns a number for this action. The wrapping sum over a whole schedule
    /// tells schedules apart and does not depend on how the schedule was divided.
    pub fn fingerprint(&self) -> u64 {
        let mut bits = self.intended ^ (u64::from(self.client.0) << 40);
        bits ^= (self.action as u64) << 63;
        // The finaliser of splitmix64 (Steele, Lea, Flood, 2014).
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }
}

/// The actions of a set of clients, ascending by intended time. Lazy: memory is
/// one entry per client, however long the run.
#[derive(Debug)]
pub struct Schedule {
    next: BinaryHeap<Reverse<(ScheduledAction, usize)>>,
    streams: Vec<Stream>,
}

/// What one client does, and when.
#[derive(Debug)]
struct Stream {
    client: ClientId,
    times: ClientTimes,
    choice: Choice,
}

/// What a client does at its times.
#[derive(Debug)]
enum Choice {
    /// Always the same.
    Always(Action),
    /// Shows its presence with this probability, and edits otherwise.
    Mixed {
        presence: f64,
        rng: Box<Xoshiro256PlusPlus>,
    },
}

impl Choice {
    /// The choice of a writer.
    fn of_writer(scenario: &Scenario, client: ClientId) -> Self {
        match scenario.workload.presence_share() {
            presence if presence > 0.0 => Self::Mixed {
                presence,
                rng: Box::new(client_rng(scenario.seed ^ 0x0C1C, client)),
            },
            _ => Self::Always(Action::Edit),
        }
    }

    fn next(&mut self) -> Action {
        match self {
            Self::Always(action) => *action,
            Self::Mixed { presence, rng } => match rng.random::<f64>() < *presence {
                true => Action::Presence,
                false => Action::Edit,
            },
        }
    }
}

impl Schedule {
    /// Creates the schedule of `clients` within `scenario` and its `plan`. The
    /// times of a client do not depend on the other clients in the set. `rhythm`
    /// is that of the data set, for arrivals that follow it.
    pub fn new(
        scenario: &Scenario,
        plan: &Plan,
        rhythm: Option<&Rhythm>,
        clients: impl IntoIterator<Item = ClientId>,
    ) -> Self {
        let mut schedule = Self {
            next: BinaryHeap::new(),
            streams: Vec::new(),
        };
        let profile = Arc::new(Profile::new(scenario));
        for client in clients {
            let planned = plan.client(client);
            if planned.writes {
                let times = ClientTimes::edits(scenario, &profile, rhythm, planned, client);
                let choice = Choice::of_writer(scenario, client);
                schedule.add(Stream {
                    client,
                    times,
                    choice,
                });
            }
            if let Some(times) = ClientTimes::presence(scenario, planned, client) {
                schedule.add(Stream {
                    client,
                    times,
                    choice: Choice::Always(Action::Presence),
                });
            }
        }
        schedule
    }

    fn add(&mut self, stream: Stream) {
        self.streams.push(stream);
        self.push(self.streams.len() - 1);
    }

    /// Adds the next action of a stream, if it has one.
    fn push(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        if let Some(intended) = stream.times.next() {
            let arrival = ScheduledAction {
                intended,
                client: stream.client,
                action: stream.choice.next(),
            };
            self.next.push(Reverse((arrival, index)));
        }
    }
}

impl Iterator for Schedule {
    type Item = ScheduledAction;

    fn next(&mut self) -> Option<ScheduledAction> {
        let Reverse((arrival, stream)) = self.next.pop()?;
        self.push(stream);
        Some(arrival)
    }
}

/// The distances between the edits of a data set, where it has times: their
/// mean is 1.
#[derive(Debug, Clone)]
pub struct Rhythm(Arc<[f32]>);

/// The length that pauses are cut to, milliseconds: a night between two sessions
/// of writing is not part of a rhythm of typing.
const LONGEST_PAUSE: f64 = 30_000.0;

/// A reason why a data set has no rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRhythm {
    /// No transaction has a time.
    #[error("its txns have no times")]
    NoTimes,
    /// Some transaction has no time.
    #[error("txn {0} has no `time`")]
    TimeMissing(usize),
    /// No transaction is later than the one before.
    #[error("none of its txns is later than the one before")]
    NoPauses,
}

impl Rhythm {
    /// Reads the rhythm of `trace`.
    ///
    /// # Errors
    /// When a transaction has no time, or none is later than the one before.
    pub fn from_trace(trace: &Trace) -> Result<Self, NoRhythm> {
        let times: Vec<i64> = trace.txns().map_while(|txn| txn.time()).collect();
        if times.len() < trace.txn_count() {
            let has_times = trace.txns().any(|txn| txn.time().is_some());
            return Err(match has_times {
                true => NoRhythm::TimeMissing(times.len()),
                false => NoRhythm::NoTimes,
            });
        }
        let pause = |two: &[i64]| (two[1].saturating_sub(two[0]).max(0) as f64).min(LONGEST_PAUSE);
        let pauses: Vec<f64> = times.windows(2).map(pause).collect();
        let mean = pauses.iter().sum::<f64>() / pauses.len().max(1) as f64;
        if mean <= 0.0 {
            return Err(NoRhythm::NoPauses);
        }
        Ok(Self(pauses.iter().map(|p| (p / mean) as f32).collect()))
    }
}

/// The intended times of one client for one kind of action.
#[derive(Debug)]
struct ClientTimes {
    pattern: Pattern,
    /// Turns the count of actions, which patterns are written in, into time.
    profile: Arc<Profile>,
    from: Nanos,
    until: Nanos,
}

#[derive(Debug)]
enum Pattern {
    Even {
        phase: f64,
        made: u64,
    },
    Poisson {
        at: f64,
        rng: Box<Xoshiro256PlusPlus>,
    },
    Rhythm {
        at: f64,
        next: usize,
        pauses: Arc<[f32]>,
    },
}

impl ClientTimes {
    fn edits(
        scenario: &Scenario,
        profile: &Arc<Profile>,
        rhythm: Option<&Rhythm>,
        planned: &ClientPlan,
        client: ClientId,
    ) -> Self {
        // Relative to the writers, which come first: other clients do not edit.
        let share = f64::from(client.0) / f64::from(scenario.clients.writer_count().max(1));
        let pattern = match (scenario.workload.arrivals, scenario.workload.phase, rhythm) {
            (Arrivals::Poisson, ..) => Pattern::Poisson {
                at: 0.0,
                rng: Box::new(client_rng(scenario.seed, client)),
            },
            (Arrivals::Trace, _, Some(Rhythm(pauses))) => Pattern::Rhythm {
                at: 0.0,
                // Everyone is somewhere else in it.
                next: (share.fract() * pauses.len() as f64) as usize,
                pauses: Arc::clone(pauses),
            },
            (_, Phase::Locked, _) => Pattern::Even {
                phase: 0.0,
                made: 0,
            },
            _ => Pattern::Even {
                phase: share.fract(),
                made: 0,
            },
        };
        Self::within(pattern, Arc::clone(profile), scenario, planned)
    }

    fn presence(scenario: &Scenario, planned: &ClientPlan, client: ClientId) -> Option<Self> {
        let every = scenario.presence?.every.as_secs_f64();
        let pattern = Pattern::Even {
            phase: f64::from(client.0) / f64::from(scenario.clients.count) % 1.0,
            made: 0,
        };
        let profile = Arc::new(Profile::constant(1.0 / every, scenario.duration));
        Some(Self::within(pattern, profile, scenario, planned))
    }

    fn within(
        pattern: Pattern,
        profile: Arc<Profile>,
        scenario: &Scenario,
        planned: &ClientPlan,
    ) -> Self {
        let stay = planned.stay(scenario.duration.as_nanos() as Nanos);
        Self {
            pattern,
            profile,
            from: stay.start,
            until: stay.end,
        }
    }

    /// Returns the next intended time within the client's stay.
    fn next(&mut self) -> Option<Nanos> {
        loop {
            let at = self.profile.time_of(self.pattern.next())?;
            if at >= self.until {
                return None;
            }
            if at >= self.from {
                return Some(at);
            }
        }
    }
}

impl Pattern {
    /// The place of the next action: the number of actions that an even stream
    /// would have had until then.
    fn next(&mut self) -> f64 {
        match self {
            Pattern::Even { phase, made } => {
                // Added once, not summed, so that rounding does not drift.
                let at = *phase + *made as f64;
                *made += 1;
                at
            }
            Pattern::Poisson { at, rng } => {
                let uniform: f64 = rng.random();
                *at -= (1.0 - uniform).ln();
                *at
            }
            Pattern::Rhythm { at, next, pauses } => {
                *at += f64::from(pauses[*next % pauses.len()]);
                *next += 1;
                *at
            }
        }
    }
}

#[cfg(test)]
mod tests;
