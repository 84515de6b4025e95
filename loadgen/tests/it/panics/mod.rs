//! Tests of panics inside an engine: they end one room, are reported as what they
//! are, and cost no other room anything.

mod repeated;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;

use self::repeated::Repeated;
use crate::support::{RelayThread, play, play_with};
use futures_util::{SinkExt, StreamExt};
use syncbench_engines::{
    Containers, Counter, Cursors, Engine, EngineError, Exchange, Export, Imported, Loro, OpRange,
    PeerId, Replica, StateHash, TextDocument, Undo, VersionVector, Versioned, panics,
};
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::relay::broadcast;
use syncbench_loadgen::scenario::{Clients, Document, ProtocolKind, RoomClass, Scenario, Workload};
use syncbench_reports::record::Status;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

/// A call of a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Edit,
    Export,
    Import,
    Hash,
}

/// Loro, but one call of one kind panics. The replica that it happened in panics
/// at whatever is done with it afterwards, as one whose locks are poisoned.
#[derive(Clone)]
struct Fragile {
    call: Call,
    /// The number of such calls that still succeed, in all replicas together.
    left: Arc<AtomicUsize>,
}

/// Returns an engine whose call after `left` calls of this kind panics.
fn fragile(call: Call, left: usize) -> &'static dyn Engine {
    let left = Arc::new(AtomicUsize::new(left));
    Box::leak(Box::new(Fragile { call, left }))
}

struct FragileReplica {
    engine: Fragile,
    replica: Box<dyn Replica>,
    is_broken: bool,
}

impl FragileReplica {
    fn check(&self) {
        assert!(!self.is_broken, "a broken replica was used");
    }

    fn begin(&mut self, call: Call) {
        self.check();
        if call == self.engine.call && self.engine.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.is_broken = true;
            panic!("out of paper");
        }
    }
}

impl Drop for FragileReplica {
    fn drop(&mut self) {
        self.check();
    }
}

impl Engine for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn version(&self) -> &'static str {
        "1.0"
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(FragileReplica {
            engine: self.clone(),
            replica: Loro.replica(peer),
            is_broken: false,
        })
    }

    fn ranges_of(&self, export: &[u8]) -> Result<Vec<OpRange>, EngineError> {
        Loro.ranges_of(export)
    }
}

impl TextDocument for FragileReplica {
    fn peer(&self) -> PeerId {
        self.check();
        self.replica.peer()
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        self.begin(Call::Edit);
        self.replica.splice(pos, del, ins)
    }

    fn commit(&mut self) {
        self.check();
        self.replica.commit();
    }

    fn text_len(&self) -> usize {
        self.check();
        self.replica.text_len()
    }

    fn text(&self) -> String {
        self.check();
        self.replica.text()
    }

    fn materialize(&self) {
        self.check();
        self.replica.materialize();
    }

    fn deep_value(&self) -> serde_json::Value {
        self.check();
        self.replica.deep_value()
    }

    fn state_hash(&self) -> StateHash {
        self.check();
        let is_due = self.engine.call == Call::Hash;
        if is_due && self.engine.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            panic!("out of paper");
        }
        self.replica.state_hash()
    }
}

impl Versioned for FragileReplica {
    fn version_vector(&self) -> VersionVector {
        self.check();
        self.replica.version_vector()
    }

    fn own_counter(&self) -> Counter {
        self.check();
        self.replica.own_counter()
    }

    fn has_pending(&self) -> bool {
        self.check();
        self.replica.has_pending()
    }
}

impl Exchange for FragileReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        self.begin(Call::Export);
        self.replica.export(what)
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        self.begin(Call::Import);
        self.replica.import(bytes)
    }
}

impl Containers for FragileReplica {}

impl Undo for FragileReplica {}

impl Cursors for FragileReplica {}

impl Replica for FragileReplica {}

