//! Figures as text for people: scaled units, three significant digits.

/// A time in microseconds, in the unit that reads best: `842 µs`, `1.20 ms`.
pub fn duration(us: f64) -> String {
    scaled(
        us * 1_000.0,
        &[("ns", 1e3), ("µs", 1e3), ("ms", 1e3), ("s", f64::INFINITY)],
    )
}

/// A time in seconds, in the unit that reads best.
pub fn seconds(s: f64) -> String {
    duration(s * 1e6)
}

/// A size in bytes: `310 B`, `1.50 MiB`.
pub fn bytes(bytes: f64) -> String {
    let k = 1024.0;
    scaled(
        bytes,
        &[
            ("B", k),
            ("KiB", k),
            ("MiB", k),
            ("GiB", k),
            ("TiB", f64::INFINITY),
        ],
    )
}

/// A number of things, with thousands set apart: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of one: `12.3 %`. What is there but rounds to nothing is `<0.01 %`.
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 1e-4 {
        return "<0.01 %".to_owned();
    }
    format!("{} %", three_digits(share * 100.0))
}

/// A spread as a share of its figure: `± 1.2 %`, `± 34 %`. More digits would
/// say more than a spread can.
pub fn spread(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 9.95 => format!("± {percent:.1} %"),
        percent => format!("± {percent:.0} %"),
    }
}

/// A number of things with its name: `1 row`, `1,200 rows`.
pub fn things(n: u64, name: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {name}{s}", count(n))
}

/// A number to three significant digits, without the zeros behind the point:
/// what stands at an axis.
pub fn short(value: f64) -> String {
    if value.abs() >= 1_000.0 {
        let rounded = value.abs().round() as u64;
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", count(rounded));
    }
    trim_zeros(&three_digits(value)).to_owned()
}

/// Takes the zeros behind the point off a quantity: `1.00 ms` is `1 ms`.
pub fn trimmed(quantity: &str) -> String {
    match quantity.split_once(' ') {
        Some((number, unit)) => format!("{} {unit}", trim_zeros(number)),
        None => trim_zeros(quantity).to_owned(),
    }
}

fn trim_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// Climbs the units, each with how many make one of the next, until the number
/// is small enough to read once it is rounded.
fn scaled(mut value: f64, units: &[(&str, f64)]) -> String {
    let mut unit = "";
    for &(name, next) in units {
        unit = name;
        // 999.6 would round to a fourth digit: the next unit reads better.
        if value.abs() < next - 0.5 {
            break;
        }
        value /= next;
    }
    if unit == units[0].0 && value.fract() == 0.0 {
        return format!("{value:.0} {unit}");
    }
    format!("{} {unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    let magnitude = value.abs();
    // The bounds are where rounding to fewer decimals carries over.
    match magnitude {
        0.0 => "0".to_owned(),
        m if m < 0.0005 => format!("{value:.1e}"),
        m if m < 0.9995 => format!("{value:.3}"),
        m if m < 9.995 => format!("{value:.2}"),
        m if m < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_share_is_not_nothing_and_not_a_power_of_ten() {
        assert_eq!(percent(2.6e-6), "<0.01 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.123), "12.3 %");
    }

    #[test]
    fn times_are_shown_in_the_unit_that_reads_best() {
        for (us, text) in [
            (0.0, "0 ns"),
            (0.25, "250 ns"),
            (1.0, "1.00 µs"),
            (842.4, "842 µs"),
            (999.6, "1.00 ms"),
            (1_204.0, "1.20 ms"),
            (12_340.0, "12.3 ms"),
            (3_000_000.0, "3.00 s"),
            (1.2e9, "1200 s"),
        ] {
            assert_eq!(duration(us), text);
        }
        assert_eq!(seconds(0.5), "500 ms");
    }

    #[test]
    fn sizes_climb_by_1024() {
        assert_eq!(bytes(310.0), "310 B");
        assert_eq!(bytes(1_023.0), "1023 B");
        assert_eq!(bytes(1_572_864.0), "1.50 MiB");
    }

    #[test]
    fn a_spread_has_no_more_digits_than_it_deserves() {
        assert_eq!(spread(0.0), "± 0.0 %");
        assert_eq!(spread(0.0123), "± 1.2 %");
        assert_eq!(spread(0.0996), "± 10 %");
        assert_eq!(spread(0.344), "± 34 %");
        assert_eq!(
            (things(1, "row"), things(2, "row")),
            ("1 row".into(), "2 rows".into())
        );
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }

    #[test]
    fn axis_numbers_carry_no_needless_zeros() {
        assert_eq!(short(0.0), "0");
        assert_eq!(short(2.5), "2.5");
        assert_eq!(short(20.0), "20");
        assert_eq!(short(1_500.0), "1,500");
        assert_eq!(trimmed("1.00 ms"), "1 ms");
        assert_eq!(trimmed("100 µs"), "100 µs");
    }

    #[test]
    fn shares_keep_three_digits() {
        assert_eq!(percent(0.1234), "12.3 %");
        assert_eq!(percent(1.0), "100 %");
    }
}
