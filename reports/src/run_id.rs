//! When a run started, as text.

use std::time::SystemTime;

/// `time` as RFC 3339 in UTC, to the second: `2026-01-31T08:15:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The name of a run that started at `time` with `seed`, usable as a folder
/// name everywhere: `20260131T081500.250Z-42`. Names sort by time.
pub fn run_id(time: SystemTime, seed: u64) -> String {
    let compact = humantime::format_rfc3339_millis(time)
        .to_string()
        .replace(['-', ':'], "");
    format!("{compact}-{seed}")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_start_time_is_written_in_utc_and_names_the_run() {
        let time = UNIX_EPOCH + Duration::from_millis(1_769_847_300_250);
        assert_eq!(rfc3339(time), "2026-01-31T08:15:00Z");
        assert_eq!(run_id(time, 42), "20260131T081500.250Z-42");
    }
}
