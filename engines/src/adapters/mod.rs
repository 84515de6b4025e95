//! The adapters, one module for each library, and the list of their engines.
//!
//! A new engine adds a line to each of the three lists below.

#[cfg(feature = "automerge")]
mod automerge;
#[cfg(feature = "cola")]
mod cola;
#[cfg(feature = "diamond-types")]
mod diamond_types;
pub(crate) mod loro;
#[cfg(feature = "loro-0-16")]
mod loro_0_16;
#[cfg(feature = "ot")]
mod ot;
#[cfg(feature = "yrs")]
mod yrs;

#[cfg(any(feature = "cola", feature = "ot"))]
mod causal;
mod waiting;

use crate::engine::Engine;
use crate::info::EngineInfo;

/// The engines of this build, in the order in which tables show them.
pub(crate) const BUILT: &[&dyn Engine] = &[
    &loro::Loro,
    #[cfg(feature = "loro-0-16")]
    &loro_0_16::Loro016,
    #[cfg(feature = "yrs")]
    &yrs::Yrs::V1,
    #[cfg(feature = "yrs")]
    &yrs::Yrs::V2,
    #[cfg(feature = "yrs")]
    &yrs::Yrs::NO_GC,
    #[cfg(feature = "automerge")]
    &automerge::Automerge,
    #[cfg(feature = "diamond-types")]
    &diamond_types::DiamondTypes,
    #[cfg(feature = "cola")]
    &cola::Cola,
    #[cfg(feature = "ot")]
    &ot::OperationalTransformation,
];

/// All engines in the same order: name, dependency of this crate, feature.
pub(crate) const ALL: &[EngineInfo] = &[
    EngineInfo {
        published_together: &["loro-internal", "loro-common", "loro-kv-store"],
        ..EngineInfo::new("loro", "loro", None)
    },
    EngineInfo {
        published_together: &["loro-internal", "loro-common"],
        ..EngineInfo::new("loro-0.16", "loro_0_16", Some("loro-0-16"))
    },
    EngineInfo::new("yrs", "yrs", Some("yrs")),
    EngineInfo::new("yrs-v2", "yrs", Some("yrs")),
    EngineInfo::new("yrs-nogc", "yrs", Some("yrs")),
    EngineInfo::new("automerge", "automerge", Some("automerge")),
    EngineInfo::new("diamond-types", "diamond-types", Some("diamond-types")),
    EngineInfo::new("cola", "cola", Some("cola")),
    EngineInfo::new("ot", "operational-transform", Some("ot")),
];
