//! Restarts of proxies: which holds are restarted with them, and what is spared.

use std::collections::BTreeSet;

use node::{Answer, CallId, ManagerError, ManagerJob, Restarting};
use proto::{
    dbus::systemd,
    model::JobMode,
    name::{HoldName, UnitName, path_element},
};
use tracing::debug;
use zbus::{Message, wire::ObjectPath};

use super::{
    super::{
        cache::{Properties, words},
        pending::Purpose,
    },
    Ended, Session, read,
};

/// The units that systemd restarts with one (`unit_dependency_to_atom()`: what propagates a restart).
const RESTARTED_WITH: [&str; 4] = ["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"];

/// The type of a job that restarts a unit if it is active.
const TRY_RESTART: &str = "try-restart";

/// A job as `EnqueueUnitJob` answers it: number, path, unit, path of the unit, type.
type Enqueued<'a> = (u32, ObjectPath<'a>, &'a str, ObjectPath<'a>, &'a str);

/// The whole answer of `EnqueueUnitJob`: a job, and those that were queued with it.
pub(super) type Answered<'a> = (
    u32,
    ObjectPath<'a>,
    &'a str,
    ObjectPath<'a>,
    &'a str,
    Vec<Enqueued<'a>>,
);

/// A restart that spares something.
#[derive(Debug)]
pub(in super::super) struct Sparing {
    pub(super) call: CallId,
    unit: UnitName,
    starts: bool,
    spared: Vec<UnitName>,
    /// Units that are restarted by themselves and have not been answered.
    missing: usize,
    /// Why one of them is not.
    error: Option<ManagerError>,
    holds: Vec<(UnitName, ManagerJob)>,
}

impl Session {
    /// Begins to restart a proxy.
    pub(super) fn restart(
        &mut self,
        call: CallId,
        unit: UnitName,
        starts: bool,
        spared: Vec<UnitName>,
    ) -> Result<(), Ended> {
        if spared.is_empty() {
            return self.restart_with_all(call, &unit, starts);
        }
        let element = path_element(unit.as_str());
        let path = format!("{}{element}", systemd::UNIT_PATH_PREFIX);
        let sparing = Sparing {
            call,
            unit,
            starts,
            spared,
            missing: 0,
            error: None,
            holds: Vec::new(),
        };
        let purpose = Purpose::Dependents(Box::new(sparing));
        self.call(self.properties(&path), &systemd::UNIT, purpose)
    }

    /// It says what is restarted with it. What is not spared is restarted by itself, then the proxy without any of
    /// them; in this order, so that what stops is down before the proxy is, and starts after it.
    pub(super) fn dependents(
        &mut self,
        mut sparing: Sparing,
        message: &Message,
    ) -> Result<(), Ended> {
        let body = message.body();
        let properties: Properties<'_> = read(&body)?;
        let all = RESTARTED_WITH
            .iter()
            .flat_map(|key| words(&properties, key));
        let all: BTreeSet<String> = all.collect();
        let is_spared = |name: &String| sparing.spared.iter().any(|unit| unit.as_str() == name);
        if !all.iter().any(is_spared) {
            return self.restart_with_all(sparing.call, &sparing.unit, sparing.starts);
        }
        let others: Vec<&String> = all.iter().filter(|name| !is_spared(name)).collect();
        sparing.missing = others.len();
        let call = sparing.call;
        self.sparing.insert(call, sparing);
        for name in others {
            let body = (name.as_str(), TRY_RESTART, JobMode::Fail.as_str());
            self.call(self.manager("EnqueueUnitJob"), &body, Purpose::Part(call))?;
        }
        self.restart_alone(call)
    }

    /// One of the others is restarted, or not.
    pub(super) fn part(
        &mut self,
        call: CallId,
        answer: Result<&Message, ManagerError>,
    ) -> Result<(), Ended> {
        let Some(sparing) = self.sparing.get_mut(&call) else {
            return Ok(());
        };
        sparing.missing = sparing.missing.saturating_sub(1);
        match answer {
            Ok(message) => {
                let (_, holds) = jobs(&read(&message.body())?);
                sparing.holds.extend(holds);
            }
            // Something stands against it for now; the core asks again for all of it.
            Err(error) if error.name == systemd::TRANSACTION_IS_DESTRUCTIVE => {
                sparing.error = Some(error)
            }
            Err(error) => debug!(
                error = error.text,
                "what requires a proxy is not restarted with it"
            ),
        }
        self.restart_alone(call)
    }

    /// Restarts the proxy, when all others have been answered.
    fn restart_alone(&mut self, call: CallId) -> Result<(), Ended> {
        let Some(sparing) = self.sparing.get_mut(&call).filter(|it| it.missing == 0) else {
            return Ok(());
        };
        if let Some(error) = sparing.error.take() {
            self.sparing.remove(&call);
            self.tell_answer(call, Err(error));
            return Ok(());
        }
        let (unit, kind) = (sparing.unit.clone(), kind(sparing.starts));
        let body = (unit.as_str(), kind, JobMode::IgnoreRequirements.as_str());
        let purpose = Purpose::Restart(call);
        self.call(self.manager("EnqueueUnitJob"), &body, purpose)
    }

    fn restart_with_all(
        &mut self,
        call: CallId,
        unit: &UnitName,
        starts: bool,
    ) -> Result<(), Ended> {
        let body = (unit.as_str(), kind(starts), JobMode::Fail.as_str());
        let purpose = Purpose::Restart(call);
        self.call(self.manager("EnqueueUnitJob"), &body, purpose)
    }

    /// The restart of the proxy is queued, or not.
    pub(super) fn restarted(
        &mut self,
        call: CallId,
        answer: Result<&Message, ManagerError>,
    ) -> Result<(), Ended> {
        let sparing = self.sparing.remove(&call);
        let alone = sparing.is_some();
        let answer = match answer {
            Ok(message) => {
                let (job, more) = jobs(&read(&message.body())?);
                let mut holds = sparing.map(|sparing| sparing.holds).unwrap_or_default();
                holds.extend(more);
                Ok(Answer::Restarting(Restarting { job, alone, holds }))
            }
            Err(error) => Err(error),
        };
        self.tell_answer(call, answer);
        Ok(())
    }
}

/// The type of the job.
fn kind(starts: bool) -> &'static str {
    if starts { "restart" } else { TRY_RESTART }
}

/// A job, and the hold units that have theirs from the same transaction.
fn jobs((job, _, unit, _, _, others): &Answered<'_>) -> (ManagerJob, Vec<(UnitName, ManagerJob)>) {
    let others = others.iter().map(|(job, _, unit, _, _)| (*job, *unit));
    let all = others.chain([(*job, *unit)]);
    let holds = all.filter_map(|(job, unit)| {
        let unit: UnitName = unit.parse().ok()?;
        HoldName::parse(&unit)?;
        Some((unit, ManagerJob(job)))
    });
    (ManagerJob(*job), holds.collect())
}
