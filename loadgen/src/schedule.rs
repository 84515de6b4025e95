//! The open-loop schedule: when each client intends to edit.
//!
//! Arrival times come from the scenario and the seed alone and never wait for
//! an answer, so a slow relay or generator cannot hide behind them
//! (coordinated omission, Gil Tene).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::clock::Nanos;
use crate::scenario::{Arrivals, Phase, Scenario};

/// One edit that a client intends to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// When, since the schedule's start.
    pub intended: Nanos,
    /// Who.
    pub client: u32,
}

/// The arrivals of a set of clients, ascending by intended time. Lazy: memory
/// is one entry per client, however long the run.
#[derive(Debug)]
pub struct Schedule {
    next: BinaryHeap<Reverse<(Arrival, usize)>>,
    streams: Vec<Stream>,
    end: Nanos,
}

impl Schedule {
    /// The schedule of `clients` within `scenario`. Every client's arrivals
    /// are its own: they do not depend on which other clients are asked for.
    pub fn new(scenario: &Scenario, clients: impl IntoIterator<Item = u32>) -> Self {
        let mut schedule = Self {
            next: BinaryHeap::new(),
            streams: Vec::new(),
            end: scenario.duration.as_nanos() as Nanos,
        };
        for client in clients {
            let mut stream = Stream::new(scenario, client);
            let first = Arrival {
                intended: stream.advance(),
                client,
            };
            schedule.streams.push(stream);
            schedule.push(first, schedule.streams.len() - 1);
        }
        schedule
    }

    fn push(&mut self, arrival: Arrival, stream: usize) {
        if arrival.intended < self.end {
            self.next.push(Reverse((arrival, stream)));
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let Reverse((arrival, stream)) = self.next.pop()?;
        let intended = self.streams[stream].advance();
        self.push(
            Arrival {
                intended,
                ..arrival
            },
            stream,
        );
        Some(arrival)
    }
}

/// The arrival times of one client.
#[derive(Debug)]
enum Stream {
    Constant {
        first: f64,
        period: f64,
        made: u64,
    },
    Poisson {
        at: f64,
        mean: f64,
        rng: Box<Xoshiro256PlusPlus>,
    },
}

impl Stream {
    fn new(scenario: &Scenario, client: u32) -> Self {
        let period = 1e9 / scenario.rate_per_client();
        match (scenario.arrivals, scenario.phase) {
            (Arrivals::Poisson, _) => {
                let rng = Box::new(client_rng(scenario.seed, client));
                Stream::Poisson {
                    at: 0.0,
                    mean: period,
                    rng,
                }
            }
            (Arrivals::Constant, Phase::Locked) => Stream::Constant {
                first: 0.0,
                period,
                made: 0,
            },
            (Arrivals::Constant, Phase::Spread) => {
                let first = period * f64::from(client) / f64::from(scenario.clients);
                Stream::Constant {
                    first,
                    period,
                    made: 0,
                }
            }
        }
    }

    fn advance(&mut self) -> Nanos {
        match self {
            Stream::Constant {
                first,
                period,
                made,
            } => {
                // Multiplied, not summed, so that rounding does not drift.
                let at = *first + *period * *made as f64;
                *made += 1;
                at.round() as Nanos
            }
            Stream::Poisson { at, mean, rng } => {
                let uniform: f64 = rng.random();
                *at -= *mean * (1.0 - uniform).ln();
                at.round() as Nanos
            }
        }
    }
}

/// The random numbers of one client: a named algorithm, so that a seed means
/// the same on every machine and in every version.
fn client_rng(seed: u64, client: u32) -> Xoshiro256PlusPlus {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    Xoshiro256PlusPlus::seed_from_u64(seed ^ GOLDEN.wrapping_mul(u64::from(client) + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn scenario(clients: u32, rate: f64, seconds: u64) -> Scenario {
        let duration = Duration::from_secs(seconds);
        Scenario {
            clients,
            rooms: 1,
            rate,
            duration,
            ..Scenario::default()
        }
    }

    #[test]
    fn constant_arrivals_are_as_many_as_asked_and_evenly_spread() {
        let scenario = scenario(10, 100.0, 2);
        let times: Vec<_> = Schedule::new(&scenario, 0..10)
            .map(|a| a.intended)
            .collect();
        assert_eq!(times.len(), 200);
        for (i, &time) in times.iter().enumerate() {
            assert!(
                time.abs_diff(i as u64 * 10_000_000) <= 1,
                "arrival {i} at {time}"
            );
        }
    }

    #[test]
    fn locked_clients_all_arrive_at_once() {
        let scenario = Scenario {
            phase: Phase::Locked,
            ..scenario(4, 8.0, 1)
        };
        let times: Vec<_> = Schedule::new(&scenario, 0..4).map(|a| a.intended).collect();
        assert_eq!(
            times,
            [
                0,
                0,
                0,
                0,
                500_000_000,
                500_000_000,
                500_000_000,
                500_000_000
            ]
        );
    }

    #[test]
    fn poisson_distances_have_the_mean_and_spread_of_the_exponential() {
        let scenario = Scenario {
            arrivals: Arrivals::Poisson,
            ..scenario(1, 1_000.0, 100)
        };
        let times: Vec<_> = Schedule::new(&scenario, 0..1)
            .map(|a| a.intended as f64)
            .collect();
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.02, "mean {mean}");
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.02,
            "deviation {}",
            variance.sqrt()
        );
    }

    proptest! {
        #[test]
        fn splitting_the_clients_splits_the_schedule_and_nothing_else(
            clients in 1u32..20, rate in 1.0f64..500.0, seed: u64, poisson: bool,
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let scenario = Scenario { arrivals, seed, ..scenario(clients, rate, 3) };
            let whole: Vec<_> = Schedule::new(&scenario, 0..clients).collect();
            prop_assert!(whole.is_sorted());
            let even = Schedule::new(&scenario, (0..clients).step_by(2));
            let odd = Schedule::new(&scenario, (1..clients).step_by(2));
            let mut parts: Vec<_> = even.chain(odd).collect();
            parts.sort_unstable();
            prop_assert_eq!(whole, parts);
        }
    }
}
