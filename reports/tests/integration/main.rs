//! The integration tests of the crate, in one binary.

#[cfg(feature = "render")]
mod export;
#[cfg(feature = "render")]
mod figures;
mod metrics;
mod sample;
mod schema;
#[cfg(feature = "render")]
mod tables;
