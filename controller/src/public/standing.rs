//! How claims, holds and jobs stand, as dictionaries: what may grow without another signature.

use fleet::{ClaimView, EndedJob, EndedView, Fleet, HoldView, Job};
use host::bus::object::{Facts, facts, variant};
use proto::{
    message::Attempt,
    model::{ClaimState, JobId, Reason},
    name::{NodeName, UnitName},
    time::Moment,
};
use zbus::wire::ObjectPath;

use super::{body::micros, object::job_path};

/// The claims of one node, or of all.
pub(super) fn claims(fleet: &Fleet, of: Option<&NodeName>, now: Moment) -> Vec<Facts> {
    let facts = |claim: ClaimView<'_>| claim_facts(&claim, now);
    match of {
        Some(node) => fleet.claims_of(node).map(facts).collect(),
        None => fleet.claims().map(facts).collect(),
    }
}

/// How claims have ended.
pub(super) fn ended_claims(fleet: &Fleet, now: Moment) -> Vec<Facts> {
    fleet
        .ended()
        .map(|it| ended_claim_facts(&it, now))
        .collect()
}

/// The holds on one node, or on all.
pub(super) fn holds(fleet: &Fleet, on: Option<&NodeName>, now: Moment) -> Vec<Facts> {
    let facts = |hold: HoldView<'_>| hold_facts(&hold, now);
    match on {
        Some(node) => fleet.holds_on(node).map(facts).collect(),
        None => fleet.holds().map(facts).collect(),
    }
}

/// All jobs that are announced.
pub(super) fn jobs(fleet: &Fleet, now: Moment) -> Vec<Facts> {
    fleet.jobs().map(|job| job_facts(job, now)).collect()
}

/// A job, whether it has ended or not.
pub(super) fn job(fleet: &Fleet, id: JobId, now: Moment) -> Facts {
    let open = fleet.job(id).map(|job| job_facts(job, now));
    let known = open.or_else(|| fleet.ended_job(id).map(|ended| ended_facts(ended, now)));
    // It cannot be that neither is known of a job that was just said to be; there are its number and its path.
    known.unwrap_or_else(|| {
        let path = ObjectPath::from_string_unchecked(job_path(id));
        facts([("Id", variant(id.0)), ("Path", variant(path))])
    })
}

/// The jobs of a unit, with those that have ended, and whether these are all that its node knows of.
pub(super) fn found_jobs(
    fleet: &Fleet,
    node: &NodeName,
    unit: &UnitName,
    now: Moment,
) -> (&'static str, Vec<Facts>) {
    let known = fleet.jobs_known(node, now);
    let known = known.map_or("yes", fleet::JobsKnown::as_str);
    let open = fleet.jobs_on(node).filter(|job| job.unit == *unit);
    let mut found: Vec<Facts> = open.map(|job| job_facts(job, now)).collect();
    let ended = fleet.ended_jobs(node, unit);
    found.extend(ended.map(|ended| ended_facts(ended, now)));
    (known, found)
}

fn ended_facts(job: &EndedJob, now: Moment) -> Facts {
    let path = ObjectPath::from_string_unchecked(job_path(job.id));
    let reason = job.reason.as_ref();
    facts([
        ("Id", variant(job.id.0)),
        ("Path", variant(path)),
        ("Node", variant(job.node.as_str())),
        ("Unit", variant(job.unit.as_str())),
        ("JobType", variant(job.kind.as_str())),
        ("State", variant("ended")),
        ("AgeUSec", variant(micros(now.since(job.since)))),
        ("Result", variant(job.result.as_str())),
        ("Cause", variant(reason.map_or("", |it| it.cause.as_str()))),
        ("Reason", variant(reason.map_or("", |it| it.text.as_str()))),
    ])
}

fn claim_facts(claim: &ClaimView<'_>, now: Moment) -> Facts {
    let mut known = facts([
        ("Source", variant(claim.source.as_str())),
        ("Node", variant(claim.claim.node.as_str())),
        ("Unit", variant(claim.claim.unit.as_str())),
        ("Token", variant(claim.token.to_string())),
        ("AttemptAgeUSec", variant(micros(now.since(claim.since)))),
        ("StateAgeUSec", variant(micros(now.since(claim.changed)))),
    ]);
    known.extend(state_facts(Some(claim.state)));
    known.extend(end_facts(claim.gives_up, now));
    if let Some(timeout) = claim.start_timeout {
        known.extend(facts([("StartTimeoutUSec", variant(micros(timeout)))]));
    }
    known
}

fn ended_claim_facts(ended: &EndedView<'_>, now: Moment) -> Facts {
    let mut known = facts([
        ("Source", variant(ended.source.as_str())),
        ("Node", variant(ended.claim.node.as_str())),
        ("Unit", variant(ended.claim.unit.as_str())),
        ("Expired", variant(ended.expired)),
        ("EndAgeUSec", variant(micros(now.since(ended.at)))),
    ]);
    known.extend(state_facts(Some(ended.state)));
    known
}

fn hold_facts(hold: &HoldView<'_>, now: Moment) -> Facts {
    let attempt = match hold.attempt {
        Attempt::Start => "start",
        Attempt::Keep => "keep",
    };
    let mut known = facts([
        ("Node", variant(hold.node.as_str())),
        ("Unit", variant(hold.hold.unit.as_str())),
        ("Source", variant(hold.hold.source.as_str())),
        ("Token", variant(hold.token.to_string())),
        ("Attempt", variant(attempt)),
        ("Adopted", variant(hold.adopted)),
    ]);
    known.extend(state_facts(hold.state));
    known.extend(end_facts(hold.gives_up, now));
    known
}

/// State and reason; all empty for what nobody has said anything about yet.
fn state_facts(state: Option<&ClaimState>) -> Facts {
    let reason = state.and_then(ClaimState::reason);
    let text = |of: fn(&Reason) -> &str| reason.map_or("", of);
    facts([
        ("State", variant(state.map_or("", ClaimState::as_str))),
        ("Cause", variant(text(|reason| reason.cause.as_str()))),
        ("Reason", variant(text(|reason| &reason.text))),
    ])
}

/// When it is given up, where it is.
fn end_facts(end: Option<Moment>, now: Moment) -> Facts {
    end.map_or_else(Facts::new, |end| {
        facts([("GivesUpInUSec", variant(micros(end.since(now))))])
    })
}

fn job_facts(job: &Job, now: Moment) -> Facts {
    let path = ObjectPath::from_string_unchecked(job_path(job.id));
    let mut known = facts([
        ("Id", variant(job.id.0)),
        ("Path", variant(path)),
        ("Node", variant(job.node.as_str())),
        ("Unit", variant(job.unit.as_str())),
        ("JobType", variant(job.kind.as_str())),
        ("State", variant(job.state.as_str())),
    ]);
    known.extend(own_properties(job, now));
    known
}

/// What goes beyond BlueChi's properties of a job.
pub(super) fn own_properties(job: &Job, now: Moment) -> Facts {
    facts([
        ("Mode", variant(job.mode.as_str())),
        ("Source", variant(job.source().map_or("", NodeName::as_str))),
        ("AgeUSec", variant(micros(now.since(job.since)))),
    ])
}
