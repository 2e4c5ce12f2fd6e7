//! Why a unit runs, does not run, or is not stopped: facts of nodes in, plain sentences out, the most
//! important first. Pure.

mod need;
mod tell;
#[cfg(test)]
mod tests;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::name::{NodeName, ProxyName, UnitName};

use crate::{
    fleet::{Claim, Node, Target},
    graph::{self, Relation, Sight},
    suggest,
};
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

/// The end of the journal of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The last line that the unit itself has written.
    pub(crate) own: Option<String>,
    /// The last line that its service manager has written about it.
    pub(crate) manager: Option<String>,
}

/// All that is known when a unit is explained.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) nodes: Vec<Node>,
    pub(crate) claims: Vec<Claim>,
    /// Holds for sources that have not said what they need since the controller started; with the
    /// time after which they are let go.
    pub(crate) adopted: Vec<(String, Target, Option<Duration>)>,
    pub(crate) units: BTreeMap<Target, Result<Told, Sight>>,
    /// The ends of the journals of units that do not run.
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

    /// The units whose journals say more than their properties: those that failed, and the one that is
    /// asked about, if it does not run; systemd forgets much of what nothing refers to.
    pub(crate) fn unread_journals(&self, root: &Target) -> BTreeSet<Target> {
        let units = self.units.iter().filter(|(unit, told)| {
            let Ok(told) = told else {
                return false;
            };
            let is_ours = graph::step(&unit.unit).is_some();
            let is_down = *unit == root && told.active == "inactive" && told.load == "loaded";
            !is_ours && (told.active == "failed" || is_down)
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

/// A setting as people write it.
fn setting(relation: Relation) -> String {
    format!("{}=", relation.as_str())
}
