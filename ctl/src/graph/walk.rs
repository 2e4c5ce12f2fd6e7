//! Which units are to be asked next: from one unit on, in one direction, over the steps between
//! nodes.

use std::collections::{BTreeMap, BTreeSet};

use proto::name::{NodeName, UnitName, UnitType};

use super::{Graph, Relation, Seen, Sight, on, step};
use crate::{facts::Facts, fleet::Target, limits};

/// In which direction dependencies are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// What a unit needs.
    Needs,
    /// Who needs it.
    NeededBy,
}

/// How far they are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As systemctl(1) does: from the first unit and from targets on; and from what leads to another
    /// node, and from where that leads.
    Listed,
    /// From every unit on.
    All,
}

/// Who names units of other nodes: no node says that of another one's units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// By the unit that is meant: the proxies that stand for it.
    proxies: BTreeMap<Target, BTreeSet<(Relation, Target)>>,
    /// By the proxy: who names it, also units that are not loaded.
    users: BTreeMap<Target, BTreeSet<(Relation, Target)>>,
}

impl Needs {
    /// A proxy is known on a node. What is none is not taken in.
    pub(crate) fn proxy(&mut self, node: &NodeName, proxy: &UnitName) {
        let Some((relation, target)) = step(proxy) else {
            return;
        };
        let (node, unit) = (node.clone(), proxy.clone());
        let proxies = self.proxies.entry(target).or_default();
        proxies.insert((relation, Target { node, unit }));
    }

    /// A unit file names a proxy.
    pub(crate) fn user(&mut self, user: &Target, relation: Relation, proxy: &UnitName) {
        self.proxy(&user.node, proxy);
        let (node, unit) = (user.node.clone(), proxy.clone());
        let users = self.users.entry(Target { node, unit }).or_default();
        users.insert((relation, user.clone()));
    }
}

/// A walk that is under way.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    direction: Direction,
    relations: &'a [Relation],
    /// What is noted of the units that are asked, and not followed.
    noted: &'a [Relation],
    reach: Reach,
    needs: &'a Needs,
    graph: Graph,
    /// From where dependencies are followed whatever type the unit is of.
    roots: BTreeSet<Target>,
    todo: BTreeSet<Target>,
    met: BTreeSet<Target>,
    is_full: bool,
}

impl<'a> Walk<'a> {
    /// Begins at these units.
    pub(crate) fn new(
        roots: impl IntoIterator<Item = Target>,
        direction: Direction,
        relations: &'a [Relation],
        reach: Reach,
        needs: &'a Needs,
    ) -> Self {
        let roots: BTreeSet<Target> = roots.into_iter().collect();
        Self {
            direction,
            relations,
            noted: &[],
            reach,
            needs,
            graph: Graph::default(),
            todo: roots.clone(),
            met: roots.clone(),
            roots,
            is_full: false,
        }
    }

    /// Notes also what is said in these settings, without following it.
    pub(crate) fn noting(mut self, noted: &'a [Relation]) -> Self {
        self.noted = noted;
        self
    }

