//! Which unit needs which, over all nodes: units, what is known of each, and the settings between
//! them. Pure: somebody else asks the nodes, a [`Walk`] says what for.

mod path;
mod tree;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proto::name::{NodeName, ProxyName, UnitName};

use crate::{facts::Facts, fleet::Target};
pub(crate) use path::on_the_way;
pub(crate) use tree::{Branch, tree};
pub(crate) use walk::{Direction, Needs, Reach, Walk};

/// A setting of a unit that names another one, systemd.unit(5), or a step between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    Requires,
    Requisite,
    BindsTo,
    Wants,
    Upholds,
    PartOf,
    Triggers,
    OnFailure,
    OnSuccess,
    PropagatesStopTo,
    StopPropagatedFrom,
    PropagatesReloadTo,
    Conflicts,
    After,
    Before,
    /// From a proxy to the unit of another node that it stands for.
    Proxy,
    /// From a `conflict@` to the unit of another node that it stops.
    Stop,
}

/// What pulls in another unit: it is started with the one that says so, or has to be there.
pub(crate) const PULLS: &[Relation] = &[
    Relation::Requires,
    Relation::Requisite,
    Relation::BindsTo,
    Relation::Wants,
    Relation::Upholds,
];

/// What systemctl(1) counts as a dependency in `list-dependencies`.
pub(crate) const LISTED: &[Relation] = &[
    Relation::Requires,
    Relation::Requisite,
    Relation::Wants,
    Relation::PartOf,
    Relation::BindsTo,
    Relation::Upholds,
];

/// Everything but order.
pub(crate) const ALL_BUT_ORDER: &[Relation] = &[
    Relation::Requires,
    Relation::Requisite,
    Relation::BindsTo,
    Relation::Wants,
    Relation::Upholds,
    Relation::PartOf,
    Relation::Triggers,
    Relation::OnFailure,
    Relation::OnSuccess,
    Relation::PropagatesStopTo,
    Relation::StopPropagatedFrom,
    Relation::PropagatesReloadTo,
    Relation::Conflicts,
];

impl Relation {
    /// As it is written in a unit file; a word of ours for a step between nodes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Requires => "Requires",
            Self::Requisite => "Requisite",
            Self::BindsTo => "BindsTo",
            Self::Wants => "Wants",
            Self::Upholds => "Upholds",
            Self::PartOf => "PartOf",
            Self::Triggers => "Triggers",
            Self::OnFailure => "OnFailure",
            Self::OnSuccess => "OnSuccess",
            Self::PropagatesStopTo => "PropagatesStopTo",
            Self::StopPropagatedFrom => "StopPropagatedFrom",
            Self::PropagatesReloadTo => "PropagatesReloadTo",
            Self::Conflicts => "Conflicts",
            Self::After => "After",
            Self::Before => "Before",
            Self::Proxy => "stands for",
            Self::Stop => "stops",
        }
    }

    /// The property of the other unit that says the same the other way round,
    /// org.freedesktop.systemd1(5); nothing for a step between nodes.
    pub(crate) fn inverse(self) -> &'static str {
        match self {
            Self::Requires => "RequiredBy",
            Self::Requisite => "RequisiteOf",
            Self::BindsTo => "BoundBy",
            Self::Wants => "WantedBy",
            Self::Upholds => "UpheldBy",
            Self::PartOf => "ConsistsOf",
            Self::Triggers => "TriggeredBy",
            Self::OnFailure => "OnFailureOf",
            Self::OnSuccess => "OnSuccessOf",
            Self::PropagatesStopTo => "StopPropagatedFrom",
            Self::StopPropagatedFrom => "PropagatesStopTo",
            Self::PropagatesReloadTo => "ReloadPropagatedFrom",
            Self::Conflicts => "ConflictedBy",
            Self::After => "Before",
            Self::Before => "After",
            Self::Proxy | Self::Stop => "",
        }
    }

    /// Whether it leads to another node.
    pub(crate) fn is_step(self) -> bool {
        match self {
            Self::Proxy | Self::Stop => true,
            Self::Requires
            | Self::Requisite
            | Self::BindsTo
            | Self::Wants
            | Self::Upholds
            | Self::PartOf
            | Self::Triggers
            | Self::OnFailure
            | Self::OnSuccess
            | Self::PropagatesStopTo
            | Self::StopPropagatedFrom
            | Self::PropagatesReloadTo
            | Self::Conflicts
            | Self::After
            | Self::Before => false,
        }
    }

    /// The setting of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let order = [Self::After, Self::Before];
        let all = ALL_BUT_ORDER.iter().copied().chain(order);
        all.into_iter().find(|relation| relation.as_str() == name)
    }
}

