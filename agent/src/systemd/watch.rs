//! Which units the controller wants to hear of, and what it was told of them. It outlives a session
//! with systemd: after a `daemon-reexec` only what has changed is told.

use std::collections::{BTreeMap, BTreeSet};

use proto::name::UnitName;
use zbus::Message;

use crate::limits::UNITS_KNOWN_MAX;

/// A unit, or all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    All,
    One(UnitName),
}

/// What the controller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watching {
    /// It wants to hear of these.
    Begin(Which),
    /// It does not any more.
    End(Which),
    /// It is gone.
    Forget,
}

/// Something that the controller is told of a unit.
#[derive(Clone, Debug)]
pub(crate) enum UnitSignal {
    New {
        unit: String,
        reason: &'static str,
    },
    Removed {
        unit: String,
    },
    State {
        unit: String,
        active: String,
        sub: String,
        reason: &'static str,
    },
    /// Properties have changed: systemd's own signal.
    Properties {
        unit: String,
        said: Message,
    },
}

/// What systemd is to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    which: Option<BTreeSet<String>>,
    reason: &'static str,
}

impl Scope {
    /// Patterns of the units; all, where there are none. Nothing that means more than itself in a
    /// pattern is allowed in the name of a unit, since systemd takes backslashes as they are
    /// (`FNM_NOESCAPE` of fnmatch(3)).
    pub(super) fn patterns(&self) -> Vec<String> {
        self.which.iter().flatten().cloned().collect()
    }

    fn covers(&self, unit: &str) -> bool {
        match &self.which {
            None => true,
            Some(units) => units.contains(unit),
        }
    }
}

/// `ActiveState` and `SubState`, where they were told.
type Told = Option<(String, String)>;

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Watch {
    all: bool,
    units: BTreeSet<String>,
    /// Units that are loaded.
    known: BTreeMap<String, Told>,
}

const REAL: &str = "real";
const VIRTUAL: &str = "virtual";

impl Watch {
    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.units.is_empty()
    }

    pub(super) fn wants(&self, unit: &str) -> bool {
        self.all || self.units.contains(unit)
    }

    /// Takes in what the controller asks for; what it is then to be told of.
    pub(super) fn change(&mut self, watching: Watching) -> Option<Scope> {
        let reason = VIRTUAL;
        match watching {
            Watching::Begin(Which::All) => {
                self.all = true;
                let which = None;
                return Some(Scope { which, reason });
            }
            Watching::Begin(Which::One(unit)) => {
                let unit = unit.as_str().to_owned();
                self.units.insert(unit.clone());
                let which = Some(BTreeSet::from([unit]));
                return Some(Scope { which, reason });
            }
            Watching::End(Which::All) => self.all = false,
            Watching::End(Which::One(unit)) => drop(self.units.remove(unit.as_str())),
            Watching::Forget => *self = Self::default(),
        }
        let known = std::mem::take(&mut self.known);
        let wanted = known.into_iter().filter(|(unit, _)| self.wants(unit));
        self.known = wanted.collect();
        None
    }

    /// Everything, after a time in which systemd was not heard.
    pub(super) fn again(&self) -> Option<Scope> {
        if self.is_empty() {
            return None;
        }
        Some(Scope {
            which: (!self.all).then(|| self.units.clone()),
            reason: REAL,
        })
    }

    /// A unit is loaded.
    pub(super) fn loaded(&mut self, unit: &str) -> Option<UnitSignal> {
        if !self.wants(unit) || self.known.contains_key(unit) {
            return None;
        }
        self.know(unit, None);
        Some(new(unit, REAL))
    }

    /// It is not any more.
    pub(super) fn removed(&mut self, unit: &str) -> Option<UnitSignal> {
        let unit = unit.to_owned();
        self.known
            .remove(&unit)
            .map(|_| UnitSignal::Removed { unit })
    }

    /// Its state is this.
    pub(super) fn state(&mut self, unit: &str, active: &str, sub: &str) -> Option<UnitSignal> {
        let told = self.known.get_mut(unit)?;
        let state = (active.to_owned(), sub.to_owned());
        if told.as_ref() == Some(&state) {
            return None;
        }
        *told = Some(state);
        Some(in_state(unit, active, sub, REAL))
    }

    /// These are all units in the scope that are loaded, with their states.
    pub(super) fn listed<'a>(
        &mut self,
        scope: &Scope,
        units: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Vec<UnitSignal> {
        let mut signals = Vec::new();
        let mut gone: BTreeSet<String> = self
            .known
            .keys()
            .filter(|unit| scope.covers(unit))
            .cloned()
            .collect();
        for (unit, active, sub) in units {
            gone.remove(unit);
            // It may not be wanted any more by now.
            if !self.wants(unit) {
                continue;
            }
            let is_new = !self.known.contains_key(unit);
            if is_new {
                self.know(unit, None);
            }
            // Who begins to listen is told everything, also what others were told before.
            if is_new || scope.reason == VIRTUAL {
                signals.push(new(unit, scope.reason));
            }
            let changed = self.state(unit, active, sub).is_some();
            if is_new || changed || scope.reason == VIRTUAL {
                signals.push(in_state(unit, active, sub, scope.reason));
            }
        }
        for unit in gone {
            signals.extend(self.removed(&unit));
        }
        signals
    }

    fn know(&mut self, unit: &str, told: Told) {
        if self.known.len() < UNITS_KNOWN_MAX {
            self.known.insert(unit.to_owned(), told);
        }
    }
}

