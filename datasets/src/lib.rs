//! Editing traces and documents to measure with.
//!
//! [`load`] takes a name from the [`catalog()`] or a path to a file in the
//! editing-traces format, and returns a [`Trace`]: the recorded insertions and
//! deletions with their agents, positions and parents. A trace that does not replay
//! to its end text is an error.
//!
//! ```
//! let trace = syncbench_datasets::load_bytes(
//!     "greeting",
//!     br#"{"startContent":"","endContent":"hi!","txns":[{"patches":[[0,0,"hi"]]},{"patches":[[2,0,"!"]]}]}"#,
//! )?;
//! assert_eq!(trace.end_content(), "hi!");
//! assert_eq!(trace.patches().map(|patch| patch.ins).collect::<String>(), "hi!");
//! # Ok::<(), syncbench_datasets::DatasetError>(())
//! ```

#![forbid(unsafe_code)]

mod binary;
mod body;
mod catalog;
mod causal;
mod check;
mod convert;
mod error;
#[cfg(feature = "fetch")]
mod fetch;
mod json;
mod load;
mod source;
mod stats;
mod store;
mod timestamp;
mod trace;
mod verify;

pub use catalog::{Catalog, Check, Counts, Derived, Entry, Kind, catalog};
pub use causal::{runs, visit_versions};
pub use convert::{Format, convert, to_binary, write_json};
pub use error::{DatasetError, Place};
#[cfg(feature = "fetch")]
pub use fetch::{Fetched, Progress, fetch};
pub use load::{load, load_bytes};
pub use source::{Location, has_embedded_trace, locate, mirror, read_entry};
pub use stats::{Concurrency, Spread, Stats, stats};
pub use store::{cache_dir, write_atomically};
pub use trace::{Patch, Trace, TraceKind, Txn};
pub use verify::{Finding, Verified, verify};
