//! What the relay knows a run by: the peers of its clients and the names of its
//! rooms.

use syncbench_engines::{PeerId, PeerIds};

use super::{ClientId, RoomIndex};
use crate::scenario::Scenario;

/// The number of the peer that types the initial document: above all clients'.
const SEEDER: u64 = 1 << 32;

/// The peers and room names of a run. They follow from the scenario's seed and
/// run id, so that runs which meet on one relay share neither, and a run with the
/// same two repeats exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    peers: PeerIds,
    room_prefix: String,
}

impl Identity {
    /// Returns the identity of a run of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        let hash = blake3::hash(format!("{} {}", scenario.seed, scenario.run_id).as_bytes());
        let (words, _) = hash.as_bytes().as_chunks();
        let [peers, rooms] = [words[0], words[1]].map(u64::from_le_bytes);
        Self {
            peers: PeerIds::new(peers),
            room_prefix: format!("{}{:08x}-", scenario.relay.room_prefix, rooms as u32),
        }
    }

    /// Returns the peer of a client.
    pub fn peer_of(&self, client: ClientId) -> PeerId {
        self.peers.id(u64::from(client.0))
    }

    /// Returns the client of a peer, if the run has that many; `None` for a
    /// peer that can be none of the run's clients.
    pub fn client_of(&self, peer: PeerId) -> Option<ClientId> {
        let number = u32::try_from(self.peers.number(peer)).ok()?;
        Some(ClientId(number))
    }

    /// Returns the peer that types the initial document.
    pub fn seeder(&self) -> PeerId {
        self.peers.id(SEEDER)
    }

    /// Returns a room's name, as in its URL.
    pub fn room_name(&self, room: RoomIndex) -> String {
        format!("{}{}", self.room_prefix, room.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn identity(seed: u64, run_id: &str) -> Identity {
        Identity::new(&Scenario {
            seed,
            run_id: run_id.parse().unwrap(),
            ..Scenario::default()
        })
    }

    #[test]
    fn seed_and_run_id_both_decide_peers_and_rooms() {
        let room = RoomIndex(3);
        let same = identity(1, "a");
        assert_eq!(same, identity(1, "a"));
        for other in [identity(2, "a"), identity(1, "b")] {
            assert_ne!(same.room_name(room), other.room_name(room));
            assert_ne!(same.peer_of(ClientId(0)), other.peer_of(ClientId(0)));
            assert_ne!(same.seeder(), other.seeder());
        }
    }

    #[test]
    fn peers_of_many_runs_never_meet_and_lead_back_to_their_clients() {
        let mut peers = BTreeSet::new();
        for run in 0..50 {
            let identity = identity(1, &run.to_string());
            peers.insert(identity.seeder());
            assert_eq!(identity.client_of(identity.seeder()), None);
            for client in (0..2_000).map(ClientId) {
                peers.insert(identity.peer_of(client));
                assert_eq!(identity.client_of(identity.peer_of(client)), Some(client));
            }
        }
        assert_eq!(peers.len(), 50 * 2_001);
    }

    #[test]
    fn room_names_begin_with_the_prefix_and_end_with_the_number() {
        let mut scenario = Scenario::default();
        let name = Identity::new(&scenario).room_name(RoomIndex(12));
        assert!(name.starts_with("room-") && name.ends_with("-12"), "{name}");
        scenario.relay.room_prefix = "load~".to_owned();
        let name = Identity::new(&scenario).room_name(RoomIndex(0));
        assert!(name.starts_with("load~") && name.ends_with("-0"), "{name}");
    }
}
