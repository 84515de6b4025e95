//! `syncbench doctor` as a user meets it. No timing is asserted: machines differ.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

fn doctor(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncbench"));
    command.arg("doctor").args(args).output().unwrap()
}

const CHECKS: [&str; 13] = [
    "clock",
    "wake_up",
    "wake_up_contended",
    "tokio_timer",
    "tcp_echo",
    "websocket_echo",
    "steal",
    "load_average",
    "other_processes",
    "cpus",
    "frequency",
    "descriptors",
    "ports",
];

#[test]
fn every_check_has_a_verdict_and_every_figure_its_unit() {
    let start = Instant::now();
    let output = doctor(&["--duration", "1s", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "it is bounded");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["schema"], "syncbench/doctor@1");
    assert!(json["floor"]["us"].as_f64().unwrap() > 0.0);
    assert!(json["machine"]["cpus"].as_u64().unwrap() > 0);

    let checks = json["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(names, CHECKS);
    for check in checks {
        let verdict = check["verdict"].as_str().unwrap();
        assert!(["good", "note", "bad", "unknown"].contains(&verdict));
        assert!(!check["value"].as_str().unwrap().is_empty());
        for figure in check["figures"].as_array().unwrap() {
            let value = figure["value"].as_f64().unwrap();
            assert!(value >= 0.0, "{check}");
            assert!(!figure["unit"].as_str().unwrap().is_empty(), "{check}");
        }
        if matches!(verdict, "note" | "bad") {
            assert!(check["advice"].is_string(), "{check}");
        }
    }
    for check in &checks[..6] {
        assert!(check["figures"][0]["n"].as_u64().unwrap() > 0, "{check}");
    }
}

#[test]
fn people_get_a_table_and_the_floor_in_a_sentence() {
    let output = doctor(&["--duration", "300ms"]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    for text in [
        "WebSocket echo",
        "verdict",
        "cannot resolve latencies below",
    ] {
        assert!(stdout.contains(text), "{stdout}");
    }
}

#[test]
fn a_time_that_makes_no_sense_is_refused() {
    for time in ["1ms", "1h", "soon"] {
        let output = doctor(&["--duration", time]);
        assert_eq!(output.status.code(), Some(2), "{time}");
        assert!(output.stdout.is_empty());
    }
}
