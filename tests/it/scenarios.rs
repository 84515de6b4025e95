//! The built-in scenarios, run by name: short, and judged by their exit codes alone,
//! since a busy machine may be slow.

use std::process::{Command, Stdio};

use syncbench_reports::record::{Record, Status};

fn run(args: &[&str]) -> (i32, Record) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_syncbench"))
        .args(["run", "-q", "-o", folder.path().to_str().unwrap()])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let record = Record::read(&folder.path().join("record.json"));
    let record = record.unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{args:?}: {error}: {stderr}")
    });
    (output.status.code().unwrap(), record)
}

#[test]
fn a_relay_with_a_memory_brings_everyone_up_to_date() {
    for args in [
        &["classroom", "--duration", "1s", "--clients", "40"][..],
        &[
            "late-join",
            "--duration",
            "2s",
            "--set",
            "document.typed=0.02",
        ],
        &["presence", "--duration", "1s", "--clients", "15"],
        &["whiteboard", "--duration", "1s", "--clients", "15"],
        &["soak", "--duration", "2s", "--set", "churn.per_second=5"],
        &[
            "commuters",
            "--duration",
            "2s",
            "--set",
            "link=[{fault=[{kind='offline',every='1s',for='300ms'}]}]",
        ],
        &[
            "reconnect-storm",
            "--duration",
            "2s",
            "--clients",
            "40",
            "--set",
            "link=[{fault=[{kind='reset',at='1s',for='300ms'}]}]",
        ],
        &[
            "spike",
            "--set",
            "stages=[{duration='1s',clients=40},{duration='1s',clients=80,rate=200,ramp=true}]",
        ],
    ] {
        let (code, record) = run(args);
        let verdict = &record.verdict;
        assert_eq!(code, i32::from(verdict.exit_code), "{args:?}");
        // The speed depends on the load of the machine.
        let on_time = matches!(
            verdict.status,
            Status::Ok | Status::Threshold | Status::Invalid
        );
        assert!(on_time, "{args:?}: {verdict:?}");
        let convergence = record.convergence.unwrap();
        assert_eq!(convergence.converged, convergence.rooms, "{args:?}");
        assert_eq!(convergence.lost, 0, "{args:?}");
    }
}

#[test]
fn a_relay_without_a_memory_is_found_out() {
    let (code, record) = run(&[
        "memoryless",
        "--duration",
        "2s",
        "--set",
        "drain_timeout=1s",
    ]);
    assert_eq!(code, 6, "{:?}", record.verdict);
    assert_eq!(record.verdict.status, Status::NotConverged);
    let convergence = record.convergence.unwrap();
    assert!(convergence.lost_by_absence > 0, "{convergence:?}");
    assert!(record.thresholds.iter().all(|judged| !judged.met));
}
