//! Where operations that reach a room come from.

use syncbench_engines::{OpRange, VersionVector};

use super::Room;

/// Where operations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client of the room, or the document that the room began with.
    Room,
    /// A client of another room of this run.
    OtherRoom,
    /// A peer that this run knows nothing of: another run, or a person.
    Stranger,
}

impl Room {
    /// Returns where operations come from, by their peer.
    pub fn origin_of(&self, operations: &OpRange) -> Origin {
        if self.slots.contains_key(&operations.peer) {
            return Origin::Room;
        }
        let client = self.context.identity.client_of(operations.peer);
        if client.is_some_and(|client| (client.0 as usize) < self.context.plan.clients.len()) {
            return Origin::OtherRoom;
        }
        let document = self.context.initial_document.as_deref();
        match document.is_some_and(|document| document.version.covers(operations)) {
            true => Origin::Room,
            false => Origin::Stranger,
        }
    }

    /// Whether a relay at `version` has operations of the client in `slot` that it
    /// never made: only another run with its peer ids can have.
    pub(super) fn is_taken(&self, slot: usize, version: &VersionVector) -> bool {
        let member = &self.members[slot];
        let made = member.present().map_or(0, |present| present.created_end);
        version.get(self.peer_of(member)) > made
    }

    /// What [`is_taken`](Self::is_taken) means to the user.
    pub(super) fn taken(&self, slot: usize) -> String {
        format!(
            "the relay has edits by {} in {} that it did not make: a run with this seed and run \
             id was there before; give another --run-id, or none",
            self.members[slot].client.name(),
            self.name(),
        )
    }

    /// The operations of strangers that have reached the room: for each
    /// stranger, the counter after the last one.
    pub fn strangers(&self) -> &VersionVector {
        &self.strangers
    }
}