/// What is known of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Its node has said how it is.
    Seen(Seen),
    /// Its node is offline.
    Offline,
    /// There is no such node.
    NoNode,
    /// Its node could not be asked; why.
    Unread(String),
}

/// A unit as its node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) load: String,
    pub(crate) active: String,
    pub(crate) sub: String,
    /// `StopWhenUnneeded=`, where it was asked for.
    pub(crate) stops_when_unneeded: Option<bool>,
    /// How long it has been in its state, where it was asked for.
    pub(crate) age: Option<Duration>,
    /// Its own name, where it was asked for: it may have been asked for by an alias.
    pub(crate) id: String,
}

impl Seen {
    /// Reads the properties of a unit.
    pub(crate) fn from_facts(facts: &Facts) -> Self {
        Self {
            load: facts.text("LoadState"),
            active: facts.text("ActiveState"),
            sub: facts.text("SubState"),
            stops_when_unneeded: facts.flag("StopWhenUnneeded"),
            age: facts.span("StateAgeUSec"),
            id: facts.text("Id"),
        }
    }
}

/// One unit says something about another.
pub(crate) type Edge = (Target, Relation, Target);

/// What units say, by one of the two ends.
type Said = BTreeMap<Target, BTreeSet<(Relation, Target)>>;

/// Units, and what each says about others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) units: BTreeMap<Target, Sight>,
    forth: Said,
    /// The same, from the other end.
    back: Said,
}

impl Graph {
    /// Adds what one unit says about another.
    pub(crate) fn add(&mut self, from: &Target, relation: Relation, to: &Target) {
        let say = |said: &mut Said, one: &Target, other: &Target| {
            let of_one = said.entry(one.clone()).or_default();
            of_one.insert((relation, other.clone()));
        };
        say(&mut self.forth, from, to);
        say(&mut self.back, to, from);
    }

    /// Everything that is said, by who says it.
    pub(crate) fn edges(&self) -> impl Iterator<Item = Edge> {
        let edge = |(from, said): (&Target, &BTreeSet<(Relation, Target)>)| {
            let edge = |(relation, to): &(Relation, Target)| (from.clone(), *relation, to.clone());
            said.iter().map(edge).collect::<Vec<_>>()
        };
        self.forth.iter().flat_map(edge)
    }

    /// What a unit says about others.
    pub(crate) fn from(&self, unit: &Target) -> impl Iterator<Item = (Relation, &Target)> {
        let said = self.forth.get(unit).into_iter().flatten();
        said.map(|(relation, to)| (*relation, to))
    }

    /// What others say about a unit.
    pub(crate) fn to(&self, unit: &Target) -> impl Iterator<Item = (Relation, &Target)> {
        let said = self.back.get(unit).into_iter().flatten();
        said.map(|(relation, from)| (*relation, from))
    }

    /// What is known of a unit, if its node has said it.
    pub(crate) fn seen(&self, unit: &Target) -> Option<&Seen> {
        match self.units.get(unit)? {
            Sight::Seen(seen) => Some(seen),
            Sight::Offline | Sight::NoNode | Sight::Unread(_) => None,
        }
    }

    /// Takes in all of another one; what is known of a unit wins over what is not.
    pub(crate) fn join(&mut self, other: Self) {
        for (from, relation, to) in other.edges() {
            self.add(&from, relation, &to);
        }
        for (unit, sight) in other.units {
            if self.seen(&unit).is_none() {
                self.units.insert(unit, sight);
            }
        }
    }

