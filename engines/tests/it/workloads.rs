//! The workloads do what they claim, and their checks notice an engine that does not.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Write as _;

use syncbench_datasets::{Trace, load_bytes};
use syncbench_engines::workload::{Data, Input, Size, Subject, Suite, Workload, WorkloadError};
use syncbench_engines::{
    Containers, Cursors, Edit, Engine, EngineError, Exchange, Export, Imported, Loro, NodeId,
    PeerId, Replica, Span, TextDocument, Undo, VersionVector, Versioned, engine, engines,
};

/// Types words, and sometimes deletes a character before the cursor.
fn trace(txns: usize) -> Trace {
    let mut text = Vec::new();
    let mut json = String::new();
    for i in 0..txns {
        let (pos, del, ins) = match i % 7 {
            6 => ((i * 31) % text.len(), 1, String::new()),
            3 => (text.len() / 2, 0, "é😀".to_owned()),
            _ => (text.len(), 0, ((b'a' + (i % 26) as u8) as char).to_string()),
        };
        text.splice(pos..pos + del, ins.chars());
        let comma = if i == 0 { "" } else { "," };
        write!(
            json,
            r#"{comma}{{"time":"2024-01-01T00:00:00Z","patches":[[{pos},{del},"{ins}"]]}}"#
        )
        .unwrap();
    }
    let end: String = text.iter().collect();
    let json = format!(r#"{{"startContent":"","endContent":"{end}","txns":[{json}]}}"#);
    load_bytes("typed", json.as_bytes()).unwrap()
}

/// Two writers who type at their own ends of a text, and see each other's words now and
/// then.
fn concurrent(words: usize) -> Trace {
    let root = r#"{"parents":[],"numChildren":2,"agent":0,"patches":[[0,0,"."]]}"#;
    let (mut left, mut right) = (String::new(), ".".to_owned());
    let mut txns = root.to_owned();
    for word in 0..words {
        // Both start where they last saw each other, and merge immediately.
        let (base, a, b) = (3 * word, 3 * word + 1, 3 * word + 2);
        let (ours, theirs) = (format!("l{word} "), format!("r{word} "));
        let end = left.chars().count() + right.chars().count();
        let children = if word + 1 < words { 2 } else { 0 };
        write!(
            txns,
            r#",{{"parents":[{base}],"numChildren":1,"agent":0,"patches":[[0,0,"{ours}"]]}},
            {{"parents":[{base}],"numChildren":1,"agent":1,"patches":[[{end},0,"{theirs}"]]}},
            {{"parents":[{a},{b}],"numChildren":{children},"agent":0,"patches":[[0,0,"+"]]}}"#
        )
        .unwrap();
        left = format!("+{ours}{left}");
        right += &theirs;
    }
    let json = format!(
        r#"{{"kind":"concurrent","endContent":"{left}{right}","numAgents":2,"txns":[{txns}]}}"#
    );
    load_bytes("typed by two", json.as_bytes()).unwrap()
}

#[test]
fn every_workload_gives_a_right_result_and_the_same_one_twice() {
    std::thread::scope(|scope| {
        for &engine in engines() {
            scope.spawn(move || every_workload_of(engine));
        }
    });
}

fn every_workload_of(engine: &'static dyn Engine) {
    let subjects = [
        Subject::new(engine, trace(1500)),
        Subject::new(engine, Data::Synthetic),
        Subject::new(engine, concurrent(60)),
    ];
    for suite in Suite::ALL {
        let workloads = suite.workloads_of(Size::Small);
        for workload in &workloads {
            let Some(subject) = suited(&subjects, workload) else {
                continue;
            };
            let name = subject.data().name();
            if workload.unsupported_because(engine, name).is_some()
                || workload.is_slow(engine, name)
                || is_large(workload, &workloads)
            {
                continue;
            }
            let once = || {
                let mut repetition = workload.repetition(subject)?;
                repetition.run()?;
                repetition.check()
            };
            let id = format!("{}/{}/{}", suite.name, engine.name(), workload.variant());
            let outcome = once().unwrap_or_else(|e| panic!("{id}: {e}"));
            assert_eq!(once().unwrap(), outcome, "{id}");
        }
    }
}

/// Returns true for the larger rows of a series, all of which do the same work. The
/// benchmarks, which are built with optimizations, run them.
fn is_large(workload: &Workload, all: &[Workload]) -> bool {
    workload.scale_of().is_some_and(|scale| {
        let others = all.iter().filter_map(Workload::scale_of);
        let smaller = others.filter(|o| o.series == scale.series && o.size < scale.size);
        scale.size >= 1000 || smaller.count() >= 2
    })
}

fn suited<'a>(subjects: &'a [Subject], workload: &Workload) -> Option<&'a Subject> {
    let mut subjects = subjects.iter();
    subjects.find(|subject| subject.data().input() == workload.input())
}

