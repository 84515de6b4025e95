//! Remote operations: a whole history, its last edits, diverged replicas.

mod suite;

fn main() {
    suite::run(syncbench_engines::workload::Suite::MERGE);
}
