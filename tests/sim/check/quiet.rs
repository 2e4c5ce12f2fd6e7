//! What must hold when everything works again and nobody does anything any more.

use std::collections::{BTreeMap, BTreeSet};

use node::RecordState;
use proto::{
    model::{ClaimState, NodeStatus, Token},
    name::{HoldName, NodeName, ProxyName, UnitName},
};

use super::{Rule, proxies};
use crate::{
    systemd::{State, Systemd},
    world::World,
};

/// What was found, each with the rule that is looked at.
#[derive(Default)]
struct Wrong {
    rule: Option<Rule>,
    found: Vec<String>,
}

impl Wrong {
    fn rule(&mut self, rule: Rule) {
        self.rule = Some(rule);
    }

    fn push(&mut self, what: String) {
        let rule = self.rule.map_or_else(String::new, |rule| rule.to_string());
        self.found.push(format!("{rule}: {what}"));
    }
}

/// Claims by source, target and unit.
type Needs = BTreeMap<(NodeName, NodeName, UnitName), Token>;

/// Says what is not as it should be in a world that was healed and left alone; empty when all is
/// well.
pub(crate) fn check_quiet(world: &World) -> Vec<String> {
    let mut wrong = Wrong::default();
    wrong.rule(Rule::Ended);
    let needs = needed(world, &mut wrong);
    wrong.rule(Rule::Online);
    online(world, &mut wrong);
    wrong.rule(Rule::Agree);
    controller_agrees(world, &needs, &mut wrong);
    sources_agree(world, &needs, &mut wrong);
    targets_agree(world, &needs, &mut wrong);
    for machine in world.machines.iter().filter(|m| m.up) {
        wrong.rule(Rule::Files);
        units_agree(&machine.name, &machine.systemd, &mut wrong);
        wrong.rule(Rule::Ended);
        if !machine.helpers.is_empty() {
            wrong.push(format!("{} has helpers that wait", machine.name));
        }
    }
    if !world.controller.open.is_empty() {
        wrong.push(format!("calls are open: {:?}", world.controller.open));
    }
    for (job, _) in world.controller.jobs.iter().filter(|(_, ended)| !**ended) {
        wrong.push(format!("job {job} has not ended"));
    }
    for job in world.jobs_lost() {
        wrong.push(format!("job {job} was lost"));
    }
    wrong.found
}

fn online(world: &World, wrong: &mut Wrong) {
    let Some(core) = &world.controller.core else {
        return wrong.push("there is no controller".to_owned());
    };
    for machine in world.machines.iter().filter(|m| m.up) {
        let status = core.node(&machine.name).map(|node| node.status);
        if status != Some(NodeStatus::Online) {
            wrong.push(format!("{} is {status:?}", machine.name));
        }
    }
}

/// What the service managers say is needed.
fn needed(world: &World, wrong: &mut Wrong) -> Needs {
    let mut needs = Needs::new();
    for machine in &world.machines {
        for (proxy, unit) in proxies(machine) {
            let key = (
                machine.name.clone(),
                proxy.node().clone(),
                proxy.unit().clone(),
            );
            match (unit.state, unit.invocation) {
                (State::Active, Some(token)) if unit.job.is_none() => {
                    needs.insert(key, token);
                }
                (State::Inactive | State::Failed, _) if unit.job.is_none() => {}
                (state, _) => wrong.push(format!(
                    "{proxy} of {} is {state:?}, job {:?}",
                    machine.name, unit.job
                )),
            }
        }
    }
    needs
}

fn controller_agrees(world: &World, needs: &Needs, wrong: &mut Wrong) {
    let Some(core) = &world.controller.core else {
        return;
    };
    let mut known = Needs::new();
    for claim in core.claims() {
        let key = (
            claim.source.clone(),
            claim.claim.node.clone(),
            claim.claim.unit.clone(),
        );
        if *claim.state != ClaimState::Up {
            wrong.push(format!("controller: {key:?} is {:?}", claim.state));
        }
        known.insert(key, claim.token);
    }
    if known != *needs {
        wrong.push(format!(
            "the controller knows {known:?}, needed is {needs:?}"
        ));
    }
}

