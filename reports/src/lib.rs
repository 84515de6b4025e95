//! What a run leaves behind: the record and everything made from it.

#![forbid(unsafe_code)]

pub mod collect;
pub mod distribution;
#[cfg(feature = "render")]
pub mod export;
pub mod file;
pub mod machine;
#[cfg(feature = "render")]
pub mod plot;
pub mod quantity;
pub mod record;
pub mod scaling;
pub mod stamp;
#[cfg(feature = "render")]
pub mod summary;
#[cfg(feature = "render")]
pub mod table;
