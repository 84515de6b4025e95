//! The workloads of the suites, independent of how they are timed.
//!
//! A [`Workload`] makes [`Repetition`]s on a [`Subject`], which is one data set in one
//! engine. The caller starts the clock, calls [`Repetition::run`], stops the clock, and
//! calls [`Repetition::check`]. All preparation precedes the timed part; all
//! verification and the release of memory follow it.

mod check;
mod commit;
mod compaction;
mod conflict;
mod data;
mod error;
mod export;
mod history;
mod import;
mod interleaving;
mod live;
mod local;
mod merge;
mod repetition;
mod row;
mod subject;
mod suite;
mod sync;
mod types;

pub use data::{Data, Input, SYNTHETIC, input_of};
pub use error::WorkloadError;
pub use repetition::{Outcome, Repetition};
pub use row::{Scale, Workload};
pub use subject::{Form, Subject};
pub use suite::{Size, Suite};

use repetition::{Prepared, timed};
