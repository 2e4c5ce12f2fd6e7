//! Questions about units of several nodes, and a walk over what depends on what.

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    dbus::public,
    name::{NodeName, ProxyName, UnitName},
};
use zbus::{Message, wire::OwnedVariant};

use crate::{
    bus::{self, Bus},
    facts::Facts,
    fault::{self, Fault},
    fleet::{Claim, Missing, Node, Reference, Target},
    graph::{Graph, Needs, Relation, Sight, Walk},
    limits,
};

/// What is asked of every unit, besides what it depends on.
const STATE: [&str; 3] = ["LoadState", "ActiveState", "SubState"];

/// Asks nodes about their units.
pub(crate) struct Explorer<'b> {
    pub(super) bus: &'b mut Bus,
    /// All nodes, by name.
    pub(crate) nodes: Vec<Node>,
}

/// Answers about units, in no order; a unit that could not be asked has why.
pub(crate) type Read = BTreeMap<Target, Result<Facts, Sight>>;

impl<'b> Explorer<'b> {
    /// Asks which nodes there are.
    pub(crate) async fn new(bus: &'b mut Bus) -> Result<Self, Fault> {
        let nodes = super::nodes(bus).await?;
        Ok(Self { bus, nodes })
    }

    /// A node, if there is one of this name.
    pub(crate) fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name.as_str())
    }

    /// Fails if there is no such node.
    pub(crate) fn known(&self, name: &NodeName) -> Result<&Node, Fault> {
        let found = self.node(name);
        found.ok_or_else(|| super::no_node(name, &self.nodes))
    }

    /// Every claim.
    pub(crate) async fn claims(&mut self) -> Result<Vec<Claim>, Fault> {
        let call = bus::fleet_call(public::FLEET, "ListClaims", &())?;
        let [answer] = self.bus.ask([call]).await?;
        match answer {
            Ok(answer) => {
                let claims = super::dictionaries(&answer, "ListClaims")?;
                Ok(claims.iter().map(Claim::from_facts).collect())
            }
            // A controller that has none.
            Err(refusal) if fault::is_not_there(&refusal) => Ok(Vec::new()),
            Err(refusal) => Err(Fault::refused(refusal, self.bus.name())),
        }
    }

    /// These properties of these units.
    pub(crate) async fn properties(
        &mut self,
        units: &BTreeSet<Target>,
        names: &[&str],
    ) -> Result<Read, Fault> {
        let call = |node: &NodeName, units: &[&str]| {
            bus::node_call(node, public::NODE_OWN, "ReadProperties", &(units, names))
        };
        self.read(units, "ReadProperties", call).await
    }

    /// All properties of these units, also those of their types.
    pub(crate) async fn status(&mut self, units: &BTreeSet<Target>) -> Result<Read, Fault> {
        let call = |node: &NodeName, units: &[&str]| {
            bus::node_call(node, public::NODE_OWN, "UnitStatus", &units)
        };
        self.read(units, "UnitStatus", call).await
    }

    async fn read(
        &mut self,
        units: &BTreeSet<Target>,
        asked: &'static str,
        call: impl Fn(&NodeName, &[&str]) -> Result<Message, Fault>,
    ) -> Result<Read, Fault> {
        type Units = Vec<(String, BTreeMap<String, OwnedVariant>)>;
        let mut read = Read::new();
        let mut by_node: BTreeMap<&NodeName, Vec<&UnitName>> = BTreeMap::new();
        for unit in units {
            match self.node(&unit.node) {
                Some(node) if node.is_online() => {
                    by_node.entry(&unit.node).or_default().push(&unit.unit);
                }
                Some(_) => drop(read.insert(unit.clone(), Err(Sight::Offline))),
                None => drop(read.insert(unit.clone(), Err(Sight::NoNode))),
            }
        }
        let chunks: Vec<(&NodeName, &[&UnitName])> = by_node
            .iter()
            .flat_map(|(node, units)| {
                let chunks = units.chunks(limits::UNITS_OF_STATUS);
                chunks.map(move |units| (*node, units))
            })
            .collect();
        let calls = chunks.iter().map(|(node, units)| {
            let units: Vec<&str> = units.iter().map(|unit| unit.as_str()).collect();
            call(node, &units)
        });
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        let answers = self.bus.ask_each(&calls).await;
        for ((node, units), answer) in chunks.into_iter().zip(answers) {
            let mut told: BTreeMap<String, _> = match answer? {
                Ok(answer) => bus::read::<Units>(&answer, asked)?.into_iter().collect(),
                Err(refusal) => {
                    let sight = sight_of(node, asked, refusal);
                    let unread = units.iter().map(|unit| {
                        let (node, unit) = (node.clone(), (*unit).clone());
                        (Target { node, unit }, Err(sight.clone()))
                    });
                    read.extend(unread);
                    continue;
                }
            };
            for unit in units {
                let facts = Facts(told.remove(unit.as_str()).unwrap_or_default());
                let (node, unit) = (node.clone(), (*unit).clone());
                read.insert(Target { node, unit }, Ok(facts));
            }
        }
        Ok(read)
    }

    /// Where unit files of these nodes name units of other nodes; and the nodes that did not say.
    pub(crate) async fn references(
        &mut self,
        nodes: &[NodeName],
    ) -> Result<(Vec<Reference>, Vec<Missing>), Fault> {
        type Rows = Vec<(String, String, String, String)>;
        let mut missing = Vec::new();
        let mut asked = Vec::new();
        for name in nodes {
            match self.known(name)? {
                node if node.is_online() => asked.push(name),
                node => missing.push(Missing::of(name, &offline(node))),
            }
        }
        let calls = asked
            .iter()
            .map(|node| bus::node_call(node, public::NODE_OWN, "ListReferences", &()));
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        let answers = self.bus.ask_each(&calls).await;
        let mut references = Vec::new();
        for (node, answer) in asked.into_iter().zip(answers) {
            match answer? {
                Ok(answer) => {
                    let rows: Rows = bus::read(&answer, "ListReferences")?;
                    references.extend(rows.into_iter().map(|row| Reference::new(node, row)));
                }
                Err(refusal) if fault::is_not_there(&refusal) => {
                    let fault = Fault::NotAble {
                        node: node.to_string(),
                        what: "say which unit files name units of other nodes",
                    };
                    missing.push(Missing::of(node, &fault));
                }
                Err(refusal) => {
                    let fault = Fault::refused(refusal, self.bus.name());
                    missing.push(Missing::of(node, &fault));
                }
            }
        }
        Ok((references, missing))
    }

    /// Who names units of other nodes, in unit files or by a claim; and the nodes that did not say.
    pub(crate) async fn needs(&mut self) -> Result<(Needs, Vec<Missing>), Fault> {
        let names: Vec<NodeName> = self.names();
        let (references, missing) = self.references(&names).await?;
        let mut needs = Needs::default();
        for reference in &references {
            let (Some(user), Some(name)) = (reference.user(), reference.expanded()) else {
                continue;
            };
            if let (Some(relation), Ok(proxy)) = (Relation::named(&reference.setting), name.parse())
            {
                needs.user(&user, relation, &proxy);
            }
        }
        for claim in self.claims().await? {
            if let (Ok(source), Ok(node), Ok(unit)) =
                (claim.source.parse(), claim.node.parse(), claim.unit.parse())
                && let Ok(proxy) = ProxyName::of(&node, &unit)
            {
                needs.proxy(&source, proxy.name());
            }
        }
        Ok((needs, missing))
    }

    /// The names of all nodes.
    pub(crate) fn names(&self) -> Vec<NodeName> {
        let names = self.nodes.iter().map(|node| node.name.parse());
        names.filter_map(Result::ok).collect()
    }

    /// Asks until there is nothing more to ask; `more` are properties besides what depends on what.
    pub(crate) async fn walk(
        &mut self,
        mut walk: Walk<'_>,
        more: &[&'static str],
    ) -> Result<(Graph, bool), Fault> {
        let mut properties = walk.properties();
        properties.extend(STATE);
        properties.extend(more);
        loop {
            let units = walk.next();
            if units.is_empty() {
                return Ok(walk.end());
            }
            for (unit, facts) in self.properties(&units, &properties).await? {
                match facts {
                    Ok(facts) => walk.read(&unit, &facts),
                    Err(sight) => walk.unread(&unit, sight),
                }
            }
        }
    }
}

/// The node is not connected.
pub(crate) fn offline(node: &Node) -> Fault {
    Fault::Offline {
        node: node.name.clone(),
        last_seen_ago: node.last_seen_ago,
        address: node.address.clone(),
    }
}

/// Why a node that is online did not answer.
fn sight_of(node: &NodeName, asked: &'static str, refusal: fault::Refusal) -> Sight {
    if fault::is_offline(&refusal) {
        return Sight::Offline;
    }
    if fault::is_not_there(&refusal) {
        let fault = Fault::NotAble {
            node: node.to_string(),
            what: match asked {
                "ReadProperties" => "say what depends on what",
                _ => "say all about its units",
            },
        };
        return Sight::Unread(fault.to_string());
    }
    Sight::Unread(refusal.text)
}
