//! What is wrong in the unit files of a fleet, found before anything runs. Pure: what the files say and
//! what the nodes have made of them in, findings out.

mod circle;
mod name;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use proto::name::NodeName;

use crate::{
    fleet::{Node, Reference, Target},
    graph::{self, Graph, PULLS, Relation, Sight},
    suggest,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// It cannot work.
    Error,
    /// It hardly does what was meant.
    Warning,
    /// It may be what was meant.
    Note,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) node: String,
    pub(crate) unit: String,
    /// What it is, as a word for programs.
    pub(crate) check: &'static str,
    pub(crate) what: String,
    /// What would be right; empty if that is not for us to say.
    pub(crate) right: String,
}

/// What is looked at.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) nodes: Vec<Node>,
    pub(crate) references: Vec<Reference>,
    /// The units that refer to others, and all that these need.
    pub(crate) graph: Graph,
    /// The unit files of nodes that lack a unit.
    pub(crate) files: BTreeMap<NodeName, Vec<String>>,
}

impl Files {
    /// The units that name others.
    pub(crate) fn users(&self) -> BTreeSet<Target> {
        self.references.iter().filter_map(Reference::user).collect()
    }

    /// The nodes that lack a unit that is needed of them.
    pub(crate) fn lacking(&self) -> BTreeSet<NodeName> {
        let needed = self.needed().into_iter();
        let lacks = needed.filter(|(unit, _)| {
            self.graph
                .seen(unit)
                .is_some_and(|seen| seen.load == "not-found")
        });
        lacks.map(|(unit, _)| unit.node).collect()
    }

    /// The units of other nodes that are needed, and by whom: the units of ours that stand for them.
    fn needed(&self) -> BTreeMap<Target, Vec<Target>> {
        let mut needed: BTreeMap<Target, Vec<Target>> = BTreeMap::new();
        for (from, relation, to) in self.graph.edges() {
            if relation.is_step() {
                needed.entry(to).or_default().push(from);
            }
        }
        needed
    }

    fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name.as_str())
    }

    /// Who names a proxy directly.
    fn users_of(&self, proxy: &Target) -> Vec<Target> {
        let users = self
            .graph
            .to(proxy)
            .filter(|(relation, _)| PULLS.contains(relation));
        let mut users: Vec<Target> = users.map(|(_, user)| user.clone()).collect();
        users.dedup();
        users
    }
}

/// Everything that was found, the worst first.
pub(crate) fn check(files: &Files) -> Vec<Finding> {
    let mut findings: BTreeSet<Finding> = BTreeSet::new();
    for reference in &files.references {
        findings.extend(name::check(files, reference));
    }
    for (target, proxies) in files.needed() {
        findings.extend(of_target(files, &target, &proxies));
        for proxy in &proxies {
            findings.extend(of_proxy(files, proxy, &target));
        }
    }
    findings.extend(circle::check(&files.graph));
    findings.into_iter().collect()
}

fn finding(
    severity: Severity,
    unit: &Target,
    check: &'static str,
    what: String,
    right: String,
) -> Finding {
    Finding {
        severity,
        node: unit.node.to_string(),
        unit: unit.unit.to_string(),
        check,
        what,
        right,
    }
}

/// What is wrong with the need of a unit, for each unit that has it.
fn of_proxy(files: &Files, proxy: &Target, target: &Target) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = files.node(&proxy.node);
    let allowed = own.and_then(|node| node.depends_on.as_ref());
    let is_allowed = allowed.is_none_or(|nodes| {
        nodes
            .iter()
            .any(|node| node == "*" || *node == target.node.as_str())
    });
    for user in files.users_of(proxy) {
        if target.node != proxy.node && files.node(&target.node).is_some() && !is_allowed {
            findings.push(finding(
                Severity::Error,
                &user,
                "not-allowed",
                format!("needs {target}, and {} may not depend on {}", proxy.node, target.node),
                format!(
                    "\"{}\" in allow_dependencies_on of [node.{}], in the controller's configuration",
                    target.node, proxy.node
                ),
            ));
        }
        let order = files.graph.from(&user);
        let is_ordered = order
            .filter(|(_, other)| *other == proxy)
            .any(|(relation, _)| matches!(relation, Relation::After | Relation::Before));
        if !is_ordered {
            findings.push(finding(
                Severity::Warning,
                &user,
                "no-order",
                format!(
                    "starts at the same time as {}, without waiting for it",
                    proxy.unit
                ),
                format!("After={}", proxy.unit),
            ));
        }
    }
    findings
}

/// What is wrong with a unit that is needed, told of those who need it where they have to be changed.
fn of_target(files: &Files, target: &Target, proxies: &[Target]) -> Vec<Finding> {
    let each = |severity, check, what: &str, right: &str| {
        let users = proxies.iter().flat_map(|proxy| files.users_of(proxy));
        let finding = |user: Target| finding(severity, &user, check, what.into(), right.into());
        users.map(finding).collect::<Vec<_>>()
    };
    let seen = match files.graph.units.get(target) {
        Some(Sight::Seen(seen)) => seen,
        Some(Sight::Offline) => {
            let what = format!("needs {target}, which cannot be looked at: its node is offline");
            return each(Severity::Note, "node-offline", &what, "");
        }
        // That there is no such node is said where it is named.
        Some(Sight::NoNode) | None => return Vec::new(),
        Some(Sight::Unread(why)) => {
            let what = format!("needs {target}, which cannot be looked at: {why}");
            return each(Severity::Note, "not-read", &what, "");
        }
    };
    let stops_it = proxies.iter().all(|proxy| {
        graph::step(&proxy.unit).is_some_and(|(relation, _)| relation == Relation::Stop)
    });
    match seen.load.as_str() {
        "not-found" if !stops_it => {
            let known = files.files.get(&target.node);
            let known = known.into_iter().flatten().map(String::as_str);
            let right = suggest::nearest(target.unit.as_str(), known);
            let what = format!("needs {}, which {} does not have", target.unit, target.node);
            return each(Severity::Error, "no-unit", &what, right.unwrap_or_default());
        }
        "masked" if !stops_it => {
            let what = format!("needs {target}, which is masked");
            let right = format!("on {}: systemctl unmask {}", target.node, target.unit);
            return each(Severity::Error, "masked", &what, &right);
        }
        "bad-setting" | "error" => {
            let what = format!("needs {target}, whose unit file is broken");
            let right = format!("on {}: systemd-analyze verify {}", target.node, target.unit);
            return each(Severity::Error, "broken", &what, &right);
        }
        _ => {}
    }
    let mut findings = Vec::new();
    if !seen.id.is_empty() && seen.id != target.unit.as_str() {
        let what = format!("needs {target}, which is another name of {}", seen.id);
        let right = seen.id.parse().ok().and_then(|unit| {
            let proxy = proto::name::ProxyName::of(&target.node, &unit).ok()?;
            Some(proxy.to_string())
        });
        findings.extend(each(
            Severity::Warning,
            "alias",
            &what,
            &right.unwrap_or_default(),
        ));
    }
    if seen.stops_when_unneeded == Some(false) && !stops_it {
        findings.push(finding(
            Severity::Note,
            target,
            "not-stopped",
            "goes on when no node needs it any more".into(),
            "StopWhenUnneeded=yes, if it is to run only while it is needed".into(),
        ));
    }
    findings
}
