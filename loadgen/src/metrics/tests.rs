use std::collections::BTreeSet;

use proptest::prelude::*;
use syncbench_reports::metric::{COUNTS, DISTRIBUTIONS};

use super::*;

fn latency(samples: &[Nanos]) -> Latency {
    let mut latency = Latency::default();
    samples.iter().for_each(|&sample| latency.record(sample));
    latency
}

/// Any samples from a nanosecond to some hours.
pub(crate) fn samples() -> impl Strategy<Value = Vec<Nanos>> {
    let sample = (0u32..44, any::<u64>()).prop_map(|(bits, n)| n & ((1 << bits) - 1));
    prop::collection::vec(sample, 0..40)
}

#[test]
fn every_distribution_is_described_in_the_table_of_metrics() {
    let metrics = Metrics::default();
    let measured: BTreeSet<&str> = metrics
        .distributions()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let described: BTreeSet<&str> = DISTRIBUTIONS.iter().map(|metric| metric.name).collect();
    assert_eq!(measured, described);
}

#[test]
fn every_count_is_described_in_the_table_of_metrics() {
    // CPU times are in the record's resources, and not among its counts.
    let elsewhere = ["edit_cpu", "import_cpu"];
    let described: BTreeSet<&str> = COUNTS.iter().map(|count| count.metric.name).collect();
    for (name, _) in Metrics::default().counts() {
        assert!(
            described.contains(name) || elsewhere.contains(&name),
            "{name}"
        );
    }
}

#[test]
fn long_latencies_are_not_clipped() {
    let latency = latency(&[3_600_000_000_000]);
    let max = latency.histogram().max();
    assert!(max.abs_diff(3_600_000_000_000) < 3_600_000_000, "{max}");
}

#[test]
fn the_sum_of_the_parts_is_what_one_histogram_would_have_counted() {
    let samples: Vec<Nanos> = (0..5_000u64).map(|i| i * i * 37 % 3_000_000_007).collect();
    let mut whole = Latency::default();
    let mut parts = [Latency::default(), Latency::default(), Latency::default()];
    for (i, &sample) in samples.iter().enumerate() {
        whole.record(sample);
        parts[i % 3].record(sample);
    }
    let mut sum = Latency::default();
    parts.iter().for_each(|part| sum.add(part));
    assert_eq!(sum.histogram(), whole.histogram());
}

#[test]
fn a_damaged_histogram_is_refused_and_never_panics() {
    let whole = serde_json::to_string(&latency(&[5, 7_000_000])).unwrap();
    for cut in 1..whole.len() - 1 {
        let text = format!("{}\"", &whole[..cut]);
        assert!(serde_json::from_str::<Latency>(&text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn what_was_packed_or_sent_still_grows(before in samples(), after in samples()) {
        let mut grown = latency(&before);
        let sent: Latency =
            serde_json::from_str(&serde_json::to_string(&grown).unwrap()).unwrap();
        let packed = PackedLatency::from(&grown);
        for mut read in [sent, packed.unpack()] {
            prop_assert_eq!(&read, &grown);
            read.add(&latency(&after));
            after.iter().for_each(|&sample| read.record(sample));
            let mut twice = grown.clone();
            twice.add(&latency(&after));
            twice.add(&latency(&after));
            prop_assert_eq!(read, twice);
        }
        let mut sum = packed;
        sum.add(&PackedLatency::from(&latency(&after)));
        grown.add(&latency(&after));
        prop_assert_eq!(sum, PackedLatency::from(&grown));
    }
}
