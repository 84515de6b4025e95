//! The growth of time with size: the exponent `k` of `time ~ size^k`.
//!
//! The logarithm of the median time is fitted to the logarithm of the size by
//! least squares, as Goldsmith, Aiken and Wilkerson do to find the empirical
//! complexity of programs (ESEC/FSE 2007). The slope is the exponent.
//!
//! Its 95 % interval has to cover two kinds of doubt, and is the hull of both:
//!
//! - **noise**: the samples of each size are drawn again, with replacement, and
//!   fitted again ([`RESAMPLES`] times, from a fixed seed); the middle 95 % of the
//!   slopes remain (percentile bootstrap, Efron and Tibshirani 1993, chapter 13);
//! - **shape**: from three sizes on, the residuals give the slope Student's t
//!   interval. Times that do not follow a power law, such as a fixed cost plus a
//!   quadratic one, so get a wide interval, however quiet the machine was.

use std::fmt;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{median, quantile};

/// Exponents above this are flagged: more than what sorting or tree look-ups
/// add to linear work, at the sizes that are measured.
pub const SUPERLINEAR: f64 = 1.3;

/// The number of times that the samples are drawn again for the interval.
pub const RESAMPLES: usize = 2_000;

/// The same samples always give the same interval.
const SEED: u64 = 1;

/// The samples of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point<'a> {
    /// The size, in any unit.
    pub size: u64,
    /// Time of each repetition, nanoseconds.
    pub samples_ns: &'a [u64],
}

/// A fitted exponent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Exponent {
    /// The exponent of the size.
    pub value: f64,
    /// Its 95 % interval; absent for two sizes without repetitions.
    pub interval: Option<(f64, f64)>,
    /// Number of sizes it was fitted over.
    pub sizes: usize,
    /// Number of samples over all sizes.
    pub n: usize,
}

/// A verdict on the growth of time, by comparison with [`SUPERLINEAR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// The exponent is not above it.
    Moderate,
    /// The exponent is above it, but its interval is not, or is unknown.
    PerhapsSuperlinear,
    /// The exponent is above it, with its whole interval.
    Superlinear,
}

/// The reason that no exponent can be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScalingError {
    /// There are fewer than two sizes.
    #[error("an exponent needs two different sizes or more")]
    TooFewSizes,
    /// A size, a time or a number of samples is zero.
    #[error("an exponent needs sizes, samples and times above zero")]
    NotPositive,
}

impl Exponent {
    /// Fits the exponent over `points`, in any order.
    ///
    /// # Errors
    /// When there are not two different sizes, or when a size, a median time or
    /// the number of samples of a size is zero.
    pub fn fit(points: &[Point<'_>]) -> Result<Self, ScalingError> {
        let sizes: Vec<f64> = points.iter().map(|point| ln(point.size)).collect();
        let medians = points.iter().map(|point| median(point.samples_ns));
        let times: Vec<f64> = medians.map(f64::ln).collect();
        if sizes.iter().chain(&times).any(|ln| !ln.is_finite()) {
            return Err(ScalingError::NotPositive);
        }
        let line = Line::fit(&sizes, &times).ok_or(ScalingError::TooFewSizes)?;
        let noise = repeated(points).then(|| resampled(points, &sizes));
        let shape = line.slope_interval(&sizes, &times);
        let interval = match (noise, shape) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        Ok(Self {
            value: line.slope,
            interval,
            sizes: points.len(),
            n: points.iter().map(|point| point.samples_ns.len()).sum(),
        })
    }

    /// Compares the exponent and its interval with [`SUPERLINEAR`].
    pub fn growth(&self) -> Growth {
        match self.interval {
            _ if self.value <= SUPERLINEAR => Growth::Moderate,
            Some((low, _)) if low > SUPERLINEAR => Growth::Superlinear,
            _ => Growth::PerhapsSuperlinear,
        }
    }
}

/// As in `2.04 [1.97, 2.11]`.
impl fmt::Display for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.interval {
            Some((low, high)) => write!(f, "{:.2} [{low:.2}, {high:.2}]", self.value),
            None => write!(f, "{:.2} [no interval]", self.value),
        }
    }
}

