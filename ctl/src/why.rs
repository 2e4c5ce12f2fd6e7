//! Why a unit runs, does not run, or is not stopped: facts of nodes in, plain sentences out, the most
//! important first. Pure.

mod need;
mod past;
mod tell;
#[cfg(test)]
mod tests;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::name::{NodeName, ProxyName, UnitName, rival_of};

use crate::{
    fleet::{Claim, Node, Target},
    graph::{self, Relation, Sight},
    suggest,
};
pub(crate) use past::Ended;
pub(crate) use tell::explain;
pub(crate) use told::Told;

/// What a sentence is about; programs know it by this word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// How the unit is, and the nearest reason.
    State,
    /// Somebody needs it.
    Need,
    /// Something that it needs stands in its way, or explains why it stopped.
    Cause,
    /// What will come of it.
    Outlook,
    /// What to do.
    Hint,
}

impl About {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Need => "need",
            Self::Cause => "cause",
            Self::Outlook => "outlook",
            Self::Hint => "hint",
        }
    }
}

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) about: About,
    pub(crate) text: String,
    /// The unit that it names, if it is about one.
    pub(crate) unit: Option<Target>,
    /// Since when it is so.
    pub(crate) since: Option<Duration>,
    /// How long it can stay so.
    pub(crate) left: Option<Duration>,
}

/// The end of the journal of a unit, since its node was booted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The last line that the unit itself has written.
    pub(crate) own: Option<Line>,
    /// The last line that its service manager has written about it.
    pub(crate) manager: Option<Line>,
    /// The last line that the agent has written about it.
    pub(crate) agent: Option<Line>,
    /// Whether its service manager did not start it last, because it was started too often.
    pub(crate) too_often: bool,
    /// Whether a line about its start was met.
    is_begun: bool,
}

/// What systemd writes when a unit is not started because it was started too often.
const TOO_OFTEN: &str = "repeated too quickly";

/// A line of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// When it was written, since its node was booted.
    pub(crate) at: Duration,
}

impl Journal {
    /// Takes in the next older line.
    pub(crate) fn older(&mut self, identifier: &str, line: Line) {
        let end = match identifier {
            "systemd" => {
                // Behind it are lines about how it ended, and none about a start.
                let is_start = ["Started ", "Starting "]
                    .iter()
                    .any(|it| line.text.starts_with(it));
                self.is_begun |= is_start;
                self.too_often |= !self.is_begun && line.text.contains(TOO_OFTEN);
                &mut self.manager
            }
            "unitlink-agent" => &mut self.agent,
            _ => &mut self.own,
        };
        if end.is_none() && !line.text.is_empty() {
            *end = Some(line);
        }
    }
}

/// All that is known when a unit is explained.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) nodes: Vec<Node>,
    pub(crate) claims: Vec<Claim>,
    /// Holds for sources that have not said what they need since the controller started; with the
    /// time after which they are let go.
    pub(crate) adopted: Vec<(String, Target, Option<Duration>)>,
    /// How needs have ended that there are not any more.
    pub(crate) ended: Vec<Ended>,
    pub(crate) units: BTreeMap<Target, Result<Told, Sight>>,
    /// The ends of the journals of units that do not run, as far as they can be read.
    pub(crate) journals: BTreeMap<Target, Journal>,
    /// Unit files of the node, where the unit is not found.
    pub(crate) files: Vec<String>,
}

impl Case {
    /// A unit, if its node has said how it is.
    fn told(&self, unit: &Target) -> Option<&Told> {
        self.units.get(unit)?.as_ref().ok()
    }

    fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name.as_str())
    }

    /// The claims of other nodes on a unit.
    fn claims_on(&self, unit: &Target) -> impl Iterator<Item = &Claim> {
        let is_on =
            |claim: &&Claim| claim.node == unit.node.as_str() && claim.unit == unit.unit.as_str();
        self.claims.iter().filter(is_on)
    }

    /// The claim that a proxy makes.
    fn claim_of(&self, proxy: &Target) -> Option<&Claim> {
        let (_, target) = graph::step(&proxy.unit)?;
        self.claims_on(&target)
            .find(|claim| claim.source == proxy.node.as_str())
    }

    /// How the last claim that a proxy made has ended, if it makes none now.
    fn ended_of(&self, proxy: &Target) -> Option<&Ended> {
        let (_, target) = graph::step(&proxy.unit)?;
        let is_its = |ended: &&Ended| ended.source == proxy.node.as_str() && ended.of == target;
        self.ended
            .iter()
            .find(is_its)
            .filter(|_| self.claim_of(proxy).is_none())
    }

    /// How claims of other nodes on a unit have ended, the latest first.
    fn ended_on(&self, unit: &Target) -> Vec<&Ended> {
        let mut ended: Vec<&Ended> = self.ended.iter().filter(|it| it.of == *unit).collect();
        ended.sort_by_key(|it| it.age);
        ended
    }

    /// Whether its node has no such unit.
    pub(crate) fn is_not_found(&self, unit: &Target) -> bool {
        let told = self.told(unit);
        told.is_some_and(|told| told.load == "not-found" && !told.is_active())
    }

    /// The nearest name of a unit file that the node has.
    fn nearest(&self, unit: &Target) -> Option<&str> {
        suggest::nearest(unit.unit.as_str(), self.files.iter().map(String::as_str))
    }

    /// The units that have to be asked as well before a unit can be explained.
    pub(crate) fn missing(&self, root: &Target) -> BTreeSet<Target> {
        let mut wanted = BTreeSet::from([root.clone()]);
        for claim in self.claims_on(root) {
            wanted.extend(proxy_of(claim));
        }
        for claim in rival(root).iter().flat_map(|rival| self.claims_on(rival)) {
            wanted.extend(proxy_of(claim));
        }
        let mut next: Vec<Target> = vec![root.clone()];
        let mut seen = BTreeSet::new();
        while let Some(unit) = next.pop() {
            if !seen.insert(unit.clone()) {
                continue;
            }
            wanted.insert(unit.clone());
            let Some(told) = self.told(&unit) else {
                continue;
            };
            if unit == *root {
                wanted.extend(told.users.iter().map(|(_, user)| user.clone()));
            }
            if unit == *root || !told.is_active() {
                next.extend(graph::step(&unit.unit).map(|(_, target)| target));
                next.extend(told.needs.iter().map(|(_, need)| need.clone()));
            }
        }
        wanted.retain(|unit| !self.units.contains_key(unit));
        wanted
    }

    /// The units whose journals say more than their properties: those that failed; and the one that is
    /// asked about, if it does not run, with the proxies that it needs, and what a proxy could not
    /// have, because systemd forgets how a unit ended that nothing refers to.
    pub(crate) fn unread_journals(&self, root: &Target) -> BTreeSet<Target> {
        let is_forgotten = |told: &Told| {
            told.active == "inactive" && told.load == "loaded" && !told.has_run && !told.has_job
        };
        let of_root = self.told(root).filter(|told| is_forgotten(told));
        let needs = of_root
            .map(|told| told.needs.as_slice())
            .unwrap_or_default();
        let failed = self
            .units
            .iter()
            .filter(|(_, told)| told.as_ref().is_ok_and(|told| told.active == "failed"));
        let missed: BTreeSet<Target> = failed
            .filter_map(|(unit, _)| graph::step(&unit.unit))
            .map(|(_, target)| target)
            .collect();
        let units = self.units.iter().filter(|(unit, told)| {
            let Ok(told) = told else {
                return false;
            };
            let is_need = needs.iter().any(|(_, need)| need == *unit);
            let is_ours = graph::step(&unit.unit).is_some();
            let is_missed = missed.contains(*unit);
            match told.active.as_str() {
                "failed" => !is_ours,
                _ if told.sub.starts_with("auto-restart") => true,
                _ => is_forgotten(told) && (*unit == root || is_need && is_ours || is_missed),
            }
        });
        units.map(|(unit, _)| unit.clone()).collect()
    }
}

/// The proxy that makes a claim.
fn proxy_of(claim: &Claim) -> Option<Target> {
    let node: NodeName = claim.node.parse().ok()?;
    let unit: UnitName = claim.unit.parse().ok()?;
    let proxy = ProxyName::of(&node, &unit).ok()?;
    Some(Target {
        node: claim.source.parse().ok()?,
        unit: proxy.name().clone(),
    })
}

/// What is needed on the node of a unit by whoever needs that this unit does not run.
fn rival(unit: &Target) -> Option<Target> {
    Some(Target {
        node: unit.node.clone(),
        unit: rival_of(&unit.unit).ok()?,
    })
}

/// A setting as people write it.
fn setting(relation: Relation) -> String {
    format!("{}=", relation.as_str())
}
