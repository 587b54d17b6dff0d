//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

const DAY: (&str, u64) = ("d", 86_400_000);

/// Longest wait that can be configured.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest time for which something is kept.
const MAX_KEPT: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Reads `250ms`, `30s`, `5m` or `1h`; more than zero, at most a day.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    read(text, &UNITS)
        .filter(|duration| (Duration::from_millis(1)..=MAX).contains(duration))
        .ok_or_else(|| "not a time. Use a whole number and a unit, such as \"250ms\", \"30s\", \"5m\" or \"1h\" (at most \"24h\")".to_owned())
}

/// Reads `0s`, `12h` or `30d`: for how long something is kept, at most ten years.
pub(super) fn parse_long(text: &str) -> Result<Duration, String> {
    read(text, &[UNITS[1], UNITS[2], UNITS[3], DAY])
        .filter(|duration| *duration <= MAX_KEPT)
        .ok_or_else(|| {
            "not a time. Use a whole number and a unit, such as \"0s\", \"12h\" or \"7d\" (at most \"3650d\")".to_owned()
        })
}

fn read(text: &str, units: &[(&str, u64)]) -> Option<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let millis = number.parse::<u64>().ok()?.checked_mul(*factor)?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("1ms", 1),
            ("30s", 30_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "0s",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "25h",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
    #[test]
    fn times_for_which_something_is_kept() {
        for (text, seconds) in [("0s", 0), ("12h", 43_200), ("3650d", 315_360_000)] {
            assert_eq!(parse_long(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "0",
            "1ms",
            "3651d",
            "-1d",
            "1w",
            "18446744073709551615d",
        ] {
            assert!(parse_long(text).is_err(), "{text}");
        }
    }
}
