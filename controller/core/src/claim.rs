//! Who needs what: the rules of `docs/design/claims.md`, section "Rules of the controller".
//!
//! A change of any kind only notes which claims it touches. [`Fleet::settle`] then looks at each of
//! them once, with everything taken in, and brings the record of the claim, the set of states that
//! its source is told and the set of holds that its target is told in line with the rules. So a
//! claim that goes and comes in one message, or a node that is replaced by itself, is told as what
//! it is in the end.

mod grace;
mod past;
mod rule;

use std::{collections::BTreeSet, time::Duration};

use proto::{
    message::{Claim, ClaimKey, HoldKey, ToAgent, TokenState},
    model::{Cause, ClaimState, Reason},
    name::NodeName,
    sync::Delta,
    time::Moment,
};

use crate::{
    Fleet,
    circle::Claimed,
    difference::{Difference, ToldSet},
    limits::{ADOPTED_GRACE_MIN, CLAIMS_PER_SOURCE_MAX, HOLDS_PER_TARGET_MAX},
    node::Sight,
    output::{Breach, Event, Output},
    settings::{ClaimPolicy, OnLoss},
    timer::Timer,
};

pub(crate) use past::{Ended, Past};
pub(crate) use rule::{Record, unknown};
use rule::{Target, assess, hold_adopted, hold_for};

/// What has been touched and is not settled yet.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Unsettled {
    pub(crate) claims: BTreeSet<(NodeName, ClaimKey)>,
    /// Claims of which it is news that they wait, or what for.
    pub(crate) circles: BTreeSet<Claimed>,
    pub(crate) tellers: BTreeSet<NodeName>,
}

/// The same need, as its target names it.
pub(crate) fn hold_key(source: &NodeName, key: &ClaimKey) -> HoldKey {
    HoldKey {
        unit: key.unit.clone(),
        source: source.clone(),
    }
}

/// The same need, as its source names it.
pub(crate) fn claim_key(target: &NodeName, key: &HoldKey) -> ClaimKey {
    ClaimKey {
        node: target.clone(),
        unit: key.unit.clone(),
    }
}

impl Fleet {
    /// A source tells what it needs.
    pub(crate) fn hear_claims(
        &mut self,
        name: &NodeName,
        delta: Delta<ClaimKey, Claim>,
    ) -> Result<(), Breach> {
        let Some(node) = self.nodes.get_mut(name) else {
            return Ok(());
        };
        let first = !node.claims.has_heard();
        let before = node.claims.entries().len();
        let changes = node.claims.hear(delta, CLAIMS_PER_SOURCE_MAX)?;
        if first {
            if std::mem::replace(&mut node.claims_known, true) {
                let difference = Difference::of(before, node.claims.entries(), &changes);
                self.outputs.extend(difference.told(name, ToldSet::Claims));
            }
            // Its states are told from here on: a set that was made before would be about the
            // claims of the connection before.
            node.claim_states.connected();
            let adopted = std::mem::take(&mut node.adopted);
            self.touch(name, adopted);
        }
        self.touch(name, changes.put);
        self.touch(name, changes.dropped.into_iter().map(|(key, _)| key));
        self.unsettled.tellers.insert(name.clone());
        Ok(())
    }

    /// A target tells how its holds stand.
    pub(crate) fn hear_hold_states(
        &mut self,
        now: Moment,
        name: &NodeName,
        delta: Delta<HoldKey, TokenState>,
    ) -> Result<(), Breach> {
        let Some(node) = self.nodes.get_mut(name) else {
            return Ok(());
        };
        let first = !node.hold_states.has_heard();
        let before = node.hold_states.entries().len();
        let changes = node.hold_states.hear(delta, HOLDS_PER_TARGET_MAX)?;
        node.resumed = false;
        if first {
            if std::mem::replace(&mut node.holds_known, true) {
                let difference = Difference::of(before, node.hold_states.entries(), &changes);
                self.outputs.extend(difference.told(name, ToldSet::Holds));
            }
            node.holds.connected();
            let reported: Vec<HoldKey> = node.hold_states.entries().keys().cloned().collect();
            self.adopt(now, name, &reported);
            // What is reported may be what was reported before, and still be about sources that
            // are unknown by now; so it is all looked at, changed or not.
            for key in reported {
                let claim = claim_key(name, &key);
                self.unsettled.claims.insert((key.source, claim));
            }
            self.touch_target(name);
        }
        let dropped = changes.dropped.into_iter().map(|(key, _)| key);
        for key in changes.put.into_iter().chain(dropped) {
            let claim = claim_key(name, &key);
            self.unsettled.claims.insert((key.source, claim));
        }
        self.unsettled.tellers.insert(name.clone());
        Ok(())
    }

