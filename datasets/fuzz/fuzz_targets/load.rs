//! Any bytes are a trace or an error that says why not: no panic, no endless
//! work, no memory beyond a multiple of the input. What loads must survive a
//! round trip through both forms that we write.
//!
//! Run it with `cargo fuzz run load corpus seeds -- -dict=json.dict` in `datasets/fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use syncbench_datasets::{Trace, load_bytes, to_binary, write_json};

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = load_bytes("fuzzed", bytes) else { return };
    let binary = to_binary(&trace);
    same(&trace, &load_bytes("binary", &binary).expect("our own binary form"));
    let mut json = Vec::new();
    write_json(&trace, &mut json).expect("memory takes everything");
    same(&trace, &load_bytes("json", &json).expect("our own JSON"));
});

fn same(a: &Trace, b: &Trace) {
    assert_eq!(a.end_content(), b.end_content());
    assert_eq!((a.txn_count(), a.patch_count()), (b.txn_count(), b.patch_count()));
    assert!(a.patches().eq(b.patches()));
}
