//! Tests of rooms that begin with a document from a file.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::{RelayThread, play};
use syncbench_engines::{Engine, Export, Loro, PeerId, Replica, VersionVector};
use syncbench_loadgen::load::LoadError;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::{ClientId, Identity};
use syncbench_loadgen::relay::{broadcast, loro};
use syncbench_loadgen::scenario::{
    Clients, Document, EditKind, ProtocolKind, ReplicaKind, RoomClass, Scenario, Workload,
};
use tempfile::TempDir;

/// Peers that are no clients of the run.
const AUTHORS: [PeerId; 2] = [1 << 60, 1 << 61];

/// Makes a document that two authors have written.
fn written_by(authors: [PeerId; 2]) -> Box<dyn Replica> {
    let [mut first, mut second] = authors.map(|author| Loro.replica(author));
    first.splice(0, 0, "what was there ").unwrap();
    first.commit();
    let update = first.export(Export::Snapshot).unwrap();
    second.import(&update).unwrap();
    second.splice(0, 0, "before: ").unwrap();
    second.commit();
    second
}

fn stored(export: impl FnOnce(&mut dyn Replica) -> Vec<u8>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.loro");
    let bytes = export(written_by(AUTHORS).as_mut());
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn run(protocol: ProtocolKind, document: PathBuf, other: Scenario) -> Result<Outcome, LoadError> {
    let relay = match protocol {
        ProtocolKind::Broadcast => RelayThread::broadcast(broadcast::Config::default()),
        ProtocolKind::Loro => RelayThread::loro(loro::Config::default()),
    };
    play(Scenario {
        relay: relay.settings(protocol),
        clients: Clients {
            count: 4,
            ..other.clients
        },
        rooms: vec![RoomClass { count: 2, size: 2 }],
        workload: Workload {
            rate: 40.0,
            ..other.workload
        },
        duration: Duration::from_millis(500),
        document: Document {
            file: Some(document),
            ..Document::default()
        },
        ..other
    })
}

fn export(what: Export<'static>) -> impl FnOnce(&mut dyn Replica) -> Vec<u8> {
    move |replica| replica.export(what).unwrap()
}

#[test]
fn rooms_begin_with_the_document_and_none_of_it_counts_as_leaked() {
    for protocol in [ProtocolKind::Broadcast, ProtocolKind::Loro] {
        for form in [Export::Snapshot, Export::ShallowSnapshot] {
            let (_folder, path) = stored(export(form));
            let outcome = run(protocol, path, Scenario::default()).unwrap();
            assert_eq!(outcome.convergence.converged, 2, "{protocol:?}");
            assert_eq!(outcome.convergence.leaked, 0, "{protocol:?}");
            assert_eq!(outcome.total.visible, outcome.expected);
            assert!(outcome.total.sent > 0);
        }
    }
}

#[test]
fn a_file_without_a_whole_document_is_refused_by_name() {
    let nothing = |_: &mut dyn Replica| b"no document".to_vec();
    let partial = |replica: &mut dyn Replica| {
        let since = VersionVector::from_iter([(AUTHORS[0], 4)]);
        replica.export(Export::Updates { since: &since }).unwrap()
    };
    let (_a, nothing) = stored(nothing);
    let (_b, partial) = stored(partial);
    let missing = PathBuf::from("no-such-file.loro");
    for (path, why) in [
        (nothing, "is not a document that loro can open"),
        (partial, "updates that build on others"),
        (missing, "cannot read the document to start with"),
    ] {
        let name = path.display().to_string();
        let error = run(ProtocolKind::Loro, path, Scenario::default()).err();
        let message = error.unwrap().to_string();
        assert!(message.contains(why), "{message}");
        assert!(message.contains(&name), "{message}");
    }
}

#[test]
fn a_shallow_document_is_refused_if_edits_need_its_history() {
    let (_folder, path) = stored(export(Export::ShallowSnapshot));
    let (mut light, mut replacing) = (Scenario::default(), Scenario::default());
    light.clients.replica = ReplicaKind::Light;
    replacing.workload.edits = EditKind::ReplaceAll;
    for other in [light, replacing] {
        let error = run(ProtocolKind::Loro, path.clone(), other).err().unwrap();
        assert!(error.to_string().contains("shallow"), "{error}");
    }
}

#[test]
fn a_document_edited_by_a_client_of_the_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.loro");
    let client = Identity::new(&Scenario::default()).peer_of(ClientId(1));
    let bytes = written_by([client, AUTHORS[1]])
        .export(Export::Snapshot)
        .unwrap();
    std::fs::write(&path, bytes).unwrap();
    let error = run(ProtocolKind::Loro, path, Scenario::default()).err();
    let message = error.unwrap().to_string();
    assert!(message.contains("has edits by client-1"), "{message}");
    assert!(message.contains("--run-id"), "{message}");
}
