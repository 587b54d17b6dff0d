//! Times as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::output::Stop;

/// A time in the past: `2h` and `7d` count back from `now`, anything else is RFC 3339.
pub(super) fn past(option: &str, text: &str, now: SystemTime) -> Result<SystemTime, Stop> {
    let back = humantime::parse_duration(text)
        .ok()
        .map(|back| now.checked_sub(back).unwrap_or(UNIX_EPOCH).max(UNIX_EPOCH));
    back.or_else(|| rfc3339(text)).ok_or_else(|| {
        Stop::wrong(format!(
            "{option} is no time. Use an age such as 90m, 2h or 7d, or a time such as 2026-01-31T12:00:00Z"
        ))
    })
}

/// A span of time such as `24h`.
pub(super) fn span(option: &str, text: &str) -> Result<Duration, Stop> {
    humantime::parse_duration(text).map_err(|_| {
        Stop::wrong(format!(
            "{option} is no span of time. Use a number with a unit, such as 0s, 30m, 24h or 7d"
        ))
    })
}

/// RFC 3339 with any offset (section 5.6); `None` if it is something else or before 1970.
fn rfc3339(text: &str) -> Option<SystemTime> {
    if !text.is_ascii() {
        return None;
    }
    if let Some(text) = text.strip_suffix(['Z', 'z']) {
        return utc(text);
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |digits: &str, below: u64| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .parse::<u64>()
            .ok()
            .filter(|number| plain && *number < below)
    };
    let shift = Duration::from_secs(number(hours, 24)? * 3600 + number(minutes, 60)? * 60);
    match offset.as_bytes()[0] {
        b'+' => utc(local)?.checked_sub(shift),
        b'-' => utc(local)?.checked_add(shift),
        _ => None,
    }
}

fn utc(text: &str) -> Option<SystemTime> {
    let text = text.replacen('t', "T", 1);
    // The lenient parser takes a blank for the `T` and an offset of its own; what is left here has neither.
    let rest = text.as_bytes().get(19..)?;
    let fraction = rest.is_empty()
        || (rest[0] == b'.' && rest.len() > 1 && rest[1..].iter().all(u8::is_ascii_digit));
    (text.as_bytes()[10] == b'T' && fraction)
        .then(|| humantime::parse_rfc3339_weak(&text).ok())
        .flatten()
}

/// Seconds since 1970 as they stand in tables: UTC. What is after the year 9999 is shown as its last second.
pub(super) fn shown(seconds: u64) -> String {
    /// 9999-12-31T23:59:59Z, the last second that the format has.
    const LAST: u64 = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_or_rfc_3339() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for (text, expected) in [
            ("2h", Some(1_800_000_000 - 7200)),
            ("7d", Some(1_800_000_000 - 7 * 86_400)),
            ("90m", Some(1_800_000_000 - 5400)),
            ("1000000h", Some(0)),
            ("1970-01-02T00:00:00Z", Some(86_400)),
            ("1970-01-02t00:00:00z", Some(86_400)),
            ("1970-01-02T00:00:00.999Z", Some(86_400)),
            ("1970-01-02T02:30:00+02:30", Some(86_400)),
            ("1970-01-01T23:00:00-01:00", Some(86_400)),
            ("1970-01-02T00:00:00", None),
            ("1970-01-02 00:00:00Z", None),
            ("1970-01-02T00:00:00+24:00", None),
            ("1970-01-02T00:00:00+0:000", None),
            ("1970-01-02T00:00:00.Z", None),
            ("1970-02-30T00:00:00Z", None),
            ("yesterday", None),
            ("", None),
            ("7", None),
            ("-2h", None),
            ("ä970-01-02T00:00:00Z", None),
        ] {
            let got = past("--since", text, now)
                .ok()
                .map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs());
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn any_time_can_be_shown() {
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(1_000_000_000_000), "9999-12-31T23:59:59Z");
        assert_eq!(shown(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
