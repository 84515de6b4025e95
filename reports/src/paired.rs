//! The ratio of two programs that ran in turns.
//!
//! A machine is faster in one minute than in the next. Programs that run next
//! to each other in rounds share that, so each round gives one ratio, and the
//! median over the rounds is the result. Its interval is that of the sign test:
//! order statistics of the ratios, which assume no distribution (Conover,
//! Practical Nonparametric Statistics, section 3.2).

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

/// How many times as long the other takes, compared with the base.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Median over the rounds; above one where the other is slower.
    pub value: f64,
    /// Its interval at 95 % or more; absent with fewer than six rounds, which
    /// cannot give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Rounds in which both were measured.
    pub rounds: usize,
}

impl Ratio {
    /// The ratio over `rounds`, each with the time of the base and of the
    /// other. None without rounds, or where a time is not above zero.
    pub fn of(rounds: &[(f64, f64)]) -> Option<Self> {
        let log = |&(base, other): &(f64, f64)| (other / base).ln();
        let mut logs: Vec<f64> = rounds.iter().map(log).collect();
        if logs.is_empty() || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        logs.sort_by(f64::total_cmp);
        let n = logs.len();
        let median = (logs[(n - 1) / 2] + logs[n / 2]) / 2.0;
        let interval = outermost(n).map(|cut| (logs[cut].exp(), logs[n - 1 - cut].exp()));
        Some(Self {
            value: median.exp(),
            interval,
            rounds: n,
        })
    }

    /// Whether the interval leaves no doubt that the two differ.
    pub fn is_sure(&self) -> bool {
        self.interval
            .is_some_and(|(low, high)| low > 1.0 || high < 1.0)
    }
}

/// How many of `n` sorted values to leave out at either end, so that the median
/// lies among the others with 95 % or more. None where even all are too few.
fn outermost(n: usize) -> Option<usize> {
    let below = Binomial::new(0.5, n as u64).ok()?;
    (0..n / 2)
        .take_while(|&cut| 2.0 * below.cdf(cut as u64) <= 0.05)
        .last()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_phase_of_the_machine_cancels_out() {
        let slow = [1.0, 1.0, 9.0, 2.0, 2.0, 1.0];
        let rounds = slow.map(|phase| (100.0 * phase, 110.0 * phase));
        let ratio = Ratio::of(&rounds).unwrap();
        assert!((ratio.value - 1.1).abs() < 1e-9);
        let (low, high) = ratio.interval.unwrap();
        assert!((low - 1.1).abs() < 1e-9 && (high - 1.1).abs() < 1e-9);
        assert!(ratio.is_sure());
    }

    #[test]
    fn the_ranks_of_the_interval_are_those_of_the_tables() {
        // Ranks of the lower limit, from one, at 95 %, as printed in textbooks.
        for (n, rank) in [(6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (20, 6), (25, 8)] {
            assert_eq!(outermost(n), Some(rank - 1), "{n}");
        }
        assert_eq!((outermost(0), outermost(5)), (None, None));
    }

    #[test]
    fn few_rounds_give_a_ratio_and_no_interval() {
        let ratio = Ratio::of(&[(2.0, 4.0), (2.0, 4.0)]).unwrap();
        assert_eq!((ratio.value, ratio.interval), (2.0, None));
        assert!(!ratio.is_sure());
        assert_eq!(Ratio::of(&[]), None);
        assert_eq!(Ratio::of(&[(0.0, 1.0)]), None);
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_median_and_turns_over_with_the_roles(
            rounds in prop::collection::vec((1.0f64..1e9, 1.0f64..1e9), 6..30),
        ) {
            let ratio = Ratio::of(&rounds).unwrap();
            let (low, high) = ratio.interval.unwrap();
            prop_assert!(low <= ratio.value && ratio.value <= high);
            let swapped: Vec<_> = rounds.iter().map(|&(a, b)| (b, a)).collect();
            let inverse = Ratio::of(&swapped).unwrap();
            prop_assert!((inverse.value * ratio.value - 1.0).abs() < 1e-9);
        }
    }
}
