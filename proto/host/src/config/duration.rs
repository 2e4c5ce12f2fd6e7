use std::time::Duration;

use thiserror::Error;

/// Units of systemd.time(7) that are taken, the largest first, in microseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Nothing, or something that does not begin with a number.
    #[error("expected a time such as \"2s\" or \"1min 30s\"")]
    Form,
    /// A number without a unit.
    #[error("expected a time with its unit, write \"{0}s\"")]
    NoUnit(u64),
    /// A unit that is not known.
    #[error("unit '{0}' is not known, expected 'us', 'ms', 's', 'min', 'h' or 'd'")]
    Unit(String),
    /// More than can be counted.
    #[error("expected a time below 500000 years")]
    TooLong,
}

/// Reads a time span as systemd.time(7) has it: whole numbers with the units `us`, `ms`, `s`, `min`,
/// `h` and `d`, which add up: `2s`, `500ms`, `1min 30s`. A number without a unit is refused, since
/// people disagree about what it means.
///
/// # Errors
///
/// Says what is wrong and what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim_ascii();
    if rest.is_empty() {
        return Err(DurationError::Form);
    }
    let mut micros: u64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(DurationError::Form);
        }
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let after = after.trim_ascii_start();
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c.is_ascii_whitespace())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(DurationError::NoUnit(number));
        }
        let (_, size) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| DurationError::Unit(unit.chars().take(20).collect()))?;
        micros = number
            .checked_mul(*size)
            .and_then(|more| micros.checked_add(more))
            .ok_or(DurationError::TooLong)?;
        rest = after.trim_ascii_start();
    }
    Ok(Duration::from_micros(micros))
}

/// Writes a time span as [`parse_duration`] reads it, to the microsecond.
pub fn show_duration(duration: Duration) -> String {
    let mut micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (name, size) in UNITS {
        if micros >= size {
            parts.push(format!("{}{name}", micros / size));
            micros %= size;
        }
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("2s" => Ok(2_000_000))]
    #[test_case("500ms" => Ok(500_000))]
    #[test_case("1min 30s" => Ok(90_000_000))]
    #[test_case("1min30s" => Ok(90_000_000); "without a space")]
    #[test_case(" 1 h " => Ok(3_600_000_000); "with spaces")]
    #[test_case("1d 5us" => Ok(86_400_000_005))]
    #[test_case("0s" => Ok(0))]
    #[test_case("" => Err(DurationError::Form); "nothing")]
    #[test_case("-1s" => Err(DurationError::Form); "negative")]
    #[test_case("s" => Err(DurationError::Form); "only a unit")]
    #[test_case("2" => Err(DurationError::NoUnit(2)); "only a number")]
    #[test_case("1min 2" => Err(DurationError::NoUnit(2)); "a number at the end")]
    #[test_case("2sec" => Err(DurationError::Unit("sec".to_owned())); "another unit")]
    #[test_case("1.5s" => Err(DurationError::Unit(".".to_owned())); "a fraction")]
    #[test_case("99999999999999999999s" => Err(DurationError::TooLong))]
    #[test_case("9999999999999999d" => Err(DurationError::TooLong))]
    fn times_are_read(text: &str) -> Result<u128, DurationError> {
        parse_duration(text).map(|duration| duration.as_micros())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(micros: u64) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn garbage_never_panics(text: String) {
            let _ = parse_duration(&text);
        }
    }
}