    /// What a target holds on a new connection for sources whose claims are unknown stays, and
    /// each of these sources has its grace from now on.
    fn adopt(&mut self, now: Moment, target: &NodeName, reported: &[HoldKey]) {
        for key in reported {
            let Some(source) = self.nodes.get_mut(&key.source) else {
                continue;
            };
            if source.claims_known {
                continue;
            }
            if source.adopted.is_empty() {
                self.outputs.push_back(Output::Log(Event::HoldsAdopted {
                    node: target.clone(),
                    source: key.source.clone(),
                }));
            }
            source.adopted.insert(claim_key(target, key));
            // While the source is connected it is about to tell its claims.
            if source.peer().is_none() {
                source.away_since = Some(now);
                self.set_grace(&key.source);
            }
        }
    }

    /// A claim was lost for longer than the grace: it is given up.
    pub(crate) fn loss_over(&mut self, source: &NodeName, key: ClaimKey) {
        let Some(policy) = self.settings.policy_on(source, &key.unit) else {
            return;
        };
        let text = format!(
            "node {} has been out of sight for {:.0} s",
            key.node,
            self.loss_grace(&policy, &key.node).as_secs_f64()
        );
        let record = self
            .nodes
            .get_mut(source)
            .and_then(|node| node.records.get_mut(&key));
        let Some(record) = record else {
            return;
        };
        record.state = ClaimState::Down(Reason::new(Cause::NodeLost, text));
        record.decided_here = true;
        record.changed = self.clock;
        self.log_claim(source, &key, true);
        self.unsettled.claims.insert((source.clone(), key));
    }

    /// Notes that these claims of a source are to be looked at.
    fn touch(&mut self, source: &NodeName, keys: impl IntoIterator<Item = ClaimKey>) {
        let keys = keys.into_iter().map(|key| (source.clone(), key));
        self.unsettled.claims.extend(keys);
    }

    /// Notes that all claims on a node are to be looked at.
    pub(crate) fn touch_target(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get(name) else {
            return;
        };
        let claimed = node.claimed_by.iter().chain(node.holds.entries().keys());
        for key in claimed {
            let claim = claim_key(name, key);
            self.unsettled.claims.insert((key.source.clone(), claim));
        }
    }

    /// Notes that every claim is to be looked at.
    pub(crate) fn touch_all(&mut self) {
        for (name, node) in &self.nodes {
            for key in node.records.keys().chain(&node.adopted) {
                self.unsettled.claims.insert((name.clone(), key.clone()));
            }
        }
    }

    /// Looks at everything that was touched, then tells what has changed.
    pub(crate) fn settle(&mut self, now: Moment) {
        loop {
            while let Some((source, key)) = self.unsettled.claims.pop_first() {
                self.settle_claim(now, &source, key);
            }
            match self.unsettled.circles.pop_first() {
                Some(begin) => self.settle_circle(&begin),
                None => break,
            }
        }
        while let Some(name) = self.unsettled.tellers.pop_first() {
            self.tell(&name);
        }
    }

    fn settle_claim(&mut self, now: Moment, source: &NodeName, key: ClaimKey) {
        let claim = self
            .nodes
            .get(source)
            .and_then(|node| node.claims.entries().get(&key).copied());
        match claim {
            Some(claim) => self.settle_known(now, source, key, claim),
            None => self.settle_unknown(now, source, &key),
        }
    }

    /// A claim that there is.
    fn settle_known(&mut self, now: Moment, source: &NodeName, key: ClaimKey, claim: Claim) {
        let hold = hold_key(source, &key);
        let target = self.nodes.get(&key.node);
        let sight = Target {
            unknown: match target {
                Some(_) => None,
                None => Some(unknown(&key.node, &key.unit, self.nodes.keys())),
            },
            allowed: self.settings.allows(source, &key.node),
            full: target.is_some_and(|node| {
                let holds = node.holds.entries();
                holds.len() >= HOLDS_PER_TARGET_MAX && !holds.contains_key(&hold)
            }),
            legacy: target.is_some_and(|node| {
                let agent = node.agent();
                agent.is_some_and(|agent| agent.hello.protocol == 0)
            }),
            sight: target.map_or(Sight::Out, |node| node.sight()),
            report: target.and_then(|node| node.hold_states.entries().get(&hold)),
        };
        let Some(policy) = self.settings.policy_on(source, &key.unit) else {
            return;
        };
        let before = self
            .nodes
            .get(source)
            .and_then(|node| node.records.get(&key));
        let (state, decided_here) = assess(source, &key, claim, before, &sight);
        let changed = before.is_none_or(|b| b.state != state || b.token != claim.token);
        let same_attempt = before.is_some_and(|record| record.token == claim.token);
        let since = before.filter(|_| same_attempt).map_or(now, |b| b.since);
        let changed_at = before.filter(|_| !changed).map_or(now, |b| b.changed);
        let was_lost = before.is_some_and(|b| matches!(b.state, ClaimState::Lost(_)));
        let lost_since = matches!(state, ClaimState::Lost(_)).then_some(changed_at);

        let held = !(state.is_final() && decided_here);
        if let Some(target) = self.nodes.get_mut(&key.node) {
            if held {
                target.holds.put(hold.clone(), hold_for(claim, &policy));
            } else {
                target.holds.drop(&hold);
            }
            target.claimed_by.insert(hold);
            self.unsettled.tellers.insert(key.node.clone());
        }

        let loss = Timer::Loss(source.clone(), key.clone());
        match (lost_since, policy.on_loss) {
            // The grace may be another than before, and counts from when the claim was lost. Where it
            // was to be kept until now, it counts from now.
            (Some(since), OnLoss::Stop) => {
                let grace = self.loss_grace(&policy, &key.node);
                let from = if self.timers.is_set(&loss) {
                    since
                } else {
                    now
                };
                self.timers.set(loss, from.plus(grace));
            }
            (Some(_), OnLoss::Keep) | (None, OnLoss::Stop | OnLoss::Keep) => {
                self.timers.cancel(loss);
            }
        }

        if let Some(node) = self.nodes.get_mut(source) {
            let token = claim.token;
            let told = TokenState {
                token,
                state: state.clone(),
            };
            node.claim_states.put(key.clone(), told);
            if changed && state == ClaimState::Starting {
                self.unsettled.circles.insert((source.clone(), key.clone()));
            }
            let record = Record {
                token,
                state,
                decided_here,
                since,
                changed: changed_at,
            };
            let before = node.records.insert(key.clone(), record);
            if let Some(before) = before.filter(|before| before.token != token) {
                node.past.note(key.clone(), before.ended(now, false));
            }
            self.unsettled.tellers.insert(source.clone());
        }
        if changed {
            self.log_claim(source, &key, was_lost);
        }
    }

