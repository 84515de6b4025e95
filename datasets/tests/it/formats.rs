//! A trace survives being written and read in every form, and no mutation of a
//! file makes the loader panic.

use proptest::prelude::*;
use syncbench_datasets::{Trace, TraceKind, convert, load, load_bytes, to_binary, write_json};

/// The next txn of one agent: the txns that it builds on, and the text that it types.
#[derive(Debug, Clone)]
struct Move {
    agent: usize,
    /// True if the agent merges all branches before it types.
    merge: bool,
    time: Option<i64>,
    inserts: Vec<String>,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let time = proptest::option::of(0_i64..4_102_444_800_000);
    let inserts = proptest::collection::vec("[a-zé😀\"\\\\\n\u{0}]{0,3}", 0..3);
    let one = (0_usize..3, any::<bool>(), time, inserts);
    let one = one.prop_map(|(agent, merge, time, inserts)| Move {
        agent,
        merge,
        time,
        inserts,
    });
    proptest::collection::vec(one, 0..20)
}

/// Writes the moves of agents that only insert at the start as a trace of
/// branches that are merged now and then, in editing-traces JSON.
fn concurrent_json(moves: &[Move]) -> String {
    let mut last: [Option<usize>; 3] = [None; 3];
    let mut heads: Vec<usize> = Vec::new();
    let mut txns = Vec::new();
    let mut text = String::new();
    let mut agents: Vec<usize> = Vec::new();
    for (index, one) in moves.iter().enumerate() {
        let parents = if one.merge {
            heads.clone()
        } else {
            last[one.agent].into_iter().collect()
        };
        heads.retain(|head| !parents.contains(head));
        heads.push(index);
        last[one.agent] = Some(index);
        // Agents are numbered as they come, so that none is missing.
        let known = agents.iter().position(|&agent| agent == one.agent);
        let agent = known.unwrap_or(agents.len());
        if known.is_none() {
            agents.push(one.agent);
        }
        let patches: Vec<_> = one
            .inserts
            .iter()
            .map(|ins| serde_json::json!([0, 0, ins]))
            .collect();
        for ins in &one.inserts {
            text.insert_str(0, ins);
        }
        let mut txn = serde_json::json!({"parents": parents, "agent": agent, "patches": patches});
        if let Some(time) = one.time {
            txn["time"] = time_text(time).into();
        }
        txns.push(txn);
    }
    let used = agents.len().max(1);
    serde_json::json!({"kind": "concurrent", "numAgents": used, "endContent": text, "txns": txns})
        .to_string()
}

fn time_text(millis: i64) -> String {
    // The day is all that the test needs to vary; the moment within it is kept too.
    let (day, rest) = (millis / 86_400_000 % 28 + 1, millis % 86_400_000);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!(
        "2024-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        rest % 1_000
    )
}

fn sequential_json(inserts: &[(usize, usize, String)]) -> String {
    let mut text: Vec<char> = "start é".chars().collect();
    let mut txns = Vec::new();
    for (pos, del, ins) in inserts {
        let pos = pos % (text.len() + 1);
        let del = del % (text.len() - pos + 1);
        text.splice(pos..pos + del, ins.chars());
        txns.push(serde_json::json!({"patches": [[pos, del, ins]]}));
    }
    let end: String = text.into_iter().collect();
    serde_json::json!({"startContent": "start é", "endContent": end, "txns": txns}).to_string()
}

/// The whole content of a trace, for comparisons.
fn view(trace: &Trace) -> impl PartialEq + std::fmt::Debug + use<> {
    let txns: Vec<_> = trace
        .txns()
        .map(|txn| {
            let patches: Vec<_> = txn
                .patches()
                .map(|patch| (patch.pos, patch.del, patch.ins.to_owned()))
                .collect();
            (
                txn.agent(),
                txn.time(),
                txn.parents().collect::<Vec<_>>(),
                patches,
            )
        })
        .collect();
    let texts = (
        trace.start_content().to_owned(),
        trace.end_content().to_owned(),
    );
    (
        trace.kind() == TraceKind::Concurrent,
        trace.counts(),
        texts,
        txns,
    )
}

fn loaded(json: &str) -> Result<Trace, TestCaseError> {
    load_bytes("t.json", json.as_bytes())
        .map_err(|error| TestCaseError::fail(format!("{error}\n{json}")))
}

