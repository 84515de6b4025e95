//! RFC 3339 timestamps from 1970 on, in milliseconds since then.

use std::time::{Duration, UNIX_EPOCH};

/// The last millisecond of the year 9999; later times cannot be written.
pub(crate) const LAST: i64 = 253_402_300_799_999;

/// Parses `2021-04-19T06:06:58.513Z` or `...+02:00` and drops digits beyond the
/// millisecond. Returns `None` for anything else.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (moment, offset) = split_offset(text)?;
    let since = humantime::parse_rfc3339_weak(moment)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?;
    let millis = i64::try_from(since.as_millis()).ok()? - offset * 1_000;
    (0..=LAST).contains(&millis).then_some(millis)
}

/// Splits off `Z` or an offset, which is returned in seconds east of UTC.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(moment) = text.strip_suffix('Z') {
        return Some((moment, 0));
    }
    let (moment, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (east, offset) = match (offset.strip_prefix('+'), offset.strip_prefix('-')) {
        (Some(offset), _) => (1, offset),
        (_, Some(offset)) => (-1, offset),
        _ => return None,
    };
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    let seconds = i64::from(hours) * 3_600 + i64::from(minutes) * 60;
    (hours < 24 && minutes < 60).then_some((moment, east * seconds))
}

/// The number from which a count since 1970 is taken for milliseconds: as seconds, it
/// would be a time after the year 5000.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// Formats the time that a number of milliseconds or seconds since 1970 stands for.
pub(crate) fn from_number(number: u64) -> Option<String> {
    let millis = match number < MILLISECONDS_FROM {
        true => number * 1_000,
        false => number,
    };
    let millis = i64::try_from(millis).ok()?;
    (millis <= LAST).then(|| format(millis))
}

/// Formats a time that [`parse`] returned, as `2021-04-19T06:06:58.513Z`.
pub(crate) fn format(millis: i64) -> String {
    let since = Duration::from_millis(millis.unsigned_abs());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_are_read() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("1970-01-01T00:00:00+00:00"), Some(0));
        assert_eq!(parse("2021-04-19T06:06:58.513Z"), Some(1_618_812_418_513));
        assert_eq!(
            parse("2000-02-29T23:59:59.9999-01:30"),
            Some(951_874_199_999)
        );
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "Z",
            "2021-04-19",
            "2021-02-29T00:00:00Z",
            "2021-13-01T00:00:00Z",
            "2021-04-19T06:06:58",
            "2021-04-19T06:06:58+1:00",
            "2021-04-19T06:06:58*01:00",
            "1970-01-01T00:00:00+01:00",
            "ééééééééééééééé",
            "2021-04-1é😀", // found by fuzzing: six bytes from the end, an é
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_until_the_year_9999_survives_writing_and_reading(millis in 0..=LAST) {
            prop_assert_eq!(parse(&format(millis)), Some(millis));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
