//! Spans of time as people write and read them, systemd.time(7).

use std::time::Duration;

/// The units, the largest first, with the names that are understood; the first name is written.
const UNITS: [(u64, &[&str]); 6] = [
    (7 * 86_400_000, &["w", "week", "weeks"]),
    (86_400_000, &["d", "day", "days"]),
    (3_600_000, &["h", "hr", "hour", "hours"]),
    (60_000, &["min", "m", "minute", "minutes"]),
    (1_000, &["s", "sec", "second", "seconds"]),
    (1, &["ms", "msec"]),
];

/// Writes a span with at most two units: `5min 3s`, `2d 3h`, `350ms`.
pub(crate) fn display(span: Duration) -> String {
    let mut left = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if left >= 1_000 {
        left -= left % 1_000;
    }
    let mut parts = Vec::new();
    for (ms, names) in UNITS {
        let count = left / ms;
        if count > 0 {
            parts.push(format!("{count}{}", names.first().unwrap_or(&"")));
            left %= ms;
        }
        if count == 0 && !parts.is_empty() || parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() {
        "0s".into()
    } else {
        parts.join(" ")
    }
}

/// Reads a span: `30s`, `5min`, `1h 30min`, `500ms`; a number alone is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let error =
        || format!("'{text}' is no span of time; it looks like '30s', '5min' or '1h 30min'");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after.trim_start(), |c| !c.is_ascii_alphabetic());
        let unit = if unit.is_empty() { "s" } else { unit };
        let ms = UNITS
            .iter()
            .find(|(_, names)| names.contains(&unit))
            .map(|(ms, _)| *ms)
            .ok_or_else(error)?;
        let count: u64 = number.parse().map_err(|_| error())?;
        total = total.saturating_add(Duration::from_millis(count.saturating_mul(ms)));
        rest = after.trim_start();
    }
    Ok(total)
}

fn split_where(text: &str, end: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(0, "0s")]
    #[test_case(350, "350ms")]
    #[test_case(12_999, "12s")]
    #[test_case(303_000, "5min 3s")]
    #[test_case(3_600_000, "1h")]
    #[test_case(3_612_000, "1h"; "what is far smaller is left out")]
    #[test_case(97_200_000, "1d 3h")]
    #[test_case(u64::MAX, "30500568904w 6d"; "the longest")]
    fn spans_are_written(ms: u64, text: &str) {
        assert_eq!(display(Duration::from_millis(ms)), text);
    }

    #[test_case("30", 30_000)]
    #[test_case("30s", 30_000)]
    #[test_case("500ms", 500)]
    #[test_case("1h 30min", 5_400_000)]
    #[test_case("2m5s", 125_000)]
    fn spans_are_read(text: &str, ms: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(ms)));
    }

    #[test_case(""; "nothing")]
    #[test_case("infinity"; "forever")]
    #[test_case("5 parsecs"; "no unit of time")]
    #[test_case("-1s"; "negative")]
    #[test_case("99999999999999999999s"; "too large a number")]
    fn what_is_no_span_is_refused(text: &str) {
        assert!(parse(text).is_err());
    }
}
