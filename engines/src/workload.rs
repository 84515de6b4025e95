//! The workloads that Criterion targets and cells share.
