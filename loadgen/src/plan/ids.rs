//! The numbers of a run's clients and rooms. Each has a type of its own, as a
//! client's number, its room and its position there are easily confused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A client's number in the run, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u32);

/// A room's number in the run, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomIndex(pub u32);

impl ClientId {
    /// The client's name, as in messages and URLs.
    pub fn name(self) -> String {
        format!("client-{}", self.0)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
