use std::{fmt, str::FromStr};

use super::unit::{UNIT_NAME_BYTES_MAX, UnitName};
use thiserror::Error;

/// A unit, or a pattern of units: `*` stands for any text, `?` for one character.
///
/// Patterns are ordered from the weak to the strong: of two that fit a unit, the one with more
/// characters that stand for themselves comes later, and a name comes after all patterns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitPattern {
    is_name: bool,
    literal: usize,
    text: String,
}

/// Why a text is no pattern of units.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "expected the name of a unit with its type, such as lidar.service, or a pattern, such as lidar*.service or lidar*"
)]
pub struct UnitPatternError;

impl FromStr for UnitPattern {
    type Err = UnitPatternError;

    fn from_str(text: &str) -> Result<Self, UnitPatternError> {
        // What a pattern fits must be able to be a unit.
        let mut example = text.replace(['*', '?'], "x");
        if text.ends_with('*') {
            example.push_str(".service");
        }
        let literal = text.chars().filter(|c| !matches!(c, '*' | '?')).count();
        if text.len() > UNIT_NAME_BYTES_MAX || example.parse::<UnitName>().is_err() {
            return Err(UnitPatternError);
        }
        Ok(Self {
            is_name: literal == text.chars().count(),
            literal,
            text: text.to_owned(),
        })
    }
}

impl UnitPattern {
    /// Whether the unit is one of those that are meant. The time is bounded by the product of both
    /// lengths.
    pub fn fits(&self, unit: &UnitName) -> bool {
        let (mut pattern, mut text) = (self.text.as_bytes(), unit.as_str().as_bytes());
        // What follows the last star, and what it has not taken yet.
        let mut star: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => return true,
                (Some((b'*', rest)), _) => {
                    star = Some((rest, text));
                    pattern = rest;
                }
                (Some((p, rest)), Some((t, left))) if *p == b'?' || p == t => {
                    (pattern, text) = (rest, left);
                }
                _ => {
                    let Some((rest, [_, left @ ..])) = star else {
                        return false;
                    };
                    star = Some((rest, left));
                    (pattern, text) = (rest, left);
                }
            }
        }
    }
}

impl fmt::Display for UnitPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn pattern(text: &str) -> UnitPattern {
        text.parse().expect("pattern")
    }

    #[test_case("lidar.service", "lidar.service", true)]
    #[test_case("lidar.service", "lidar.socket", false)]
    #[test_case("lidar*", "lidar.socket", true)]
    #[test_case("lidar?.service", "lidar1.service", true)]
    #[test_case("lidar?.service", "lidar.service", false)]
    #[test_case("*@*.service", "web@1.service", true)]
    #[test_case("*ab*ab.service", "abxab.service", true)]
    #[test_case("*ab*ab.service", "xab.service", false)]
    #[test_case("*", "x.mount", true)]
    fn a_pattern_fits(text: &str, unit: &str, fits: bool) {
        assert_eq!(pattern(text).fits(&unit.parse().expect("unit")), fits);
    }

    #[test]
    fn the_stronger_comes_later() {
        let order = ["*", "lidar*", "*.service", "lidar*.service", "a.service"];
        assert!(order.is_sorted_by_key(|text| pattern(text)));
    }

    #[test_case("lidar"; "no type")]
    #[test_case("lidar?"; "perhaps no type")]
    #[test_case("a/b*"; "a character that no unit has")]
    #[test_case(""; "nothing")]
    fn what_fits_no_unit_is_no_pattern(text: &str) {
        assert_eq!(text.parse::<UnitPattern>(), Err(UnitPatternError));
    }
}