/// The flag that a table shows beside the exponent; empty for moderate growth.
impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Moderate => "",
            Self::PerhapsSuperlinear => "superlinear? (the interval includes 1.3)",
            Self::Superlinear => "superlinear",
        })
    }
}

/// A straight line through points.
struct Line {
    slope: f64,
    intercept: f64,
    /// Sum of the squared distances of the abscissas from their mean.
    spread: f64,
}

impl Line {
    /// The least-squares line; none where all abscissas are equal.
    fn fit(x: &[f64], y: &[f64]) -> Option<Self> {
        let (x_mean, y_mean) = (mean(x), mean(y));
        let spread: f64 = x.iter().map(|x| (x - x_mean).powi(2)).sum();
        let pairs = x.iter().zip(y);
        let joint: f64 = pairs.map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
        let slope = joint / spread;
        (spread > 0.0).then_some(Self {
            slope,
            intercept: y_mean - slope * x_mean,
            spread,
        })
    }

    /// Student's 95 % interval of the slope; none with fewer than three points.
    fn slope_interval(&self, x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
        let freedom = x.len().checked_sub(2).filter(|&left| left > 0)? as f64;
        let residual = |(x, y): (&f64, &f64)| y - self.intercept - self.slope * x;
        let squares: f64 = x.iter().zip(y).map(|p| residual(p).powi(2)).sum();
        let error = (squares / freedom / self.spread).sqrt();
        let quantile = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(0.975);
        let reach = quantile * error;
        Some((self.slope - reach, self.slope + reach))
    }
}

