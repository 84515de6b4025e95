//! The rate of one writer over time.

use std::time::Duration;

use crate::scenario::Scenario;
use crate::time::clock::Nanos;

/// The step in which the rate of one writer is approximated by a straight line
/// where the number of clients changes as well, nanoseconds.
const STEP: Nanos = 100_000_000;

/// The rate of one writer over the run: straight lines, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    lines: Vec<Line>,
}

/// A straight line from `rate` at `start` to `end_rate` at `end`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    start: Nanos,
    end: Nanos,
    /// Actions per nanosecond.
    rate: f64,
    end_rate: f64,
    /// The number of actions before `start`.
    before: f64,
}

impl Line {
    fn arrivals(&self) -> f64 {
        (self.rate + self.end_rate) / 2.0 * (self.end - self.start) as f64
    }

    /// The time at which `count` actions after its start are reached: the root of
    /// `rate * t + slope * t^2 / 2 = count`, in the form that stays exact for
    /// a slope near zero.
    fn time_of(&self, count: f64) -> Nanos {
        let slope = (self.end_rate - self.rate) / (self.end - self.start) as f64;
        let root = (self.rate * self.rate + 2.0 * slope * count)
            .max(0.0)
            .sqrt();
        let after = 2.0 * count / (self.rate + root);
        let after = if after.is_finite() { after } else { 0.0 };
        self.start + after.round() as Nanos
    }
}

impl Profile {
    /// Creates the rate of one writer of `scenario`: the whole rate divided by the
    /// number of writers that are present.
    pub fn new(scenario: &Scenario) -> Self {
        if scenario.stages.is_empty() {
            return Self::constant(scenario.rate_per_writer(), scenario.duration);
        }
        let mut profile = Self { lines: Vec::new() };
        let share =
            f64::from(scenario.clients.writer_count()) / f64::from(scenario.clients.count.max(1));
        let first = scenario.stages[0].clients;
        let mut clients = f64::from(first.unwrap_or(scenario.clients.count));
        let mut rate = scenario.workload.rate;
        let mut start = 0;
        for stage in &scenario.stages {
            let lasts = stage.duration.as_nanos() as Nanos;
            let target = stage.clients.map_or(clients, f64::from);
            let stage_rate = stage.rate.unwrap_or(rate);
            let from = if stage.ramp { rate } else { stage_rate };
            let steps = if target == clients {
                1
            } else {
                lasts.div_ceil(STEP)
            };
            let at = |step: u64| {
                let part = step as f64 / steps as f64;
                let all = from + (stage_rate - from) * part;
                let writers = (clients + (target - clients) * part) * share;
                all / writers.max(1.0) / 1e9
            };
            for step in 0..steps {
                let (from, to) = (
                    start + lasts * step / steps,
                    start + lasts * (step + 1) / steps,
                );
                profile.push(from, to, at(step), at(step + 1));
            }
            (clients, rate) = (target, stage_rate);
            start += lasts;
        }
        profile
    }

    /// Creates a constant rate, per second.
    pub fn constant(per_second: f64, duration: Duration) -> Self {
        let mut profile = Self { lines: Vec::new() };
        let rate = per_second / 1e9;
        profile.push(0, duration.as_nanos() as Nanos, rate, rate);
        profile
    }

    fn push(&mut self, start: Nanos, end: Nanos, rate: f64, end_rate: f64) {
        let last = self.lines.last();
        let before = last.map_or(0.0, |line| line.before + line.arrivals());
        self.lines.push(Line {
            start,
            end,
            rate,
            end_rate,
            before,
        });
    }

    /// The time at which `count` actions are reached; `None` after the end.
    pub fn time_of(&self, count: f64) -> Option<Nanos> {
        let next = self.lines.partition_point(|line| line.before <= count);
        // Lines without arrivals begin at the same count as the next one: the
        // last of them is the one that goes on.
        let line = &self.lines[next.checked_sub(1)?];
        let at = line.time_of(count - line.before);
        let is_last = next == self.lines.len();
        match is_last && (at >= line.end || line.arrivals() <= 0.0) {
            true => None,
            false => Some(at.min(line.end)),
        }
    }
}
