use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// The longest node name in bytes: what Linux allows for a host name (`HOST_NAME_MAX`,
/// gethostname(2)), since the host name is the default.
pub const NODE_NAME_BYTES_MAX: usize = 64;

/// The name of a node: 1 to 64 ASCII letters, digits, `-`, `_` and `.`, beginning with a letter or
/// a digit. Upper and lower case are different names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        let first = text.chars().next().ok_or(NodeNameError::Empty)?;
        if text.len() > NODE_NAME_BYTES_MAX {
            return Err(NodeNameError::TooLong(text.len()));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NodeNameError::First(first));
        }
        match text.chars().find(|c| !is_node_char(*c)) {
            Some(bad) => Err(NodeNameError::Character(bad)),
            None => Ok(Self(text.into())),
        }
    }
}

/// Whether a node name may hold this character.
pub(super) fn is_node_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is no node name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NodeNameError {
    /// There is no text.
    #[error("a node name is empty; it has 1 to 64 letters, digits, '-', '_' or '.'")]
    Empty,
    /// The text has more than 64 bytes.
    #[error("a node name has {0} bytes; at most 64 are allowed")]
    TooLong(usize),
    /// It does not begin with a letter or a digit.
    #[error("a node name begins with {0:?}; it must begin with a letter or a digit")]
    First(char),
    /// It has a character that is not allowed.
    #[error("a node name has {0:?}; only letters, digits, '-', '_' and '.' are allowed")]
    Character(char),
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("main"; "simple")]
    #[test_case("worker_1.example.org"; "every kind of character")]
    #[test_case("1"; "digit")]
    fn names_that_are_accepted(text: &str) {
        assert_eq!(text.parse::<NodeName>().expect("valid").as_str(), text);
    }

    #[test_case("", &NodeNameError::Empty; "empty")]
    #[test_case(&"a".repeat(65), &NodeNameError::TooLong(65); "too long")]
    #[test_case("-a", &NodeNameError::First('-'); "first")]
    #[test_case("..", &NodeNameError::First('.'); "parent directory")]
    #[test_case("a/b", &NodeNameError::Character('/'); "slash")]
    #[test_case("a\nb", &NodeNameError::Character('\n'); "control character")]
    #[test_case("a\\x5fb", &NodeNameError::Character('\\'); "escape")]
    #[test_case("ä", &NodeNameError::First('ä'); "not ASCII")]
    fn names_that_are_refused(text: &str, why: &NodeNameError) {
        assert_eq!(&text.parse::<NodeName>().expect_err("invalid"), why);
    }
}
