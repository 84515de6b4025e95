//! The settings and inputs that the rooms of a worker have in common.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use syncbench_datasets::Trace;
use syncbench_engines::{Engine, OpRange, VersionVector};

use crate::plan::{Identity, Plan, RoomIndex};
use crate::room::verified::Budget;
use crate::scenario::Scenario;
use crate::time::clock::Nanos;

/// The settings and inputs that all rooms of a worker have in common.
pub struct RoomContext {
    /// The scenario of the run.
    pub scenario: Arc<Scenario>,
    /// The plan: which client is in which room, and when.
    pub plan: Arc<Plan>,
    /// The peers of the clients and the names of the rooms.
    pub identity: Identity,
    /// The trace that the writers type.
    pub trace: Arc<Trace>,
    /// The engine that the replicas belong to.
    pub engine: &'static dyn Engine,
    /// The document that every room contains before the first edit.
    pub initial_document: Option<Arc<InitialDocument>>,
    /// The ends of all stages but the last, nanoseconds since the start of the
    /// schedule.
    pub stage_ends: Vec<Nanos>,
    /// The worker's rooms, by their numbers in the run.
    pub rooms: Vec<RoomIndex>,
    /// What light replicas may keep of updates, to compare them as documents.
    pub verified: Rc<Budget>,
}

/// A document that rooms contain from the start.
pub struct InitialDocument {
    /// The stored form, as an engine exported it.
    pub bytes: Bytes,
    /// The operations that it contains.
    pub ranges: Vec<OpRange>,
    /// The version after these operations.
    pub version: VersionVector,
}
