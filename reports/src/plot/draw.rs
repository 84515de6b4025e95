//! Drawing a chart with plotters.

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Layout;
use super::colour::{INK, MUTED, RULE, SERIES};
use super::{Chart, Marks, Series, Size};

/// Drawing units per pixel. Plotters places everything on whole units; ten per pixel
/// keep curves smooth.
const PX: i32 = 10;
const LINE_HEIGHT: i32 = 20 * PX;
/// The distance between a tick's label and the axis, and between a swatch and its name.
const GAP: i32 = 7 * PX;
const SWATCH: i32 = 24 * PX;

type Failure = DrawingAreaErrorKind<std::io::Error>;
type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plot<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The parts of the picture, in drawing units.
struct Frame {
    size: (u32, u32),
    font: i32,
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

/// Draws the chart as an `<svg>` element with placeholders for its colours.
pub(super) fn draw(chart: &Chart, size: Size) -> Result<String, Failure> {
    let (width, height, font, x_ticks) = match size {
        Size::Wide => (900, 320, 13, 10),
        Size::Narrow => (380, 300, 12, 5),
    };
    let all = |values: fn(&Series) -> Vec<f64>| -> Vec<f64> {
        chart.series.iter().flat_map(values).collect()
    };
    let x = chart.x.layout(&all(Series::xs), false, x_ticks);
    let y = chart.y.layout(&all(Series::ys), true, 7);
    let font = font * PX;
    let legend = legend_rows(&chart.series, font, width * PX);
    let frame = Frame {
        size: ((width * PX) as u32, (height * PX) as u32),
        font,
        left: widest(&y, font) + 2 * GAP,
        right: width * PX - widest(&x, font) / 2 - GAP,
        top: (legend.len() as i32 + 1) * LINE_HEIGHT + 2 * GAP,
        bottom: height * PX - 2 * LINE_HEIGHT - GAP,
    };
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, frame.size).into_drawing_area();
        draw_legend(&canvas, &frame, &legend)?;
        draw_axes(&canvas, &frame, chart, &x, &y)?;
        let plot = canvas.apply_coord_spec(Cartesian2d::<RangedCoordf64, RangedCoordf64>::new(
            x.lo..x.hi,
            y.lo..y.hi,
            (frame.left..frame.right, frame.bottom..frame.top),
        ));
        // The most important series comes first and is drawn last, on top.
        for (i, series) in chart.series.iter().enumerate().rev() {
            draw_series(&plot, series, SERIES[i % SERIES.len()], &x, &y)?;
        }
        plot.present()?;
    }
    Ok(with_label(&svg, &frame, chart))
}

/// Estimates the width of a text. It cannot be measured without a font, and the page's
/// font is the reader's.
fn text_width(text: &str, font: i32) -> i32 {
    text.chars().count() as i32 * font * 29 / 50
}

fn widest(layout: &Layout, font: i32) -> i32 {
    let widths = layout.ticks.iter().map(|(_, text)| text_width(text, font));
    widths.max().unwrap_or(0)
}

/// Returns the series names with their horizontal positions, in as many rows as they
/// need. A single series has none: the vertical axis names it.
fn legend_rows(series: &[Series], font: i32, width: i32) -> Vec<Vec<(i32, usize, &str)>> {
    let mut rows: Vec<Vec<(i32, usize, &str)>> = Vec::new();
    if series.len() < 2 {
        return rows;
    }
    let mut x = i32::MAX;
    for (i, series) in series.iter().enumerate() {
        let needed = SWATCH + GAP + text_width(&series.name, font);
        if x.saturating_add(needed) > width {
            rows.push(Vec::new());
            x = 0;
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, i, &series.name));
        }
        x += needed + 2 * GAP;
    }
    rows
}

fn draw_legend(
    canvas: &Canvas<'_>,
    frame: &Frame,
    rows: &[Vec<(i32, usize, &str)>],
) -> Result<(), Failure> {
    for (row, entries) in rows.iter().enumerate() {
        let y = row as i32 * LINE_HEIGHT + LINE_HEIGHT / 2;
        for &(x, i, name) in entries {
            let stroke = SERIES[i % SERIES.len()].stroke_width(2 * PX as u32);
            canvas.draw(&PathElement::new(vec![(x, y), (x + SWATCH, y)], stroke))?;
            let at = (x + SWATCH + GAP, y);
            canvas.draw(&label(frame, name, at, &INK, HPos::Left))?;
        }
    }
    Ok(())
}

