//! Concurrent traces through an engine: the stream alone yields the end text.

use syncbench_datasets::{Check, DatasetError, Trace, load, load_bytes};
use syncbench_engines::replay::{Unit, replay};
use syncbench_engines::{Engine, Loro, engine};

fn loaded(name: &str) -> Option<Trace> {
    match load(name) {
        Ok(trace) => Some(trace),
        Err(DatasetError::NotHere { .. }) => {
            println!("skipped {name}: not on this machine (set SYNCBENCH_DATASETS)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn small(end: &str, txns: &str, agents: u32) -> Trace {
    let json = format!(
        r#"{{"kind":"concurrent","numAgents":{agents},"endContent":"{end}","txns":[{txns}]}}"#
    );
    load_bytes("small", json.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_two_agent_traces_give_their_end_text_run_by_run() {
    for (name, updates) in [("friendsforever", 3_727), ("clownschool", 5_380)] {
        let Some(trace) = loaded(name) else { continue };
        let mut done = 0;
        let replayed = replay(&Loro, &trace, Unit::Run, Check::Text, &mut |units, _| {
            done = units
        });
        let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((replayed.stream.len(), done), (updates, updates), "{name}");
        let mut fresh = Loro.replica(99);
        for (_, update) in replayed.stream.iter() {
            fresh
                .import(update)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        assert_eq!(fresh.text(), trace.end_content(), "{name}");
    }
}

/// These are libraries of operations; their adapters provide peers and versions.
#[test]
fn engines_without_documents_of_their_own_give_the_end_text_too() {
    for engine in ["cola", "ot"].into_iter().filter_map(engine) {
        for name in ["friendsforever", "clownschool"] {
            let Some(trace) = loaded(name) else { continue };
            let replayed = replay(engine, &trace, Unit::Run, Check::Text, &mut |_, _| ());
            assert!(replayed.is_ok(), "{:?}", replayed.map(|_| ()));
        }
    }
}

/// Two hundred agents are replayed detached.
#[test]
fn a_trace_of_many_agents_gives_its_end_text() {
    let Some(trace) = loaded("A1") else { return };
    let replayed = replay(&Loro, &trace, Unit::Txn, Check::Text, &mut |_, _| ());
    let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(replayed.stream.len(), trace.txn_count());
}

/// Agent 0 types `ab`. Then every agent, without knowing of the others, inserts at the
/// end of a text that only its own letter has made longer.
fn fan(agents: u32) -> (String, String) {
    let mut txns = vec![r#"{"parents":[],"agent":0,"patches":[[0,0,"ab"]]}"#.to_owned()];
    for agent in 1..agents {
        txns.push(format!(
            r#"{{"parents":[0],"agent":{agent},"patches":[[0,1,""],[0,0,"c"],[0,1,""]]}}"#
        ));
    }
    ("b".to_owned(), txns.join(","))
}

#[test]
fn few_agents_and_many_are_replayed_alike() {
    for agents in [3, 15, 16, 40] {
        let (end, txns) = fan(agents);
        let trace = small(&end, &txns, agents);
        for unit in [Unit::Txn, Unit::Run] {
            let replayed = replay(&Loro, &trace, unit, Check::Text, &mut |_, _| ());
            let replayed = replayed.unwrap_or_else(|error| panic!("{agents} agents: {error}"));
            assert_eq!(replayed.stream.len(), agents as usize);
        }
    }
}

#[test]
fn agents_begin_with_the_start_text() {
    for agents in [3, 20] {
        let others = (1..agents).map(|agent| {
            format!(r#"{{"parents":[],"agent":{agent},"patches":[[0,1,""],[0,0,"c"],[0,1,""]]}}"#)
        });
        let first = r#"{"parents":[],"agent":0,"patches":[]}"#.to_owned();
        let txns: Vec<String> = std::iter::once(first).chain(others).collect();
        let json = format!(
            r#"{{"kind":"concurrent","numAgents":{agents},"startContent":"ab","endContent":"b","txns":[{}]}}"#,
            txns.join(",")
        );
        let trace = load_bytes("small", json.as_bytes()).unwrap().for_replay();
        let replayed = replay(&Loro, &trace, Unit::Txn, Check::Text, &mut |_, _| ());
        let replayed = replayed.unwrap_or_else(|error| panic!("{agents} agents: {error}"));
        // The start text is an update, and the txn that changes nothing is none.
        assert_eq!(replayed.stream.len(), agents);
    }
}

#[test]
fn a_text_that_merging_does_not_give_is_an_error() {
    for agents in [3, 20] {
        let (_, txns) = fan(agents);
        let message = refusal(&small("x", &txns, agents), Check::Text);
        assert!(
            message.contains("small: replayed through loro"),
            "{message}"
        );
        assert!(message.contains("differ from character 0"), "{message}");
    }
}

#[test]
fn a_length_that_merging_does_not_give_is_an_error() {
    // Two agents delete the same character, so one is left.
    let txns = r#"{"parents":[],"agent":0,"patches":[[0,0,"ab"]]},{"parents":[0],"agent":0,"patches":[[0,1,""]]},
                  {"parents":[0],"agent":1,"patches":[[0,1,""]]},{"parents":[1,2],"agent":1,"patches":[]}"#;
    let message = refusal(&small("", txns, 2), Check::Length);
    assert!(
        message.contains("the text has 1 characters, the end text 0"),
        "{message}"
    );
}

/// Returns the error of a replay of `trace`.
fn refusal(trace: &Trace, check: Check) -> String {
    replay(&Loro, trace, Unit::Txn, check, &mut |_, _| ())
        .map(|_| ())
        .expect_err("the end text is another")
        .to_string()
}

#[test]
fn a_position_past_the_end_of_a_branch_names_the_txn() {
    for agents in [3, 20] {
        let (_, mut txns) = fan(agents);
        // In range of everything that was ever typed, but not of what this txn builds
        // on.
        txns.push_str(r#",{"parents":[1],"agent":1,"patches":[[2,0,"z"]]}"#);
        let trace = small(&"b".repeat(2), &txns, agents);
        let error = replay(&Loro, &trace, Unit::Txn, Check::Text, &mut |_, _| ())
            .map(|_| ())
            .map_err(|error| error.to_string());
        let message = error.expect_err("out of bounds");
        assert!(
            message.contains(&format!("txn {agents}: loro position 2")),
            "{message}"
        );
    }
}

#[test]
fn concurrent_inserts_at_one_place_are_judged_by_length() {
    let txns = r#"{"parents":[],"agent":0,"patches":[[0,0,"ab"]]},{"parents":[0],"agent":0,"patches":[[1,0,"x"]]},
                  {"parents":[0],"agent":1,"patches":[[1,0,"y"]]},{"parents":[1,2],"agent":1,"patches":[]}"#;
    let outcomes: Vec<bool> = ["axyb", "ayxb"]
        .into_iter()
        .map(|end| {
            let trace = small(end, txns, 2);
            let judged = replay(&Loro, &trace, Unit::Txn, Check::Length, &mut |_, _| ());
            assert!(
                judged.is_ok_and(|replayed| replayed.stream.len() == 3),
                "{end}"
            );
            replay(&Loro, &trace, Unit::Txn, Check::Text, &mut |_, _| ()).is_ok()
        })
        .collect();
    assert!(
        outcomes[0] != outcomes[1],
        "one of the two orders is Loro's"
    );
}
