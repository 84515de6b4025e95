//! The charts of a load report.

use hdrhistogram::Histogram;

use crate::plot::{Axis, Chart, Scale, Series, Unit};
use crate::record::{Record, Series as Columns};
use crate::summary;

/// The highest percentile of the chart is 1 - 10^-this.
const NINES: f64 = 4.0;
/// The number of points of a percentile curve between two nines.
const POINTS_PER_NINE: usize = 40;

/// Latency by percentile, one curve a metric; none without deliveries, since the
/// generator's lag alone is no latency of theirs.
pub fn percentiles(record: &Record) -> Chart {
    let has_deliveries = summary::sampled(record, "propagation").is_some();
    let curves = [
        ("propagation", "from the intended time"),
        ("propagation_from_send", "from the send"),
        ("generator_lag", "generator lag"),
    ];
    let series = curves
        .into_iter()
        .filter(|_| has_deliveries)
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

/// The series of a record as charts show them: to the end of the run. The seconds
/// after it hold what was left over, which is no drop in anything. They are shown
/// if deliveries still came more than an interval after the end, as after a stall.
pub fn until_the_end(record: &Record) -> Option<Columns> {
    let mut shown = record.series.clone().filter(|all| !all.t.is_empty())?;
    let last_busy = |name: &str| {
        let counts = shown.columns.get(name)?;
        counts.iter().rposition(|n| n.is_some_and(|n| n > 0.0))
    };
    let (sent, visible) = (last_busy("sent"), last_busy("visible"));
    let scheduled = match &record.course {
        Some(course) => course.ran_for_ns() as f64 / 1e9 / shown.interval_s,
        None => sent.map_or(0.0, |last| last as f64 + 1.0),
    };
    // Of an interval that is cut off at the end, the figures are those of a part.
    let scheduled_whole = (scheduled.floor() as usize).max(1);
    let end = match visible {
        Some(last) if last > scheduled.ceil() as usize => last + 1,
        _ => scheduled_whole,
    };
    shown.t.truncate(end);
    for (name, column) in &mut shown.columns {
        column.truncate(if name == "sent" { scheduled_whole } else { end });
    }
    Some(shown)
}

/// The charts whose horizontal axis is the time of the run; none without time.
pub fn over_time(columns: Option<&Columns>) -> Vec<Chart> {
    let Some(columns) = columns else {
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

/// A column of counts as counts per second.
fn rate(columns: &Columns, column: &str) -> Vec<(f64, Option<f64>)> {
    points(columns, column, 1.0 / columns.interval_s)
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

    /// A run of `planned` seconds that reported every half second.
    fn run_of(planned: f64, sent: [f64; 5], visible: [f64; 5]) -> Record {
        let column = |values: [f64; 5]| values.map(Some).to_vec();
        let series = Columns {
            interval_s: 0.5,
            t: vec![0.0, 0.5, 1.0, 1.5, 2.0],
            columns: [
                ("sent".to_owned(), column(sent)),
                ("visible".to_owned(), column(visible)),
                ("relay_cpu".to_owned(), column([0.5, 0.5, 0.1, 0.0, 0.0])),
            ]
            .into(),
        };
        let course = serde_json::json!({
            "planned_ns": (planned * 1e9) as u64, "planned_faults": 0,
            "workers": {
                "threads": 1, "cpu_ns": 0, "elapsed_ns": 0, "edit_cpu_ns": 0, "import_cpu_ns": 0,
            },
        });
        Record {
            course: Some(serde_json::from_value(course).expect("a course")),
            series: Some(series),
            ..Record::example()
        }
    }

    fn shown(record: &Record) -> (usize, Vec<Option<f64>>, Vec<Option<f64>>) {
        let shown = until_the_end(record).expect("series");
        let column = |name: &str| shown.columns[name].clone();
        (shown.t.len(), column("visible"), column("relay_cpu"))
    }

    #[test]
    fn a_series_ends_with_the_run_and_does_not_fall() {
        let record = run_of(1.0, [10.0, 10.0, 0.0, 0.0, 0.0], [9.0, 10.0, 1.0, 0.0, 0.0]);
        let (end, visible, cpu) = shown(&record);
        assert_eq!(end, 2);
        assert_eq!(visible, [Some(9.0), Some(10.0)]);
        assert_eq!(cpu, [Some(0.5), Some(0.5)]);

        // Cut off in the middle of an interval, by its schedule or by a signal.
        let mut record = run_of(
            1.25,
            [10.0, 10.0, 5.0, 0.0, 0.0],
            [9.0, 10.0, 6.0, 0.0, 0.0],
        );
        assert_eq!(shown(&record).0, 2);
        record.course.as_mut().expect("a course").interrupted_ns = Some(600_000_000);
        assert_eq!(shown(&record).0, 1);
    }

    #[test]
    fn a_stall_at_the_end_is_shown_with_what_came_after_it() {
        let record = run_of(1.0, [10.0, 10.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 11.0, 0.0]);
        let (end, visible, _) = shown(&record);
        assert_eq!(end, 4);
        assert_eq!(visible, [9.0, 0.0, 0.0, 11.0].map(Some));
        let columns = until_the_end(&record).expect("series");
        let sent = [(0.25, Some(20.0)), (0.75, Some(20.0))];
        assert_eq!(rate(&columns, "sent"), sent, "edits end with the schedule");
    }

    #[test]
    fn an_old_record_without_a_course_ends_with_its_last_edit() {
        let mut record = run_of(9.0, [10.0, 10.0, 0.0, 0.0, 0.0], [9.0, 10.0, 1.0, 0.0, 0.0]);
        record.course = None;
        assert_eq!(shown(&record).0, 2);
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
