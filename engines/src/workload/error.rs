//! Reasons why a workload gives no figure.

use crate::EngineError;

/// Why a workload gives no figure.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine did something else than what the workload is about.
    #[error("wrong result, so its time means nothing: {0}")]
    Wrong(String),
    /// The data set lacks what the workload needs.
    #[error("{dataset} does not suit this workload: {reason}")]
    Unsuitable {
        /// Name of the data set.
        dataset: String,
        /// What is missing.
        reason: String,
    },
}
