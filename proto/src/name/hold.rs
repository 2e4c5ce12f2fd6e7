use std::fmt;

use super::unit::{UNIT_NAME_BYTES_MAX, UnitName, UnitNameError, UnitType};

const SERVICE_PREFIX: &str = "dep@";
const OTHER_PREFIX: &str = "dep-unit@";
const SUFFIX: &str = ".service";

/// The name of the unit that holds another one for the nodes that need it:
/// `dep@target.service` holds `target.service` (the template says `BindsTo=%i.service`), and
/// `dep-unit@data.mount.service` holds `data.mount` (its template says `BindsTo=%i`).
///
/// Every character of a unit name is allowed in an instance, so nothing is escaped, and the
/// two templates together make the mapping exact in both directions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldName {
    name: UnitName,
    unit: UnitName,
}

impl HoldName {
    /// The name of the hold of `unit`.
    ///
    /// # Errors
    ///
    /// Fails when the name would be longer than systemd allows.
    pub fn of(unit: &UnitName) -> Result<Self, UnitNameError> {
        let name = match unit.unit_type() {
            UnitType::Service => format!("{SERVICE_PREFIX}{}{SUFFIX}", unit.stem()),
            UnitType::Automount
            | UnitType::Device
            | UnitType::Mount
            | UnitType::Path
            | UnitType::Scope
            | UnitType::Slice
            | UnitType::Socket
            | UnitType::Swap
            | UnitType::Target
            | UnitType::Timer => format!("{OTHER_PREFIX}{unit}{SUFFIX}"),
        };
        if name.len() > UNIT_NAME_BYTES_MAX {
            return Err(UnitNameError::TooLong(name.len()));
        }
        Ok(Self {
            name: name.parse()?,
            unit: unit.clone(),
        })
    }

    /// Parses the name of a hold; `None` for any other unit.
    pub fn parse(name: &UnitName) -> Option<Self> {
        let text = name.as_str();
        let unit = match (
            text.strip_prefix(SERVICE_PREFIX),
            text.strip_prefix(OTHER_PREFIX),
        ) {
            (Some(rest), _) => format!("{}{SUFFIX}", rest.strip_suffix(SUFFIX)?),
            (None, Some(rest)) => rest.strip_suffix(SUFFIX)?.to_owned(),
            (None, None) => return None,
        };
        let hold = Self::of(&unit.parse().ok()?).ok()?;
        (hold.name == *name).then_some(hold)
    }

    /// The name of the hold unit itself.
    pub fn name(&self) -> &UnitName {
        &self.name
    }

    /// The unit that is held.
    pub fn unit(&self) -> &UnitName {
        &self.unit
    }
}

impl fmt::Display for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Debug for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("target.service", "dep@target.service")]
    #[test_case("a@b.service", "dep@a@b.service")]
    #[test_case("a.socket.service", "dep@a.socket.service")]
    #[test_case("a.socket", "dep-unit@a.socket.service")]
    #[test_case("srv-a\\x2db.mount", "dep-unit@srv-a\\x2db.mount.service")]
    fn a_hold_names_its_unit_exactly(unit: &str, hold: &str) {
        let unit: UnitName = unit.parse().expect("valid");
        let name = HoldName::of(&unit).expect("short enough");
        assert_eq!(name.name().as_str(), hold);
        assert_eq!(HoldName::parse(name.name()).expect("a hold").unit(), &unit);
    }

    #[test_case("target.service"; "another unit")]
    #[test_case("dep-unit@target.service.service"; "a service under the other template")]
    #[test_case("dep@a.target"; "not a service")]
    fn other_units_are_no_holds(name: &str) {
        assert_eq!(HoldName::parse(&name.parse().expect("valid")), None);
    }
}