/// Four rooms of three clients in two workers.
fn scenario(relay: &RelayThread) -> Scenario {
    Scenario {
        relay: relay.settings(ProtocolKind::Broadcast),
        rooms: vec![RoomClass { count: 4, size: 3 }],
        clients: Clients::new(12),
        workload: Workload::at_rate(200.0),
        duration: Duration::from_millis(500),
        workers: 2,
        ..Scenario::default()
    }
}

/// Whether a run failed; a busy machine may have made it invalid as well, which
/// counts more.
fn is_failure(status: Status) -> bool {
    matches!(status, Status::Failure | Status::Invalid)
}

/// Asserts that one room ended, with a reason that has this text, and that all
/// the others are well.
fn assert_one_room_ended(outcome: &Outcome, text: &str) {
    let [ended] = &outcome.course.ended_rooms[..] else {
        panic!("{:?}", outcome.course);
    };
    assert!(ended.reason.contains(text), "{ended:?}");
    assert_eq!(outcome.course.worker_failed, None);
    let convergence = &outcome.convergence;
    assert_eq!((convergence.rooms, convergence.converged), (3, 3));
    assert_eq!((convergence.lost, convergence.corrupt), (0, 0));
    assert_eq!(outcome.total.visible, outcome.expected);
    assert!(outcome.total.visible > 0);
    let verdict = outcome.verdict();
    let reasons = verdict.reasons.join("\n");
    assert!(is_failure(verdict.status), "{reasons}");
    assert!(reasons.contains(&ended.reason), "{reasons}");
}

#[test]
fn a_panic_while_importing_ends_its_room_and_keeps_the_update() {
    let engine = fragile(Call::Import, 40);
    let relay = RelayThread::broadcast(broadcast::Config::default());
    let outcome = play_with(engine, scenario(&relay)).unwrap();
    let text = "fragile 1.0 panicked while importing an update of ";
    assert_one_room_ended(&outcome, text);
    let ended = &outcome.course.ended_rooms[0];
    assert!(
        ended.reason.contains("in the replica of client-"),
        "{ended:?}"
    );
    assert!(
        ended
            .reason
            .contains("out of paper (loadgen/tests/it/panics/mod.rs:"),
        "{ended:?}"
    );
    let [update] = &outcome.attachments[..] else {
        panic!("{:?}", outcome.attachments);
    };
    assert_eq!(ended.artifact.as_ref(), Some(&update.name));
    assert_eq!(Loro.ranges_of(&update.bytes).unwrap().len(), 1);
    let reasons = outcome.verdict().reasons.join("\n");
    assert!(reasons.contains(&update.name), "{reasons}");
}

#[test]
fn a_panic_in_an_edit_or_an_export_ends_its_room() {
    for (call, text) in [
        (Call::Edit, "panicked while making an edit"),
        (Call::Export, "panicked while exporting an update"),
    ] {
        let relay = RelayThread::broadcast(broadcast::Config::default());
        let outcome = play_with(fragile(call, 10), scenario(&relay)).unwrap();
        assert_one_room_ended(&outcome, text);
        assert!(outcome.attachments.is_empty());
        // The edits of the room that were due after its end were not made.
        assert!(outcome.total.skipped > 0);
        assert_eq!(outcome.scheduled, 100);
    }
}

#[test]
fn a_panic_in_the_final_check_leaves_the_other_rooms_checked() {
    let engine = fragile(Call::Hash, 4);
    let relay = RelayThread::broadcast(broadcast::Config::default());
    let outcome = play_with(engine, scenario(&relay)).unwrap();
    assert_one_room_ended(
        &outcome,
        "fragile 1.0 panicked while comparing the replicas",
    );
}

#[test]
fn a_panic_before_the_start_does_not_keep_the_run_waiting() {
    let engine = fragile(Call::Import, 0);
    let relay = RelayThread::broadcast(broadcast::Config::default());
    let scenario = Scenario {
        document: Document {
            typed: 0.001,
            ..Document::default()
        },
        ..scenario(&relay)
    };
    let outcome = play_with(engine, scenario).unwrap();
    assert_one_room_ended(&outcome, "panicked while opening the initial document");
}

