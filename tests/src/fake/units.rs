//! The units of a node that has no systemd.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use anyhow::{Context, Result};
use proto::name::UnitName;
use zbus::{OwnedVariant, Variant, wire::ObjectPath};

/// A unit as systemd lists it: name, description, three states, what it follows, path, job.
pub(super) type Row<'a> = (
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

/// Units and their states. Those that run from the beginning are shared by all nodes.
#[derive(Clone, Debug)]
pub(super) struct Units {
    running: Arc<[UnitName]>,
    /// Whether a unit is active, where it is not as in the beginning.
    changed: BTreeMap<UnitName, bool>,
}

impl Units {
    /// So many services that run.
    pub(super) fn running(count: usize) -> Result<Self> {
        let names = (1..=count).map(|number| format!("app{number}.service").parse());
        let running = names.collect::<Result<_, _>>();
        Ok(Self {
            running: running.context("name of a service")?,
            changed: BTreeMap::new(),
        })
    }

    /// Those that are loaded, each with whether it is active.
    pub(super) fn loaded(&self) -> impl Iterator<Item = (&UnitName, bool)> {
        let unchanged = self.running.iter().map(|unit| (unit, true));
        let unchanged = unchanged.filter(|(unit, _)| !self.changed.contains_key(*unit));
        unchanged.chain(self.changed.iter().map(|(unit, active)| (unit, *active)))
    }

    /// Whether a unit is active; `None` when it is not loaded.
    pub(super) fn active(&self, unit: &UnitName) -> Option<bool> {
        let running = || self.running.contains(unit).then_some(true);
        self.changed.get(unit).copied().or_else(running)
    }

    /// Whether it runs without anybody's doing.
    pub(super) fn runs_by_itself(&self, unit: &UnitName) -> bool {
        self.running.contains(unit)
    }

    /// Changes the state of a unit. Yields whether it was loaded before, where it is another state.
    pub(super) fn set(&mut self, unit: &UnitName, active: bool) -> Option<bool> {
        let was = self.active(unit);
        if was == Some(active) {
            return None;
        }
        self.changed.insert(unit.clone(), active);
        Some(was.is_some())
    }

    pub(super) fn rows<'a>(&'a self) -> Vec<Row<'a>> {
        let none = || ObjectPath::from_static_str_unchecked("/");
        let path = || ObjectPath::from_static_str_unchecked("/org/freedesktop/systemd1/unit/fake");
        let row = |(unit, is_active): (&'a UnitName, bool)| {
            let (active, sub) = states(is_active);
            let about = "A unit without a machine";
            let name = unit.as_str();
            (
                name,
                about,
                "loaded",
                active,
                sub,
                "",
                path(),
                0,
                "",
                none(),
            )
        };
        self.loaded().map(row).collect()
    }

    pub(super) fn files(&self) -> Vec<(String, &'static str)> {
        let path = |unit: &UnitName| format!("/etc/systemd/system/{unit}");
        let files = self.loaded().map(|(unit, _)| (path(unit), "enabled"));
        files.collect()
    }

    /// The properties of a unit that a client looks at first.
    pub(super) fn properties(&self, unit: &str) -> HashMap<&'static str, OwnedVariant> {
        let active = unit.parse().ok().and_then(|unit| self.active(&unit));
        let (state, sub) = states(active == Some(true));
        let load = if active.is_some() {
            "loaded"
        } else {
            "not-found"
        };
        let texts = [
            ("Id", unit),
            ("Description", "A unit without a machine"),
            ("LoadState", load),
            ("ActiveState", state),
            ("SubState", sub),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, Variant::from(text).try_into().ok()?)));
        texts.collect()
    }
}

/// `ActiveState` and `SubState`.
pub(super) fn states(active: bool) -> (&'static str, &'static str) {
    if active {
        ("active", "running")
    } else {
        ("inactive", "dead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_loaded_with_its_first_job() {
        let mut units = Units::running(2).unwrap();
        let (own, other) = (
            "app1.service".parse().unwrap(),
            "x.service".parse().unwrap(),
        );
        assert_eq!(units.set(&own, true), None);
        assert_eq!(units.set(&own, false), Some(true));
        assert_eq!(units.set(&other, true), Some(false));
        let loaded: Vec<_> = units
            .loaded()
            .map(|(unit, on)| (unit.as_str(), on))
            .collect();
        let all = [
            ("app2.service", true),
            ("app1.service", false),
            ("x.service", true),
        ];
        assert_eq!(loaded, all);
        assert_eq!(units.rows().len(), 3);
    }
}
