//! Peer ids as wide as those of real clients, in every engine.

use std::collections::BTreeSet;

use syncbench_engines::{Export, OpRange, PeerId, PeerIds, Replica, engines};

/// Types at the start, and returns the update of it.
fn typed(replica: &mut dyn Replica, text: &str) -> Vec<u8> {
    let start = replica.own_counter();
    replica.splice(0, 0, text).unwrap();
    replica.commit();
    let range = OpRange {
        peer: replica.peer(),
        counters: start..replica.own_counter(),
    };
    replica.export(Export::Range(range)).unwrap()
}

#[test]
fn every_engine_tells_wide_peer_ids_apart() {
    let ids = PeerIds::new(7);
    for engine in engines() {
        let name = engine.name();
        let replicas = (0..4).map(|number| engine.replica(ids.id(number)));
        let mut replicas: Vec<_> = replicas.collect();
        let peers: Vec<PeerId> = replicas.iter().map(|replica| replica.peer()).collect();
        assert_eq!(peers.iter().collect::<BTreeSet<_>>().len(), 4, "{name}");
        for (number, &peer) in (0..).zip(&peers) {
            let lower_bits = ids.id(number) & ((1 << 53) - 1);
            assert!([ids.id(number), lower_bits].contains(&peer), "{name}");
        }
        let writers = replicas.iter_mut().zip(&peers);
        let updates: Vec<_> = writers
            .map(|(replica, peer)| typed(&mut **replica, &format!("by {peer} ")))
            .collect();
        for (to, replica) in replicas.iter_mut().enumerate() {
            for (from, update) in updates.iter().enumerate().filter(|(from, _)| *from != to) {
                let imported = replica.import(update).unwrap();
                let by: Vec<PeerId> = imported.applied.iter().map(|range| range.peer).collect();
                assert_eq!(by, [peers[from]], "{name}");
            }
        }
        let first = &replicas[0];
        let version = first.version_vector();
        for replica in &replicas {
            assert_eq!(replica.version_vector(), version, "{name}");
            assert_eq!(replica.text(), first.text(), "{name}");
            assert_eq!(version.get(replica.peer()), replica.own_counter(), "{name}");
            let text = format!("by {} ", replica.peer());
            assert!(first.text().contains(&text), "{name}: {}", first.text());
        }
    }
}

/// A replica under an id that it had before goes on where it was.
#[test]
fn a_peer_with_a_wide_id_can_come_back() {
    let peer = PeerIds::new(7).id(0);
    for engine in engines() {
        let name = engine.name();
        let mut before = engine.replica(peer);
        let update = typed(&mut *before, "before");
        let mut after = engine.replica(peer);
        after.import(&update).unwrap();
        let more = typed(&mut *after, "after ");
        assert_eq!(before.peer(), after.peer(), "{name}");
        let mut other = engine.replica(PeerIds::new(7).id(1));
        other.import(&update).unwrap();
        let imported = other.import(&more).unwrap();
        assert_eq!(imported.applied[0].peer, after.peer(), "{name}");
        assert_eq!(other.text(), after.text(), "{name}");
        assert_eq!(other.version_vector(), after.version_vector(), "{name}");
    }
}
