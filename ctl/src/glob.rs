//! Patterns as shells and systemctl(1) have them, glob(7): `*`, `?` and `[a-z]`.

/// Whether a text is a pattern. No name of a node or a unit holds one of these.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether the pattern fits the whole text. The time is bounded by the product of both lengths.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut pattern = pattern.as_slice();
    let text: Vec<char> = text.chars().collect();
    let mut text = text.as_slice();
    // Where the last star stands, and what it has not eaten yet: only the last one may have to eat
    // more, because an earlier one that did would leave less for the rest.
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some(('*', rest)), _) => {
                star = Some((rest, text));
                pattern = rest;
                continue;
            }
            (Some(_), Some((c, left))) => {
                if let Some(rest) = one(pattern, *c) {
                    (pattern, text) = (rest, left);
                    continue;
                }
            }
            (None, None) => return true,
            (Some(_), None) => return false,
            (None, Some(_)) => {}
        }
        let Some((rest, [_, left @ ..])) = star else {
            return false;
        };
        star = Some((rest, left));
        (pattern, text) = (rest, left);
    }
}

/// The pattern after its first element, if that one fits the letter.
fn one(pattern: &[char], c: char) -> Option<&[char]> {
    match pattern.split_first()? {
        ('?', rest) => Some(rest),
        ('[', rest) => match set(rest, c) {
            Some((fits, rest)) => fits.then_some(rest),
            // Without its end it is a letter.
            None => (c == '[').then_some(rest),
        },
        (letter, rest) => (*letter == c).then_some(rest),
    }
}

/// Whether the letter is in the set that begins here, and what comes after the set.
fn set(pattern: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, body) = match pattern.split_first()? {
        ('!' | '^', body) => (true, body),
        _ => (false, pattern),
    };
    // A `]` that comes first is a letter of the set.
    let end = 1 + body.get(1..)?.iter().position(|c| *c == ']')?;
    let (mut letters, rest) = (body.get(..end)?, body.get(end + 1..)?);
    let mut found = false;
    while let Some((first, after)) = letters.split_first() {
        match after {
            ['-', last, after @ ..] => {
                found |= (*first..=*last).contains(&c);
                letters = after;
            }
            _ => {
                found |= *first == c;
                letters = after;
            }
        }
    }
    Some((found != negated, rest))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("*", "", true; "a star fits nothing")]
    #[test_case("*", "anything", true; "and everything")]
    #[test_case("cam*", "cam1", true)]
    #[test_case("cam*", "dcam1", false)]
    #[test_case("*.service", "a.service.service", true; "the star eats as much as it must")]
    #[test_case("*a*b", "xaxxabab", true)]
    #[test_case("*a*b", "xaxxaba", false)]
    #[test_case("cam?", "cam1", true)]
    #[test_case("cam?", "cam", false)]
    #[test_case("cam[1-3]", "cam2", true)]
    #[test_case("cam[1-3]", "cam4", false)]
    #[test_case("cam[!1-3]", "cam4", true)]
    #[test_case("cam[]x]", "cam]", true; "a bracket that comes first is a letter")]
    #[test_case("cam[1", "cam[1", true; "a set without an end is text")]
    #[test_case("", "", true; "nothing")]
    #[test_case("", "a", false; "nothing fits only nothing")]
    fn patterns_are_those_of_a_shell(pattern: &str, text: &str, expected: bool) {
        assert_eq!(fits(pattern, text), expected);
    }

    #[test]
    fn a_pattern_of_stars_ends_soon() {
        assert!(!fits(&"*a".repeat(200), &"a".repeat(199)));
    }
}
