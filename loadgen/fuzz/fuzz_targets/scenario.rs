//! Any text is a scenario or an error that says why not. What is a scenario has a
//! plan that fits into memory, and can be recorded.
//!
//! Run it with `cargo fuzz run scenario corpus/scenario ../scenarios` in
//! `loadgen/fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use syncbench_loadgen::plan::Plan;
use syncbench_loadgen::scenario::Scenario;

/// Larger plans take the fuzzer too long, and show nothing new.
const MAX_CLIENTS: u32 = 1_000;

fuzz_target!(|text: &str| {
    let Ok(scenario) = Scenario::parse(text) else {
        return;
    };
    serde_json::to_string(&scenario.recorded(None)).expect("a scenario that can be recorded");
    if scenario.clients.count <= MAX_CLIENTS && scenario.churn.per_second < 10.0 {
        let plan = Plan::new(&scenario);
        assert!(plan.initial_clients() <= plan.clients.len());
    }
});
