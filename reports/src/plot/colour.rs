//! Colours of charts: drawn as placeholders, and then replaced by those of the page or
//! file.

use plotters::style::RGBColor;

/// The place where a chart will be shown, which determines how its colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// Inside a page that defines the CSS variables `--muted`, `--rule` and
    /// `--s1` to `--s4`, so that the chart follows its light or dark theme.
    Page,
    /// A separate file with a light background.
    Light,
}

/// Text of names and labels.
pub(super) const INK: RGBColor = RGBColor(0, 0, 1);
/// Text of axes.
pub(super) const MUTED: RGBColor = RGBColor(0, 0, 2);
/// Grid lines.
pub(super) const RULE: RGBColor = RGBColor(0, 0, 3);
/// Series, in order of importance; a fifth reuses the first colour.
pub(super) const SERIES: [RGBColor; 4] = [
    RGBColor(0, 0, 4),
    RGBColor(0, 0, 5),
    RGBColor(0, 0, 6),
    RGBColor(0, 0, 7),
];

/// Placeholder, colour in a page, colour in a file, dashes. The dashes distinguish
/// lines without their colour.
const COLOURS: [(RGBColor, &str, &str, &str); 7] = [
    (INK, "currentColor", "#1b1f24", ""),
    (MUTED, "var(--muted)", "#59636e", ""),
    (RULE, "var(--rule)", "#dfe3e8", ""),
    (SERIES[0], "var(--s1)", "#1f5fbf", ""),
    (SERIES[1], "var(--s2)", "#b3540a", "90 40"),
    (SERIES[2], "var(--s3)", "#0b7a6b", "25 30"),
    (SERIES[3], "var(--s4)", "#8246af", "120 35 25 35"),
];

/// Replaces the placeholders in an SVG that plotters drew.
pub(super) fn apply(svg: &str, palette: Palette) -> String {
    let mut svg = svg.to_owned();
    for (RGBColor(r, g, b), page, light, dashes) in COLOURS {
        let colour = match palette {
            Palette::Page => page,
            Palette::Light => light,
        };
        let holder = format!("#{r:02X}{g:02X}{b:02X}");
        let stroke = match dashes {
            "" => format!("stroke=\"{colour}\""),
            dashes => format!("stroke=\"{colour}\" stroke-dasharray=\"{dashes}\""),
        };
        svg = svg
            .replace(&format!("stroke=\"{holder}\""), &stroke)
            .replace(&format!("fill=\"{holder}\""), &format!("fill=\"{colour}\""));
    }
    svg
}
