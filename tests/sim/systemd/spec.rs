//! What unit files say, and what the programs of units do.

use std::{fmt, time::Duration};

use proto::name::UnitName;

/// What is written in a unit file. Dependencies have `After=` beside them, but for those that are `unordered`.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Spec {
    pub(crate) requires: Vec<UnitName>,
    pub(crate) wants: Vec<UnitName>,
    pub(crate) binds_to: Vec<UnitName>,
    pub(crate) upholds: Vec<UnitName>,
    pub(crate) requisite: Vec<UnitName>,
    pub(crate) part_of: Vec<UnitName>,
    pub(crate) unordered: Vec<UnitName>,
    pub(crate) stop_when_unneeded: bool,
    pub(crate) behaviour: Behaviour,
}

impl Spec {
    /// What a start pulls in, and whether the start fails with it.
    pub(super) fn pulled(&self) -> impl Iterator<Item = (&UnitName, bool)> {
        let hard = self.requires.iter().chain(&self.binds_to);
        let soft = self.wants.iter().chain(&self.upholds);
        hard.map(|unit| (unit, true))
            .chain(soft.map(|unit| (unit, false)))
    }

    /// What it needs while it is active, so that it is not unneeded.
    pub(super) fn needed(&self) -> impl Iterator<Item = &UnitName> {
        let pulled = self.pulled().map(|(unit, _)| unit);
        pulled.chain(&self.requisite)
    }

    pub(super) fn needs(&self, unit: &UnitName) -> bool {
        self.needed().any(|other| other == unit)
    }

    /// Whether `unit` is written in it.
    pub(super) fn names(&self, unit: &UnitName) -> bool {
        self.needs(unit) || self.part_of.contains(unit)
    }

    /// Whether this one is ordered after `unit`.
    pub(super) fn is_after(&self, unit: &UnitName) -> bool {
        self.names(unit) && !self.unordered.contains(unit)
    }

    /// Whether it only runs, and is never active.
    pub(crate) fn only_runs(&self) -> bool {
        matches!(&self.behaviour, Behaviour::Service(service) if service.once)
    }

    /// What it can only be started with.
    pub(crate) fn hard(&self) -> impl Iterator<Item = &UnitName> {
        let hard = self.requires.iter().chain(&self.binds_to);
        hard.chain(&self.requisite)
    }

    /// Whether a start of `unit` that fails fails this one.
    pub(super) fn requires(&self, unit: &UnitName) -> bool {
        self.hard().any(|other| other == unit)
    }

    /// Whether a stop of `unit` stops this one.
    pub(super) fn stops_with(&self, unit: &UnitName) -> bool {
        self.requires(unit) || self.part_of.contains(unit)
    }
}

/// As a trace begins with it: what a unit file would say, on one line.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, units) in [
            ("Requires", &self.requires),
            ("Wants", &self.wants),
            ("BindsTo", &self.binds_to),
            ("Upholds", &self.upholds),
            ("Requisite", &self.requisite),
            ("PartOf", &self.part_of),
            ("not After", &self.unordered),
        ] {
            for unit in units {
                write!(f, " {word}={unit}")?;
            }
        }
        if self.stop_when_unneeded {
            f.write_str(" StopWhenUnneeded=yes")?;
        }
        match &self.behaviour {
            Behaviour::Service(service) => write!(f, " {service:?}"),
            Behaviour::Proxy | Behaviour::Hold => Ok(()),
        }
    }
}

/// What the programs of a unit do.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Behaviour {
    Service(Service),
    /// `proxy@.service`: its start is decided by the helper.
    Proxy,
    /// `dep@.service`: nothing to run at start, `/bin/true` at stop.
    Hold,
}

#[derive(Clone, Debug, Hash)]
pub(crate) struct Service {
    pub(crate) start: Start,
    pub(crate) start_takes: Duration,
    pub(crate) stop_takes: Duration,
    /// Ends by itself after this time, well or not.
    pub(crate) runs: Option<(Duration, bool)>,
    /// `Restart=always`, with this `RestartSec=`.
    pub(crate) restart: Option<Duration>,
    /// `Type=oneshot` without `RemainAfterExit=yes`: it runs, and is never active.
    pub(crate) once: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            start: Start::Works,
            start_takes: Duration::from_millis(20),
            stop_takes: Duration::from_millis(5),
            runs: None,
            restart: None,
            once: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Start {
    Works,
    Fails,
    Hangs,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Service(Service::default())
    }
}
