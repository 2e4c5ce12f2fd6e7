//! What must hold, told from outside: these rules look at service managers and at what the daemons
//! ask of them, and know nothing of how the cores come to it.

mod able;
mod quiet;
mod rule;

use std::collections::{BTreeMap, BTreeSet};

use fleet::{ClaimView, Fleet};
use node::{Request, Verb};
use proto::{
    model::{Cause, ClaimState, NodeStatus, Token},
    name::{HoldName, NodeName, ProxyName, UnitName},
    time::Moment,
};

use crate::{
    systemd::State,
    world::{Machine, World},
};

pub(crate) use able::{check_able, places};
pub(crate) use quiet::check_quiet;
pub(crate) use rule::Rule;

/// What is known of one attempt from outside.
#[derive(Clone, Debug)]
struct Attempt {
    /// How often the hold unit had become active when the attempt began, and in which run it was
    /// then.
    activations: u64,
    then: Option<Token>,
    /// How often its unit had run, if that is all it does.
    ran: u64,
}

/// How often a hold unit has become active on its node, and in which run it is.
#[derive(Clone, Debug, Default)]
struct Runs {
    count: u64,
    now: Option<Token>,
}

/// How the controller has a source.
#[derive(Clone, Debug, Default)]
struct Coverage {
    online: bool,
    /// Since when it is not online, in the eyes of the controller that runs now.
    away: Option<Moment>,
}

pub(crate) struct Oracle {
    attempts: BTreeMap<Token, Attempt>,
    holds: BTreeMap<(usize, UnitName), Runs>,
    coverage: Vec<Coverage>,
    controller_run: u64,
    /// Attempts that may rightly end although their unit did not: their source was away for longer
    /// than its grace, their target for longer than the loss grace, or a rule forbids them.
    excused: BTreeSet<Token>,
    /// Since when the controller says of an attempt that its unit is out of sight.
    lost: BTreeMap<Token, Moment>,
    /// Runs of hold units that their agent has stopped.
    released: BTreeSet<Token>,
    /// Names that two machines have used: what one is told of the other's units is no fault.
    twins: BTreeSet<NodeName>,
}

/// The proxies of a machine that systemd has loaded.
pub(crate) fn proxies(
    machine: &Machine,
) -> impl Iterator<Item = (ProxyName, &crate::systemd::Unit)> {
    let units = machine.systemd.units.iter().filter(|_| machine.up);
    units.filter_map(|(name, unit)| {
        let proxy = ProxyName::parse(name.as_str()).ok()?;
        Some((proxy, unit))
    })
}

impl Oracle {
    pub(crate) fn new(machines: usize) -> Self {
        Self {
            attempts: BTreeMap::new(),
            holds: BTreeMap::new(),
            coverage: vec![Coverage::default(); machines],
            controller_run: 0,
            excused: BTreeSet::new(),
            lost: BTreeMap::new(),
            released: BTreeSet::new(),
            twins: BTreeSet::new(),
        }
    }

    pub(crate) fn twin(&mut self, name: &NodeName) {
        self.twins.insert(name.clone());
    }

    /// Something has changed at a service manager.
    pub(crate) fn units(world: &mut World, at: usize) {
        let Some(machine) = world.machines.get(at) else {
            return;
        };
        for (name, unit) in &machine.systemd.units {
            if let Some(hold) = HoldName::parse(name) {
                let active = (machine.up && unit.state == State::Active)
                    .then_some(unit.invocation)
                    .flatten();
                let runs = world
                    .oracle
                    .holds
                    .entry((at, hold.unit().clone()))
                    .or_default();
                if active.is_some() && runs.now != active {
                    runs.count += 1;
                }
                runs.now = active;
            }
        }
        let begun: Vec<(Token, usize, UnitName)> = proxies(machine)
            .filter_map(|(proxy, unit)| {
                let target = world.index(proxy.node())?;
                Some((unit.invocation?, target, proxy.unit().clone()))
            })
            .filter(|(token, ..)| !world.oracle.attempts.contains_key(token))
            .collect();
        for (token, target, unit) in begun {
            let runs = world.oracle.runs(world, target, &unit);
            let ran = Self::ran(world, target, &unit);
            world.oracle.attempts.insert(
                token,
                Attempt {
                    activations: runs.count,
                    then: runs.now,
                    ran,
                },
            );
        }
    }

    /// How often a unit that only runs has done so. It may have been unloaded and loaded again in
    /// between, and the machine may have died; then it has run since, for all that matters here.
    fn ran(world: &World, at: usize, unit: &UnitName) -> u64 {
        let systemd = world.machines.get(at).map(|m| &m.systemd);
        systemd.map_or(0, |systemd| systemd.ran(unit))
    }

    /// A hold unit that is not loaded any more is not active.
    fn runs(&self, world: &World, at: usize, unit: &UnitName) -> Runs {
        let mut runs = self
            .holds
            .get(&(at, unit.clone()))
            .cloned()
            .unwrap_or_default();
        let name = HoldName::of(unit).map(|hold| hold.name().clone());
        if name.is_ok_and(|name| world.state(at, &name) != State::Active) {
            runs.now = None;
        }
        runs
    }