/// Returns true if repetitions show the noise: at every size, or at one of them
/// where the residuals show it too.
fn repeated(points: &[Point<'_>]) -> bool {
    let repeated = |point: &Point<'_>| point.samples_ns.len() > 1;
    match points.len() {
        0..=2 => points.iter().all(repeated),
        _ => points.iter().any(repeated),
    }
}

/// The middle 95 % of the slopes of resampled points.
fn resampled(points: &[Point<'_>], sizes: &[f64]) -> (f64, f64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut drawn = Vec::new();
    let mut slopes: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let times = points.iter().map(|point| {
                let samples = point.samples_ns;
                drawn.clear();
                drawn.extend(
                    (0..samples.len()).map(|_| samples[rng.random_range(0..samples.len())]),
                );
                // A median of zero, where half the samples are, has no logarithm.
                median(&drawn).max(f64::MIN_POSITIVE).ln()
            });
            let times: Vec<f64> = times.collect();
            Line::fit(sizes, &times).map(|line| line.slope)
        })
        .collect();
    slopes.sort_by(f64::total_cmp);
    (quantile(&slopes, 0.025), quantile(&slopes, 0.975))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn ln(size: u64) -> f64 {
    (size as f64).ln()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Samples of `cost * size^k` with log-normal noise, which is what times
    /// look like.
    fn noisy(rng: &mut Xoshiro256PlusPlus, k: f64, noise: f64, size: u64, n: usize) -> Vec<u64> {
        let mut sample = || {
            // Twelve uniform numbers add up to nearly normal ones.
            let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            1_000_000.0 * (size as f64).powf(k) * (noise * normal).exp()
        };
        (0..n).map(|_| sample() as u64).collect()
    }

    fn fit(measured: &[(u64, Vec<u64>)]) -> Result<Exponent, ScalingError> {
        let points = measured.iter().map(|(size, samples_ns)| Point {
            size: *size,
            samples_ns,
        });
        Exponent::fit(&points.collect::<Vec<_>>())
    }

    /// Share of 100 seeds in which the interval holds the true exponent.
    fn coverage(sizes: &[u64], n: usize) -> f64 {
        let covered = |seed: u64| {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let k = 0.5 + seed as f64 / 40.0;
            let measured = sizes
                .iter()
                .map(|&size| (size, noisy(&mut rng, k, 0.1, size, n)));
            let (low, high) = fit(&measured.collect::<Vec<_>>())
                .unwrap()
                .interval
                .unwrap();
            low <= k && k <= high
        };
        (0..100).filter(|&seed| covered(seed)).count() as f64 / 100.0
    }

    #[test]
    fn the_interval_holds_the_true_exponent_as_often_as_it_says() {
        for (sizes, n, at_least) in [
            (&[1, 2, 4, 8, 16][..], 20, 0.95),
            (&[1, 2, 4, 8, 16], 5, 0.95),
            (&[1, 2, 4, 8, 16], 1, 0.92),
            (&[1, 10, 100], 3, 0.95),
            // Noise alone speaks here, and medians of few samples say too little.
            (&[1, 16], 20, 0.88),
        ] {
            let covered = coverage(sizes, n);
            assert!(covered >= at_least, "{sizes:?}, n = {n}: {covered}");
        }
    }

    #[test]
    fn a_quadratic_cliff_is_flagged_and_linear_work_is_not() {
        let quadratic = [1, 2, 4, 8, 16].map(|size: u64| (size, vec![size * size * 10_000; 3]));
        let exponent = fit(&quadratic).unwrap();
        assert_eq!(exponent.growth(), Growth::Superlinear);
        assert_eq!(exponent.to_string(), "2.00 [2.00, 2.00]");
        assert_eq!((exponent.sizes, exponent.n), (5, 15));
        let linear = [1, 2, 4].map(|size: u64| (size, vec![size * 10_000]));
        assert_eq!(fit(&linear).unwrap().growth(), Growth::Moderate);
    }

    #[test]
    fn a_flag_that_is_not_sure_says_so() {
        let uneven = [(1, vec![100]), (2, vec![500]), (4, vec![900])];
        let exponent = fit(&uneven).unwrap();
        assert!(exponent.value > SUPERLINEAR, "{exponent}");
        assert_eq!(exponent.growth(), Growth::PerhapsSuperlinear);
        let alone = fit(&[(1, vec![100]), (2, vec![400, 401])]).unwrap();
        assert_eq!(
            (alone.interval, alone.growth()),
            (None, Growth::PerhapsSuperlinear)
        );
    }

    #[test]
    fn a_bend_widens_the_interval_where_noise_does_not() {
        let bent = [1, 2, 4, 8, 16].map(|size: u64| (size, vec![50_000 + size * size * 1_000; 20]));
        let (low, high) = fit(&bent).unwrap().interval.unwrap();
        assert!(high - low > 0.5, "{low} {high}");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        for (measured, error) in [
            (vec![], ScalingError::TooFewSizes),
            (vec![(1, vec![5])], ScalingError::TooFewSizes),
            (vec![(3, vec![5]), (3, vec![6])], ScalingError::TooFewSizes),
            (vec![(0, vec![5]), (3, vec![6])], ScalingError::NotPositive),
            (vec![(1, vec![]), (3, vec![6])], ScalingError::NotPositive),
            (vec![(1, vec![0]), (3, vec![6])], ScalingError::NotPositive),
        ] {
            assert_eq!(fit(&measured), Err(error), "{measured:?}");
        }
    }

    proptest! {
        // A fit draws thousands of samples.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_power_law_without_noise_gives_back_its_exponent(
            k in 0.2f64..3.0,
            sizes in prop::collection::btree_set(1u64..1_000, 2..8),
        ) {
            let time = |size: u64| (1e9 * (size as f64).powf(k)) as u64;
            let measured: Vec<_> = sizes.iter().map(|&size| (size, vec![time(size)])).collect();
            prop_assert!((fit(&measured).unwrap().value - k).abs() < 1e-3);
        }

        #[test]
        fn the_interval_holds_the_estimate_and_the_unit_does_not_matter(
            samples in prop::collection::vec(prop::collection::vec(1u64..1_000_000, 2..6), 2..6),
        ) {
            let at = |scale: u64| {
                let sizes = (1..).map(|size| size * scale);
                fit(&sizes.zip(samples.clone()).collect::<Vec<_>>()).unwrap()
            };
            let (small, large) = (at(1), at(1_000));
            prop_assert!((small.value - large.value).abs() < 1e-6);
            let (low, high) = small.interval.unwrap();
            prop_assert!(low <= high);
            if samples.len() > 2 {
                prop_assert!(low <= small.value && small.value <= high);
            }
        }
    }
}
