//! The table as text: for the help of `--threshold`, and for the documentation.

use super::{COUNTS, DISTRIBUTIONS, RATIOS, RESOURCES, all};

/// The metrics that a threshold may name, for the help of `--threshold`.
pub fn threshold_help() -> String {
    let distributions = DISTRIBUTIONS.iter().map(|metric| metric.name);
    let counts = COUNTS.iter().map(|count| count.metric.name);
    let ratios = RATIOS
        .iter()
        .map(|ratio| format!("{}.rate", ratio.metric.name));
    let resources = RESOURCES.iter().map(|resource| resource.metric.name);
    format!(
        "Latencies, with .min, .mean, .max, .count or a percentile such as .p99: {}. Counts: {}. \
         Shares of 1: {}. Of a relay that the run owns: {}.",
        distributions.collect::<Vec<_>>().join(", "),
        counts.collect::<Vec<_>>().join(", "),
        ratios.collect::<Vec<_>>().join(", "),
        resources.collect::<Vec<_>>().join(", "),
    )
}

/// The whole table as Markdown, for the documentation.
pub fn markdown_table() -> String {
    let mut table = String::from("| metric | kind | unit | worse | meaning |\n");
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for (kind, metric) in all() {
        table.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            metric.name,
            kind.name(),
            metric.unit.symbol(),
            metric.worse.name(),
            metric.meaning,
        ));
    }
    table
}
