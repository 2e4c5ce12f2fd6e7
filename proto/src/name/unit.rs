use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// The longest unit name in bytes, with its suffix (`UNIT_NAME_MAX` of systemd, less the NUL).
pub const UNIT_NAME_BYTES_MAX: usize = 255;

/// The name of a unit with its type suffix, valid by the rules of systemd.unit(5): letters, digits,
/// `:`, `-`, `_`, `.`, `\` and, between a template and its instance, `@`. Only a name that can be
/// started is accepted, so a template without an instance (`a@.service`) is not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(
    // Shared: a daemon knows each name by several maps.
    Arc<str>,
);

impl UnitName {
    /// The name as text, with its suffix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type of the unit, by its suffix.
    pub fn unit_type(&self) -> UnitType {
        // A name without a known suffix is never built.
        split(&self.0).map_or(UnitType::Service, |(_, unit_type)| unit_type)
    }

    /// The name without its suffix: `target` of `target.service`.
    pub fn stem(&self) -> &str {
        split(&self.0).map_or(&self.0, |(stem, _)| stem)
    }

    /// Parses what a person typed, who may leave `.service` away, as systemctl(1) allows.
    pub fn from_operator(text: &str) -> Result<Self, UnitNameError> {
        match split(text) {
            Some(_) => text.parse(),
            None if text.is_empty() => Err(UnitNameError::Empty),
            None => format!("{text}.service").parse(),
        }
    }
}

impl FromStr for UnitName {
    type Err = UnitNameError;

    fn from_str(text: &str) -> Result<Self, UnitNameError> {
        if text.is_empty() {
            return Err(UnitNameError::Empty);
        }
        if text.len() > UNIT_NAME_BYTES_MAX {
            return Err(UnitNameError::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|c| !is_unit_char(*c)) {
            return Err(UnitNameError::Character(bad));
        }
        let Some((stem, _)) = split(text) else {
            return Err(UnitNameError::Suffix(text.to_owned()));
        };
        match stem.split_once('@') {
            _ if stem.is_empty() => Err(UnitNameError::Suffix(text.to_owned())),
            Some(("", _)) => Err(UnitNameError::NoPrefix(text.to_owned())),
            Some((_, "")) => Err(UnitNameError::Template(text.to_owned())),
            Some(_) | None => Ok(Self(text.into())),
        }
    }
}

/// Splits a name into stem and type, if its suffix is one of systemd's.
fn split(text: &str) -> Option<(&str, UnitType)> {
    let (stem, suffix) = text.rsplit_once('.')?;
    Some((stem, UnitType::from_suffix(suffix)?))
}

/// Whether a unit name may hold this character (`VALID_CHARS_WITH_AT` of systemd).
pub(super) fn is_unit_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@')
}

/// Whether a text ends in a suffix that makes it a full unit name.
pub(super) fn has_suffix(text: &str) -> bool {
    split(text).is_some()
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The types of units of systemd(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitType {
    /// `.automount`
    Automount,
    /// `.device`
    Device,
    /// `.mount`
    Mount,
    /// `.path`
    Path,
    /// `.scope`
    Scope,
    /// `.service`
    Service,
    /// `.slice`
    Slice,
    /// `.socket`
    Socket,
    /// `.swap`
    Swap,
    /// `.target`
    Target,
    /// `.timer`
    Timer,
}

impl UnitType {
    /// Every type, in the order of the alphabet.
    pub const ALL: [Self; 11] = [
        Self::Automount,
        Self::Device,
        Self::Mount,
        Self::Path,
        Self::Scope,
        Self::Service,
        Self::Slice,
        Self::Socket,
        Self::Swap,
        Self::Target,
        Self::Timer,
    ];

    /// The suffix, without its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Automount => "automount",
            Self::Device => "device",
            Self::Mount => "mount",
            Self::Path => "path",
            Self::Scope => "scope",
            Self::Service => "service",
            Self::Slice => "slice",
            Self::Socket => "socket",
            Self::Swap => "swap",
            Self::Target => "target",
            Self::Timer => "timer",
        }
    }

    fn from_suffix(suffix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.suffix() == suffix)
    }
}

/// Why a text is no name of a unit that can be started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitNameError {
    /// There is no text.
    #[error("a unit name is empty; it looks like 'name.service'")]
    Empty,
    /// The text has more than 255 bytes.
    #[error("a unit name has {0} bytes; at most 255 are allowed")]
    TooLong(usize),
    /// It has a character that systemd does not allow.
    #[error(
        "a unit name has {0:?}; only letters, digits, ':', '-', '_', '.', '\\' and '@' are allowed \
         (systemd-escape(1) writes all others)"
    )]
    Character(char),
    /// It does not end in a type of systemd's.
    #[error("unit name '{0}' has no type; it looks like 'name.service' or 'name.target'")]
    Suffix(String),
    /// There is nothing before the `@`.
    #[error(
        "unit name '{0}' has nothing before its '@'; it looks like 'template@instance.service'"
    )]
    NoPrefix(String),
    /// It is a template, which cannot be started without an instance.
    #[error("unit name '{0}' is a template; write an instance between '@' and the type")]
    Template(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("target.service", "target", UnitType::Service)]
    #[test_case("a@b@c.service", "a@b@c", UnitType::Service)]
    #[test_case(
        "dev-disk-by\\x2dlabel.mount",
        "dev-disk-by\\x2dlabel",
        UnitType::Mount
    )]
    #[test_case("a.socket.service", "a.socket", UnitType::Service)]
    #[test_case("-.slice", "-", UnitType::Slice)]
    fn names_that_are_accepted(text: &str, stem: &str, unit_type: UnitType) {
        let name: UnitName = text.parse().expect("valid");
        assert_eq!(
            (name.as_str(), name.stem(), name.unit_type()),
            (text, stem, unit_type)
        );
    }

    #[test_case("", &UnitNameError::Empty; "empty")]
    #[test_case(&format!("{}.service", "a".repeat(248)), &UnitNameError::TooLong(256); "too long")]
    #[test_case("a b.service", &UnitNameError::Character(' '); "space")]
    #[test_case("../a.service", &UnitNameError::Character('/'); "slash")]
    #[test_case("a\u{7}.service", &UnitNameError::Character('\u{7}'); "control character")]
    #[test_case("target", &UnitNameError::Suffix("target".into()); "no type")]
    #[test_case("target.conf", &UnitNameError::Suffix("target.conf".into()); "no type of systemd")]
    #[test_case(".service", &UnitNameError::Suffix(".service".into()); "only a type")]
    #[test_case("@a.service", &UnitNameError::NoPrefix("@a.service".into()); "no template")]
    #[test_case("a@.service", &UnitNameError::Template("a@.service".into()); "template")]
    fn names_that_are_refused(text: &str, why: &UnitNameError) {
        assert_eq!(&text.parse::<UnitName>().expect_err("invalid"), why);
    }

    #[test_case("target", "target.service"; "no type means service")]
    #[test_case("target.conf", "target.conf.service"; "unknown type means service")]
    #[test_case("target.socket", "target.socket"; "type is kept")]
    fn operators_may_leave_the_type_away(typed: &str, meant: &str) {
        assert_eq!(
            UnitName::from_operator(typed).expect("valid").as_str(),
            meant
        );
    }
}
