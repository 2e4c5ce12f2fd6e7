//! Units that the controller wants to hear of.

use proto::{dbus::systemd, name::path_element_decode};
use zbus::{Message, wire::ObjectPath};

use super::{
    super::{
        Said,
        pending::Purpose,
        watch::{Scope, UnitSignal},
    },
    Ended, Session, read,
    signal::Changed,
};

/// A unit as systemd lists it.
type Listed<'a> = (
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
    ObjectPath<'a>,
    u32,
    &'a str,
    ObjectPath<'a>,
);

impl Session {
    /// Lists all that is watched, where systemd was not heard for a while and can be asked now.
    pub(super) fn list_again(&mut self) -> Result<(), Ended> {
        if !self.watch_again || self.reloading || self.beginning.is_some() {
            return Ok(());
        }
        self.watch_again = false;
        match self.watch.again() {
            Some(scope) => self.list_watched(scope),
            None => Ok(()),
        }
    }

    /// Asks how units are.
    pub(super) fn list_watched(&mut self, scope: Scope) -> Result<(), Ended> {
        let patterns = (Vec::<&str>::new(), scope.patterns());
        let method = self.manager("ListUnitsByPatterns");
        self.call(method, &patterns, Purpose::Watch(scope))
    }

    /// They are so.
    pub(super) fn watched(&mut self, scope: &Scope, message: &Message) -> Result<(), Ended> {
        // In between it forgets units that it loads again.
        if self.watch_again {
            return Ok(());
        }
        let body = message.body();
        let units: Vec<Listed<'_>> = read(&body)?;
        let units = units
            .iter()
            .map(|(name, _, _, active, sub, ..)| (*name, *active, *sub));
        let told = self.watch.listed(scope, units);
        self.said.extend(told.into_iter().map(Said::Unit));
        Ok(())
    }

    /// Properties of an object have changed.
    pub(super) fn watched_changed(&mut self, path: &str, message: &Message) -> Result<(), Ended> {
        if self.reloading || self.watch.is_empty() {
            return Ok(());
        }
        let unit = path.strip_prefix(systemd::UNIT_PATH_PREFIX);
        let Some(unit) = unit.and_then(path_element_decode) else {
            return Ok(());
        };
        if !self.watch.wants(&unit) {
            return Ok(());
        }
        let body = message.body();
        let (interface, changed, _): Changed<'_> = read(&body)?;
        let text = |key: &str| {
            let value = changed.get(key)?;
            value.downcast_ref::<&str>().ok()
        };
        // systemd tells both together.
        if interface == systemd::UNIT
            && let (Some(active), Some(sub)) = (text("ActiveState"), text("SubState"))
        {
            let told = self.watch.state(&unit, active, sub).map(Said::Unit);
            self.said.extend(told);
        }
        let said = message.clone();
        self.said
            .push_back(Said::Unit(UnitSignal::Properties { unit, said }));
        Ok(())
    }
}
