//! Latency distributions: from an HdrHistogram into the record and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use crate::record::Distribution;

/// The recorded unit is the nanosecond, the figures are microseconds.
const NANOS_PER_MICRO: f64 = 1_000.0;

/// A distribution whose `hdr` field does not hold a histogram.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    /// The text is not base64.
    #[error("the `hdr` field is not base64 ({0}); the record was edited or cut")]
    Base64(#[from] base64::DecodeError),
    /// The bytes are not a V2 histogram.
    #[error(
        "the `hdr` field is not an HdrHistogram in V2 form ({0}); the record was edited or cut"
    )]
    Histogram(#[from] hdrhistogram::serialization::DeserializeError),
    /// The histogram is another one than the figures were read off.
    #[error("the `hdr` field holds {held} samples and `count` is {count}; the record was edited")]
    Count {
        /// The samples in the histogram.
        held: u64,
        /// The samples that the figures are of.
        count: u64,
    },
}

impl Distribution {
    /// Summarises a histogram of nanoseconds; figures are microseconds.
    ///
    /// An empty histogram gives a `count` of 0 and figures of 0, which stand
    /// for "no samples" and are to be shown as such.
    pub fn from_histogram(histogram: &Histogram<u64>) -> Distribution {
        let us = |nanos: u64| nanos as f64 / NANOS_PER_MICRO;
        let quantile = |q: f64| us(histogram.value_at_quantile(q));
        Distribution {
            unit: "us".to_owned(),
            count: histogram.len(),
            min: us(histogram.min()),
            mean: histogram.mean() / NANOS_PER_MICRO,
            stdev: histogram.stdev() / NANOS_PER_MICRO,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: us(histogram.max()),
            hdr: encode(histogram),
        }
    }

    /// The whole histogram, in nanoseconds.
    ///
    /// # Errors
    /// When `hdr` is not what [`Distribution::from_histogram`] wrote.
    pub fn histogram(&self) -> Result<Histogram<u64>, DistributionError> {
        let bytes = BASE64.decode(&self.hdr)?;
        Ok(Deserializer::new().deserialize(&mut bytes.as_slice())?)
    }

    /// Checks that the histogram is whole and the one that the figures are of.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), DistributionError> {
        let (held, count) = (self.histogram()?.len(), self.count);
        match held == count {
            true => Ok(()),
            false => Err(DistributionError::Count { held, count }),
        }
    }
}

fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail, and a histogram in memory is always
    // small enough for the format; an empty `hdr` would be refused on reading.
    match V2Serializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => BASE64.encode(bytes),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn of(samples: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for &sample in samples {
            histogram.record(sample).unwrap();
        }
        histogram
    }

    #[test]
    fn nanoseconds_become_microseconds() {
        let distribution = Distribution::from_histogram(&of(&[1_000, 2_000, 3_000]));
        assert_eq!(distribution.unit, "us");
        assert_eq!(distribution.count, 3);
        for (figure, expected) in [
            (distribution.min, 1.0),
            (distribution.mean, 2.0),
            (distribution.p50, 2.0),
            (distribution.max, 3.0),
        ] {
            assert!((figure - expected).abs() / expected < 0.001, "{figure}");
        }
    }

    #[test]
    fn an_empty_histogram_says_it_has_no_samples() {
        let distribution = Distribution::from_histogram(&of(&[]));
        assert_eq!(distribution.count, 0);
        assert!(distribution.histogram().unwrap().is_empty());
    }

    #[test]
    fn a_damaged_histogram_is_refused() {
        let mut distribution = Distribution::from_histogram(&of(&[5]));
        distribution.hdr.truncate(8);
        assert!(matches!(
            distribution.histogram(),
            Err(DistributionError::Histogram(_))
        ));
        let mut miscounted = Distribution::from_histogram(&of(&[5]));
        assert!(miscounted.check().is_ok());
        miscounted.count = 2;
        assert!(matches!(
            miscounted.check(),
            Err(DistributionError::Count { held: 1, count: 2 })
        ));
        distribution.hdr = "not base64!".to_owned();
        assert!(matches!(
            distribution.histogram(),
            Err(DistributionError::Base64(_))
        ));
    }

    proptest! {
        #[test]
        fn a_histogram_survives_the_record(samples in prop::collection::vec(0..10_000_000_000u64, 0..200)) {
            let histogram = of(&samples);
            let distribution = Distribution::from_histogram(&histogram);
            prop_assert_eq!(&distribution.histogram().unwrap(), &histogram);
            let json = serde_json::to_string(&distribution).unwrap();
            prop_assert_eq!(serde_json::from_str::<Distribution>(&json).unwrap(), distribution);
        }

        #[test]
        fn percentiles_never_fall(samples in prop::collection::vec(0..10_000_000_000u64, 1..200)) {
            let d = Distribution::from_histogram(&of(&samples));
            prop_assert!(d.min <= d.p50 && d.p50 <= d.p90 && d.p90 <= d.p99);
            prop_assert!(d.p99 <= d.p99_9 && d.p99_9 <= d.max);
        }
    }
}
