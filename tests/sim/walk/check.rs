//! The rules, for a small fleet.

use std::collections::{BTreeMap, BTreeSet};

use node::{RecordState, Request};
use proto::{
    model::{ClaimState, NodeStatus, Token},
    name::{HoldName, NodeName, ProxyName, UnitName},
};

use super::small::{Place, Small};
use crate::{
    check::{Rule, takes_down},
    systemd::State,
};

/// The hold unit on the other side of a proxy: its state, and the run that it is in.
pub(super) fn hold(small: &Small, proxy: &ProxyName) -> Option<(State, Option<Token>)> {
    let target = small.places.iter().find(|p| p.name == *proxy.node())?;
    let hold = HoldName::of(proxy.unit()).ok()?;
    let unit = target.systemd.units.get(hold.name());
    Some(unit.map_or((State::Inactive, None), |unit| {
        (unit.state, unit.invocation)
    }))
}

fn proxies(place: &Place) -> impl Iterator<Item = (ProxyName, &crate::systemd::Unit)> {
    let units = place.systemd.units.iter();
    units.filter_map(|(name, unit)| Some((ProxyName::parse(name.as_str()).ok()?, unit)))
}

/// Attempts that there are now may rightly end.
pub(super) fn excuse_all(small: &mut Small) {
    let proxies = small.places.iter().flat_map(proxies);
    let tokens: BTreeSet<Token> = proxies.filter_map(|(_, unit)| unit.invocation).collect();
    small.excused.extend(tokens);
}

/// Notes for which attempts the hold is active now.
pub(super) fn witness(small: &mut Small) {
    let mut seen = Vec::new();
    for (proxy, unit) in small.places.iter().flat_map(proxies) {
        if let (Some(token), Some((State::Active, Some(run)))) =
            (unit.invocation, hold(small, &proxy))
            && !small.up.contains_key(&token)
        {
            seen.push((token, run));
        }
    }
    small.up.extend(seen);
}

/// A helper is told that its unit is up.
pub(super) fn told_up(small: &Small, proxy: &UnitName, token: Token) -> Option<String> {
    let was = small.up.contains_key(&token);
    (!was).then(|| format!("{}: {proxy} is up, and its unit never was", Rule::UpIsTrue))
}

/// An agent asks its service manager for something.
pub(super) fn call(small: &Small, at: usize, request: &Request) -> Option<String> {
    let unit = takes_down(request)?;
    let here = small.places.get(at)?;
    if let Some(hold) = HoldName::parse(unit) {
        let (state, _) = hold_here(here, &hold);
        for source in small.places.iter().filter(|_| state == State::Active) {
            for (proxy, its) in proxies(source) {
                let needs = *proxy.node() == here.name && proxy.unit() == hold.unit();
                let up = its.state == State::Active && its.job.is_none();
                if let Some(token) = its.invocation
                    && needs
                    && up
                    && !small.excused.contains(&token)
                {
                    let rule = Rule::NeededStays;
                    return Some(format!(
                        "{rule}: {} stops {hold}, needed by {}",
                        here.name, source.name
                    ));
                }
            }
        }
        return None;
    }
    let proxy = ProxyName::parse(unit.as_str()).ok()?;
    let its = here.systemd.units.get(proxy.name())?;
    let token = its.invocation.filter(|_| its.state == State::Active)?;
    let (state, run) = hold(small, &proxy)?;
    let then = small.up.get(&token).copied()?;
    let same = state == State::Active && run == Some(then);
    (same && !small.excused.contains(&token)).then(|| {
        let rule = Rule::UpStays;
        format!(
            "{rule}: {} stops {proxy}, whose unit was up all the time",
            here.name
        )
    })
}

fn hold_here(place: &Place, hold: &HoldName) -> (State, Option<Token>) {
    let unit = place.systemd.units.get(hold.name());
    unit.map_or((State::Inactive, None), |unit| {
        (unit.state, unit.invocation)
    })
}