    /// Only what is said in these ways, and the units that then are left, with `root`.
    pub(crate) fn keep(self, root: &Target, keep: impl Fn(&Edge) -> bool) -> Self {
        let mut kept = Self::default();
        let mut named = BTreeSet::from([root.clone()]);
        for (from, relation, to) in self.edges().filter(keep) {
            kept.add(&from, relation, &to);
            named.extend([from, to]);
        }
        let units = self.units.into_iter();
        kept.units = units.filter(|(unit, _)| named.contains(unit)).collect();
        kept
    }
}

/// The unit of another node that a unit of ours stands for, and what it does to it.
pub(crate) fn step(unit: &UnitName) -> Option<(Relation, Target)> {
    let text = unit.as_str();
    let (relation, proxy) = match text.strip_prefix("conflict@") {
        Some(rest) => (Relation::Stop, ProxyName::parse(&format!("proxy@{rest}"))),
        None => (Relation::Proxy, ProxyName::parse(text)),
    };
    let proxy = proxy.ok()?;
    let target = Target {
        node: proxy.node().clone(),
        unit: proxy.unit().clone(),
    };
    Some((relation, target))
}

/// Names that a node has said, as far as they are names of units.
pub(crate) fn on(node: &NodeName, units: &[String]) -> Vec<Target> {
    let target = |unit: &String| {
        let unit = unit.parse().ok()?;
        let node = node.clone();
        Some(Target { node, unit })
    };
    units.iter().filter_map(target).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use test_case::test_case;

    use super::*;

    /// `node/unit`.
    pub(crate) fn target(text: &str) -> Target {
        let (node, unit) = text.split_once('/').expect("node/unit");
        Target {
            node: node.parse().expect("node"),
            unit: unit.parse().expect("unit"),
        }
    }

    /// Lines such as `a/x.service Requires a/y.service`.
    pub(crate) fn graph(lines: &[&str]) -> Graph {
        let mut graph = Graph::default();
        for line in lines {
            let mut words = line.split(' ');
            let mut word = || words.next().expect("three words");
            let (from, relation, to) = (target(word()), word(), target(word()));
            let relation = match relation {
                "stands-for" => Relation::Proxy,
                "stops" => Relation::Stop,
                other => Relation::named(other).expect("a setting"),
            };
            for unit in [&from, &to] {
                let seen = Seen {
                    load: "loaded".into(),
                    active: "active".into(),
                    sub: "running".into(),
                    ..Seen::default()
                };
                graph.units.insert(unit.clone(), Sight::Seen(seen));
            }
            graph.add(&from, relation, &to);
        }
        graph
    }

    #[test]
    fn what_is_said_is_found_from_both_ends() {
        let graph = graph(&[
            "a/x.service Requires a/y.service",
            "a/x.service After a/y.service",
            "a/w.service Wants a/x.service",
            "a/xx.service Wants a/y.service",
        ]);
        let (x, y) = (target("a/x.service"), target("a/y.service"));
        let from: Vec<_> = graph.from(&x).collect();
        assert_eq!(from, [(Relation::Requires, &y), (Relation::After, &y)]);
        assert_eq!(graph.to(&y).count(), 3);
        assert_eq!(graph.to(&target("a/w.service")).count(), 0);
    }

    #[test_case("proxy@b_t.service", Some((Relation::Proxy, "b/t.service")))]
    #[test_case("bluechi-proxy@b_t.service", Some((Relation::Proxy, "b/t.service")))]
    #[test_case("conflict@b_t.socket.service", Some((Relation::Stop, "b/t.socket")))]
    #[test_case("proxy@t.service", None; "no proxy of any unit")]
    #[test_case("t.service", None; "no proxy")]
    fn units_of_ours_lead_to_other_nodes(unit: &str, to: Option<(Relation, &str)>) {
        let unit = unit.parse().expect("name");
        let to = to.map(|(relation, to)| (relation, target(to)));
        assert_eq!(step(&unit), to);
    }
}
