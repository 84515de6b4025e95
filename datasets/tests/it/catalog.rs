//! Every catalog entry that is on this machine is what the catalog says.

use sha2::{Digest, Sha256};
use syncbench_datasets::{Kind, TraceKind, catalog, load, load_bytes, locate, read_entry};

fn checksum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[test]
fn every_entry_that_is_here_has_the_checksum_the_counts_and_the_end_text_of_the_catalog() {
    for entry in &catalog().entries {
        if locate(entry).unwrap().is_none() {
            println!(
                "skipped {}: not on this machine (set SYNCBENCH_DATASETS)",
                entry.name
            );
            continue;
        }
        let bytes = read_entry(entry).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(bytes.len() as u64, entry.bytes, "{}", entry.name);
        assert_eq!(checksum(&bytes), entry.sha256, "{}", entry.name);
        if entry.kind == Kind::Document {
            continue;
        }
        let trace = load_bytes(&entry.name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(trace.counts()), entry.counts, "{}", entry.name);
        assert_eq!(
            Some(checksum(trace.end_content().as_bytes())),
            entry.end_sha256,
            "{}",
            entry.name
        );
        assert_eq!(
            trace.kind() == TraceKind::Concurrent,
            entry.kind == Kind::Concurrent,
            "{}",
            entry.name
        );
        assert_eq!(trace.sha256(), entry.sha256);
    }
}

#[test]
fn derived_entries_have_bases_that_are_traces_and_names_are_unique() {
    let mut names: Vec<&str> = catalog().names().collect();
    for derived in &catalog().derived {
        let base = catalog().entry(&derived.base).map(|entry| entry.kind);
        assert!(
            matches!(base, Some(Kind::Sequential | Kind::Concurrent)),
            "{}",
            derived.name
        );
    }
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_embedded_trace_needs_no_file() {
    if !syncbench_datasets::has_embedded_trace() {
        println!("skipped: loro-internal was not found when this was built");
        return;
    }
    let trace = load("automerge-paper").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((trace.txn_count(), trace.agent_count()), (259_778, 1));
    assert_eq!(trace.end_content().chars().count(), 104_852);
}

#[test]
fn an_unknown_name_gets_near_names_and_hears_of_paths() {
    let error = load("automerge-papr")
        .map(|_| ())
        .map_err(|error| error.to_string());
    let message = error.expect_err("there is no such trace");
    assert!(
        message.contains("did you mean automerge-paper"),
        "{message}"
    );
    assert!(message.contains("path"), "{message}");
    let message = load("zzzzzzzzzz")
        .map(|_| ())
        .map_err(|error| error.to_string())
        .expect_err("no such trace");
    assert!(message.contains("friendsforever"), "{message}");
}

#[test]
fn a_document_is_not_loaded_as_a_trace() {
    let message = load("latch-snapshot")
        .map(|_| ())
        .map_err(|error| error.to_string())
        .expect_err("a document");
    assert!(message.contains("is a document, not a trace"), "{message}");
}
