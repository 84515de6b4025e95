//! The text formats of HdrHistogram, for its plotters and log tools.

mod hgrm;
mod hlog;

pub use hgrm::Hgrm;
pub use hlog::Hlog;

/// Nanoseconds per millisecond. The tools that read these formats expect milliseconds;
/// our histograms hold nanoseconds.
const NANOS_PER_MILLI: f64 = 1e6;
