//! The ratio of two programs that ran in turns.
//!
//! The speed of a machine changes from minute to minute. Programs that run next
//! to each other in rounds share these changes, so each round gives one ratio,
//! and the result is the median over the rounds. Its interval is that of
//! [`median_rank`], which assumes no distribution.

use serde::{Deserialize, Serialize};

use super::{median_rank, quantile};

/// The time of a program divided by that of the base.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Median over the rounds; above 1 if the program is slower than the base.
    pub value: f64,
    /// The interval of the median at 95 % or more; absent with fewer than six
    /// rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Rounds in which both were measured.
    pub rounds: usize,
}

impl Ratio {
    /// The ratio over `rounds`, each with the time of the base and of the other
    /// program. `None` without rounds, or if a time is not above zero.
    pub fn from_rounds(rounds: &[(f64, f64)]) -> Option<Self> {
        let log = |&(base, other): &(f64, f64)| (other / base).ln();
        let mut logs: Vec<f64> = rounds.iter().map(log).collect();
        if logs.is_empty() || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        logs.sort_by(f64::total_cmp);
        let n = logs.len();
        let median = quantile(&logs, 0.5);
        let interval = median_rank(n).map(|cut| (logs[cut].exp(), logs[n - 1 - cut].exp()));
        Some(Self {
            value: median.exp(),
            interval,
            rounds: n,
        })
    }

    /// Returns true if the interval excludes 1, so that the two surely differ.
    pub fn is_sure(&self) -> bool {
        self.interval
            .is_some_and(|(low, high)| low > 1.0 || high < 1.0)
    }
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
        let ratio = Ratio::from_rounds(&rounds).unwrap();
        assert!((ratio.value - 1.1).abs() < 1e-9);
        let (low, high) = ratio.interval.unwrap();
        assert!((low - 1.1).abs() < 1e-9 && (high - 1.1).abs() < 1e-9);
        assert!(ratio.is_sure());
    }

    #[test]
    fn few_rounds_give_a_ratio_and_no_interval() {
        let ratio = Ratio::from_rounds(&[(2.0, 4.0), (2.0, 4.0)]).unwrap();
        assert_eq!((ratio.value, ratio.interval), (2.0, None));
        assert!(!ratio.is_sure());
        assert_eq!(Ratio::from_rounds(&[]), None);
        assert_eq!(Ratio::from_rounds(&[(0.0, 1.0)]), None);
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_median_and_turns_over_with_the_roles(
            rounds in prop::collection::vec((1.0f64..1e9, 1.0f64..1e9), 6..30),
        ) {
            let ratio = Ratio::from_rounds(&rounds).unwrap();
            let (low, high) = ratio.interval.unwrap();
            prop_assert!(low <= ratio.value && ratio.value <= high);
            let swapped: Vec<_> = rounds.iter().map(|&(a, b)| (b, a)).collect();
            let inverse = Ratio::from_rounds(&swapped).unwrap();
            prop_assert!((inverse.value * ratio.value - 1.0).abs() < 1e-9);
        }
    }
}
