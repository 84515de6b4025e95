//! The median of one cell's samples, with its spread and interval.

use serde::Serialize;

use super::{median_rank, quantile, relative_spread, sorted};

/// The factor that stretches the range of too few samples so that it can stand
/// in for an interval: a busy machine has been seen to double a single time.
const STRETCH: f64 = 2.0;

/// A median with its spread. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Number of samples.
    pub n: usize,
    /// Their median.
    pub median_ns: f64,
    /// Half of the interquartile range as a share of the median; absent for a
    /// single sample.
    pub spread: Option<f64>,
    /// Interval for the median, from order statistics at a level of 95 %.
    /// Fewer than six samples have none: for them the range of the samples,
    /// stretched by a factor of two either way, stands in.
    pub interval_ns: [f64; 2],
}

impl Estimate {
    /// The estimate from times in any order; `None` without any.
    pub fn from_samples(samples: &[u64]) -> Option<Estimate> {
        let sorted = sorted(samples);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let n = sorted.len();
        let median_ns = quantile(&sorted, 0.5);
        Some(Estimate {
            n,
            median_ns,
            spread: (n > 1 && median_ns > 0.0).then(|| relative_spread(&sorted)),
            interval_ns: match median_rank(n) {
                Some(rank) => [sorted[rank], sorted[n - 1 - rank]],
                None => [min / STRETCH, max * STRETCH],
            },
        })
    }

    /// Returns true if this median is below the other by more than chance
    /// explains, which is when their intervals do not touch.
    pub fn is_below(&self, other: &Estimate) -> bool {
        self.interval_ns[1] < other.interval_ns[0]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn median_and_spread_are_those_of_the_sorted_samples() {
        let estimate = Estimate::from_samples(&[50, 10, 30, 20, 40]).unwrap();
        assert_eq!((estimate.n, estimate.median_ns), (5, 30.0));
        // Quartiles 20 and 40: half of the distance is a third of the median.
        assert_eq!(estimate.spread, Some(10.0 / 30.0));
    }

    #[test]
    fn one_sample_has_no_spread_and_none_has_no_estimate() {
        let estimate = Estimate::from_samples(&[7]).unwrap();
        assert_eq!((estimate.spread, estimate.interval_ns), (None, [3.5, 14.0]));
        assert_eq!(Estimate::from_samples(&[]), None);
    }

    #[test]
    fn the_interval_holds_the_median_as_often_as_it_says() {
        let mut rng = StdRng::seed_from_u64(3);
        let trials = 4_000;
        for n in [6, 10, 20] {
            let held = (0..trials).filter(|_| {
                // Exponential, so skewed as times are; its median is ln 2.
                let times: Vec<u64> = (0..n)
                    .map(|_| (-(1.0 - rng.random::<f64>()).ln() * 1e9) as u64)
                    .collect();
                let [low, high] = Estimate::from_samples(&times).unwrap().interval_ns;
                let median = std::f64::consts::LN_2 * 1e9;
                (low..=high).contains(&median)
            });
            let share = held.count() as f64 / f64::from(trials);
            assert!(share > 0.94, "n = {n}: {share}");
        }
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_median(samples in prop::collection::vec(1u64..1_000_000_000, 1..40)) {
            let estimate = Estimate::from_samples(&samples).unwrap();
            let [low, high] = estimate.interval_ns;
            prop_assert!(low <= estimate.median_ns && estimate.median_ns <= high);
            prop_assert!(!estimate.is_below(&estimate));
        }

        #[test]
        fn the_order_of_the_samples_does_not_matter(mut samples in prop::collection::vec(1u64..1_000_000, 1..20)) {
            let estimate = Estimate::from_samples(&samples);
            samples.reverse();
            prop_assert_eq!(Estimate::from_samples(&samples), estimate);
        }
    }
}
