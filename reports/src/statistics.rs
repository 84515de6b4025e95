//! Statistics over samples: pure functions, each with one definition.
//!
//! - [`quantile`] and [`median`]: interpolated linearly between neighbours.
//! - [`median_rank`]: the distribution-free interval of a median.
//! - [`Estimate`]: the median of one cell, with spread and interval.
//! - [`Ratio`]: two programs that ran in turns, compared round by round.
//! - [`Exponent`]: the growth of time with size.

mod estimate;
mod exponent;
mod ratio;

pub use estimate::Estimate;
pub use exponent::{Exponent, Growth, Point, RESAMPLES, SUPERLINEAR, ScalingError};
pub use ratio::Ratio;

use statrs::distribution::{Binomial, DiscreteCDF};

/// The confidence level of every interval.
const LEVEL: f64 = 0.95;

/// A quantile of ascending values, interpolated linearly between neighbours;
/// NaN without values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// The median of samples in any order; NaN without samples.
pub fn median(samples: &[u64]) -> f64 {
    quantile(&sorted(samples), 0.5)
}

/// Half the distance between the quartiles of ascending values, as a share of
/// their median.
pub fn relative_spread(sorted: &[f64]) -> f64 {
    let distance = quantile(sorted, 0.75) - quantile(sorted, 0.25);
    distance / 2.0 / quantile(sorted, 0.5)
}

/// The number of values to leave out at either end of `n` ascending ones so
/// that the median of their distribution lies among the rest with a probability
/// of 95 % or more. `None` if even all `n` are too few, as below six.
///
/// Each sample lies below that median with probability 1/2, so the number that
/// do is binomial whatever the distribution (the sign test; Conover, Practical
/// Nonparametric Statistics, section 3.2).
pub fn median_rank(n: usize) -> Option<usize> {
    let below = Binomial::new(0.5, n as u64).ok()?;
    (0..n / 2)
        .take_while(|&cut| 2.0 * below.cdf(cut as u64) <= 1.0 - LEVEL)
        .last()
}

/// Groups items by key, both in the order in which they first appear; items
/// without a key are left out.
///
/// With the name of the series in the key, it collects the cells that differ in
/// size alone.
pub fn grouped<T, K: PartialEq>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> Option<K>,
) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let Some(key) = key(&item) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

/// The samples as ascending numbers.
fn sorted(samples: &[u64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = samples.iter().map(|&sample| sample as f64).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        let values = [10.0, 20.0, 30.0, 40.0];
        let quantiles = [0.0, 0.25, 0.5, 1.0].map(|q| quantile(&values, q));
        assert_eq!(quantiles, [10.0, 17.5, 25.0, 40.0]);
        assert!(quantile(&[], 0.5).is_nan() && median(&[]).is_nan());
    }

    #[test]
    fn the_ranks_of_the_interval_are_those_of_the_tables() {
        // Ranks of the lower limit, from one, at 95 %, as printed in textbooks.
        for (n, rank) in [
            (6, 1),
            (8, 1),
            (9, 2),
            (10, 2),
            (12, 3),
            (20, 6),
            (25, 8),
            (30, 10),
        ] {
            assert_eq!(median_rank(n), Some(rank - 1), "{n}");
        }
        assert_eq!((median_rank(0), median_rank(5)), (None, None));
    }

    #[test]
    fn many_samples_still_leave_an_interval() {
        // 1.96 standard deviations of the binomial distribution, which is
        // nearly normal here: 1,000 - 0.98 * sqrt(2,000), less one as ranks
        // count from zero.
        let rank = median_rank(2_000).unwrap_or_default();
        assert!((954..=957).contains(&rank), "{rank}");
    }

    #[test]
    fn groups_and_members_keep_their_order() {
        let groups = grouped([3, 10, 4, 1, 12], |n| (n % 10 != 1).then_some(n / 10));
        assert_eq!(groups, [(0, vec![3, 4]), (1, vec![10, 12])]);
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_within_the_samples(
            samples in prop::collection::vec(0u64..1_000_000, 1..50),
            (a, b) in (0.0f64..=1.0, 0.0f64..=1.0),
        ) {
            let sorted = sorted(&samples);
            let (low, high) = (quantile(&sorted, a.min(b)), quantile(&sorted, a.max(b)));
            prop_assert!(low <= high);
            prop_assert!(sorted[0] <= low && high <= sorted[sorted.len() - 1]);
        }

        #[test]
        fn the_median_moves_with_its_samples(
            samples in prop::collection::vec(0u64..1_000_000, 1..50),
            shift in 0u64..1_000,
        ) {
            let shifted: Vec<u64> = samples.iter().map(|sample| sample + shift).collect();
            prop_assert!((median(&shifted) - median(&samples) - shift as f64).abs() < 1e-6);
        }

        #[test]
        fn the_rank_is_the_largest_that_keeps_the_level(n in 6usize..400) {
            let rank = median_rank(n).unwrap_or_default() as u64;
            let below = Binomial::new(0.5, n as u64).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert!(2.0 * below.cdf(rank) <= 1.0 - LEVEL);
            prop_assert!(2.0 * below.cdf(rank + 1) > 1.0 - LEVEL);
        }

        #[test]
        fn a_spread_does_not_depend_on_the_unit(
            samples in prop::collection::vec(1u64..1_000_000, 1..50),
        ) {
            let scaled: Vec<u64> = samples.iter().map(|sample| sample * 1_000).collect();
            let (a, b) = (relative_spread(&sorted(&samples)), relative_spread(&sorted(&scaled)));
            prop_assert!((a - b).abs() < 1e-9);
        }
    }
}