#[test]
fn ids_of_a_suite_are_unique() {
    for suite in Suite::ALL {
        let mut variants: Vec<_> = suite
            .workloads()
            .iter()
            .map(|workload| format!("{:?} {}", workload.input(), workload.variant()))
            .collect();
        let count = variants.len();
        variants.sort();
        variants.dedup();
        assert_eq!(variants.len(), count, "{}", suite.name);
    }
}

/// Engines identify rows by name, so a renamed row must not lose its reason.
#[test]
fn rows_of_unequal_work_say_so_and_others_do_not() {
    let rows = |suite: &'static str| {
        let variants = sequential(suite).into_iter();
        variants.map(move |workload| format!("{suite}/{}", workload.variant()))
    };
    let rows: Vec<_> = ["import", "export", "merge"]
        .into_iter()
        .flat_map(rows)
        .collect();
    for (name, row, unequal) in [
        ("loro", "import/snapshot", true),
        ("loro", "import/snapshot+edit", false),
        ("loro", "import/shallow+edit", true),
        ("loro", "import/updates", false),
        ("loro", "export/shallow/first", true),
        ("loro", "export/snapshot/warm", true),
        ("loro", "merge/tail-1000-into-snapshot", true),
        ("loro", "merge/tail-1000-into-updates", false),
        ("yrs", "import/updates", true),
        ("yrs", "export/updates-since-90%/first", true),
        ("yrs", "merge/diverged-100", true),
        ("yrs", "merge/txns", false),
        ("automerge", "export/updates/first", true),
        ("automerge", "merge/blob", true),
    ] {
        assert!(rows.iter().any(|known| known == row), "no row {row}");
        let Some(engine) = engine(name) else {
            continue;
        };
        let (suite, variant) = row.split_once('/').unwrap();
        let reason = engine.not_comparable_because(suite, variant);
        assert_eq!(reason.is_some(), unequal, "{} {row}", engine.name());
    }
}

#[test]
fn a_trace_that_is_too_short_is_refused_with_its_name() {
    let subject = Subject::new(&Loro, trace(100));
    let refused: Vec<_> = sequential("merge")
        .iter()
        .filter_map(|workload| workload.repetition(&subject).err().map(|e| e.to_string()))
        .collect();
    assert!(!refused.is_empty());
    for message in refused {
        assert!(message.starts_with("typed does not suit"), "{message}");
    }
}

