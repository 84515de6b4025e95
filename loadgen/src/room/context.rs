//! What the rooms of a worker have in common.

use std::sync::Arc;

use bytes::Bytes;
use syncbench_datasets::Trace;
use syncbench_engines::{Engine, OpRange, VersionVector};

use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::time::clock::Nanos;

/// What all rooms of a worker have in common.
pub struct RoomContext {
    /// The run.
    pub scenario: Arc<Scenario>,
    /// Who is where, and when.
    pub plan: Arc<Plan>,
    /// What the writers type.
    pub trace: Arc<Trace>,
    /// What replicas are made of.
    pub engine: &'static dyn Engine,
    /// What every room contains before the first edit.
    pub initial_document: Option<Arc<InitialDocument>>,
    /// Ends of the stages, since the schedule's start.
    pub stage_ends: Vec<Nanos>,
    /// The numbers of the worker's rooms.
    pub rooms: Vec<u32>,
}

/// A document that rooms contain from the start.
pub struct InitialDocument {
    /// As it is stored.
    pub bytes: Bytes,
    /// The operations it stands for.
    pub ranges: Vec<OpRange>,
    /// The version after them.
    pub version: VersionVector,
}