fn assert_survives_writing(trace: &Trace) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir()?;
    for name in ["t.json", "t.json.gz", "t.sbtrace"] {
        let path = dir.path().join(name);
        let size = convert(trace, &path).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let bytes = std::fs::read(&path)?;
        prop_assert_eq!(size, bytes.len() as u64);
        let again =
            load_bytes(name, &bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(view(trace), view(&again), "{}", name);
    }
    Ok(())
}

#[test]
fn a_converted_file_has_the_usual_permissions() {
    let trace = load_bytes("empty", br#"{"startContent":"","endContent":"","txns":[]}"#).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let [ours, usual] = ["ours.json", "usual.json"].map(|name| dir.path().join(name));
    convert(&trace, &ours).unwrap();
    std::fs::write(&usual, b"text").unwrap();
    let permissions = |path| std::fs::metadata(path).unwrap().permissions();
    assert_eq!(permissions(ours), permissions(usual));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_concurrent_trace_survives_every_form(moves in moves()) {
        assert_survives_writing(&loaded(&concurrent_json(&moves))?)?;
    }

    #[test]
    fn a_sequential_trace_survives_every_form(edits in proptest::collection::vec((0_usize..50, 0_usize..5, "[a-zé😀\n]{0,4}"), 0..30)) {
        assert_survives_writing(&loaded(&sequential_json(&edits))?)?;
    }

    #[test]
    fn a_mutated_json_file_never_panics(moves in moves(), cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = concurrent_json(&moves).into_bytes();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = load_bytes("t.json", &bytes);
    }

    #[test]
    fn a_damaged_binary_file_is_refused(moves in moves(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = to_binary(&loaded(&concurrent_json(&moves))?);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(load_bytes("t.sbtrace", &bytes).is_err());
    }

    #[test]
    fn a_forged_binary_file_never_panics(moves in moves(), at in any::<prop::sample::Index>(), number in any::<u32>()) {
        let mut bytes = to_binary(&loaded(&concurrent_json(&moves))?);
        let content = bytes.len() - 32;
        let at = 12 + at.index(content - 12) / 4 * 4;
        bytes[at..(at + 4).min(content)].copy_from_slice(&number.to_le_bytes()[..(content - at).min(4)]);
        let hash = blake3::hash(&bytes[..content]);
        bytes[content..].copy_from_slice(hash.as_bytes());
        let _ = load_bytes("t.sbtrace", &bytes);
    }
}

#[test]
fn a_time_that_only_the_first_txn_has_stays_there() {
    let json = r#"{"endContent":"ab","txns":[{"time":"2024-01-01T00:00:00Z","patches":[[0,0,"a"]]},{"patches":[[1,0,"b"]]}]}"#;
    let trace = load_bytes("t.json", json.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let times: Vec<_> = trace.txns().map(|txn| txn.time().is_some()).collect();
    assert_eq!(times, [true, false]);
}

#[test]
fn txns_that_change_nothing_are_not_replayed() {
    let json = r#"{"startContent":"s","endContent":"bca","txns":[
        {"time":"2024-01-01T00:00:00Z","patches":[]},
        {"time":"2024-01-01T00:00:01Z","patches":[[0,0,""],[1,0,"a"]]},
        {"time":"2024-01-01T00:00:02Z","patches":[[0,0,""]]},
        {"time":"2024-01-01T00:00:03Z","patches":[[0,1,"bc"]]}]}"#;
    let trace = load_bytes("t.json", json.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let start = trace.txn(1).time().unwrap_or_default();
    let replayed = trace.for_replay();
    let patches: Vec<Vec<_>> = replayed
        .txns()
        .map(|txn| txn.patches().map(|p| (p.pos, p.del, p.ins)).collect())
        .collect();
    assert_eq!(patches, [vec![(0, 0, ""), (1, 0, "a")], vec![(0, 1, "bc")]]);
    let times: Vec<_> = replayed.txns().filter_map(|txn| txn.time()).collect();
    assert_eq!(times, [start, start + 2_000]);
    assert_eq!(
        (replayed.start_content(), replayed.end_content()),
        ("s", "bca")
    );
}

#[test]
fn the_start_text_of_a_concurrent_trace_is_typed_before_all_others() {
    let json = r#"{"kind":"concurrent","numAgents":2,"startContent":"é","endContent":"xéy","txns":[
        {"parents":[],"agent":1,"patches":[[0,0,"x"]]},
        {"parents":[],"agent":0,"patches":[[1,0,"y"],[0,0,""]]},
        {"parents":[0,1],"agent":1,"patches":[]}]}"#;
    let trace = load_bytes("t.json", json.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let replayed = trace.for_replay();
    let parents: Vec<Vec<usize>> = replayed.txns().map(|txn| txn.parents().collect()).collect();
    assert_eq!(parents, [vec![], vec![0], vec![0], vec![1, 2]]);
    let agents: Vec<_> = replayed.txns().map(|txn| txn.agent()).collect();
    assert_eq!(agents, [0, 1, 0, 1]);
    let patches: Vec<_> = replayed.patches().map(|p| (p.pos, p.del, p.ins)).collect();
    assert_eq!(patches, [(0, 0, "é"), (0, 0, "x"), (1, 0, "y"), (0, 0, "")]);
    assert_eq!(
        (replayed.start_content(), replayed.end_content()),
        ("", "xéy")
    );
    // It is a trace like any other.
    let json = write_json(&replayed, Vec::new()).unwrap_or_else(|error| panic!("{error}"));
    let written = load_bytes("t.json", &json).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(view(&written), view(&replayed));
}

#[test]
fn a_repeated_trace_replays_to_its_end_text() {
    let json = r#"{"kind":"concurrent","numAgents":2,"endContent":"xab","txns":[
        {"parents":[],"agent":0,"patches":[[0,0,"ab"]]},
        {"parents":[0],"agent":0,"patches":[[0,0,"x"]]},
        {"parents":[0],"agent":1,"patches":[[1,0,"-"],[1,1,""]]}]}"#;
    let base = load_bytes("t.json", json.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let twice = base.repeated("twice", 2);
    assert_eq!(
        (twice.txn_count(), twice.patch_count(), twice.end_content()),
        (6, 8, "xabxab")
    );
    let parents: Vec<Vec<usize>> = twice.txns().map(|txn| txn.parents().collect()).collect();
    assert_eq!(
        parents,
        [vec![], vec![0], vec![0], vec![1, 2], vec![3], vec![3]]
    );
    // Written out, it is a trace like any other.
    let json = write_json(&twice, Vec::new()).unwrap_or_else(|error| panic!("{error}"));
    let written = load_bytes("twice.json", &json).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(view(&written), view(&twice));
}

