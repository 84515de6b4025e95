//! The charts of a load report.

use hdrhistogram::Histogram;

use crate::plot::{Axis, Chart, Scale, Series, Unit};
use crate::record::{Record, Series as Columns};
use crate::summary;

/// The highest percentile of the chart is 1 - 10^-this.
const NINES: f64 = 4.0;
/// The number of points of a percentile curve between two nines.
const POINTS_PER_NINE: usize = 40;

/// Draws latency by percentile, with one curve per metric.
pub fn percentiles(record: &Record) -> Chart {
    let curves = [
        ("propagation", "from the intended time"),
        ("propagation_from_send", "from the send"),
        ("generator_lag", "generator lag"),
    ];
    let series = curves
        .into_iter()
        .filter_map(|(metric, name)| {
            // If a histogram is damaged, its curve is missing, but not the report.
            let histogram = summary::sampled(record, metric)?.histogram().ok()?;
            Some(Series::line(name, curve(&histogram)))
        })
        .collect();
    Chart {
        title: "Latency by percentile".to_owned(),
        description: "How long the fastest share of the samples took at most. A curve ends at the \
                      percentile that its number of samples supports. Where “from the intended time” \
                      leaves “from the send”, edits waited in the generator."
            .to_owned(),
        x: Axis::new("percentile", Unit::Share, Scale::Nines),
        y: Axis::new("latency", Unit::Micros, Scale::Auto),
        series,
    }
}

/// Returns points `(share, microseconds)`, evenly spread over the nines.
fn curve(histogram: &Histogram<u64>) -> Vec<(f64, Option<f64>)> {
    let supported = (histogram.len() as f64).log10().min(NINES);
    let last = (supported * POINTS_PER_NINE as f64) as usize;
    (0..=last)
        .map(|i| i as f64 / POINTS_PER_NINE as f64)
        .map(|nines| 1.0 - 10f64.powf(-nines))
        .map(|share| (share, Some(histogram.value_at_quantile(share) as f64 / 1e3)))
        .collect()
}

/// Returns the charts with the time of the run on the horizontal axis, or none if the
/// record has no times.
pub fn over_time(record: &Record) -> Vec<Chart> {
    let Some(columns) = record.series.as_ref().filter(|series| !series.t.is_empty()) else {
        return Vec::new();
    };
    let latency = || Axis::new("latency", Unit::Micros, Scale::Auto);
    vec![
        chart(
            "Propagation latency over time",
            "From the intended time of an edit until it was visible, by the time it became visible.",
            latency(),
            spread(columns, "propagation"),
        ),
        chart(
            "Edits sent and delivered over time",
            "Every edit is delivered once to each other replica of its room. Deliveries that lag \
             behind show as a dip with a peak after it.",
            Axis::new("per second", Unit::Number, Scale::Linear),
            vec![
                Series::line("deliveries", rate(columns, "visible")),
                Series::line("edits sent", rate(columns, "sent")),
            ],
        ),
        chart(
            "Generator lag over time",
            "How late the generator began its edits. It should stay well below the latency measured.",
            Axis::new("lag", Unit::Micros, Scale::Auto),
            spread(columns, "generator_lag"),
        ),
    ]
}

/// Makes a chart over the time of the run.
pub(super) fn chart(title: &str, description: &str, y: Axis, series: Vec<Series>) -> Chart {
    Chart {
        title: title.to_owned(),
        description: description.to_owned(),
        x: Axis::new(
            "time since the start of the schedule",
            Unit::Seconds,
            Scale::Linear,
        ),
        y,
        series,
    }
}

/// Returns the median, 99th percentile and maximum of a metric.
pub(super) fn spread(columns: &Columns, metric: &str) -> Vec<Series> {
    ["p50", "p99", "max"]
        .into_iter()
        .map(|figure| {
            let column = format!("{metric}_{figure}");
            Series::line(figure, points(columns, &column, 1.0))
        })
        .collect()
}

/// Returns a column of counts as counts per second, up to the last interval in which
/// anything happened. The silence after the end would look like a drop in the rate.
fn rate(columns: &Columns, column: &str) -> Vec<(f64, Option<f64>)> {
    let busy = |name: &str| {
        let counts = columns.columns.get(name);
        counts.and_then(|counts| counts.iter().rposition(|n| n.is_some_and(|n| n > 0.0)))
    };
    let end = busy("sent").max(busy("visible")).map_or(0, |last| last + 1);
    let mut points = points(columns, column, 1.0 / columns.interval_s);
    points.truncate(end);
    points
}

/// Returns the points of a column at the middles of its intervals.
pub(super) fn points(columns: &Columns, column: &str, factor: f64) -> Vec<(f64, Option<f64>)> {
    let values = columns.columns.get(column).map_or(&[][..], Vec::as_slice);
    columns
        .t
        .iter()
        .zip(values)
        .map(|(t, value)| {
            (
                t + columns.interval_s / 2.0,
                value.map(|value| value * factor),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silence_after_the_end_is_not_drawn_as_a_drop() {
        let column = |values: [f64; 4]| values.map(Some).to_vec();
        let columns = Columns {
            interval_s: 0.5,
            t: vec![0.0, 0.5, 1.0, 1.5],
            columns: [
                ("sent".to_owned(), column([10.0, 0.0, 0.0, 0.0])),
                ("visible".to_owned(), column([0.0, 0.0, 7.0, 0.0])),
            ]
            .into(),
        };
        // A stall before the end remains visible.
        let expected = [(0.25, Some(20.0)), (0.75, Some(0.0)), (1.25, Some(0.0))];
        assert_eq!(rate(&columns, "sent"), expected);
    }

    #[test]
    fn a_curve_ends_where_its_samples_do() {
        let mut histogram = Histogram::<u64>::new(3).expect("3 digits are valid");
        histogram.record_n(5_000, 100).expect("it grows");
        let curve = curve(&histogram);
        assert_eq!(curve.len(), 2 * POINTS_PER_NINE + 1);
        assert!((curve[curve.len() - 1].0 - 0.99).abs() < 1e-9);
    }
}
