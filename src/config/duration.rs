//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// Longest wait that can be configured.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `250ms`, `30s`, `5m` or `1h`; more than zero, at most a day.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    let millis = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    millis
        .map(Duration::from_millis)
        .filter(|duration| (Duration::from_millis(1)..=MAX).contains(duration))
        .ok_or_else(|| "not a time. Use a whole number and a unit, such as \"250ms\", \"30s\", \"5m\" or \"1h\" (at most \"24h\")".to_owned())
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
}
