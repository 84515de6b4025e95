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
            let joining = outcome.total.bytes_joining;
            assert_eq!(joining > 0, protocol == ProtocolKind::Loro, "{joining}");
            assert!(outcome.total.bytes_in > joining);
        }
    }
}

fn stored_bytes(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.loro");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Exports a document that `edit` has made with Loro itself.
fn made(edit: impl FnOnce(&::loro::LoroDoc)) -> Vec<u8> {
    let doc = ::loro::LoroDoc::new();
    doc.set_peer_id(AUTHORS[0]).unwrap();
    edit(&doc);
    doc.commit();
    doc.export(::loro::ExportMode::all_updates()).unwrap()
}

#[test]
fn a_document_with_its_text_elsewhere_is_refused_with_what_it_has() {
    let bytes = made(|doc| {
        doc.get_text("content").insert(0, "elsewhere").unwrap();
        doc.get_map("meta").insert("title", "notes").unwrap();
        doc.get_list("empty");
    });
    let (_folder, path) = stored_bytes(&bytes);
    let error = run(ProtocolKind::Loro, path.clone(), Scenario::default()).err();
    let message = error.unwrap().to_string();
    let wanted =
        "nothing in the text `text`, which the clients edit; it has text `content`, map `meta`:";
    assert!(message.contains(wanted), "{message}");
    // Edits of a map do not need a text.
    let mut edits_map = Scenario::default();
    edits_map.workload.edits = EditKind::Map;
    let outcome = run(ProtocolKind::Loro, path, edits_map).unwrap();
    assert_eq!(outcome.convergence.converged, 2);
}

#[test]
fn a_json_file_is_refused_as_what_it_is() {
    for json in ["{\"txns\":[]}", " \n[1]", "\u{feff}{}"] {
        let (_folder, path) = stored_bytes(json.as_bytes());
        let error = run(ProtocolKind::Loro, path, Scenario::default()).err();
        let message = error.unwrap().to_string();
        assert!(message.contains("is JSON"), "{message}");
        assert!(message.contains("--dataset"), "{message}");
    }
}

/// Nests maps, values and nodes of a tree, of which each has a list of children.
fn nested(levels: usize) -> [Vec<u8>; 3] {
    let text = |doc: &::loro::LoroDoc| doc.get_text("text").insert(0, "text").unwrap();
    [
        made(|doc| {
            text(doc);
            let mut map = doc.get_map("maps");
            for _ in 0..levels {
                map = map.insert_container("in", ::loro::LoroMap::new()).unwrap();
            }
        }),
        made(|doc| {
            text(doc);
            let mut value = ::loro::LoroValue::from(1);
            for _ in 0..levels {
                value = ::loro::LoroValue::from(vec![value]);
            }
            doc.get_map("values").insert("in", value).unwrap();
        }),
        made(|doc| {
            text(doc);
            let mut parent = None;
            for _ in 0..levels / 2 {
                parent = Some(doc.get_tree("nodes").create(parent).unwrap());
            }
        }),
    ]
}

/// Makes documents on a stack that their nesting does not overflow.
fn deeply_nested(levels: usize) -> [Vec<u8>; 3] {
    let thread = std::thread::Builder::new().stack_size(1 << 28);
    thread
        .spawn(move || nested(levels))
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn a_document_nested_too_deeply_is_refused_and_overflows_no_stack() {
    for bytes in deeply_nested(8_000) {
        let (_folder, path) = stored_bytes(&bytes);
        let error = run(ProtocolKind::Loro, path, Scenario::default()).err();
        let message = error.unwrap().to_string();
        assert!(
            message.contains("levels deep, and at most 1000"),
            "{message}"
        );
    }
    for bytes in deeply_nested(900) {
        let (_folder, path) = stored_bytes(&bytes);
        let outcome = run(ProtocolKind::Loro, path, Scenario::default()).unwrap();
        assert_eq!(outcome.convergence.converged, 2);
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