    /// How long a target may be out of sight. One that has not said what it holds since this controller
    /// started must have had its turn.
    fn loss_grace(&self, policy: &ClaimPolicy, target: &NodeName) -> Duration {
        if self.nodes.get(target).is_some_and(|node| node.holds_known) {
            policy.loss_grace
        } else {
            policy.loss_grace.max(ADOPTED_GRACE_MIN)
        }
    }

    /// Whether a target gets more time, although it was out of sight for its grace. One that has just
    /// connected says what it holds in its next message, and is heard first; one that is connected and
    /// silent about it for a threshold is not.
    pub(crate) fn loss_excused(
        &self,
        at: Moment,
        now: Moment,
        target: &NodeName,
    ) -> Option<Moment> {
        let turn = || {
            let node = self.nodes.get(target)?;
            let ends = node.peer()?.since.plus(self.settings.heartbeat.threshold);
            (node.sight() == Sight::Out && ends > now).then_some(ends)
        };
        self.excused(at, now).or_else(turn)
    }

    /// A claim that there is not (any more). If the claims of its source are unknown, what the
    /// target reports stands for it.
    fn settle_unknown(&mut self, now: Moment, source: &NodeName, key: &ClaimKey) {
        let hold = hold_key(source, key);
        self.timers.cancel(Timer::Loss(source.clone(), key.clone()));
        let report = self
            .nodes
            .get(&key.node)
            .and_then(|node| node.hold_states.entries().get(&hold))
            .map(hold_adopted);
        let mut adopted = false;
        if let Some(node) = self.nodes.get_mut(source) {
            if let Some(record) = node.records.remove(key) {
                // While it is away, nothing but its grace ends a need.
                let expired = !node.claims_known || node.away_since.is_some();
                node.past.note(key.clone(), record.ended(now, expired));
            }
            node.claim_states.drop(key);
            adopted = report.is_some() && node.adopted.contains(key);
            if !adopted {
                node.adopted.remove(key);
            }
            self.unsettled.tellers.insert(source.clone());
        }
        if let Some(target) = self.nodes.get_mut(&key.node) {
            target.claimed_by.remove(&hold);
            match report {
                Some(told_back) if adopted => target.holds.put(hold, told_back),
                Some(_) | None => {
                    target.holds.drop(&hold);
                }
            }
            self.unsettled.tellers.insert(key.node.clone());
        }
    }

    /// Tells a node what has changed in the two sets that it is told, as far as it has taken in
    /// what it was told before.
    fn tell(&mut self, name: &NodeName) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        let Some((peer, protocol)) = node.peer().map(|peer| (peer.id, peer.hello.protocol)) else {
            return;
        };
        let holds = node.holds.poll().map(ToAgent::Holds);
        let states = node.claim_states.poll();
        let states = states.map(|delta| ToAgent::ClaimStates(delta.for_protocol(protocol)));
        for message in [holds, states].into_iter().flatten() {
            self.put(Output::Send { peer, message });
        }
    }

    pub(crate) fn log_claim(&mut self, source: &NodeName, key: &ClaimKey, was_lost: bool) {
        let record = self
            .nodes
            .get(source)
            .and_then(|node| node.records.get(key));
        if let Some(record) = record {
            let event = Event::Claim {
                source: source.clone(),
                claim: key.clone(),
                state: record.state.as_str(),
                was_lost,
                reason: record.state.reason().cloned(),
            };
            self.put(Output::Log(event));
        }
    }
}