fn new(unit: &str, reason: &'static str) -> UnitSignal {
    let unit = unit.to_owned();
    UnitSignal::New { unit, reason }
}

fn in_state(unit: &str, active: &str, sub: &str, reason: &'static str) -> UnitSignal {
    UnitSignal::State {
        unit: unit.to_owned(),
        active: active.to_owned(),
        sub: sub.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(unit: &str) -> Which {
        Which::One(unit.parse().expect("name"))
    }

    fn line(signal: UnitSignal) -> String {
        match signal {
            UnitSignal::New { unit, reason } => format!("{unit} new {reason}"),
            UnitSignal::Removed { unit } => format!("{unit} removed"),
            UnitSignal::State {
                unit,
                active,
                sub,
                reason,
            } => format!("{unit} {active} {sub} {reason}"),
            UnitSignal::Properties { unit, .. } => format!("{unit} properties"),
        }
    }

    fn lines(signals: impl IntoIterator<Item = UnitSignal>) -> Vec<String> {
        signals.into_iter().map(line).collect()
    }

    #[test]
    fn nothing_is_told_of_what_nobody_wants() {
        let mut watch = Watch::default();
        assert!(watch.loaded("a.service").is_none());
        watch.change(Watching::Begin(one("b.service")));
        assert!(watch.loaded("a.service").is_none());
        assert!(watch.state("a.service", "active", "running").is_none());
        assert_eq!(lines(watch.loaded("b.service")), ["b.service new real"]);
        watch.change(Watching::End(one("b.service")));
        assert!(watch.is_empty() && watch.removed("b.service").is_none());
    }

    #[test]
    fn a_state_is_told_when_it_is_another_one() {
        let mut watch = Watch::default();
        watch.change(Watching::Begin(Which::All));
        watch.loaded("a.service");
        let told = watch.state("a.service", "active", "running");
        assert_eq!(lines(told), ["a.service active running real"]);
        assert!(watch.state("a.service", "active", "running").is_none());
    }

    #[test]
    fn who_begins_to_listen_is_told_how_it_is() {
        let mut watch = Watch::default();
        let scope = watch
            .change(Watching::Begin(one("a\\x2d1.service")))
            .expect("to list");
        assert_eq!(scope.patterns(), ["a\\x2d1.service"]);
        let listed = [("a\\x2d1.service", "active", "running")];
        let told = lines(watch.listed(&scope, listed.into_iter()));
        assert_eq!(
            told,
            [
                "a\\x2d1.service new virtual",
                "a\\x2d1.service active running virtual"
            ]
        );
        let scope = watch.change(Watching::Begin(Which::All)).expect("to list");
        assert!(scope.patterns().is_empty());
        assert_eq!(lines(watch.listed(&scope, listed.into_iter())), told);
    }

    #[test]
    fn after_a_silence_only_what_has_changed_is_told() {
        let mut watch = Watch::default();
        let scope = watch.change(Watching::Begin(Which::All)).expect("to list");
        let before = [
            ("a.service", "active", "running"),
            ("b.service", "active", "running"),
        ];
        watch.listed(&scope, before.into_iter());
        let scope = watch.again().expect("to list");
        let after = [
            ("b.service", "failed", "failed"),
            ("c.service", "inactive", "dead"),
        ];
        assert_eq!(
            lines(watch.listed(&scope, after.into_iter())),
            [
                "b.service failed failed real",
                "c.service new real",
                "c.service inactive dead real",
                "a.service removed"
            ]
        );
        watch.change(Watching::Forget);
        assert_eq!(watch.again(), None);
    }
}