fn draw_axes(
    canvas: &Canvas<'_>,
    frame: &Frame,
    chart: &Chart,
    x: &Layout,
    y: &Layout,
) -> Result<(), Failure> {
    let hairline = RULE.stroke_width(PX as u32);
    let along = |layout: &Layout, position: f64, from: i32, to: i32| {
        from + ((position - layout.lo) / (layout.hi - layout.lo) * f64::from(to - from)) as i32
    };
    for (position, text) in &y.ticks {
        let at = along(y, *position, frame.bottom, frame.top);
        let line = vec![(frame.left, at), (frame.right, at)];
        canvas.draw(&PathElement::new(line, hairline))?;
        canvas.draw(&label(
            frame,
            text,
            (frame.left - GAP, at),
            &MUTED,
            HPos::Right,
        ))?;
    }
    for (position, text) in &x.ticks {
        let at = along(x, *position, frame.left, frame.right);
        let mark = vec![(at, frame.bottom), (at, frame.bottom + GAP / 2)];
        canvas.draw(&PathElement::new(mark, MUTED.stroke_width(PX as u32)))?;
        let below = (at, frame.bottom + GAP + LINE_HEIGHT / 2);
        canvas.draw(&label(frame, text, below, &MUTED, HPos::Center))?;
    }
    let foot = vec![(frame.left, frame.bottom), (frame.right, frame.bottom)];
    canvas.draw(&PathElement::new(foot, MUTED.stroke_width(PX as u32)))?;

    let above = (0, frame.top - 2 * GAP - LINE_HEIGHT / 2);
    canvas.draw(&label(
        frame,
        &chart.y.caption(y),
        above,
        &MUTED,
        HPos::Left,
    ))?;
    let middle = (frame.left + frame.right) / 2;
    let below = (middle, frame.bottom + GAP + LINE_HEIGHT * 3 / 2);
    canvas.draw(&label(
        frame,
        &chart.x.caption(x),
        below,
        &MUTED,
        HPos::Center,
    ))?;
    if chart.is_empty() {
        let centre = (middle, (frame.top + frame.bottom) / 2);
        canvas.draw(&label(frame, "no samples", centre, &MUTED, HPos::Center))?;
    }
    Ok(())
}

fn label<'a>(
    frame: &Frame,
    text: &'a str,
    at: (i32, i32),
    colour: &'static RGBColor,
    h: HPos,
) -> Text<'a, (i32, i32), &'a str> {
    // The backend divides by 1.24, its estimate of the ratio of line to font.
    let size = f64::from(frame.font) * 1.24;
    let style = TextStyle::from(("system-ui, sans-serif", size))
        .color(colour)
        .pos(Pos::new(h, VPos::Center));
    Text::new(text, at, style)
}

fn draw_series(
    plot: &Plot<'_>,
    series: &Series,
    colour: RGBColor,
    x: &Layout,
    y: &Layout,
) -> Result<(), Failure> {
    match &series.marks {
        Marks::Line(points) => {
            let stroke = colour.stroke_width(2 * PX as u32);
            for part in points.split(|(_, value)| value.is_none()) {
                let part: Vec<(f64, f64)> = part
                    .iter()
                    .filter_map(|&(at, value)| Some((x.position(at), y.position(value?))))
                    .collect();
                match part[..] {
                    [] => {}
                    [alone] => plot.draw(&Circle::new(alone, 2 * PX, colour.filled()))?,
                    _ => plot.draw(&PathElement::new(part, stroke))?,
                }
            }
        }
        Marks::Bars(bars) => {
            for &(x0, x1, value) in bars {
                let corners = [
                    (x.position(x0), y.position(0.0)),
                    (x.position(x1), y.position(value)),
                ];
                plot.draw(&Rectangle::new(corners, colour.mix(0.75).filled()))?;
            }
        }
    }
    Ok(())
}

/// Gives the drawing its size in pixels, and its name for screen readers.
fn with_label(svg: &str, frame: &Frame, chart: &Chart) -> String {
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let (width, height) = frame.size;
    let px = PX as u32;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{body}",
        width / px,
        height / px,
        escape(&format!("{}. {}", chart.title, chart.description)),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
