//! A distribution of latencies, with its histogram.

use serde::{Deserialize, Serialize};

/// A latency distribution. Percentiles are read off an HdrHistogram of three
/// significant digits whose recorded unit is the nanosecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Distribution {
    /// Unit of the figures: always `us` (microseconds).
    #[cfg_attr(feature = "schema", schemars(extend("const" = "us")))]
    pub unit: String,
    /// Number of samples.
    pub count: u64,
    /// Smallest sample.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub min: f64,
    /// Arithmetic mean.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub mean: f64,
    /// Standard deviation.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub stdev: f64,
    /// Median.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p50: f64,
    /// 90th percentile.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p90: f64,
    /// 99th percentile.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p99: f64,
    /// 99.9th percentile.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub p99_9: f64,
    /// Largest sample.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub max: f64,
    /// The whole histogram, HdrHistogram V2 serialisation, base64. Its values
    /// are nanoseconds.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z0-9+/]+={0,2}$"), extend("contentEncoding" = "base64")))]
    pub hdr: String,
}
