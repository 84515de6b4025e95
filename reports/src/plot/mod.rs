//! Charts: lines and bars over two axes, drawn as SVG by plotters.
//!
//! Plotters stays behind this module. A [`Chart`] is data; [`Chart::svg`] draws
//! it at one of two sizes, because text that is legible at 900 px is not when
//! the same drawing is squeezed into a phone's width.
//!
//! ```
//! use syncbench_reports::plot::{Axis, Chart, Palette, Scale, Series, Size, Unit};
//!
//! let chart = Chart {
//!     title: "Length of inserts".into(),
//!     description: "Most inserts are one character long.".into(),
//!     x: Axis::new("characters per insert", Unit::Number, Scale::Log),
//!     y: Axis::new("inserts", Unit::Number, Scale::Linear),
//!     series: vec![Series::bars("inserts", vec![(1.0, 2.0, 900.0), (2.0, 4.0, 40.0)])],
//! };
//! assert!(chart.svg(Size::Wide, Palette::Light)?.starts_with("<svg"));
//! # Ok::<(), syncbench_reports::plot::PlotError>(())
//! ```

mod axis;
mod colour;
mod draw;

pub use axis::{Axis, Scale, Unit};
pub use colour::Palette;

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The title, which screen readers read first.
    pub title: String,
    /// A sentence that describes the chart; screen readers read it after the title.
    pub description: String,
    /// The horizontal axis. A linear one spans the data, from zero if that is
    /// close.
    pub x: Axis,
    /// The vertical axis. A linear one always starts at zero.
    pub y: Axis,
    /// The series, the most important first.
    pub series: Vec<Series>,
}

/// One line or one set of bars.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name in the legend; charts of a single series have no legend.
    pub name: String,
    /// Its data.
    pub marks: Marks,
}

/// The form in which a series is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Marks {
    /// A line through `(x, y)`, broken where `y` is absent.
    Line(Vec<(f64, Option<f64>)>),
    /// Bars from `x0` to `x1` of height `y`, as `(x0, x1, y)`.
    Bars(Vec<(f64, f64, f64)>),
}

/// The size for which a chart is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// 900 x 320 px: desktop pages and files.
    Wide,
    /// 380 x 300 px: phones.
    Narrow,
}

/// The error of a chart that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the chart `{title}`: {reason}")]
pub struct PlotError {
    /// Title of the chart.
    title: String,
    /// The error of plotters.
    reason: String,
}

impl Series {
    /// Creates a line through `points`, broken where `y` is absent.
    pub fn line(name: impl Into<String>, points: Vec<(f64, Option<f64>)>) -> Series {
        Series {
            name: name.into(),
            marks: Marks::Line(points),
        }
    }

    /// Creates bars `(x0, x1, y)`, such as the bins of a histogram.
    pub fn bars(name: impl Into<String>, bars: Vec<(f64, f64, f64)>) -> Series {
        Series {
            name: name.into(),
            marks: Marks::Bars(bars),
        }
    }

    /// Returns the x values of all visible points.
    fn xs(&self) -> Vec<f64> {
        match &self.marks {
            Marks::Line(points) => points
                .iter()
                .filter(|(_, y)| y.is_some())
                .map(|&(x, _)| x)
                .collect(),
            Marks::Bars(bars) => bars.iter().flat_map(|&(x0, x1, _)| [x0, x1]).collect(),
        }
    }

    /// Returns all y values.
    fn ys(&self) -> Vec<f64> {
        match &self.marks {
            Marks::Line(points) => points.iter().filter_map(|&(_, y)| y).collect(),
            Marks::Bars(bars) => bars.iter().map(|&(_, _, y)| y).collect(),
        }
    }
}

impl Chart {
    /// Returns true if there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.xs().is_empty())
    }

    /// Draws the chart as an `<svg>` element. An empty chart says `no samples`.
    ///
    /// # Errors
    /// Fails if plotters cannot draw it.
    pub fn svg(&self, size: Size, palette: Palette) -> Result<String, PlotError> {
        let body = draw::draw(self, size).map_err(|reason| PlotError {
            title: self.title.clone(),
            reason: reason.to_string(),
        })?;
        Ok(colour::apply(&body, palette))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn chart(series: Vec<Series>, scale: Scale) -> Chart {
        Chart {
            title: "A <title> & \"more\"".into(),
            description: "What is seen.".into(),
            x: Axis::new("time", Unit::Seconds, Scale::Linear),
            y: Axis::new("latency", Unit::Micros, scale),
            series,
        }
    }

    #[test]
    fn a_chart_without_data_says_so() {
        let chart = chart(vec![Series::line("a", vec![(1.0, None)])], Scale::Auto);
        assert!(chart.is_empty());
        let svg = chart.svg(Size::Wide, Palette::Page).unwrap();
        assert!(svg.contains("no samples"), "{svg}");
    }

    #[test]
    fn names_in_a_chart_are_escaped() {
        let lines = vec![
            Series::line("<script>", vec![(0.0, Some(1.0)), (1.0, Some(2.0))]),
            Series::line("b", vec![(0.0, Some(1.0))]),
        ];
        let svg = chart(lines, Scale::Linear)
            .svg(Size::Narrow, Palette::Page)
            .unwrap();
        assert!(
            !svg.contains("<script>") && !svg.contains("<title>"),
            "{svg}"
        );
        assert!(svg.contains("&lt;script&gt;"), "{svg}");
    }

    #[test]
    fn a_missing_value_breaks_the_line() {
        let points = vec![
            (0.0, Some(1.0)),
            (1.0, Some(2.0)),
            (2.0, None),
            (3.0, Some(1.0)),
            (4.0, Some(2.0)),
        ];
        let drawn = |points: Vec<_>| {
            let lines = vec![Series::line("a", points)];
            let svg = chart(lines, Scale::Linear)
                .svg(Size::Wide, Palette::Page)
                .unwrap();
            svg.matches("stroke=\"var(--s1)\"").count()
        };
        assert_eq!(drawn(points.clone()), 2);
        let whole = points.into_iter().filter(|(_, y)| y.is_some()).collect();
        assert_eq!(drawn(whole), 1);
    }

    #[test]
    fn every_colour_of_a_page_follows_its_theme() {
        let lines = (0..5)
            .map(|i| Series::line(i.to_string(), vec![(0.0, Some(1.0)), (1.0, Some(2.0))]))
            .collect();
        let chart = chart(lines, Scale::Log);
        let svg = chart.svg(Size::Wide, Palette::Page).unwrap();
        assert!(!svg.contains("=\"#"), "a fixed colour in {svg}");
        let svg = chart.svg(Size::Wide, Palette::Light).unwrap();
        assert!(!svg.contains("var("), "a page's variable in {svg}");
    }

    proptest! {
        #[test]
        fn any_numbers_can_be_drawn(
            points in prop::collection::vec((any::<f64>(), prop::option::of(any::<f64>())), 0..20),
            bars in prop::collection::vec((any::<f64>(), any::<f64>(), any::<f64>()), 0..5),
            scale in prop::sample::select(vec![Scale::Linear, Scale::Log, Scale::Auto]),
        ) {
            let series = vec![Series::line("a", points), Series::bars("b", bars)];
            for size in [Size::Wide, Size::Narrow] {
                let svg = chart(series.clone(), scale).svg(size, Palette::Page).unwrap();
                prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }
}
