//! Axes: the range of their values, the positions of their ticks, and the labels of
//! these.

use crate::quantity;

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The quantity on the axis, without its unit.
    pub label: String,
    /// Unit of the values.
    pub unit: Unit,
    /// The scale of the values.
    pub scale: Scale,
}

/// The unit of an axis's values, and so how its ticks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Counts and numbers without a unit.
    Number,
    /// Microseconds, shown as ns, µs, ms or s.
    Micros,
    /// Seconds; ticks are plain numbers and the label says `seconds`.
    Seconds,
    /// Bytes, shown as B, KiB, MiB and so on.
    Bytes,
    /// A share of one, shown in percent.
    Share,
}

/// The scale of the values along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Linear.
    Linear,
    /// Logarithmic. Values of zero and below are drawn at the start of the axis.
    Log,
    /// Logarithmic if the largest value is at least 30 times the smallest, otherwise
    /// linear.
    Auto,
    /// For shares from 0 to below 1, by the number of nines: 0 %, 90 %, 99 %,
    /// 99.9 % are equally far apart.
    Nines,
}

/// The ratio of largest to smallest value from which a linear axis hides the small
/// ones.
const LOG_FROM_RATIO: f64 = 30.0;

/// The range of values outside which neighbouring positions cannot be distinguished.
const LIMITS: (f64, f64) = (1e-12, 1e15);

impl Axis {
    /// Creates an axis that shows `label` in `unit`, laid out by `scale`.
    pub fn new(label: impl Into<String>, unit: Unit, scale: Scale) -> Axis {
        Axis {
            label: label.into(),
            unit,
            scale,
        }
    }

    /// Lays the axis out for `values`, with about `max_ticks` ticks at most. With
    /// `from_zero` a linear axis includes zero whatever the data.
    pub(super) fn layout(&self, values: &[f64], from_zero: bool, max_ticks: usize) -> Layout {
        let values: Vec<f64> = values
            .iter()
            .filter(|value| value.is_finite())
            .map(|value| value.clamp(-LIMITS.1, LIMITS.1))
            .collect();
        let scale = self.scale.resolve(&values);
        let (lo, hi, ticks) = match scale {
            Scale::Log | Scale::Auto => log_ticks(&values, max_ticks),
            Scale::Nines => nines_ticks(&values, max_ticks),
            Scale::Linear if self.unit == Unit::Bytes => byte_ticks(&values, from_zero, max_ticks),
            Scale::Linear => linear_ticks(&values, from_zero, max_ticks),
        };
        let ticks = ticks
            .into_iter()
            .map(|value| (scale.position(value), self.unit.tick(value)))
            .collect();
        Layout {
            scale,
            lo: scale.position(lo),
            hi: scale.position(hi),
            ticks,
        }
    }

    /// Returns the label with everything that a reader needs to read the axis.
    pub(super) fn caption(&self, layout: &Layout) -> String {
        let unit = match self.unit {
            Unit::Seconds => ", seconds",
            _ => "",
        };
        let scale = match layout.scale {
            Scale::Log | Scale::Auto => " (log scale)",
            _ => "",
        };
        format!("{}{unit}{scale}", self.label)
    }
}

/// An axis laid out for its data; positions are linear along it.
pub(super) struct Layout {
    scale: Scale,
    /// Position of the start.
    pub lo: f64,
    /// Position of the end, above `lo`.
    pub hi: f64,
    /// Position and text of each tick, ascending.
    pub ticks: Vec<(f64, String)>,
}

impl Layout {
    /// Returns the position of `value`, at the nearer end if it is off the axis.
    pub fn position(&self, value: f64) -> f64 {
        let position = self.scale.position(value);
        if position.is_nan() {
            return self.lo;
        }
        position.clamp(self.lo, self.hi)
    }
}

impl Unit {
    fn tick(self, value: f64) -> String {
        match self {
            // Zero needs no unit.
            _ if value == 0.0 => "0".to_owned(),
            Unit::Number | Unit::Seconds => quantity::short(value),
            Unit::Micros => quantity::trimmed(&quantity::duration(value)),
            Unit::Bytes => quantity::trimmed(&quantity::bytes(value)),
            // Not rounded to three digits: 99.99 % is not 100 %.
            Unit::Share => format!("{} %", (value * 1e8).round() / 1e6),
        }
    }
}

impl Scale {
    fn resolve(self, values: &[f64]) -> Scale {
        if self != Scale::Auto {
            return self;
        }
        let (lo, hi) = extent(values.iter().copied().filter(|&value| value > 0.0));
        if hi / lo >= LOG_FROM_RATIO {
            Scale::Log
        } else {
            Scale::Linear
        }
    }

    fn position(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log | Scale::Auto => value.max(LIMITS.0).log10(),
            Scale::Nines => -(1.0 - value).max(LIMITS.0).log10(),
        }
    }
}

/// Returns the smallest and the largest value, or 1 and 1 if there is none.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let extent = values.fold(None, |extent: Option<(f64, f64)>, value| {
        let (lo, hi) = extent.unwrap_or((value, value));
        Some((lo.min(value), hi.max(value)))
    });
    extent.unwrap_or((1.0, 1.0))
}

fn linear_ticks(values: &[f64], from_zero: bool, max_ticks: usize) -> (f64, f64, Vec<f64>) {
    let (mut lo, mut hi) = extent(values.iter().copied());
    // Data that starts close to zero is easier to read if the axis shows zero.
    if from_zero || (lo > 0.0 && lo <= hi * 0.1) {
        (lo, hi) = (lo.min(0.0), hi.max(0.0));
    }
    if hi - lo <= hi.abs().max(1.0) * 1e-9 {
        hi = lo + lo.abs().max(1.0);
    }
    let step = round_step((hi - lo) / max_ticks.max(1) as f64);
    let (first, last) = ((lo / step).floor() as i64, (hi / step).ceil() as i64);
    let ticks = (first..=last).map(|i| i as f64 * step).collect();
    (first as f64 * step, last as f64 * step, ticks)
}

