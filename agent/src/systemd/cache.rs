//! What systemd says about units: properties read, and the states of proxies and holds kept up to
//! date from changes that name only some of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use node::{ActiveState, Description, ManagerJob, UnitState};
use proto::{
    dbus::systemd,
    model::Token,
    name::{HoldName, ProxyName, UnitName, path_element_decode},
};
use zbus::wire::{ObjectPath, Variant};

/// Patterns of the units that matter, for `ListUnitsByPatterns`.
pub(super) const PATTERNS: [&str; 5] = [
    "proxy@*.service",
    "bluechi-proxy@*.service",
    "conflict@*.service",
    "dep@*.service",
    "dep-unit@*.service",
];

/// Below it, one object for each job.
pub(super) const JOB_PATH_PREFIX: &str = "/org/freedesktop/systemd1/job/";

/// Properties as they are in a message.
pub(super) type Properties<'a> = HashMap<&'a str, Variant<'a>>;

/// Whether a unit is one of those that matter.
pub(super) fn matters(name: &str) -> bool {
    PATTERNS
        .iter()
        .filter_map(|pattern| pattern.split_once('*'))
        .any(|(start, end)| {
            name.strip_prefix(start)
                .is_some_and(|rest| rest.ends_with(end))
        })
}

/// The unit at a path, if it matters.
pub(super) fn unit_at(path: &str) -> Option<UnitName> {
    let name = name_at(path)?;
    if matters(&name) {
        name.parse().ok()
    } else {
        None
    }
}

/// The name of the unit at a path.
pub(super) fn name_at(path: &str) -> Option<String> {
    path_element_decode(path.strip_prefix(systemd::UNIT_PATH_PREFIX)?)
}

/// The job at a path.
pub(super) fn job_at(path: &str) -> Option<ManagerJob> {
    path.strip_prefix(JOB_PATH_PREFIX)?
        .parse()
        .ok()
        .map(ManagerJob)
}

/// States of units that matter.
#[derive(Debug, Default)]
pub(super) struct Cache {
    units: BTreeMap<UnitName, UnitState>,
    /// Units whose hold units have no file, such as masked ones: systemd has forgotten what these are bound to.
    unbound: BTreeSet<UnitName>,
}

impl Cache {
    /// Takes what a list says of a unit; 0 is no job. The list does not say which run it is in.
    pub(super) fn list(
        &mut self,
        name: &UnitName,
        load: &str,
        active: &str,
        job: u32,
    ) -> UnitState {
        if let Some(hold) = HoldName::parse(name) {
            if load == "loaded" {
                self.unbound.remove(hold.unit());
            } else {
                self.unbound.insert(hold.unit().clone());
            }
        }
        let state = self.units.entry(name.clone()).or_insert_with(|| UnitState {
            name: name.clone(),
            active: ActiveState::Inactive,
            job: None,
            invocation: None,
        });
        if let Ok(active) = active.parse() {
            state.active = active;
        }
        state.job = (job != 0).then_some(ManagerJob(job));
        state.clone()
    }

    /// Takes the run that a unit is in, unless it was told meanwhile. `None` where the unit is not
    /// known.
    pub(super) fn run(&mut self, name: &UnitName, invocation: &[u8]) -> Option<UnitState> {
        let state = self.units.get_mut(name)?;
        if state.invocation.is_none() {
            state.invocation = <[u8; 16]>::try_from(invocation).ok().map(Token);
        }
        Some(state.clone())
    }

    /// Takes those that have changed. `None` where the unit is not known.
    pub(super) fn change(
        &mut self,
        name: &UnitName,
        properties: &Properties<'_>,
    ) -> Option<UnitState> {
        let state = self.units.get_mut(name)?;
        apply(state, properties);
        Some(state.clone())
    }

    /// A job was queued or has ended.
    pub(super) fn job(&mut self, name: &UnitName, job: ManagerJob, queued: bool) {
        if let Some(state) = self.units.get_mut(name) {
            if queued {
                state.job = Some(job);
            } else if state.job == Some(job) {
                state.job = None;
            }
        }
    }

    pub(super) fn remove(&mut self, name: &UnitName) -> bool {
        if let Some(hold) = HoldName::parse(name) {
            self.unbound.remove(hold.unit());
        }
        self.units.remove(name).is_some()
    }

    /// Units whose hold units are bound to nothing.
    pub(super) fn unbound(&self) -> impl Iterator<Item = &UnitName> {
        self.unbound.iter()
    }