fn sources_agree(world: &World, needs: &Needs, wrong: &mut Wrong) {
    for machine in world.machines.iter().filter(|m| m.up) {
        let Some(agent) = &machine.agent else {
            wrong.push(format!("{} has no agent", machine.name));
            continue;
        };
        let told: Needs = agent
            .core
            .claims()
            .iter()
            .map(|(key, claim)| {
                let key = (machine.name.clone(), key.node.clone(), key.unit.clone());
                (key, claim.token)
            })
            .collect();
        let own: Needs = needs
            .iter()
            .filter(|((source, ..), _)| *source == machine.name)
            .map(|(key, token)| (key.clone(), *token))
            .collect();
        if told != own {
            wrong.push(format!(
                "{} claims {told:?}, needed is {own:?}",
                machine.name
            ));
        }
    }
}

fn targets_agree(world: &World, needs: &Needs, wrong: &mut Wrong) {
    for (at, machine) in world.machines.iter().enumerate().filter(|(_, m)| m.up) {
        let Some(agent) = &machine.agent else {
            continue;
        };
        let wanted: BTreeMap<(UnitName, NodeName), Token> = needs
            .iter()
            .filter(|((_, target, _), _)| *target == machine.name)
            .map(|((source, _, unit), token)| ((unit.clone(), source.clone()), *token))
            .collect();
        let mut held = BTreeMap::new();
        for (key, record) in agent.core.records() {
            let runs = machine.systemd.only_runs(&key.unit);
            let up = match record.state {
                RecordState::Up { .. } => true,
                RecordState::Ran => runs,
                RecordState::Starting
                | RecordState::Restarted(_)
                | RecordState::Down(_)
                | RecordState::Refused(_) => false,
            };
            if !up {
                wrong.push(format!("{}: {key:?} is {:?}", machine.name, record.state));
            }
            held.insert((key.unit.clone(), key.source.clone()), record.token);
        }
        if held != wanted {
            wrong.push(format!(
                "{} holds {held:?}, needed is {wanted:?}",
                machine.name
            ));
        }
        wrong.rule(Rule::Held);
        // What only runs is never active, and so never held.
        let units = wanted.keys().map(|(unit, _)| unit);
        let units: BTreeSet<&UnitName> = units
            .filter(|unit| !machine.systemd.only_runs(unit))
            .collect();
        let active: BTreeSet<UnitName> = machine
            .systemd
            .units
            .keys()
            .filter_map(HoldName::parse)
            .filter(|hold| !world.state(at, hold.name()).is_down())
            .map(|hold| hold.unit().clone())
            .collect();
        if !active.iter().eq(units.iter().copied()) {
            wrong.push(format!(
                "{} has holds on {active:?}, needed are {units:?}",
                machine.name
            ));
        }
    }
}

/// What the unit files of one machine promise.
fn units_agree(machine: &NodeName, systemd: &Systemd, wrong: &mut Wrong) {
    for (name, unit) in &systemd.units {
        if unit.job.is_some() {
            wrong.push(format!("{name} of {machine} has a job: {:?}", unit.job));
        }
        // The agent has systemd look at its proxies again.
        let is_overlooked = systemd.unstopped.contains(name) && !ProxyName::is_proxy(name);
        let is_overlooked = is_overlooked || systemd.refused.contains(name);
        if systemd.is_unneeded(name) && !is_overlooked {
            wrong.push(format!("{name} of {machine} is not needed and active"));
        }
        if unit.state != State::Active {
            continue;
        }
        let required = unit.spec.requires.iter();
        let required = required.filter(|_| !systemd.unreached.contains(name));
        // What has ended by itself leaves running what requires it.
        let required = required.filter(|other| !systemd.ended.contains(*other));
        // A service that ends by itself takes with it only what is bound to it; a proxy never does.
        let required = required.filter(|other| ProxyName::is_proxy(other));
        let strict = required.chain(&unit.spec.binds_to);
        // What systemd has passed over stays down; but the agent has it look at a proxy again.
        let overlooked =
            |name: &UnitName| systemd.unstarted.contains(name) && !ProxyName::is_proxy(name);
        let upheld = unit.spec.upholds.iter().filter(|name| !overlooked(name));
        for other in strict.chain(upheld) {
            if systemd.state(other) != State::Active {
                wrong.push(format!(
                    "{name} of {machine} is active, and {other} is {:?}",
                    systemd.state(other)
                ));
            }
        }
    }
}
