//! Opening a document: snapshot, shallow snapshot and updates, each up to the
//! import, the first read, the first edit, the first export.

mod suite;

fn main() {
    suite::run(syncbench_engines::workload::Suite::IMPORT);
}
