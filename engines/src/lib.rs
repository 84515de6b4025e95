//! CRDT libraries behind one trait, so that suites and load tests measure the
//! same work on each.
//!
//! An [`Engine`] makes [`Replica`]s of one document. The document holds a text
//! named `text` and, if the engine has them, the containers of [`Edit`].
//! Positions and lengths are Unicode scalar values, as in the editing-traces
//! format. Peer ids are given, never random, so that encoded sizes and
//! allocation counts repeat exactly; [`PeerIds`] makes them as wide as random ones.
//!
//! Modules depend on each other in one direction: the traits (`engine`,
//! `replica`) know no adapter, the adapters know only the traits, `registry`
//! lists the adapters, and `replay` and `workload` see nothing but the traits.

mod adapters;
pub mod allocations;
mod capabilities;
pub mod cell;
mod edit;
mod engine;
mod error;
mod info;
mod pace;
pub mod panics;
mod peer_ids;
mod registry;
pub mod replay;
mod replica;
mod version;
pub mod workload;

pub use adapters::loro::Loro;
pub use capabilities::{Capabilities, Capability};
pub use edit::{Edit, NodeId, Span, Value};
pub use engine::Engine;
pub use error::EngineError;
pub use info::EngineInfo;
pub use pace::{HeavyWork, Pace};
pub use peer_ids::PeerIds;
pub use registry::{engine, engines};
pub use replica::{
    Containers, Cursors, DetachedDocument, Difference, Exchange, Export, History, Imported, Moment,
    Replica, TextDocument, Undo, Versioned,
};
pub use version::{Counter, OpRange, PeerId, StateHash, VersionVector};