/// The trace of [`trace`] after a start text, with txns in between that change nothing.
fn with_idle_txns(txns: usize) -> Trace {
    let start = "start: ";
    let mut json = String::new();
    for (at, txn) in trace(txns).txns().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let idle = ["[]", r#"[[3,0,""]]"#][at % 2];
        write!(json, r#"{comma}{{"patches":{idle}}},{{"patches":["#).unwrap();
        for patch in txn.patches() {
            let pos = start.chars().count() + patch.pos;
            write!(json, r#"[{pos},{},"{}"]"#, patch.del, patch.ins).unwrap();
        }
        json.push_str("]}");
    }
    let end = format!("{start}{}", trace(txns).end_content());
    let json = format!(r#"{{"startContent":"{start}","endContent":"{end}","txns":[{json}]}}"#);
    load_bytes("with idle txns", json.as_bytes()).unwrap()
}

#[test]
fn a_start_text_and_txns_that_change_nothing_are_no_fault_of_the_engine() {
    std::thread::scope(|scope| {
        for &engine in engines() {
            scope.spawn(move || start_and_idle_txns_in(engine));
        }
    });
}

fn start_and_idle_txns_in(engine: &'static dyn Engine) {
    let subject = Subject::new(engine, with_idle_txns(1100));
    let few = Subject::new(engine, with_idle_txns(1));
    for suite in ["import", "export", "merge", "sync", "history", "compaction"] {
        let all = sequential(suite);
        for workload in &all {
            let is_left_out = workload.unsupported_because(engine, "any").is_some()
                || workload.is_slow(engine, "any")
                || is_large(workload, &all);
            let rows = ["blob", "txns", "tail-", "receive-", "send-", "shallow"];
            let concerns = rows.iter().any(|row| workload.variant().starts_with(row));
            for subject in [Some(&few), concerns.then_some(&subject)] {
                let Some(subject) = subject.filter(|_| !is_left_out) else {
                    continue;
                };
                let id = format!("{suite}/{}/{}", engine.name(), workload.variant());
                match measured(workload, subject) {
                    Ok(()) | Err(WorkloadError::Unsuitable { .. }) => {}
                    Err(error) => panic!("{id}: {error}"),
                }
            }
        }
    }
    // The rows for which a thousand txns are enough were measured.
    let merge = sequential("merge");
    let txns = merge.iter().find(|row| row.variant() == "txns").unwrap();
    if txns.unsupported_because(engine, "any").is_none() {
        measured(txns, &subject).unwrap();
    }
}

/// Runs a row once, and checks its result.
fn measured(workload: &Workload, subject: &Subject) -> Result<(), WorkloadError> {
    let mut repetition = workload.repetition(subject)?;
    repetition.run()?;
    repetition.check().map(|_| ())
}

#[test]
fn a_branch_that_changes_nothing_without_the_other_does_not_suit() {
    // After the first half, one branch types ten characters and the other deletes them.
    let typed = |at: usize| format!(r#"{{"patches":[[{at},0,"x"]]}}"#);
    let deleted = (20..30)
        .rev()
        .map(|at| format!(r#"{{"patches":[[{at},1,""]]}}"#));
    let txns: Vec<String> = (0..30).map(typed).chain(deleted).collect();
    let end = "x".repeat(20);
    let json = format!(r#"{{"endContent":"{end}","txns":[{}]}}"#, txns.join(","));
    let subject = Subject::new(&Loro, load_bytes("branches", json.as_bytes()).unwrap());
    let merge = sequential("merge");
    let row = merge
        .iter()
        .find(|row| row.variant() == "diverged-10")
        .unwrap();
    let error = measured(row, &subject).unwrap_err();
    assert!(matches!(error, WorkloadError::Unsuitable { .. }), "{error}");
}

/// Returns the rows of a suite that work on a sequential trace.
fn sequential(suite: &str) -> Vec<Workload> {
    let workloads = Suite::named(suite).unwrap().workloads().into_iter();
    workloads
        .filter(|workload| workload.input() == Input::Sequential)
        .collect()
}

thread_local! {
    /// True while [`Faulty`] replicas fail.
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// The fault of a [`Faulty`] engine in the timed part.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Imports do nothing, and report that they did nothing.
    ImportsNothing,
    /// Imports do nothing, and report that they applied everything.
    LiesAboutImports,
    /// Exports are those of a document that lacks everything.
    ExportsNothing,
    /// Edits and undo steps are accepted and not made.
    EditsNothing,
}

impl Fault {
    fn is_of_imports(self) -> bool {
        matches!(self, Self::ImportsNothing | Self::LiesAboutImports)
    }

    /// Returns true if the timed part of a row, in a suite of different rows, makes the
    /// calls that fail.
    fn concerns(self, variant: &str) -> bool {
        let is = |kinds: &[&str]| kinds.iter().any(|kind| variant.starts_with(kind));
        match self {
            Self::ExportsNothing => !is(&["server/", "open/"]),
            Self::EditsNothing => !(is(&["B3.", "cursor/"]) || variant.contains("/merge-")),
            Self::ImportsNothing | Self::LiesAboutImports => {
                !(is(&["example/", "send-", "B4", "undo/", "cursor/"])
                    || variant.contains("/edit-"))
            }
        }
    }
}

struct Faulty(Fault);

struct FaultyReplica {
    fault: Fault,
    inner: Box<dyn Replica>,
    last: Imported,
}

impl Engine for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn version(&self) -> &'static str {
        "0"
    }

    fn replica(&self, peer: PeerId) -> Box<dyn Replica> {
        Box::new(FaultyReplica {
            fault: self.0,
            inner: Loro.replica(peer),
            last: Imported::default(),
        })
    }
}

impl FaultyReplica {
    /// Returns true if edits are made.
    fn edits(&self) -> bool {
        !(ARMED.get() && self.fault == Fault::EditsNothing)
    }
}

impl TextDocument for FaultyReplica {
    fn peer(&self) -> PeerId {
        self.inner.peer()
    }

    fn splice(&mut self, pos: usize, del: usize, ins: &str) -> Result<(), EngineError> {
        match self.edits() {
            true => self.inner.splice(pos, del, ins),
            false => Ok(()),
        }
    }

    fn update_text(&mut self, text: &str) -> Result<(), EngineError> {
        self.inner.update_text(text)
    }

    fn commit(&mut self) {
        self.inner.commit();
    }

    fn text_len(&self) -> usize {
        self.inner.text_len()
    }

    fn text(&self) -> String {
        self.inner.text()
    }

    fn materialize(&self) {
        self.inner.materialize();
    }

    fn deep_value(&self) -> serde_json::Value {
        self.inner.deep_value()
    }
}

impl Versioned for FaultyReplica {
    fn version_vector(&self) -> VersionVector {
        self.inner.version_vector()
    }

    fn has_pending(&self) -> bool {
        self.inner.has_pending()
    }
}

impl Exchange for FaultyReplica {
    fn export(&mut self, what: Export<'_>) -> Result<Vec<u8>, EngineError> {
        if ARMED.get() && self.fault == Fault::ExportsNothing {
            return Loro.replica(1).export(Export::Snapshot);
        }
        self.inner.export(what)
    }

    fn import(&mut self, bytes: &[u8]) -> Result<Imported, EngineError> {
        if !ARMED.get() || !self.fault.is_of_imports() {
            return self.inner.import(bytes);
        }
        if self.fault == Fault::LiesAboutImports {
            self.last = Loro.replica(99).import(bytes)?;
            // The updates on which it builds are missing.
            let waits = std::mem::take(&mut self.last.pending);
            self.last.applied.extend(waits);
        }
        Ok(self.last.clone())
    }

    fn import_batch(&mut self, updates: &[&[u8]]) -> Result<Imported, EngineError> {
        if !ARMED.get() || !self.fault.is_of_imports() {
            return self.inner.import_batch(updates);
        }
        for update in updates {
            self.import(update)?;
        }
        Ok(self.last.clone())
    }

    fn watch_local_updates(&mut self) -> Result<(), EngineError> {
        self.inner.watch_local_updates()
    }

    fn take_local_updates(&mut self) -> Vec<Vec<u8>> {
        self.inner.take_local_updates()
    }
}

impl Containers for FaultyReplica {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<(), EngineError> {
        match self.edits() {
            true => self.inner.edit(edit),
            false => Ok(()),
        }
    }

    fn spans(&self) -> Result<Vec<Span>, EngineError> {
        self.inner.spans()
    }

    fn tree_create(&mut self, parent: Option<NodeId>) -> Result<NodeId, EngineError> {
        match (self.edits(), parent) {
            (false, Some(parent)) => Ok(parent),
            (_, parent) => self.inner.tree_create(parent),
        }
    }

    fn tree_move(&mut self, node: NodeId, parent: Option<NodeId>) -> Result<(), EngineError> {
        match self.edits() {
            true => self.inner.tree_move(node, parent),
            false => Ok(()),
        }
    }

    fn tree_parent(&self, node: NodeId) -> Result<Option<NodeId>, EngineError> {
        self.inner.tree_parent(node)
    }
}

impl Undo for FaultyReplica {
    fn watch_undo(&mut self) -> Result<(), EngineError> {
        self.inner.watch_undo()
    }

    fn undo(&mut self) -> Result<bool, EngineError> {
        match self.edits() {
            true => self.inner.undo(),
            false => Ok(true),
        }
    }

    fn redo(&mut self) -> Result<bool, EngineError> {
        match self.edits() {
            true => self.inner.redo(),
            false => Ok(true),
        }
    }
}

impl Cursors for FaultyReplica {
    fn cursor(&mut self, pos: usize) -> Result<Vec<u8>, EngineError> {
        self.inner.cursor(pos)
    }

    fn cursor_pos(&mut self, cursor: &[u8]) -> Result<usize, EngineError> {
        self.inner.cursor_pos(cursor)
    }
}

impl Replica for FaultyReplica {}

#[test]
fn every_check_sees_an_engine_that_does_not_do_the_work() {
    static IMPORTS_NOTHING: Faulty = Faulty(Fault::ImportsNothing);
    static LIES: Faulty = Faulty(Fault::LiesAboutImports);
    static EXPORTS_NOTHING: Faulty = Faulty(Fault::ExportsNothing);
    static EDITS_NOTHING: Faulty = Faulty(Fault::EditsNothing);
    let imports = [
        "import",
        "merge",
        "live",
        "conflict",
        "types",
        "sync",
        "compaction",
        "interleaving",
    ];
    let cases = [
        (&IMPORTS_NOTHING, imports.as_slice()),
        (&LIES, &imports),
        (&EXPORTS_NOTHING, &["export", "compaction"]),
        (&EDITS_NOTHING, &["local", "conflict", "types"]),
    ];
    for (engine, suites) in cases {
        let subjects = [
            Subject::new(engine, trace(1500)),
            Subject::new(engine, Data::Synthetic),
            Subject::new(engine, concurrent(60)),
        ];
        let suites = suites.iter().map(|name| Suite::named(name).unwrap());
        let mut series = HashSet::new();
        for workload in suites.flat_map(|suite| suite.workloads_of(Size::Small)) {
            let Some(subject) = suited(&subjects, &workload) else {
                continue;
            };
            let name = subject.data().name();
            if !engine.0.concerns(workload.variant()) || workload.is_slow(&Loro, name) {
                continue;
            }
            // All sizes of a series have the same check.
            let scale = workload.scale_of();
            if scale.is_some_and(|scale| !series.insert(scale.series.clone())) {
                continue;
            }
            let mut repetition = match workload.repetition(subject) {
                Err(WorkloadError::Unsuitable { .. }) => continue,
                repetition => repetition.unwrap(),
            };
            ARMED.set(true);
            let ran = repetition.run();
            ARMED.set(false);
            // It may fail because of what it did not do, which counts as noticed.
            if ran.is_err() {
                continue;
            }
            let result = repetition.check();
            assert!(
                matches!(result, Err(WorkloadError::Wrong(_))),
                "{}: {result:?}",
                workload.variant()
            );
        }
    }
}
