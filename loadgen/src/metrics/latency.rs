//! Latency distributions: while they grow, and packed for keeping or sending.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2Serializer};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::clock::Nanos;

/// A histogram of nanoseconds with three significant digits that grows as
/// needed. It is serialised as an HdrHistogram in V2 form, base64.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        // 3 is within the range 0..=5 that `new` accepts.
        #[allow(clippy::unwrap_used)]
        Self(Histogram::new(3).unwrap())
    }
}

/// Two distributions are equal when they hold the same samples, however much
/// memory each has reserved.
impl PartialEq for Latency {
    fn eq(&self, other: &Self) -> bool {
        let buckets = |latency: &Self| -> Vec<(u64, u64)> {
            let recorded = latency.0.iter_recorded();
            recorded
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect()
        };
        self.0.len() == other.0.len() && buckets(self) == buckets(other)
    }
}

impl Latency {
    /// Adds a sample.
    pub fn record(&mut self, value: Nanos) {
        // It grows, so no value is out of range. (`saturating_record` does not
        // grow: it would clip everything to the initial range.)
        let _ = self.0.record(value);
    }

    /// Adds all samples of `other`. The sum is exact: both histograms count in
    /// the same buckets.
    pub fn add(&mut self, other: &Latency) {
        // Most metrics of most seconds are empty, and adding up every bucket of
        // an empty histogram takes as long as of a full one.
        if !other.0.is_empty() {
            // It grows, so the addition cannot fail.
            let _ = self.0.add(&other.0);
        }
    }

    /// Returns the histogram, in nanoseconds.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Returns the value at this quantile in microseconds, or `None` without
    /// samples.
    pub fn micros_at(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// The histogram with no more room than its samples need. Two distributions
    /// with the same samples are the same bytes in this form, in whatever order
    /// they grew.
    pub fn trimmed(&self) -> Histogram<u64> {
        let highest = self.0.max().max(2);
        match Histogram::new_with_bounds(1, highest, 3) {
            Ok(mut trimmed) => {
                // All samples are within its bounds, so the addition cannot fail.
                let _ = trimmed.add(&self.0);
                trimmed
            }
            // Never: the bounds are in order and 3 is a valid precision.
            Err(_) => self.0.clone(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to memory cannot fail, and a histogram in memory is always
        // small enough for the format.
        let _ = V2Serializer::new().serialize(&self.trimmed(), &mut bytes);
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Result<Self, String> {
        let read = HdrDeserializer::new().deserialize(&mut bytes);
        let histogram: Histogram<u64> = read.map_err(|error| error.to_string())?;
        if histogram.sigfig() != 3 || histogram.low() != 1 {
            return Err("its buckets are not those of a latency".to_owned());
        }
        // The sum with an empty one: unlike what was read, it can grow.
        let mut latency = Self::default();
        latency.add(&Self(histogram));
        Ok(latency)
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text).map_err(D::Error::custom)?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

/// A latency distribution that takes no more memory than its samples need: a
/// few bytes per bucket in use, where a [`Latency`] reserves tens of
/// kilobytes. For keeping the distribution of every second of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Latency", into = "Latency")]
pub struct PackedLatency {
    /// The V2 form; nothing if there are no samples.
    v2: Box<[u8]>,
}

impl From<&Latency> for PackedLatency {
    fn from(latency: &Latency) -> Self {
        match latency.histogram().is_empty() {
            true => Self::default(),
            false => Self {
                v2: latency.to_bytes().into(),
            },
        }
    }
}

impl From<Latency> for PackedLatency {
    fn from(latency: Latency) -> Self {
        Self::from(&latency)
    }
}

impl From<PackedLatency> for Latency {
    fn from(packed: PackedLatency) -> Self {
        packed.unpack()
    }
}

impl PackedLatency {
    /// Returns the distribution in the form that can grow.
    pub fn unpack(&self) -> Latency {
        match self.v2.is_empty() {
            true => Latency::default(),
            // It was packed here, so that it can be read.
            false => Latency::from_bytes(&self.v2).unwrap_or_default(),
        }
    }

    /// Adds all samples of `other`; the sum is exact.
    pub fn add(&mut self, other: &Self) {
        if self.v2.is_empty() {
            self.v2.clone_from(&other.v2);
        } else if !other.v2.is_empty() {
            let mut sum = self.unpack();
            sum.add(&other.unpack());
            *self = sum.into();
        }
    }

    /// Returns the median, the 99th percentile and the maximum in microseconds,
    /// or `None` without samples.
    pub fn figures(&self) -> [Option<f64>; 3] {
        let latency = self.unpack();
        [0.5, 0.99, 1.0].map(|quantile| latency.micros_at(quantile))
    }
}