#[test]
fn a_truncated_trace_ends_with_the_text_of_its_last_txn() {
    let json = r#"{"startContent":"é","endContent":"xd","txns":[
        {"time":"2024-01-01T00:00:00Z","patches":[[1,0,"ab😀"]]},
        {"time":"2024-01-02T00:00:00Z","patches":[[0,1,""],[2,1,"c"]]},
        {"time":"2024-01-03T00:00:00Z","patches":[[0,3,"xd"]]}]}"#;
    for (txns, patches, end) in [(0, 0, "é"), (1, 1, "éab😀"), (2, 3, "abc"), (3, 4, "xd")] {
        let whole = load_bytes("t.json", json.as_bytes());
        let first = whole
            .unwrap_or_else(|error| panic!("{error}"))
            .truncated(txns);
        assert_eq!(
            (first.txn_count(), first.patch_count(), first.end_content()),
            (txns, patches, end)
        );
        if txns > 0 {
            // Written out, it is a trace like any other.
            let json = write_json(&first, Vec::new()).unwrap_or_else(|error| panic!("{error}"));
            let written = load_bytes("first.json", &json).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(view(&written), view(&first));
        }
    }
}

#[test]
fn a_repeated_sequential_trace_replays_to_its_end_text() {
    let Ok(base) = load("automerge-paper") else {
        println!("skipped: automerge-paper is not here");
        return;
    };
    let twice = base.repeated("twice", 2);
    let json = write_json(&twice, Vec::new()).unwrap_or_else(|error| panic!("{error}"));
    let written = load_bytes("twice.json", &json).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(written.counts(), twice.counts());
}
