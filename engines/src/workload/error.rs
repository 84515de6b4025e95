//! Reasons why a workload gives no figure.

use crate::EngineError;

/// A reason why a workload gives no figure.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The result is not what the workload must lead to.
    #[error("wrong result, so its time means nothing: {0}")]
    Wrong(String),
    /// The data set lacks something that the workload needs.
    #[error("{dataset} does not suit this workload: {reason}")]
    Unsuitable {
        /// The name of the data set.
        dataset: String,
        /// The missing property.
        reason: String,
    },
}
