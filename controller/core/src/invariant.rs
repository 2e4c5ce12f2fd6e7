use std::collections::BTreeMap;

use proto::{message::HoldKey, model::ClaimState, name::NodeName};

use crate::{
    Fleet,
    claim::hold_key,
    job::{Owner, Phase},
    node::Node,
    settings::OnLoss,
    timer::Timer,
};

/// Something that must never be. Its text says what, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl Fleet {
    /// Walks the whole state and says what contradicts itself; empty when all is well. It costs as
    /// much as there is, so it is for tests and simulations. To be called between two inputs.
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        self.check_peers(&mut found);
        self.check_open(&mut found);
        self.check_claims(&mut found);
        self.check_timers(&mut found);
        if let Err(what) = self.check_monitors() {
            found.push(Violation(what));
        }
        found
    }

    fn check_peers(&self, found: &mut Vec<Violation>) {
        for (name, node) in &self.nodes {
            if let Some(peer) = node.peer() {
                must(found, self.peers.get(&peer.id) == Some(name), || {
                    format!("the connection of {name} leads elsewhere")
                });
                must(found, node.last_heard.is_some(), || {
                    format!("{name} is online and was never heard")
                });
            }
        }
        let up = self.nodes.values().filter(|n| n.peer().is_some()).count();
        must(found, up == self.peers.len(), || {
            format!("{} connections for {up} nodes", self.peers.len())
        });
        let online = self.nodes.values().filter(|n| n.is_online()).count();
        must(found, online == self.online, || {
            format!("{online} nodes are online, {} are counted", self.online)
        });
        must(found, self.status == self.counted_status(), || {
            format!("the fleet is said to be {}", self.status.as_str())
        });
        let named = self.settings.nodes.keys().eq(self.nodes.keys());
        must(found, named, || {
            "nodes are not those of the settings".into()
        });
    }

    fn check_open(&self, found: &mut Vec<Violation>) {
        let mut by_owner: BTreeMap<Owner, usize> = BTreeMap::new();
        for job in self.jobs.iter() {
            *by_owner.entry(job.owner.clone()).or_default() += 1;
            let there = self.nodes.get(&job.node).is_some_and(|node| {
                self.is_waited_for(&job.node, node) && node.jobs.contains(&job.id)
            });
            must(found, there, || {
                format!(
                    "job {} is open on {}, which knows nothing of it",
                    job.id, job.node
                )
            });
        }
        must(found, &by_owner == self.jobs.by_owner(), || {
            "the jobs of their owners are counted wrongly".into()
        });
        for (id, (name, _)) in &self.calls {
            let there = self
                .nodes
                .get(name)
                .is_some_and(|node| self.is_waited_for(name, node) && node.calls.contains(id));
            must(found, there, || {
                format!("call {} waits for {name}, which knows nothing of it", id.0)
            });
        }
        if let Err(what) = self.jobs.ended.check() {
            found.push(Violation(what));
        }
        let jobs: usize = self.nodes.values().map(|node| node.jobs.len()).sum();
        let calls: usize = self.nodes.values().map(|node| node.calls.len()).sum();
        must(found, jobs == self.jobs.iter().count(), || {
            "a node has a job that is not open".into()
        });
        must(found, calls == self.calls.len(), || {
            "a node has a call that is not open".into()
        });
    }

    /// Whether a node is online, or may come yet.
    fn is_waited_for(&self, name: &NodeName, node: &Node) -> bool {
        node.is_online() || self.timers.is_set(&Timer::Resume(name.clone()))
    }

    fn check_claims(&self, found: &mut Vec<Violation>) {
        let unsettled = &self.unsettled;
        let settled = unsettled.claims.is_empty()
            && unsettled.circles.is_empty()
            && unsettled.tellers.is_empty();
        must(found, settled, || "something is not settled".into());
        let mut claimed: BTreeMap<&NodeName, Vec<HoldKey>> = BTreeMap::new();
        let mut held: BTreeMap<&NodeName, Vec<HoldKey>> = BTreeMap::new();
        for (source, node) in &self.nodes {
            self.check_source(source, node, found);
            for (key, record) in &node.records {
                let hold = hold_key(source, key);
                if !(record.decided_here && record.state.is_final()) {
                    held.entry(&key.node).or_default().push(hold.clone());
                }
                claimed.entry(&key.node).or_default().push(hold);
            }
            for key in &node.adopted {
                let hold = hold_key(source, key);
                held.entry(&key.node).or_default().push(hold);
            }
        }
        for (name, node) in &self.nodes {
            let mut claimed = claimed.remove(name).unwrap_or_default();
            let mut held = held.remove(name).unwrap_or_default();
            claimed.sort();
            held.sort();
            must(found, node.claimed_by.iter().eq(&claimed), || {
                format!(
                    "the claims on {name} are {claimed:?}, not {:?}",
                    node.claimed_by
                )
            });
            let told = node.holds.entries();
            must(found, told.keys().eq(&held), || {
                format!(
                    "the holds on {name} should be {held:?}, not {:?}",
                    told.keys()
                )
            });
        }
    }

    fn check_source(&self, source: &NodeName, node: &Node, found: &mut Vec<Violation>) {
        let claims = node.claims.entries();
        must(found, claims.keys().eq(node.records.keys()), || {
            format!("{source} has {claims:?} and records {:?}", node.records)
        });
        must(found, node.claims_known || claims.is_empty(), || {
            format!("{source} has claims that are not known")
        });
        must(found, !node.claims_known || node.adopted.is_empty(), || {
            format!("{source} has told its claims and others stand for them")
        });
        for (key, record) in &node.records {
            let told = node.claim_states.entries().get(key);
            let same = told.is_some_and(|t| t.token == record.token && t.state == record.state);
            must(found, same, || {
                format!("{source} is told {told:?} of {key:?}, which stands at {record:?}")
            });
            let token = claims.get(key).map(|claim| claim.token);
            must(found, token == Some(record.token), || {
                format!("the record of {key:?} of {source} is about another attempt")
            });
        }
        let told = node.claim_states.entries().len();
        must(found, told == node.records.len(), || {
            format!(
                "{source} is told of {told} claims and has {}",
                node.records.len()
            )
        });
    }

    fn check_timers(&self, found: &mut Vec<Violation>) {
        for timer in self.timers.iter() {
            let needed = match timer {
                Timer::Heartbeat(peer) | Timer::Silence(peer) => self.peers.contains_key(peer),
                Timer::Resume(name) => {
                    let node = self.nodes.get(name);
                    node.is_some_and(|node| node.peer().is_none())
                }
                Timer::Grace(name) => {
                    let node = self.nodes.get(name);
                    node.is_some_and(|node| node.peer().is_none() && node.away_since.is_some())
                }
                Timer::Loss(source, key) => {
                    let record = self.nodes.get(source).and_then(|n| n.records.get(key));
                    record.is_some_and(|record| matches!(record.state, ClaimState::Lost(_)))
                }
                Timer::Queued(job) => {
                    let phase = self.jobs.get(*job).map(|job| job.phase);
                    matches!(phase, Some(Phase::Asked))
                }
                Timer::Job(job) => self.jobs.get(*job).is_some(),
                Timer::Call(call) => self.calls.contains_key(call),
            };
            must(found, needed, || format!("{timer:?} is waited for in vain"));
        }
        for (name, node) in &self.nodes {
            let away = node.is_online() && node.peer().is_none();
            let ends = self.timers.is_set(&Timer::Resume(name.clone()));
            must(found, !away || ends, || {
                format!("nobody waits until {name} is back")
            });
            if let Some(peer) = node.peer() {
                let set = self.timers.is_set(&Timer::Heartbeat(peer.id))
                    && self.timers.is_set(&Timer::Silence(peer.id));
                must(found, set, || {
                    format!("nobody looks whether {name} is alive")
                });
            } else {
                let waits = node.claims_known || !node.adopted.is_empty();
                let set = self.timers.is_set(&Timer::Grace(name.clone()));
                must(found, set || !waits, || {
                    format!("the claims of {name} never end")
                });
            }
            for (key, record) in &node.records {
                let timer = Timer::Loss(name.clone(), key.clone());
                let lost = matches!(record.state, ClaimState::Lost(_));
                let policy = self.settings.policy_on(name, &key.unit);
                let policy = policy.map(|policy| policy.on_loss);
                let ends = lost && policy == Some(OnLoss::Stop);
                must(found, self.timers.is_set(&timer) == ends, || {
                    format!("the loss of {key:?} of {name} has a wrong end")
                });
            }
        }
    }
}

fn must(found: &mut Vec<Violation>, holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        found.push(Violation(what()));
    }
}