impl Small {
    /// What must never be.
    pub(super) fn wrong(&self) -> Option<String> {
        if let Some(violation) = &self.violation {
            return Some(violation.clone());
        }
        if let Some(what) = self.fleet.check().first() {
            return Some(format!("{}: controller: {}", Rule::Orderly, what.0));
        }
        let mut places = self.places.iter();
        places.find_map(|place| {
            let wrong = place.node.check().err()?;
            Some(format!(
                "{}: agent of {}: {wrong}",
                Rule::Orderly,
                place.name
            ))
        })
    }
}

/// What must be where nothing more happens.
pub(super) fn quiet(small: &Small) -> Vec<String> {
    type Needs = BTreeMap<(NodeName, NodeName, UnitName), Token>;
    let mut wrong = Vec::new();
    let mut needs = Needs::new();
    for place in &small.places {
        for (proxy, unit) in proxies(place) {
            let key = (
                place.name.clone(),
                proxy.node().clone(),
                proxy.unit().clone(),
            );
            match (unit.state, unit.invocation, &unit.job) {
                (State::Active, Some(token), None) => {
                    needs.insert(key, token);
                }
                (State::Inactive | State::Failed, _, None) => {}
                (state, ..) => wrong.push(format!("{}: {proxy} is {state:?}", Rule::Ended)),
            }
        }
        if !place.waiting.is_empty() {
            wrong.push(format!(
                "{}: {} has helpers that wait",
                Rule::Ended,
                place.name
            ));
        }
        let online = small.fleet.node(&place.name).map(|node| node.status);
        if online != Some(NodeStatus::Online) {
            wrong.push(format!("{}: {} is {online:?}", Rule::Online, place.name));
        }
    }
    let mut known = Needs::new();
    for claim in small.fleet.claims() {
        if *claim.state != ClaimState::Up {
            wrong.push(format!("{}: {claim:?}", Rule::Agree));
        }
        let key = (
            claim.source.clone(),
            claim.claim.node.clone(),
            claim.claim.unit.clone(),
        );
        known.insert(key, claim.token);
    }
    let (mut claimed, mut held) = (Needs::new(), Needs::new());
    for place in &small.places {
        for (key, claim) in place.node.claims() {
            let key = (place.name.clone(), key.node.clone(), key.unit.clone());
            claimed.insert(key, claim.token);
        }
        for (key, record) in place.node.records() {
            if !matches!(record.state, RecordState::Up { .. }) {
                wrong.push(format!("{}: {key:?} is {record:?}", Rule::Agree));
            }
            let key = (key.source, place.name.clone(), key.unit);
            held.insert(key, record.token);
        }
    }
    for (what, set) in [
        ("controller", known),
        ("sources", claimed),
        ("targets", held),
    ] {
        if set != needs {
            wrong.push(format!("{}: {what} {set:?}, needed {needs:?}", Rule::Agree));
        }
    }
    for place in &small.places {
        let units = needs.keys().filter(|(_, target, _)| *target == place.name);
        let units: BTreeSet<&UnitName> = units.map(|(.., unit)| unit).collect();
        for (name, unit) in &place.systemd.units {
            let needed = HoldName::parse(name).map(|hold| units.contains(hold.unit()));
            if needed.is_some_and(|needed| needed == unit.state.is_down()) {
                wrong.push(format!("{}: {name} is {:?}", Rule::Held, unit.state));
            }
            if place.systemd.is_unneeded(name) && !place.systemd.unstopped.contains(name) {
                wrong.push(format!("{}: {name} is not needed", Rule::Files));
            }
            let lacks = |other: &&UnitName| place.systemd.state(other) != State::Active;
            if unit.state == State::Active && unit.spec.binds_to.iter().any(|other| lacks(&other)) {
                wrong.push(format!("{}: {name} lacks what it is bound to", Rule::Files));
            }
        }
    }
    wrong
}