    /// Whether these changes say of a unit of this name that it is not active, while its hold unit is bound to
    /// nothing.
    pub(super) fn ends_unbound(&self, name: &str, properties: &Properties<'_>) -> Option<UnitName> {
        let active: ActiveState = text(properties, "ActiveState")?.parse().ok()?;
        let is_down = match active {
            ActiveState::Inactive | ActiveState::Failed => true,
            ActiveState::Active | ActiveState::Activating | ActiveState::Deactivating => false,
        };
        let unit = self.unbound.iter().find(|unit| unit.as_str() == name);
        unit.filter(|_| is_down).cloned()
    }

    pub(super) fn states(&self) -> Vec<UnitState> {
        self.units.values().cloned().collect()
    }
}

fn apply(state: &mut UnitState, properties: &Properties<'_>) {
    if let Some(active) = text(properties, "ActiveState")
        && let Ok(active) = active.parse()
    {
        state.active = active;
    }
    if let Some(job) = properties.get("Job").and_then(job_of) {
        state.job = (job.0 != 0).then_some(job);
    }
    if let Some(bytes) = properties.get("InvocationID").and_then(bytes_of) {
        state.invocation = <[u8; 16]>::try_from(bytes).ok().map(Token);
    }
}

/// The property `Job`, `(uo)`; 0 is none.
fn job_of(value: &Variant<'_>) -> Option<ManagerJob> {
    let (id, _): (u32, ObjectPath<'_>) = value.downcast_ref().ok()?;
    Some(ManagerJob(id))
}

/// An array of bytes.
pub(super) fn bytes_of(value: &Variant<'_>) -> Option<Vec<u8>> {
    Vec::<u8>::try_from(value.try_clone().ok()?).ok()
}

fn text<'a>(properties: &'a Properties<'_>, key: &str) -> Option<&'a str> {
    properties.get(key)?.downcast_ref::<&str>().ok()
}

fn number(properties: &Properties<'_>, key: &str) -> i32 {
    let value = properties
        .get(key)
        .and_then(|value| value.downcast_ref::<i32>().ok());
    value.unwrap_or(0)
}

/// Why a unit is as it is, from all its properties.
pub(super) fn description(properties: &Properties<'_>) -> Description {
    let word = |key| text(properties, key).unwrap_or_default().to_owned();
    let checked = properties
        .get("ConditionTimestampMonotonic")
        .and_then(|value| value.downcast_ref::<u64>().ok())
        .is_some_and(|at| at > 0);
    let held = properties
        .get("ConditionResult")
        .and_then(|value| value.downcast_ref::<bool>().ok())
        .unwrap_or(true);
    let load_error = properties.get("LoadError").and_then(|value| {
        let (_, text): (String, String) = value.downcast_ref().ok()?;
        Some(text)
    });
    Description {
        load: word("LoadState"),
        load_error: load_error.unwrap_or_default(),
        active: word("ActiveState"),
        // auto-restart-queued is what systemd 254 says in the moment of the restart itself.
        restarts: text(properties, "SubState").is_some_and(|sub| sub.starts_with("auto-restart")),
        job: properties
            .get("Job")
            .and_then(job_of)
            .is_some_and(|job| job.0 != 0),
        result: word("Result"),
        reload: word("ReloadResult"),
        status: word("StatusText"),
        exec_code: number(properties, "ExecMainCode"),
        exec_status: number(properties, "ExecMainStatus"),
        condition_failed: checked && !held,
        once: text(properties, "Type") == Some("oneshot")
            && properties
                .get("RemainAfterExit")
                .and_then(|value| value.downcast_ref::<bool>().ok())
                == Some(false),
        proxies: ["Requires", "Requisite", "BindsTo"]
            .iter()
            .flat_map(|key| proxies(properties, key))
            .collect(),
    }
}

/// A list of units.
pub(super) fn words(properties: &Properties<'_>, key: &str) -> Vec<String> {
    properties
        .get(key)
        .and_then(|value| value.try_clone().ok())
        .and_then(|value| value.try_into().ok())
        .unwrap_or_default()
}

/// The proxies in a list of units, by their own names.
fn proxies(properties: &Properties<'_>, key: &str) -> Vec<UnitName> {
    let names = words(properties, key);
    let proxies = names.iter().filter_map(|name| ProxyName::parse(name).ok());
    proxies.map(|proxy| proxy.name().clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("proxy@b_t.service", true)]
    #[test_case("bluechi-proxy@b_t.service", true)]
    #[test_case("dep-unit@a.socket.service", true)]
    #[test_case("dep@.service", true)]
    #[test_case("proxy@b_t.target", false)]
    #[test_case("my-proxy@b_t.service", false)]
    fn units_that_matter_are_known_by_their_names(name: &str, matter: bool) {
        assert_eq!(matters(name), matter);
    }

    #[test_case(
        "/org/freedesktop/systemd1/unit/dep_40a_2eb_2eservice",
        Some("dep@a.b.service")
    )]
    #[test_case("/org/freedesktop/systemd1/unit/a_2eservice", None; "another unit")]
    #[test_case("/org/freedesktop/systemd1", None; "no unit")]
    fn units_are_known_by_their_paths(path: &str, name: Option<&str>) {
        assert_eq!(unit_at(path).as_ref().map(UnitName::as_str), name);
    }

    #[test_case("/org/freedesktop/systemd1/job/17", Some(ManagerJob(17)))]
    #[test_case("/org/freedesktop/systemd1/job/x", None)]
    fn jobs_are_known_by_their_paths(path: &str, job: Option<ManagerJob>) {
        assert_eq!(job_at(path), job);
    }

    fn properties(active: &'static str, job: u32, id: &[u8]) -> Properties<'static> {
        let path = ObjectPath::try_from("/").expect("path");
        HashMap::from([
            ("ActiveState", Variant::from(active)),
            ("Job", Variant::from((job, path))),
            ("InvocationID", Variant::from(id.to_vec())),
        ])
    }

    #[test]
    fn changes_name_only_what_has_changed() {
        let mut cache = Cache::default();
        let name: UnitName = "dep@t.service".parse().expect("name");
        let state = cache.list(&name, "loaded", "activating", 7);
        assert_eq!((state.job, state.invocation), (Some(ManagerJob(7)), None));
        cache.run(&name, &[1; 16]).expect("known");
        // What was told meanwhile is newer than what was asked for.
        let state = cache.run(&name, &[2; 16]).expect("known");
        assert_eq!(state.invocation, Some(Token([1; 16])));
        let change = HashMap::from([("ActiveState", Variant::from("active"))]);
        let state = cache.change(&name, &change).expect("known");
        assert_eq!(
            (state.active, state.invocation),
            (ActiveState::Active, Some(Token([1; 16])))
        );
        let state = cache
            .change(&name, &properties("inactive", 0, &[]))
            .expect("known");
        assert_eq!((state.job, state.invocation), (None, None));
        let other = "dep@u.service".parse().expect("name");
        assert_eq!(cache.change(&other, &change), None);
    }

    #[test_case("masked", "failed", true)]
    #[test_case("not-found", "inactive", true; "without a file")]
    #[test_case("masked", "deactivating", false; "still on its way")]
    #[test_case("loaded", "failed", false; "bound")]
    fn the_end_of_a_unit_counts_whose_hold_unit_is_bound_to_nothing(
        load: &str,
        active: &'static str,
        counts: bool,
    ) {
        let mut cache = Cache::default();
        let hold: UnitName = "dep@t.service".parse().expect("name");
        cache.list(&hold, load, "active", 0);
        let change = HashMap::from([("ActiveState", Variant::from(active))]);
        let ends = |cache: &Cache, name| cache.ends_unbound(name, &change).is_some();
        assert_eq!(ends(&cache, "t.service"), counts);
        assert!(!ends(&cache, "u.service"));
        assert_eq!(cache.unbound().count(), usize::from(load != "loaded"));
        cache.remove(&hold);
        assert_eq!(cache.unbound().count(), 0);
    }

    #[test]
    fn a_description_is_read_from_all_properties() {
        let read = description(&HashMap::from([
            ("LoadState", Variant::from("loaded")),
            ("LoadError", Variant::from(("", "text"))),
            ("Result", Variant::from("exit-code")),
            ("ExecMainCode", Variant::from(1_i32)),
            ("ExecMainStatus", Variant::from(3_i32)),
            ("ConditionResult", Variant::from(false)),
            ("ConditionTimestampMonotonic", Variant::from(5_u64)),
        ]));
        assert_eq!(
            (read.exec_code, read.exec_status, read.condition_failed),
            (1, 3, true)
        );
        assert_eq!(
            (read.result.as_str(), read.load_error.as_str()),
            ("exit-code", "text")
        );
    }
}
