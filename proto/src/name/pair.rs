use super::unit::{UNIT_NAME_BYTES_MAX, UnitName, UnitNameError, UnitType};

const SUFFIX: &str = ".service";

/// Two templates that give each unit another one beside it. `service` is for services and its files
/// say `%i.service`, `other` is for all other types and its files say `%i`.
///
/// Every character of a unit name is allowed in an instance, so nothing is escaped, and the two
/// together make the mapping exact in both directions.
pub(super) struct PairOfTemplates {
    pub(super) service: &'static str,
    pub(super) other: &'static str,
}

impl PairOfTemplates {
    /// The instance for a unit. Fails when its name would be longer than systemd allows.
    pub(super) fn instance(&self, unit: &UnitName) -> Result<UnitName, UnitNameError> {
        let name = match unit.unit_type() {
            UnitType::Service => format!("{}{}{SUFFIX}", self.service, unit.stem()),
            UnitType::Automount
            | UnitType::Device
            | UnitType::Mount
            | UnitType::Path
            | UnitType::Scope
            | UnitType::Slice
            | UnitType::Socket
            | UnitType::Swap
            | UnitType::Target
            | UnitType::Timer => format!("{}{unit}{SUFFIX}", self.other),
        };
        if name.len() > UNIT_NAME_BYTES_MAX {
            return Err(UnitNameError::TooLong(name.len()));
        }
        name.parse()
    }

    /// The unit for which this is the instance; `None` for any other unit.
    pub(super) fn unit(&self, name: &UnitName) -> Option<UnitName> {
        let text = name.as_str();
        let unit = match (
            text.strip_prefix(self.service),
            text.strip_prefix(self.other),
        ) {
            (Some(rest), _) => format!("{}{SUFFIX}", rest.strip_suffix(SUFFIX)?),
            (None, Some(rest)) => rest.strip_suffix(SUFFIX)?.to_owned(),
            (None, None) => return None,
        };
        let unit = unit.parse().ok()?;
        (self.instance(&unit).ok()? == *name).then_some(unit)
    }
}