    /// The controller has done something.
    pub(crate) fn controller(world: &mut World) {
        let (now, run) = (world.now, world.controller.run);
        let Some(core) = &world.controller.core else {
            return;
        };
        let restarted = world.oracle.controller_run != run;
        world.oracle.controller_run = run;
        let mut back = Vec::new();
        for (at, coverage) in world.oracle.coverage.iter_mut().enumerate() {
            let real = world.plan.machines.get(at).is_some_and(|plan| !plan.twin);
            let Some(machine) = world.machines.get(at).filter(|_| real) else {
                continue;
            };
            if restarted {
                *coverage = Coverage {
                    online: false,
                    away: Some(now),
                };
            }
            let online = core
                .node(&machine.name)
                .is_some_and(|node| node.status == NodeStatus::Online && node.away.is_none());
            match (coverage.online, online) {
                (true, false) => coverage.away = Some(now),
                (false, true) => {
                    back.push((at, coverage.away.take()));
                }
                (true, true) | (false, false) => {}
            }
            coverage.online = online;
        }
        let (mut decided, mut lost) = (Vec::new(), BTreeMap::new());
        for claim in core.claims() {
            let before = world.oracle.lost.get(&claim.token).copied();
            match claim.state {
                ClaimState::Refused(_) => decided.push(claim.token),
                ClaimState::Down(reason) if reason.cause == Cause::NodeLost => {
                    if before.is_some_and(|since| Self::is_lost(world, core, &claim, since)) {
                        decided.push(claim.token);
                    }
                }
                ClaimState::Lost(_) => {
                    lost.insert(claim.token, before.unwrap_or(now));
                }
                ClaimState::Down(_)
                | ClaimState::Waiting(_)
                | ClaimState::Starting
                | ClaimState::Up
                | ClaimState::Restarted(_) => {}
            }
        }
        world.oracle.lost = lost;
        world.oracle.excused.extend(decided);
        for (at, away) in back {
            Self::excuse_expired(world, at, away);
        }
    }

    /// Whether a unit may be given up that was out of sight since then: for its grace, and its node has no
    /// connection on which it is about to say how the unit is.
    fn is_lost(world: &World, core: &Fleet, claim: &ClaimView<'_>, since: Moment) -> bool {
        let settings = &world.settings;
        let policy = settings.policy_on(claim.source, &claim.claim.unit);
        let grace = policy.unwrap_or_default().loss_grace;
        let agent = core.node(&claim.claim.node).and_then(|node| {
            let connected = node.away.is_none();
            node.agent.filter(|_| connected)
        });
        let silent =
            agent.is_none_or(|agent| world.now.since(agent.since) >= settings.heartbeat.threshold);
        silent && world.now.since(since) >= grace
    }

    /// The controller is about to die: whose grace is over has lost its holds already, whatever the
    /// next controller is told.
    pub(crate) fn controller_dies(world: &mut World) {
        for at in 0..world.machines.len() {
            let away = world.oracle.coverage.get(at).and_then(|c| c.away);
            Self::excuse_expired(world, at, away);
        }
    }

    /// A machine dies, and with it what its agent has noted of holds: who needed its units may be
    /// forgotten, until it says so itself.
    pub(crate) fn machine_dies(world: &mut World, at: usize) {
        let Some(target) = world.machines.get(at) else {
            return;
        };
        let proxies = world.machines.iter().flat_map(proxies);
        let needing = proxies.filter(|(proxy, _)| *proxy.node() == target.name);
        let tokens: Vec<Token> = needing.filter_map(|(_, unit)| unit.invocation).collect();
        world.oracle.excused.extend(tokens);
    }

    /// Nodes that the configuration does not name any more have lost their holds at once.
    pub(crate) fn configured(world: &mut World) {
        let named = &world.settings.nodes;
        let unnamed = world
            .machines
            .iter()
            .filter(|m| !named.contains_key(&m.name));
        let tokens = unnamed
            .flat_map(proxies)
            .filter_map(|(_, unit)| unit.invocation);
        let tokens: Vec<Token> = tokens.collect();
        world.oracle.excused.extend(tokens);
    }

    fn excuse_expired(world: &mut World, at: usize, away: Option<Moment>) {
        if Self::is_over(world, at, away)
            && let Some(machine) = world.machines.get(at)
        {
            let tokens = proxies(machine).filter_map(|(_, unit)| unit.invocation);
            world.oracle.excused.extend(tokens);
        }
    }

    /// Whether a source that is away since then has had its grace.
    fn is_over(world: &World, at: usize, away: Option<Moment>) -> bool {
        let name = world.machines.get(at).map(|m| &m.name);
        let policy = name.and_then(|name| world.plan.settings.policy(name));
        let grace = policy.unwrap_or_default().source_grace;
        away.is_some_and(|since| world.now.since(since) >= grace)
    }

    fn is_excused(world: &World, at: usize, token: Token) -> bool {
        let away = world.oracle.coverage.get(at).and_then(|c| c.away);
        world.oracle.excused.contains(&token) || Self::is_over(world, at, away)
    }

