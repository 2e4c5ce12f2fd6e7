//! Anything may happen, in any order. The whole state is checked after each input (the world does
//! that); when it is quiet again, what agents were told is what the fleet believes, and every claim
//! stands by its target.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    message::{Attempt, HoldKey},
    model::{Cause, ClaimState, JobResult},
    wave::Wave,
};

use super::world::{World, down, name, settings};
use crate::{Gone, Input, PeerId, Request, RequestId};

const NODES: [&str; 4] = ["a", "b", "d", "k"];
const UNITS: [&str; 2] = ["t.service", "u.service"];

/// Numbers that follow from a seed (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.below(all.len() as u64);
        all[usize::try_from(at).expect("small")]
    }
}

/// What an agent would know over its connections: what its units need, and what it holds.
#[derive(Default)]
struct Machine {
    claims: BTreeMap<(&'static str, &'static str), (u8, bool)>,
    holds: BTreeMap<HoldKey, (u8, ClaimState)>,
}

struct Walk {
    world: World,
    random: Random,
    machines: BTreeMap<&'static str, Machine>,
    online: BTreeMap<&'static str, PeerId>,
    incarnation: u64,
    request: u64,
    token: u8,
}

impl Walk {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new("a b d k"),
            random: Random(seed),
            machines: NODES.map(|node| (node, Machine::default())).into(),
            online: BTreeMap::new(),
            incarnation: 0,
            request: 0,
            token: 0,
        }
    }

    fn step(&mut self) {
        let node = self.random.of(&NODES);
        match self.random.below(12) {
            0 | 1 => self.connect(node),
            2 => self.cut(node),
            3 => {
                if self.online.remove(node).is_some() {
                    self.world.freeze(node);
                }
            }
            4..=6 => self.need(node),
            7 | 8 => self.hold(node),
            9 => self.order(node),
            10 => {
                let time = self.random.of(&[10, 1_000, 5_000, 20_000]);
                self.world.pass(time);
                self.forget_closed();
            }
            _ => {
                let nodes = self.random.of(&["a b d k", "a b k", "a b d k"]);
                self.world.give(Input::Settings(settings(nodes)));
                self.forget_closed();
            }
        }
        self.hear();
        self.world.take();
    }

    fn connect(&mut self, node: &'static str) {
        if self.online.contains_key(node) {
            return;
        }
        self.incarnation += 1;
        let peer = self.world.hello(node, self.incarnation, 1);
        if !self.world.is_registered(peer) {
            return;
        }
        self.online.insert(node, peer);
        let machine = &self.machines[node];
        let holds: Vec<_> = machine
            .holds
            .iter()
            .map(|(key, (token, state))| {
                (
                    key.unit.as_str().to_owned(),
                    key.source.as_str().to_owned(),
                    *token,
                    state.clone(),
                )
            })
            .collect();
        let holds: Vec<_> = holds
            .iter()
            .map(|(unit, source, token, state)| {
                (unit.as_str(), source.as_str(), *token, state.clone())
            })
            .collect();
        let claims: Vec<_> = machine
            .claims
            .iter()
            .map(|((node, unit), (token, up))| (*node, *unit, *token, *up))
            .collect();
        self.world.hold_states(peer, true, &holds);
        self.world.claims(peer, true, &claims);
    }

    fn cut(&mut self, node: &'static str) {
        if self.online.remove(node).is_some() {
            self.world.cut(node);
        }
    }

    /// A proxy of the node starts, is up, or stops.
    fn need(&mut self, node: &'static str) {
        let (target, unit) = (self.random.of(&NODES), self.random.of(&UNITS));
        let machine = self.machines.get_mut(node).expect("known");
        let change = match (self.random.below(3), machine.claims.get(&(target, unit))) {
            (0, Some(_)) => {
                machine.claims.remove(&(target, unit));
                (target, unit, 0, false)
            }
            (1, Some((token, _))) => {
                let claim = (*token, true);
                machine.claims.insert((target, unit), claim);
                (target, unit, claim.0, true)
            }
            _ => {
                self.token = self.token.wrapping_add(1).max(1);
                machine.claims.insert((target, unit), (self.token, false));
                (target, unit, self.token, false)
            }
        };
        if let Some(peer) = self.online.get(node) {
            self.world.claims(*peer, false, &[change]);
        }
    }

    /// Something becomes of a unit that the node holds.
    fn hold(&mut self, node: &'static str) {
        let state = self.random.of(&[0, 1, 2]);
        let machine = self.machines.get_mut(node).expect("known");
        let at = self.random.below(machine.holds.len().max(1) as u64);
        let Some((key, entry)) = machine
            .holds
            .iter_mut()
            .nth(usize::try_from(at).expect("small"))
        else {
            return;
        };
        if entry.1.is_final() {
            return;
        }
        entry.1 = match state {
            0 => ClaimState::Up,
            1 => down(Cause::UnitStopped),
            _ => ClaimState::Restarted(Wave::default()),
        };
        let (key, entry) = (key.clone(), entry.clone());
        self.report(node, &key, entry);
    }

    fn report(&mut self, node: &'static str, key: &HoldKey, (token, state): (u8, ClaimState)) {
        if let Some(peer) = self.online.get(node) {
            let row = (key.unit.as_str(), key.source.as_str(), token, state);
            self.world.hold_states(*peer, false, &[row]);
        }
    }

    fn order(&mut self, node: &'static str) {
        self.request += 1;
        let request = match self.random.below(3) {
            0 => Request::Forward { node: name(node) },
            _ => super::world::start_of(node),
        };
        self.world.request(self.request, request);
        let open = self.world.fleet.jobs().next().cloned();
        if let Some(job) = open {
            match self.online.get(job.node.as_str()) {
                Some(peer) if self.random.below(2) == 0 => {
                    let message = proto::message::ToController::JobDone {
                        job: job.id,
                        result: JobResult::Done,
                        reason: None,
                    };
                    self.world.say(*peer, message);
                }
                _ => self
                    .world
                    .request(self.request + 1_000_000, Request::Cancel(job.id)),
            }
        }
        let id = RequestId(self.random.below(self.request + 1));
        self.world.give(Input::Forwarded { id });
    }

    /// What the agents were told becomes what they hold, as their rules have it.
    fn hear(&mut self) {
        loop {
            let mut reports = Vec::new();
            for (node, peer) in &self.online {
                let Some(told) = self.world.told_holds(*peer) else {
                    continue;
                };
                let machine = self.machines.get_mut(node).expect("known");
                let gone: Vec<HoldKey> = machine
                    .holds
                    .keys()
                    .filter(|key| !told.contains_key(key))
                    .cloned()
                    .collect();
                for key in gone {
                    machine.holds.remove(&key);
                    reports.push((*node, key, (0, ClaimState::Up)));
                }
                for (key, hold) in told {
                    let token = hold.token.0[0];
                    if machine
                        .holds
                        .get(key)
                        .is_none_or(|(known, _)| *known != token)
                    {
                        let state = match hold.attempt {
                            Attempt::Start => ClaimState::Starting,
                            Attempt::Keep => down(Cause::UnitStopped),
                        };
                        machine.holds.insert(key.clone(), (token, state.clone()));
                        reports.push((*node, key.clone(), (token, state)));
                    }
                }
            }
            if reports.is_empty() {
                return;
            }
            for (node, key, entry) in reports {
                self.report(node, &key, entry);
            }
        }
    }

    fn forget_closed(&mut self) {
        let world = &self.world;
        self.online.retain(|_, peer| world.is_registered(*peer));
    }

    /// Everything comes back and nothing more happens.
    fn heal(&mut self) {
        self.world.give(Input::Settings(settings("a b d k")));
        self.world.pass(60_000);
        self.forget_closed();
        for node in NODES {
            self.connect(node);
        }
        self.hear();
        self.world.pass(60_000);
        self.hear();
        self.world.take();
    }

    fn check(&self) {
        assert_eq!(self.online.len(), NODES.len(), "all are online");
        let mut claimed = BTreeSet::new();
        for claim in self.world.fleet.claims() {
            let node = claim.claim.node.as_str();
            let hold = HoldKey {
                unit: claim.claim.unit.clone(),
                source: claim.source.clone(),
            };
            let known = &self.machines[claim.source.as_str()].claims;
            let need = known
                .iter()
                .find(|((n, u), _)| *n == node && *u == claim.claim.unit.as_str());
            let (_, (token, _)) = need.expect("the source needs it");
            assert_eq!(claim.token.0[0], *token);
            let held = self.machines[node].holds.get(&hold);
            let reason = claim.state.reason().map(|reason| reason.cause);
            let given_up = claim.state.is_final()
                && (matches!(claim.state, ClaimState::Refused(_))
                    || reason == Some(Cause::NodeLost));
            if given_up {
                assert_eq!(held, None);
                continue;
            }
            let (token, held) = held.expect("the target holds it");
            assert_eq!(*token, claim.token.0[0]);
            // What was final before the target lost its memory stays so.
            assert!(
                held == claim.state || claim.state.is_final(),
                "{held:?} {:?}",
                claim.state
            );
            claimed.insert((node.to_owned(), hold));
        }
        let needs: usize = self.machines.values().map(|m| m.claims.len()).sum();
        assert_eq!(
            self.world.fleet.claims().count(),
            needs,
            "every need is a claim"
        );
        for (node, machine) in &self.machines {
            for key in machine.holds.keys() {
                assert!(
                    claimed.contains(&((*node).to_owned(), key.clone())),
                    "{node} holds {key:?}"
                );
            }
        }
        assert_eq!(self.world.fleet.status().as_str(), "up");
    }
}

#[test]
fn whatever_happens_all_agree_when_it_is_quiet() {
    for seed in 0..80 {
        let result = std::panic::catch_unwind(|| {
            let mut walk = Walk::new(seed);
            for _ in 0..150 {
                walk.step();
            }
            walk.heal();
            walk.check();
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_connection_that_nobody_knows_does_no_harm() {
    let mut world = World::online("a");
    world.give(Input::Gone {
        peer: PeerId(99),
        why: Gone::Closed,
    });
    assert!(world.take().is_empty());
}
