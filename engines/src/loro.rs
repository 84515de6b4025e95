//! Loro 1.x.
//!
//! Uses only calls that exist from 1.12 to 1.17, so that several versions can
//! be compared.

use std::borrow::Cow;

use ::loro::{ExportMode, ID, IdSpan, LoroDoc, LoroText, VersionVector as LoroVersion};

use crate::{
    Counter, Engine, EngineError, Export, Imported, OpRange, PeerId, Replica, VersionVector,
};

/// Loro, as this build links it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loro;

impl Engine for Loro {
    fn name(&self) -> &'static str {
        "loro"
    }

    fn version(&self) -> &'static str {
        ::loro::LORO_VERSION
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(LoroReplica::new(peer))
    }
}

struct LoroReplica {
    doc: LoroDoc,
    text: LoroText,
    pending: bool,
}
