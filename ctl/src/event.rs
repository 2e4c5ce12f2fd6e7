//! What a monitor tells of, and which of it is wanted. Pure.

use std::{collections::BTreeMap, time::Duration};

use proto::{dbus::public, name::NodeName};
use zbus::{Message, wire::OwnedVariant};

use crate::{
    cli::{EventKind, Nodes, UnitArg},
    facts::Facts,
    fault::Fault,
    fleet::Node,
    glob,
};

/// Something that happened.
#[derive(Debug)]
pub(crate) struct Event {
    /// When it was heard, by the clock of this machine, since 1970.
    pub(crate) time: Duration,
    pub(crate) node: String,
    /// Empty if it is about the node itself.
    pub(crate) unit: String,
    pub(crate) what: What,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum What {
    /// The node came or went.
    Node { status: String },
    /// The unit is loaded.
    New { reason: String },
    /// It is not loaded any more.
    Removed { reason: String },
    /// It is in another state.
    State {
        active: String,
        sub: String,
        reason: String,
    },
    /// Properties of it have changed.
    Properties {
        interface: String,
        properties: BTreeMap<String, OwnedVariant>,
    },
}

impl What {
    /// The word for programs, by which it is also chosen.
    pub(crate) fn word(&self) -> &'static str {
        self.kind().as_str()
    }

    fn kind(&self) -> EventKind {
        match self {
            Self::Node { .. } => EventKind::Node,
            Self::New { .. } => EventKind::New,
            Self::Removed { .. } => EventKind::Removed,
            Self::State { .. } => EventKind::State,
            Self::Properties { .. } => EventKind::Properties,
        }
    }
}

impl Event {
    /// Reads a signal of a monitor, or of a node whose status has changed.
    pub(crate) fn read(signal: &Message, monitor: Option<&str>, time: Duration) -> Option<Self> {
        let header = signal.header();
        let path = header.path()?.as_str();
        let member = header.member()?.as_str();
        let body = signal.body();
        if member == "PropertiesChanged" {
            let element = path.strip_prefix(public::NODE_PATH_PREFIX)?;
            let node = proto::name::path_element_decode(element)?;
            type Changed = (String, BTreeMap<String, OwnedVariant>, Vec<String>);
            let (interface, changed, _): Changed = body.deserialize().ok()?;
            let status = Facts(changed).text("Status");
            let is_status = interface == public::NODE && !status.is_empty();
            return is_status.then(|| Self {
                time,
                node,
                unit: String::new(),
                what: What::Node { status },
            });
        }
        if Some(path) != monitor {
            return None;
        }
        let (node, unit, what) = match member {
            "UnitNew" => {
                let (node, unit, reason) = body.deserialize().ok()?;
                (node, unit, What::New { reason })
            }
            "UnitRemoved" => {
                let (node, unit, reason) = body.deserialize().ok()?;
                (node, unit, What::Removed { reason })
            }
            "UnitStateChanged" => {
                let (node, unit, active, sub, reason) = body.deserialize().ok()?;
                let what = What::State {
                    active,
                    sub,
                    reason,
                };
                (node, unit, what)
            }
            "UnitPropertiesChanged" => {
                let (node, unit, interface, properties) = body.deserialize().ok()?;
                let what = What::Properties {
                    interface,
                    properties,
                };
                (node, unit, what)
            }
            _ => return None,
        };
        // That a node came or went is told as its status too, and as the end of each of its units.
        (unit != "*").then_some(Self {
            time,
            node,
            unit,
            what,
        })
    }

    /// Why it is told: `real`, or `virtual` where it did not happen to the unit.
    pub(crate) fn reason(&self) -> Option<&str> {
        match &self.what {
            What::New { reason } | What::Removed { reason } | What::State { reason, .. } => {
                Some(reason)
            }
            What::Node { .. } | What::Properties { .. } => None,
        }
    }

    /// Whether it follows from something else than the unit.
    pub(crate) fn is_virtual(&self) -> bool {
        self.reason() == Some("virtual")
    }
}

/// What is to be told.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) nodes: Nodes,
    /// All if there are none.
    pub(crate) units: Vec<UnitArg>,
    /// All if there are none.
    pub(crate) kinds: Vec<EventKind>,
    /// Whether only what really happened is to be told.
    pub(crate) only_real: bool,
}

/// What to subscribe to, and what of that is wanted.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Names of nodes, or `*`; empty if no unit is wanted.
    pub(crate) nodes: Vec<String>,
    /// Names of units, or `*`.
    pub(crate) units: Vec<String>,
    chosen: Vec<NodeName>,
}

