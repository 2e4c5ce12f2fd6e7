use super::{
    pair::PairOfTemplates,
    unit::{UnitName, UnitNameError},
};

const TEMPLATES: PairOfTemplates = PairOfTemplates {
    service: "against@",
    other: "against-unit@",
};

/// The unit that is up while `unit` of the same node must not be: `against@target.service` conflicts
/// with `target.service` (the template says `Conflicts=%i.service`), and
/// `against-unit@data.mount.service` with `data.mount`. A start of either stops the other, as
/// systemd.unit(5) says of `Conflicts=`.
///
/// # Errors
///
/// Fails when the name would be longer than systemd allows.
pub fn rival_of(unit: &UnitName) -> Result<UnitName, UnitNameError> {
    TEMPLATES.instance(unit)
}

/// The unit that must not be up while this one is; `None` if it is no rival of another.
pub fn rivalled_by(rival: &UnitName) -> Option<UnitName> {
    TEMPLATES.unit(rival)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("target.service", "against@target.service")]
    #[test_case("web@1.service", "against@web@1.service")]
    #[test_case("srv-a\\x2db.mount", "against-unit@srv-a\\x2db.mount.service")]
    fn a_rival_names_its_unit_exactly(unit: &str, rival: &str) {
        let unit: UnitName = unit.parse().expect("valid");
        let name = rival_of(&unit).expect("short enough");
        assert_eq!(name.as_str(), rival);
        assert_eq!(rivalled_by(&name), Some(unit));
    }

    #[test_case("target.service"; "another unit")]
    #[test_case("dep@target.service"; "a hold")]
    fn other_units_are_no_rivals(name: &str) {
        assert_eq!(rivalled_by(&name.parse().expect("valid")), None);
    }
}
