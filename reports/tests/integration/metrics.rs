//! The table of metrics, and the page that shows it.

use syncbench_reports::metric;

/// The documentation holds the table as it is generated. To regenerate it, run
/// this test with `UPDATE_DOCS=1`.
#[test]
fn the_documentation_shows_the_table_of_metrics() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
    let page = format!("{HEAD}{}", metric::markdown_table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page)?;
    }
    let written = std::fs::read_to_string(path)?;
    assert!(
        written == page,
        "docs/METRICS.md is not up to date; run this test with UPDATE_DOCS=1"
    );
    Ok(())
}

const HEAD: &str = "\
# Metrics

Everything a load run reports, generated from the table in `reports/src/metric.rs`.
Thresholds, reports, the Prometheus export and the CSV files use the same names.

- A **distribution** has many samples. In a threshold it needs a statistic:
  `propagation.p99 < 100ms`.
- A **count** is one number for the whole run: `lost == 0`.
- A **ratio** is a share of one: `convergence.rate == 1`.
- A **resource** is one number about the processes of a relay that the run owns. The
  largest second counts: `relay.rss < 200MiB`; those with a series also take a
  statistic over the seconds: `relay.cpu.mean < 0.8`.
- A **series** has one value for each second. Those of a process have a column for
  each side, such as `relay_cpu` and `generator_cpu`. Thresholds do not apply to series.

*worse* is the direction in which a metric gets worse; it is empty where the value
follows from the scenario.

";

#[test]
fn the_help_names_every_metric_that_a_threshold_may_use() {
    let help = metric::threshold_help();
    for (kind, metric) in metric::all() {
        let named = help.contains(metric.name);
        assert!(named || kind == metric::Kind::Series, "{}", metric.name);
    }
}
