//! A unit as its node tells it, with what explains it.

use std::time::Duration;

use proto::name::NodeName;
use zbus::wire::OwnedVariant;

use crate::{
    facts::Facts,
    fleet::Target,
    graph::{self, Relation},
};

/// What starts a unit, or keeps it: who says so is one of its users.
const USERS: &[Relation] = &[
    Relation::Requires,
    Relation::BindsTo,
    Relation::Upholds,
    Relation::Wants,
    Relation::Requisite,
];

/// What can keep a unit from running.
const NEEDS: &[Relation] = &[
    Relation::Requires,
    Relation::BindsTo,
    Relation::Requisite,
    Relation::Wants,
    Relation::Upholds,
];

/// A unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) load: String,
    /// Why it could not be loaded.
    pub(crate) load_error: String,
    pub(crate) active: String,
    pub(crate) sub: String,
    pub(crate) age: Option<Duration>,
    /// Whether it has been in another state since its node booted.
    pub(crate) has_run: bool,
    pub(crate) result: String,
    /// `CLD_EXITED` (1) or a signal, and the status or the signal.
    pub(crate) exit: (i32, i32),
    pub(crate) status_text: String,
    pub(crate) has_job: bool,
    pub(crate) stops_when_unneeded: bool,
    /// `ConditionPathExists=/x`, or an assertion, which did not hold when it was started last.
    pub(crate) unmet: Option<String>,
    /// How often it may be started within which time.
    pub(crate) start_limit: (u32, Duration),
    pub(crate) triggered_by: Vec<Target>,
    /// Who needs it on its node.
    pub(crate) users: Vec<(Relation, Target)>,
    /// What it needs on its node.
    pub(crate) needs: Vec<(Relation, Target)>,
}

impl Told {
    /// Reads all properties of a unit.
    pub(crate) fn from_facts(node: &NodeName, facts: &Facts) -> Self {
        let on = |property: &str| graph::on(node, &facts.texts(property));
        let each = |relations: &[Relation], property: fn(Relation) -> &'static str| {
            let named = relations.iter().flat_map(|relation| {
                let units = on(property(*relation)).into_iter();
                units.map(|unit| (*relation, unit)).collect::<Vec<_>>()
            });
            named.collect::<Vec<_>>()
        };
        let entered = |property: &str| facts.u64(property).is_some_and(|at| at > 0);
        Self {
            load: facts.text("LoadState"),
            load_error: load_error(facts),
            active: facts.text("ActiveState"),
            sub: facts.text("SubState"),
            age: facts.span("StateAgeUSec"),
            has_run: entered("InactiveEnterTimestamp") || entered("ActiveEnterTimestamp"),
            result: facts.text("Result"),
            exit: (
                facts.i32("ExecMainCode").unwrap_or_default(),
                facts.i32("ExecMainStatus").unwrap_or_default(),
            ),
            status_text: facts.text("StatusText"),
            has_job: job(facts),
            stops_when_unneeded: facts.flag("StopWhenUnneeded").unwrap_or(false),
            unmet: unmet(facts, "Condition", "Conditions")
                .or_else(|| unmet(facts, "Assert", "Asserts")),
            start_limit: (
                facts.u32("StartLimitBurst").unwrap_or_default(),
                facts.span("StartLimitIntervalUSec").unwrap_or_default(),
            ),
            triggered_by: on("TriggeredBy"),
            users: each(USERS, Relation::inverse),
            needs: each(NEEDS, Relation::as_str),
        }
    }

    /// Whether it is up.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }
}

fn load_error(facts: &Facts) -> String {
    let error = facts.0.get("LoadError").cloned();
    let error = error.and_then(|value| <(String, String)>::try_from(value).ok());
    error.map(|(_, text)| text).unwrap_or_default()
}

/// Whether a job of the service manager is queued for it: `Job (uo)`, 0 for none.
fn job(facts: &Facts) -> bool {
    let value: Option<OwnedVariant> = facts.0.get("Job").cloned();
    let job = value.and_then(|value| {
        let structure = zbus::wire::Structure::try_from(value).ok()?;
        u32::try_from(structure.fields().first()?).ok()
    });
    job.is_some_and(|job| job > 0)
}

/// The first condition that did not hold: `a(sbbsi)`, type, whether one of several is enough,
/// negated, parameter, and how it was: below 0 if it did not hold, org.freedesktop.systemd1(5).
fn unmet(facts: &Facts, kind: &str, list: &str) -> Option<String> {
    let checked = facts.u64(&format!("{kind}Timestamp"))? > 0;
    if !checked || facts.flag(&format!("{kind}Result"))? {
        return None;
    }
    let all = facts.0.get(list).cloned();
    let all = all.and_then(|value| Vec::<(String, bool, bool, String, i32)>::try_from(value).ok());
    let failed = all.unwrap_or_default().into_iter().find(|it| it.4 < 0);
    Some(match failed {
        Some((what, _, negated, parameter, _)) => {
            format!("{what}={}{parameter}", if negated { "!" } else { "" })
        }
        None => format!("{kind}…="),
    })
}