/// Returns ticks that are round in the unit in which they are written: 50 MiB, not 47.7
/// MiB.
fn byte_ticks(values: &[f64], from_zero: bool, max_ticks: usize) -> (f64, f64, Vec<f64>) {
    let (_, hi) = extent(values.iter().copied());
    let unit = 1024f64.powf((hi.max(1.0).ln() / 1024f64.ln()).floor());
    let scaled: Vec<f64> = values.iter().map(|value| value / unit).collect();
    let (lo, hi, ticks) = linear_ticks(&scaled, from_zero, max_ticks);
    let ticks = ticks.into_iter().map(|tick| tick * unit).collect();
    (lo * unit, hi * unit, ticks)
}

/// Returns the smallest of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|&round| round >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

fn log_ticks(values: &[f64], max_ticks: usize) -> (f64, f64, Vec<f64>) {
    let (lo, hi) = extent(values.iter().copied().filter(|&value| value > LIMITS.0));
    let fine = one_two_five(lo, hi);
    let (lo, hi) = (fine[0], fine[fine.len() - 1]);
    if fine.len() <= max_ticks {
        return (lo, hi, fine);
    }
    let decades: Vec<i32> = (lo.log10().round() as i32..=hi.log10().round() as i32)
        .filter(|&exponent| {
            let tick = 10f64.powi(exponent);
            tick >= lo * 0.99 && tick <= hi * 1.01
        })
        .collect();
    let every = decades.len().div_ceil(max_ticks.max(1));
    let ticks = decades
        .into_iter()
        .step_by(every)
        .map(|exponent| 10f64.powi(exponent))
        .collect();
    (lo, hi, ticks)
}

/// Returns all of 1, 2 and 5 times a power of ten around `lo..=hi`, at least two.
fn one_two_five(lo: f64, hi: f64) -> Vec<f64> {
    let steps: Vec<f64> = (lo.log10().floor() as i32 - 1..=hi.log10().ceil() as i32 + 1)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(exponent)))
        .collect();
    let first = steps.iter().rposition(|&step| step <= lo).unwrap_or(0);
    let last = steps
        .iter()
        .position(|&step| step >= hi)
        .unwrap_or(steps.len() - 1);
    steps[first..=last.max(first + 1)].to_vec()
}

fn nines_ticks(values: &[f64], max_ticks: usize) -> (f64, f64, Vec<f64>) {
    let shares = values
        .iter()
        .copied()
        .filter(|share| (0.0..1.0).contains(share));
    let (_, hi) = extent(shares);
    let hi = if hi >= 1.0 { 0.9 } else { hi.max(0.9) };
    let nines = (Scale::Nines.position(hi) + 1e-9).floor() as i32;
    let mut ticks = vec![0.0];
    // The median is a landmark, but it is close to the start.
    if nines as usize + 2 < max_ticks {
        ticks.push(0.5);
    }
    ticks.extend((1..=nines).map(|n| 1.0 - 10f64.powi(-n)));
    (0.0, hi, ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(layout: &Layout) -> Vec<&str> {
        layout.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn a_linear_axis_of_heights_starts_at_zero() {
        let axis = Axis::new("edits", Unit::Number, Scale::Linear);
        let layout = axis.layout(&[900.0, 1_010.0], true, 5);
        assert_eq!(layout.lo, 0.0);
        assert_eq!(texts(&layout), ["0", "500", "1,000", "1,500"]);
    }

    #[test]
    fn a_wide_spread_of_latencies_asks_for_a_log_axis() {
        let axis = Axis::new("latency", Unit::Micros, Scale::Auto);
        let wide = axis.layout(&[120.0, 90_000.0], true, 5);
        assert_eq!(texts(&wide), ["100 µs", "1 ms", "10 ms", "100 ms"]);
        assert_eq!(axis.caption(&wide), "latency (log scale)");
        let narrow = axis.layout(&[1_000.0, 3_000.0], true, 4);
        assert_eq!(texts(&narrow), ["0", "1 ms", "2 ms", "3 ms"]);
        assert_eq!(axis.caption(&narrow), "latency");
    }

    #[test]
    fn sizes_have_ticks_that_are_round_in_their_own_unit() {
        let axis = Axis::new("memory", Unit::Bytes, Scale::Linear);
        let layout = axis.layout(&[12.0 * 1048576.0, 180.0 * 1048576.0], true, 5);
        assert_eq!(
            texts(&layout),
            ["0", "50 MiB", "100 MiB", "150 MiB", "200 MiB"]
        );
        assert_eq!(
            texts(&axis.layout(&[3.0], true, 3)),
            ["0", "1 B", "2 B", "3 B"]
        );
    }

    #[test]
    fn percentiles_are_laid_out_by_their_nines() {
        let axis = Axis::new("percentile", Unit::Share, Scale::Nines);
        let layout = axis.layout(&[0.0, 0.9999], false, 10);
        assert_eq!(
            texts(&layout),
            ["0", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]
        );
        assert!((layout.position(0.99) / layout.position(0.9) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn equal_values_still_make_an_axis() {
        for scale in [Scale::Linear, Scale::Log, Scale::Auto, Scale::Nines] {
            for value in [0.0, 1.0, 7e11, -3.0] {
                let layout = Axis::new("", Unit::Number, scale).layout(&[value], false, 5);
                assert!(layout.lo < layout.hi, "{scale:?} of {value}");
            }
        }
    }
}