    /// A helper is told that its unit is up: it must have been since the helper asked.
    pub(crate) fn helper_up(world: &mut World, at: usize, proxy: &UnitName, token: Token) {
        let proxy = ProxyName::parse(proxy.as_str());
        let (Ok(proxy), Some(machine)) = (proxy, world.machines.get(at)) else {
            return;
        };
        let (Some(target), Some(attempt)) =
            (world.index(proxy.node()), world.oracle.attempts.get(&token))
        else {
            return;
        };
        let runs = world.oracle.runs(world, target, proxy.unit());
        let ran = Self::ran(world, target, proxy.unit());
        if runs.count > attempt.activations
            || ran > attempt.ran
            || world.oracle.twins.contains(proxy.node())
        {
            return;
        }
        let name = machine.name.clone();
        match attempt.then {
            None => world.violated(
                Rule::UpIsTrue,
                format!("{proxy} of {name} is up, and its unit never was"),
            ),
            Some(then)
                if world.oracle.released.contains(&then)
                    && runs.now != Some(then)
                    && !Self::is_excused(world, at, token) =>
            {
                world.violated(
                    Rule::UpIsTrue,
                    format!("{proxy} of {name} is up by a hold that was released"),
                );
            }
            Some(_) => {}
        }
    }

    /// A service manager was told by its agent to stop the hold that is in this run.
    pub(crate) fn released(&mut self, run: Option<Token>) {
        self.released.extend(run);
    }

    /// An agent asks its service manager for something.
    pub(crate) fn call(world: &mut World, at: usize, request: &Request) {
        let Some(unit) = takes_down(request) else {
            return;
        };
        let wrong = if let Some(hold) = HoldName::parse(unit) {
            Self::hold_stops(world, at, &hold).map(|wrong| (Rule::NeededStays, wrong))
        } else if let Ok(proxy) = ProxyName::parse(unit.as_str()) {
            Self::proxy_stops(world, at, &proxy).map(|wrong| (Rule::UpStays, wrong))
        } else {
            None
        };
        if let Some((rule, wrong)) = wrong {
            world.violated(rule, wrong);
        }
    }

    /// A hold is to be released: nobody who was not out of sight for too long may need it.
    fn hold_stops(world: &World, at: usize, hold: &HoldName) -> Option<String> {
        let target = world.machines.get(at)?;
        if world.state(at, hold.name()) != State::Active
            || world.oracle.twins.contains(&target.name)
        {
            return None;
        }
        // What is down has nothing to be released; its service manager has stopped the hold, if that is bound.
        if target.systemd.unbound(hold.name()).is_some() && world.state(at, hold.unit()).is_down() {
            return None;
        }
        for (source, machine) in world.machines.iter().enumerate() {
            for (proxy, unit) in proxies(machine) {
                let needs = *proxy.node() == target.name && proxy.unit() == hold.unit();
                let Some(token) = unit.invocation.filter(|_| needs) else {
                    continue;
                };
                let up = unit.state == State::Active && unit.job.is_none();
                if up
                    && !Self::is_excused(world, source, token)
                    && !world.oracle.twins.contains(&machine.name)
                {
                    return Some(format!(
                        "{} stops {hold}, which {proxy} of {} needs ({token})",
                        target.name, machine.name
                    ));
                }
            }
        }
        None
    }

    /// A proxy that is up is to be stopped or restarted: its unit must have been.
    fn proxy_stops(world: &World, at: usize, proxy: &ProxyName) -> Option<String> {
        let machine = world.machines.get(at)?;
        let unit = machine.systemd.units.get(proxy.name())?;
        let token = unit.invocation?;
        let target = world.index(proxy.node())?;
        if unit.state != State::Active
            || Self::is_excused(world, at, token)
            || world.oracle.twins.contains(proxy.node())
            || world.oracle.twins.contains(&machine.name)
        {
            return None;
        }
        let attempt = world.oracle.attempts.get(&token)?;
        let runs = world.oracle.runs(world, target, proxy.unit());
        let same = runs.now.is_some()
            && if attempt.then.is_some() {
                runs.count == attempt.activations
            } else {
                runs.count == attempt.activations + 1
            };
        same.then(|| {
            format!(
                "{} stops or restarts {proxy} ({token}), although its unit was up all the time",
                machine.name
            )
        })
    }
}

/// The unit that is stopped or restarted when an agent asks for this.
pub(crate) fn takes_down(request: &Request) -> Option<&UnitName> {
    match request {
        Request::Queue {
            verb: Verb::Stop | Verb::Restart | Verb::TryRestart,
            unit,
            ..
        }
        | Request::Restart { unit, .. }
        | Request::StopAlone(unit) => Some(unit),
        Request::Queue {
            verb: Verb::Start | Verb::Reload,
            ..
        }
        | Request::ReloadFollowers(_)
        | Request::Cancel(_)
        | Request::Look(_)
        | Request::Describe(_)
        | Request::WaitsOf(_)
        | Request::LookAgain(_)
        | Request::UpheldBy(_)
        | Request::LookUpheld(_) => None,
    }
}
