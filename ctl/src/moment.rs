//! Moments as people write them, systemd.time(7), as far as somebody types them.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, Zoned, civil};

use crate::span;

/// Reads a moment: microseconds since 1970. `now` has the time zone in which it is meant.
///
/// # Errors
///
/// Says what moments look like.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<u64, String> {
    let error = || {
        format!(
            "'{text}' is no moment; it looks like '2026-11-20 18:00', '18:00:30', 'today', \
             'yesterday', '-1h', '5min ago' or '@1790000000'"
        )
    };
    let typed = text.trim();
    let moment = word(typed, now)
        .or_else(|| relative(typed, now))
        .or_else(|| epoch(typed))
        .or_else(|| date(typed, now))
        .ok_or_else(error)?;
    u64::try_from(moment.as_microsecond()).map_err(|_| error())
}

fn word(text: &str, now: &Zoned) -> Option<Timestamp> {
    let day = match text {
        "now" => return Some(now.timestamp()),
        "today" => now.date(),
        "yesterday" => now.date().yesterday().ok()?,
        "tomorrow" => now.date().tomorrow().ok()?,
        _ => return None,
    };
    let midnight = day.to_zoned(now.time_zone().clone()).ok()?;
    Some(midnight.timestamp())
}

/// `-1h`, `1h ago`, `+5min`.
fn relative(text: &str, now: &Zoned) -> Option<Timestamp> {
    let (is_past, typed) = match (text.strip_prefix('-'), text.strip_suffix(" ago")) {
        (Some(rest), None) => (true, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => (false, text.strip_prefix('+')?),
        (Some(_), Some(_)) => return None,
    };
    let span: Duration = span::parse(typed).ok()?;
    let micros = i64::try_from(span.as_micros()).ok()?.microseconds();
    let now = now.timestamp();
    if is_past {
        now.checked_sub(micros).ok()
    } else {
        now.checked_add(micros).ok()
    }
}

/// `@1790000000.5`.
fn epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = match text.strip_prefix('@')?.split_once('.') {
        Some((seconds, fraction)) => (seconds, fraction),
        None => (text.strip_prefix('@')?, ""),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !is_number(seconds) || !is_number(fraction) || fraction.len() > 6 {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    let micros = seconds
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(micros)?;
    Timestamp::from_microsecond(micros).ok()
}

/// A date, a time of today, both, or both with a zone.
fn date(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let (text, zone) = match text.strip_suffix(" UTC") {
        Some(text) => (text, jiff::tz::TimeZone::UTC),
        None => (text, now.time_zone().clone()),
    };
    let has_date = text.contains('-');
    let local = if has_date {
        text.parse::<civil::DateTime>().ok()?
    } else {
        // A number alone is rather a span without a sign than a time of the day.
        let time = text.contains(':').then_some(text)?;
        now.date().to_datetime(time.parse::<civil::Time>().ok()?)
    };
    Some(local.to_zoned(zone).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let now: Zoned = "2026-11-20T18:30:00+01:00[Europe/Berlin]"
            .parse()
            .or_else(|_| "2026-11-20T18:30:00+01:00[+01:00]".parse())
            .expect("a moment");
        let usec = parse(text, &now)?;
        let usec = i64::try_from(usec).expect("a moment");
        Ok(Timestamp::from_microsecond(usec)
            .expect("a moment")
            .to_string())
    }

    #[test_case("now", "2026-11-20T17:30:00Z")]
    #[test_case("today", "2026-11-19T23:00:00Z")]
    #[test_case("yesterday", "2026-11-18T23:00:00Z")]
    #[test_case("tomorrow", "2026-11-20T23:00:00Z")]
    #[test_case("-1h", "2026-11-20T16:30:00Z"; "an hour before")]
    #[test_case("1h 30min ago", "2026-11-20T16:00:00Z")]
    #[test_case("+5min", "2026-11-20T17:35:00Z"; "five minutes after")]
    #[test_case("@1790000000", "2026-09-21T14:13:20Z"; "seconds since 1970")]
    #[test_case("@1790000000.25", "2026-09-21T14:13:20.25Z"; "and a part of a second")]
    #[test_case("2026-11-20", "2026-11-19T23:00:00Z"; "a day")]
    #[test_case("2026-11-20 18:00", "2026-11-20T17:00:00Z"; "a day and a time")]
    #[test_case("2026-11-20 18:00:30.5", "2026-11-20T17:00:30.5Z"; "to the tenth of a second")]
    #[test_case("2026-11-20T18:00:00Z", "2026-11-20T18:00:00Z"; "with a zone")]
    #[test_case("2026-11-20 18:00 UTC", "2026-11-20T18:00:00Z"; "as systemd writes a zone")]
    #[test_case("18:00", "2026-11-20T17:00:00Z"; "a time of today")]
    fn moments_are_read(text: &str, moment: &str) {
        assert_eq!(read(text).as_deref(), Ok(moment));
    }

    #[test_case(""; "nothing")]
    #[test_case("soon"; "a word")]
    #[test_case("10"; "a number")]
    #[test_case("2026-13-01"; "no month")]
    #[test_case("25:00"; "no hour")]
    #[test_case("-1h ago"; "twice past")]
    #[test_case("@"; "no seconds")]
    #[test_case("@-5"; "negative seconds")]
    #[test_case("1960-01-01"; "before 1970")]
    fn what_is_no_moment_is_refused(text: &str) {
        let error = read(text).expect_err("refused");
        assert!(error.contains("it looks like"), "{error}");
    }
}