/// Runs `play` and fails if it does not end.
fn within_a_minute<T: Send + 'static>(play: impl FnOnce() -> T + Send + 'static) -> T {
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(play()).is_ok());
    end.recv_timeout(Duration::from_secs(60))
        .expect("the run ends")
}

#[test]
fn a_run_without_any_room_left_ends() {
    let engine = fragile(Call::Edit, 5);
    let relay = RelayThread::broadcast(broadcast::Config::default());
    let scenario = Scenario {
        rooms: vec![RoomClass { count: 1, size: 3 }],
        clients: Clients::new(3),
        duration: Duration::from_secs(3600),
        ..scenario(&relay)
    };
    let outcome = within_a_minute(move || play_with(engine, scenario).map(Box::new)).unwrap();
    assert_eq!(outcome.course.ended_rooms.len(), 1);
    assert_eq!(outcome.convergence.rooms, 0);
    assert_eq!(outcome.total.sent, 5);
    let verdict = outcome.verdict();
    assert!(is_failure(verdict.status), "{:?}", verdict.reasons);
    let reasons = verdict.reasons.join("\n");
    assert!(reasons.contains("no room was left"), "{reasons}");
}

/// A document, and an update on which Loro 1.17.1 panics when it is imported into that.
static REPEATED: LazyLock<Repeated> = LazyLock::new(|| Repeated::new(1).unwrap());

/// Sends both to the client, and forwards nothing.
async fn serve(tcp: TcpStream) {
    let Ok(mut socket) = accept_async(tcp).await else {
        return;
    };
    for update in [&REPEATED.snapshot, &REPEATED.repeating] {
        let _ = socket.send(Message::Binary(update.clone().into())).await;
    }
    while let Some(Ok(_)) = socket.next().await {}
}

#[test]
fn a_panic_of_loro_is_reported_as_one_of_loro() {
    let relay = RelayThread::serving(|listener: TcpListener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    let scenario = Scenario {
        duration: Duration::from_secs(3600),
        ..scenario(&relay)
    };
    let outcome = within_a_minute(move || play(scenario).map(Box::new)).unwrap();
    assert_eq!(outcome.course.ended_rooms.len(), 4);
    let reason = &outcome.course.ended_rooms[0].reason;
    let expected = format!(
        "loro {} panicked while importing an update of",
        Loro.version()
    );
    assert!(reason.starts_with(&expected), "{reason}");
    let place = "counter should be continuous (loro-internal-";
    assert!(reason.contains(place), "{reason}");
    assert_eq!(outcome.attachments.len(), 4);
    assert_eq!(outcome.attachments[0].bytes, REPEATED.repeating);
    // The operations are of strangers, which counts against the relay as well.
    let verdict = outcome.verdict();
    assert_ne!(verdict.status, Status::Ok);
    assert!(verdict.reasons.join("\n").contains(reason), "{verdict:?}");
}

#[test]
fn loro_panics_on_repeated_operations_only_in_a_document_that_was_stored() {
    for seed in 0..10 {
        let made = Repeated::new(seed).unwrap();
        let import = |document: &[u8], update: &[u8]| {
            let mut replica = Loro.replica(4);
            replica.import(document).unwrap();
            let result = panics::catch(|| replica.import(update).unwrap());
            std::mem::forget(replica);
            result.map(|imported| imported.applied.len())
        };
        assert_eq!(import(&made.snapshot, &made.edit), Ok(1));
        assert_eq!(import(&made.history, &made.repeating), Ok(1));
        let panic = import(&made.snapshot, &made.repeating).unwrap_err();
        let message = "counter should be continuous";
        assert!(panic.to_string().starts_with(message), "{panic}");
    }
}
