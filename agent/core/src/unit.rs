//! What is known of the units of this node that matter here: proxies and holds.

use std::{collections::BTreeMap, fmt, str::FromStr};

use proto::{model::Token, name::UnitName};
use thiserror::Error;

use crate::limits::UNITS_MAX;

/// The number that systemd gave a job: the last element of its object path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManagerJob(pub u32);

impl fmt::Display for ManagerJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The property `ActiveState` of a unit, org.freedesktop.systemd1(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActiveState {
    /// `active`, and `reloading` and `refreshing`, in which a unit is as active as before.
    Active,
    /// `activating`
    Activating,
    /// `deactivating`
    Deactivating,
    /// `inactive`
    Inactive,
    /// `failed`, and `maintenance`, in which a unit is just as little active.
    Failed,
}

/// A text that is no `ActiveState` of systemd's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is no ActiveState of systemd's")]
pub struct ActiveStateError(String);

impl FromStr for ActiveState {
    type Err = ActiveStateError;

    fn from_str(text: &str) -> Result<Self, ActiveStateError> {
        match text {
            "active" | "reloading" | "refreshing" => Ok(Self::Active),
            "activating" => Ok(Self::Activating),
            "deactivating" => Ok(Self::Deactivating),
            "inactive" => Ok(Self::Inactive),
            "failed" | "maintenance" => Ok(Self::Failed),
            other => Err(ActiveStateError(other.chars().take(32).collect())),
        }
    }
}

/// How systemd says that a unit is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnitState {
    /// Its name (the property `Id`).
    pub name: UnitName,
    /// Whether it is active.
    pub active: ActiveState,
    /// The job that is queued for it. A unit that is not active and has one is about to start: a
    /// job to stop it ends as soon as it is not active, and a restart becomes a start at that moment.
    pub job: Option<ManagerJob>,
    /// The run that it is in or was in last (the property `InvocationID`).
    pub invocation: Option<Token>,
}

/// The units in view.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Units {
    /// Whether the service manager is connected, so that what is known is true.
    pub(crate) connected: bool,
    known: BTreeMap<UnitName, UnitState>,
}

impl Units {
    /// Begins a new view: what was known is forgotten.
    pub(crate) fn connected(&mut self) {
        self.connected = true;
        self.known.clear();
    }

    /// Takes in the state of a unit. Returns false where there is no room for one more.
    pub(crate) fn put(&mut self, state: UnitState) -> bool {
        if self.known.len() >= UNITS_MAX && !self.known.contains_key(&state.name) {
            return false;
        }
        self.known.insert(state.name.clone(), state);
        true
    }

    pub(crate) fn gone(&mut self, unit: &UnitName) {
        self.known.remove(unit);
    }

    pub(crate) fn get(&self, unit: &UnitName) -> Option<&UnitState> {
        self.known.get(unit)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &UnitName> {
        self.known.keys()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// A job was queued. Returns the state of its unit, if it is in view.
    pub(crate) fn job_new(&mut self, unit: &UnitName, job: ManagerJob) -> Option<UnitState> {
        let state = self.known.get_mut(unit)?;
        state.job = Some(job);
        Some(state.clone())
    }

    /// A job has ended. Returns the state of its unit, if it is in view and this was its job.
    pub(crate) fn job_removed(&mut self, unit: &UnitName, job: ManagerJob) -> Option<UnitState> {
        let state = self.known.get_mut(unit)?;
        if state.job != Some(job) {
            return None;
        }
        state.job = None;
        Some(state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("active", ActiveState::Active)]
    #[test_case("reloading", ActiveState::Active)]
    #[test_case("maintenance", ActiveState::Failed)]
    fn words_of_systemd_are_read(text: &str, state: ActiveState) {
        assert_eq!(text.parse(), Ok(state));
    }

    #[test]
    fn another_word_is_refused() {
        assert!("Active".parse::<ActiveState>().is_err());
    }
}