impl Wanted {
    /// What to subscribe to: a monitor knows names and `*`. A pattern is also for nodes that are yet
    /// to come.
    ///
    /// # Errors
    ///
    /// Fails where no node is meant, or one that there is not.
    pub(crate) fn plan(&self, known: &[Node]) -> Result<Plan, Fault> {
        let chosen = self.nodes.among(known)?;
        let is_known = |name: &&NodeName| known.iter().any(|node| node.name == name.as_str());
        if let Some(name) = chosen.iter().find(|name| !is_known(name)) {
            return Err(Fault::NoNode {
                node: name.to_string(),
                known: known.iter().map(|node| node.name.clone()).collect(),
            });
        }
        let has_unit_kinds =
            self.kinds.is_empty() || self.kinds.iter().any(|kind| *kind != EventKind::Node);
        let nodes = if !has_unit_kinds {
            Vec::new()
        } else if self.nodes.patterns().next().is_some() {
            vec!["*".to_owned()]
        } else {
            chosen.iter().map(ToString::to_string).collect()
        };
        let name = |unit: &UnitArg| match unit {
            UnitArg::Name(name) => Some(name.to_string()),
            UnitArg::Pattern(_) => None,
        };
        let names: Option<Vec<String>> = self.units.iter().map(name).collect();
        let units = match names {
            Some(names) if !names.is_empty() => names,
            Some(_) | None => vec!["*".to_owned()],
        };
        Ok(Plan {
            nodes,
            units,
            chosen,
        })
    }

    /// Whether an event is to be told.
    pub(crate) fn wants(&self, plan: &Plan, event: &Event) -> bool {
        let is_chosen = plan.chosen.iter().any(|name| name.as_str() == event.node)
            || self
                .nodes
                .patterns()
                .any(|pattern| glob::fits(pattern, &event.node));
        let fits = |unit: &UnitArg| match unit {
            UnitArg::Name(name) => name.as_str() == event.unit,
            UnitArg::Pattern(pattern) => glob::fits(pattern, &event.unit),
        };
        is_chosen
            && (self.kinds.is_empty() || self.kinds.contains(&event.what.kind()))
            && (event.unit.is_empty() || self.units.is_empty() || self.units.iter().any(fits))
            && !(self.only_real && event.is_virtual())
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn known() -> Vec<Node> {
        let node = |name: &str| Node {
            labels: vec!["front".into()],
            ..Node::from_listing(name.into(), "online".into(), String::new())
        };
        vec![node("cam1"), node("main")]
    }

    fn wanted(nodes: &str, units: &[&str]) -> Wanted {
        Wanted {
            nodes: nodes.parse().expect("valid"),
            units: units
                .iter()
                .map(|unit| unit.parse().expect("valid"))
                .collect(),
            kinds: vec![],
            only_real: false,
        }
    }

    fn state(node: &str, unit: &str, reason: &str) -> Event {
        Event {
            time: Duration::ZERO,
            node: node.into(),
            unit: unit.into(),
            what: What::State {
                active: "active".into(),
                sub: "running".into(),
                reason: reason.into(),
            },
        }
    }

    #[test_case("cam1", &["a"], &["cam1"], &["a.service"]; "names")]
    #[test_case("cam1,main", &["a*"], &["cam1", "main"], &["*"]; "a pattern of units is for all of them")]
    #[test_case("cam*", &[], &["*"], &["*"]; "a pattern of nodes is also for those that come")]
    #[test_case("@front", &["a"], &["cam1", "main"], &["a.service"]; "a label")]
    fn what_a_monitor_is_asked_for(
        nodes: &str,
        units: &[&str],
        asked_nodes: &[&str],
        asked_units: &[&str],
    ) {
        let plan = wanted(nodes, units).plan(&known()).expect("some");
        assert_eq!(plan.nodes, asked_nodes);
        assert_eq!(plan.units, asked_units);
    }

    #[test_case("cam*", &["a*"], "cam2", "ab.service", true; "a node that has come")]
    #[test_case("cam*", &["a*"], "main", "ab.service", false; "another node")]
    #[test_case("cam*", &["a*"], "cam1", "b.service", false; "another unit")]
    #[test_case("cam*", &["a*"], "cam1", "", true; "the node itself")]
    fn what_is_heard_and_not_wanted_is_left_out(
        nodes: &str,
        units: &[&str],
        node: &str,
        unit: &str,
        is_wanted: bool,
    ) {
        let wanted = wanted(nodes, units);
        let plan = wanted.plan(&known()).expect("some");
        assert_eq!(wanted.wants(&plan, &state(node, unit, "real")), is_wanted);
    }

    #[test]
    fn kinds_and_what_is_virtual_can_be_left_out() {
        let mut wanted = wanted("*", &[]);
        let plan = wanted.plan(&known()).expect("some");
        let (real, not) = (
            state("main", "a.service", "real"),
            state("main", "a.service", "virtual"),
        );
        assert!(wanted.wants(&plan, &real) && wanted.wants(&plan, &not));
        wanted.only_real = true;
        assert!(wanted.wants(&plan, &real) && !wanted.wants(&plan, &not));
        wanted.kinds = vec![EventKind::Node];
        assert!(!wanted.wants(&plan, &real));
        assert_eq!(wanted.plan(&known()).expect("some").nodes, [""; 0]);
    }
}
