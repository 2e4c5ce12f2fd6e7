use std::fmt;

use super::{
    pair::PairOfTemplates,
    unit::{UnitName, UnitNameError},
};

const TEMPLATES: PairOfTemplates = PairOfTemplates {
    service: "dep@",
    other: "dep-unit@",
};

/// The name of the unit that holds another one for the nodes that need it:
/// `dep@target.service` holds `target.service` (the template says `BindsTo=%i.service`), and
/// `dep-unit@data.mount.service` holds `data.mount` (its template says `BindsTo=%i`).
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
        Ok(Self {
            name: TEMPLATES.instance(unit)?,
            unit: unit.clone(),
        })
    }

    /// Parses the name of a hold; `None` for any other unit.
    pub fn parse(name: &UnitName) -> Option<Self> {
        Some(Self {
            unit: TEMPLATES.unit(name)?,
            name: name.clone(),
        })
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