    /// The properties to ask for, besides the state.
    pub(crate) fn properties(&self) -> Vec<&'static str> {
        let all = self.relations.iter().chain(self.noted);
        all.map(|relation| self.property(*relation)).collect()
    }

    fn property(&self, relation: Relation) -> &'static str {
        match self.direction {
            Direction::Needs => relation.as_str(),
            Direction::NeededBy => relation.inverse(),
        }
    }

    /// The units to ask now; none, when all is known.
    pub(crate) fn next(&mut self) -> BTreeSet<Target> {
        std::mem::take(&mut self.todo)
    }

    /// A unit has said how it is.
    pub(crate) fn read(&mut self, unit: &Target, facts: &Facts) {
        let seen = Seen::from_facts(facts);
        self.graph.units.insert(unit.clone(), Sight::Seen(seen));
        if !self.expands(unit) {
            return;
        }
        for relation in self.relations {
            for other in on(&unit.node, &facts.texts(self.property(*relation))) {
                self.meet(unit, *relation, other);
            }
        }
        for relation in self.noted {
            for other in on(&unit.node, &facts.texts(self.property(*relation))) {
                self.graph.add(unit, *relation, &other);
            }
        }
        self.step_over(unit);
    }

    /// A unit cannot be asked.
    pub(crate) fn unread(&mut self, unit: &Target, sight: Sight) {
        self.graph.units.insert(unit.clone(), sight);
        self.step_over(unit);
    }

    /// What was found, and whether it is not all because there was too much.
    pub(crate) fn end(self) -> (Graph, bool) {
        (self.graph, self.is_full)
    }

    fn expands(&self, unit: &Target) -> bool {
        self.reach == Reach::All
            || self.roots.contains(unit)
            || unit.unit.unit_type() == UnitType::Target
            || step(&unit.unit).is_some()
    }

    /// Goes on to other nodes.
    fn step_over(&mut self, unit: &Target) {
        match self.direction {
            Direction::Needs => {
                if let Some((relation, target)) = step(&unit.unit) {
                    self.roots.insert(target.clone());
                    self.meet(unit, relation, target);
                }
            }
            Direction::NeededBy => {
                let needs = self.needs;
                for (relation, proxy) in needs.proxies.get(unit).into_iter().flatten() {
                    self.meet(unit, *relation, proxy.clone());
                }
                for (relation, user) in needs.users.get(unit).into_iter().flatten() {
                    if self.relations.contains(relation) {
                        self.meet(unit, *relation, user.clone());
                    }
                }
            }
        }
    }

    fn meet(&mut self, unit: &Target, relation: Relation, other: Target) {
        let (from, to) = match self.direction {
            Direction::Needs => (unit, &other),
            Direction::NeededBy => (&other, unit),
        };
        // Every unit conflicts with the shutdown; only what is about another node is worth a word.
        if relation == Relation::Conflicts && step(&to.unit).is_none() {
            return;
        }
        if !self.met.contains(&other) && self.met.len() >= limits::UNITS_WALKED_MAX {
            self.is_full = true;
            return;
        }
        self.graph.add(from, relation, to);
        if self.met.insert(other.clone()) {
            self.todo.insert(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use zbus::wire::{OwnedVariant, Variant};

    use super::{
        super::{LISTED, tests::target},
        *,
    };

    fn facts(of: &[(&str, &[&str])]) -> Facts {
        let value = |units: &[&str]| {
            let units: Vec<&str> = units.to_vec();
            OwnedVariant::try_from(Variant::from(units)).expect("owned")
        };
        Facts(
            of.iter()
                .map(|(name, units)| ((*name).to_owned(), value(units)))
                .collect(),
        )
    }

    fn asked(walk: &mut Walk<'_>) -> Vec<String> {
        walk.next().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn needs_are_followed_over_a_proxy_to_the_other_node() {
        let needs = Needs::default();
        let root = target("a/x.service");
        let mut walk = Walk::new(
            [root.clone()],
            Direction::Needs,
            LISTED,
            Reach::Listed,
            &needs,
        );
        assert_eq!(asked(&mut walk), ["a/x.service"]);
        let of_root = [("Requires", &["proxy@b_t.service", "y.service"][..])];
        walk.read(&root, &facts(&of_root));
        assert_eq!(asked(&mut walk), ["a/proxy@b_t.service", "a/y.service"]);
        walk.read(&target("a/y.service"), &facts(&[("Wants", &["z.service"])]));
        walk.read(&target("a/proxy@b_t.service"), &facts(&[]));
        // y is neither a target nor a step, so what it wants is not looked at.
        assert_eq!(asked(&mut walk), ["b/t.service"]);
        walk.unread(&target("b/t.service"), Sight::Offline);
        assert_eq!(asked(&mut walk), Vec::<String>::new());
        let (graph, is_full) = walk.end();
        assert_eq!((graph.edges().count(), is_full), (3, false));
    }

    #[test]
    fn who_needs_a_unit_is_found_on_other_nodes_even_if_it_is_not_loaded() {
        let mut needs = Needs::default();
        let user = target("a/x.service");
        let proxy = "proxy@b_t.service".parse().expect("name");
        needs.user(&user, Relation::BindsTo, &proxy);
        let root = target("b/t.service");
        let mut walk = Walk::new(
            [root.clone()],
            Direction::NeededBy,
            LISTED,
            Reach::Listed,
            &needs,
        );
        assert_eq!(asked(&mut walk), ["b/t.service"]);
        walk.read(&root, &facts(&[("BoundBy", &["dep@t.service"])]));
        assert_eq!(asked(&mut walk), ["a/proxy@b_t.service", "b/dep@t.service"]);
        walk.read(&target("a/proxy@b_t.service"), &facts(&[]));
        assert_eq!(asked(&mut walk), ["a/x.service"]);
        let (graph, _) = walk.end();
        assert_eq!(graph.from(&user).count(), 1);
    }
}
