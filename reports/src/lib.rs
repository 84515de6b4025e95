//! The record of a run, and everything made from it.

#![forbid(unsafe_code)]

pub mod collect;
pub mod comparison;
pub mod distribution;
#[cfg(feature = "render")]
pub mod export;
pub mod file;
pub mod machine;
pub mod mask;
pub mod metric;
#[cfg(feature = "render")]
pub mod plot;
pub mod quantity;
pub mod record;
pub mod run_id;
#[cfg(feature = "schema")]
pub mod schema;
pub mod series;
pub mod similar;
pub mod statistics;
#[cfg(feature = "render")]
pub mod summary;
#[cfg(feature = "render")]
pub mod table;
pub mod threshold;
pub mod validity;
