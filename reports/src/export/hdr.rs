//! The text formats of HdrHistogram, for its plotters and log tools.

mod hgrm;
mod hlog;

pub use hgrm::Hgrm;
pub use hlog::Hlog;

/// Both formats are read by tools that take their figures for milliseconds;
/// ours are nanoseconds.
const NANOS_PER_MILLI: f64 = 1e6;
