//! Saving and sending a document: for the first time, and again.

mod suite;

fn main() {
    suite::run(syncbench_engines::workload::Suite::EXPORT);
}
