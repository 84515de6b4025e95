//! What the samples of one cell say: median, spread, and an interval for the
//! median.

use serde::Serialize;

/// How sure the interval of a median is to hold it.
const LEVEL: f64 = 0.95;

/// By how much the range of too few samples is stretched to stand in for an
/// interval: what a busy machine has been seen to do to a single time.
const STRETCH: f64 = 2.0;

/// A median with its spread. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Samples.
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
    /// Of the given times, in any order; nothing where there are none.
    pub fn of(samples: &[u64]) -> Option<Estimate> {
        let mut sorted: Vec<f64> = samples.iter().map(|&ns| ns as f64).collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let n = sorted.len();
        let median_ns = quantile(&sorted, 0.5);
        let half_range = (quantile(&sorted, 0.75) - quantile(&sorted, 0.25)) / 2.0;
        Some(Estimate {
            n,
            median_ns,
            spread: (n > 1 && median_ns > 0.0).then(|| half_range / median_ns),
            interval_ns: match rank(n) {
                Some(rank) => [sorted[rank], sorted[n - 1 - rank]],
                None => [min / STRETCH, max * STRETCH],
            },
        })
    }

    /// Whether this median is below the other by more than chance explains:
    /// the intervals do not touch.
    pub fn is_below(&self, other: &Estimate) -> bool {
        self.interval_ns[1] < other.interval_ns[0]
    }
}

/// Quantile of sorted samples, interpolated between neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// How many samples may be cut off at either end of `n` sorted ones so that
/// the rest still spans the median of their distribution at [`LEVEL`]. Each
/// sample lies below that median with probability 1/2, so the number that do
/// is binomial, whatever the distribution.
fn rank(n: usize) -> Option<usize> {
    let mut below = 0.0;
    let mut probability = 0.5f64.powi(n as i32);
    let mut fitting = None;
    for k in 0..n / 2 {
        below += probability;
        if 2.0 * below > 1.0 - LEVEL {
            break;
        }
        fitting = Some(k);
        probability *= (n - k) as f64 / (k + 1) as f64;
    }
    fitting
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
        let estimate = Estimate::of(&[50, 10, 30, 20, 40]).unwrap();
        assert_eq!((estimate.n, estimate.median_ns), (5, 30.0));
        // Quartiles 20 and 40: half of the distance is a third of the median.
        assert_eq!(estimate.spread, Some(10.0 / 30.0));
    }

    #[test]
    fn one_sample_has_no_spread_and_none_has_no_estimate() {
        let estimate = Estimate::of(&[7]).unwrap();
        assert_eq!((estimate.spread, estimate.interval_ns), (None, [3.5, 14.0]));
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics: 95 % of 6, 10, 20, 30.
        assert_eq!(
            [5, 6, 8, 9, 10, 20, 30].map(rank),
            [None, Some(0), Some(0), Some(1), Some(1), Some(5), Some(9)]
        );
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
                let [low, high] = Estimate::of(&times).unwrap().interval_ns;
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
            let estimate = Estimate::of(&samples).unwrap();
            let [low, high] = estimate.interval_ns;
            prop_assert!(low <= estimate.median_ns && estimate.median_ns <= high);
            prop_assert!(!estimate.is_below(&estimate));
        }

        #[test]
        fn the_order_of_the_samples_does_not_matter(mut samples in prop::collection::vec(1u64..1_000_000, 1..20)) {
            let estimate = Estimate::of(&samples);
            samples.reverse();
            prop_assert_eq!(Estimate::of(&samples), estimate);
        }
    }
}
