//! A small fleet, as a value: everything that decides what can happen next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fleet::{Fleet, Heartbeat};
use node::{FromManager, LinkId, Node, Waiter};
use proto::{
    message::{ToAgent, ToController},
    model::Token,
    name::{NodeName, UnitName},
    time::Moment,
};

use tests::rng::Rng;

use crate::{
    generate,
    systemd::{Effect, Spec, Systemd, Wake},
};

/// What a walk is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) settings: fleet::Settings,
    pub(super) nodes: Vec<(NodeName, BTreeMap<UnitName, Spec>)>,
    /// What operators do, in this order, each at any time after the one before.
    pub(super) operators: Vec<Operator>,
    /// How many faults there may be, and which.
    pub(super) faults: usize,
    pub(super) kinds: Vec<Fault>,
    /// Whether a time that is over before what could happen has happened is a fault too.
    pub(super) early: bool,
    pub(super) grain: Grain,
}

/// Between what all orders are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grain {
    /// Everything there is, also what passes between the service manager, the agent and the helpers of
    /// one machine.
    All,
    /// What passes on a machine is there at once: machines, connections, programs, operators and faults are
    /// left. A fleet of three nodes has an end then.
    Machines,
}

/// What an operator does; the number is that of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Start(usize),
    Stop(usize),
    StopTarget(usize),
    RestartTarget(usize),
    /// The main process dies.
    KillTarget(usize),
    /// The configuration forbids this node all dependencies.
    Deny(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// The connection of a node breaks; what is on its way is lost.
    Cut(usize),
    RestartAgent(usize),
    RestartController,
    Reload(usize),
    Reexec(usize),
    /// A wait of an agent, or of the controller, is over early.
    AgentTime(usize),
    ControllerTime,
}

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    /// A node's service manager is heard by its agent.
    Manager(usize),
    /// Something happens in a service manager.
    Wake(usize, usize),
    /// A helper asks, or ends.
    Helper(usize),
    ToAgent(u64),
    ToController(u64),
    /// What an agent, or the controller, has waited for comes.
    Agent(usize),
    Controller,
    Operator,
    Fault(Fault),
}

impl Choice {
    pub(super) fn is_fault(&self) -> bool {
        match self {
            Self::Fault(_) => true,
            Self::Manager(_)
            | Self::Wake(..)
            | Self::Helper(_)
            | Self::ToAgent(_)
            | Self::ToController(_)
            | Self::Agent(_)
            | Self::Controller
            | Self::Operator => false,
        }
    }
}

#[derive(Clone, Debug, Hash)]
pub(super) enum ForAgent {
    Connected,
    Said(ToAgent),
    Closed,
}

#[derive(Clone, Debug, Hash)]
pub(super) enum ForController {
    Said(ToController),
    Closed,
}

/// A connection.
#[derive(Clone, Debug, Hash)]
pub(super) struct Wire {
    pub(super) at: usize,
    pub(super) link: LinkId,
    pub(super) to_agent: VecDeque<ForAgent>,
    pub(super) to_controller: VecDeque<ForController>,
    pub(super) greeted: bool,
    /// One end has gone: it hears nothing more.
    pub(super) agent_gone: bool,
    pub(super) controller_gone: bool,
}

#[derive(Clone, Debug, Hash)]
pub(super) enum Helper {
    Asks(UnitName, Token),
    Ends(UnitName, Token, bool),
}

/// A machine.
#[derive(Clone, Debug, Hash)]
pub(super) struct Place {
    pub(super) name: NodeName,
    pub(super) systemd: Systemd,
    pub(super) wakes: Vec<Wake>,
    /// What the agent has yet to hear of its service manager.
    pub(super) told: VecDeque<FromManager>,
    pub(super) node: Node,
    pub(super) incarnation: u64,
    pub(super) clock: Moment,
    pub(super) wire: Option<u64>,
    pub(super) records: Option<String>,
    pub(super) helpers: VecDeque<Helper>,
    /// Helpers that wait for their agent.
    pub(super) waiting: BTreeMap<Waiter, (UnitName, Token)>,
    pub(super) waiters: u64,
}

/// A small fleet.
#[derive(Clone, Debug)]
pub(super) struct Small {
    pub(super) plan: std::rc::Rc<Plan>,
    pub(super) fleet: Fleet,
    pub(super) controllers: u32,
    pub(super) clock: Moment,
    pub(super) places: Vec<Place>,
    pub(super) wires: BTreeMap<u64, Wire>,
    pub(super) connections: u64,
    pub(super) operators: usize,
    pub(super) faults: usize,
    /// In which run the hold of each attempt was first seen active since the attempt began.
    pub(super) up: BTreeMap<Token, Token>,
    /// Attempts that may rightly be given up: a grace has ended, or a rule forbids them.
    pub(super) excused: BTreeSet<Token>,
    pub(super) violation: Option<String>,
    pub(super) trace: Option<Vec<String>>,
    /// What has led here; not a part of the state.
    pub(super) came_by: Option<Choice>,
}

impl std::hash::Hash for Small {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.fleet.hash(state);
        self.places.hash(state);
        self.wires.hash(state);
        (self.operators, self.faults).hash(state);
        (&self.up, &self.excused).hash(state);
    }
}

impl Place {
    /// Something that will happen in the service manager. In which order it was asked for is of no
    /// matter, so it is kept in one.
    pub(super) fn await_wake(&mut self, wake: Wake) {
        let systemd = &self.systemd;
        self.wakes.retain(|wake| systemd.is_due(wake));
        let at = self
            .wakes
            .partition_point(|other| order(other) < order(&wake));
        self.wakes.insert(at, wake);
    }

    /// The next thing that the service manager asks for. What it has gathered to tell is told in the
    /// same turn: a wait in between would only be one more order of what is waited for anyway.
    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        loop {
            match self.systemd.effects.pop_front()? {
                Effect::After(_, Wake::Flush) => self.systemd.wake(self.clock, Wake::Flush),
                effect @ (Effect::After(..)
                | Effect::Tell(_)
                | Effect::HelperStarts { .. }
                | Effect::HelperKilled { .. }) => return Some(effect),
            }
        }
    }
}

fn order(wake: &Wake) -> Option<&UnitName> {
    match wake {
        Wake::Unit { unit, .. } | Wake::Upheld(unit) => Some(unit),
        Wake::Flush => None,
    }
}

/// So long that none is ever due.
const NEVER: std::time::Duration = std::time::Duration::from_secs(1_000_000_000);

impl Plan {
    /// `source.service` of the first node is bound to `target.service` of the second.
    pub(super) fn pair(operators: &[Operator], faults: usize) -> Self {
        Self::of(&["a", "b"], &[(0, 1)], operators, faults)
    }

    /// Nodes, and which is bound to which: `source.service` to `target.service`.
    pub(super) fn of(
        names: &[&str],
        needs: &[(usize, usize)],
        operators: &[Operator],
        faults: usize,
    ) -> Self {
        let names: Vec<NodeName> = names.iter().map(|name| generate::node(name)).collect();
        let mut nodes: Vec<(NodeName, BTreeMap<UnitName, Spec>)> = names
            .iter()
            .map(|name| (name.clone(), BTreeMap::new()))
            .collect();
        for (from, to) in needs {
            let proxy = names.get(*to).map(|name| generate::proxy(name, &target()));
            if let (Some((_, files)), Some(proxy)) = (nodes.get_mut(*from), proxy) {
                files.entry(source()).or_default().binds_to.push(proxy);
            }
            if let Some((_, files)) = nodes.get_mut(*to) {
                files.entry(target()).or_default().stop_when_unneeded = true;
            }
        }
        let any = |name: &NodeName| {
            let settings = fleet::NodeSettings {
                depends_on: fleet::DependsOn::Any,
                labels: Vec::new(),
                claims: fleet::ClaimPolicy::default(),
                units: Vec::new(),
            };
            (name.clone(), settings)
        };
        let mut settings = generate::settings(names.iter().map(any).collect());
        // Whether a node is called offline is one fault more than a link that breaks; walks have the harder one.
        settings.resume_window = std::time::Duration::ZERO;
        settings.heartbeat = Heartbeat {
            interval: NEVER,
            threshold: NEVER.saturating_mul(2),
        };
        let each = |fault: fn(usize) -> Fault| (0..names.len()).map(fault).collect::<Vec<_>>();
        let mut kinds = each(Fault::Cut);
        kinds.extend(each(Fault::RestartAgent));
        kinds.push(Fault::RestartController);
        Self {
            settings,
            nodes,
            operators: operators.to_vec(),
            faults,
            kinds,
            early: true,
            grain: Grain::All,
        }
    }

    /// `source.service` of the first node is bound to `target.service` of the second, and that to
    /// `target.service` of the third.
    pub(super) fn chain(operators: &[Operator], faults: usize) -> Self {
        let mut plan = Self::of(&["a", "b", "c"], &[(0, 1), (1, 2)], operators, faults);
        if let Some((_, files)) = plan.nodes.get_mut(1) {
            let bound = files.remove(&source()).unwrap_or_default().binds_to;
            files.entry(target()).or_default().binds_to = bound;
        }
        plan
    }

    /// Only orders between machines.
    pub(super) fn of_machines(mut self) -> Self {
        self.grain = Grain::Machines;
        self
    }

    /// Only these faults.
    pub(super) fn only(mut self, kinds: &[Fault]) -> Self {
        self.kinds = kinds.to_vec();
        self.early = false;
        self
    }
}

pub(super) fn source() -> UnitName {
    generate::unit("source.service")
}

pub(super) fn target() -> UnitName {
    generate::unit("target.service")
}

impl Small {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut small = Self {
            plan: std::rc::Rc::new(plan.clone()),
            fleet: Fleet::new(
                plan.settings.clone(),
                Moment::default(),
                proto::model::JobId(1),
            ),
            controllers: 1,
            clock: Moment::default(),
            places: Vec::new(),
            wires: BTreeMap::new(),
            connections: 0,
            operators: 0,
            faults: plan.faults,
            up: BTreeMap::new(),
            excused: BTreeSet::new(),
            violation: None,
            trace: None,
            came_by: None,
        };
        for (at, (name, files)) in plan.nodes.iter().enumerate() {
            let rng = Rng::new(at as u64);
            let mut systemd = Systemd::new(files.clone(), true, rng);
            systemd.effects.clear();
            systemd.flush = (0, 0);
            small.places.push(Place {
                name: name.clone(),
                systemd,
                wakes: Vec::new(),
                told: VecDeque::new(),
                node: small.agent(name, 0, None, Moment::default()),
                incarnation: 0,
                clock: Moment::default(),
                wire: None,
                records: None,
                helpers: VecDeque::new(),
                waiting: BTreeMap::new(),
                waiters: 0,
            });
            small.greet(at);
        }
        // Registered, before anything happens.
        while let Some(choice) = small.choices().into_iter().find(|choice| {
            matches!(
                choice,
                Choice::Manager(_) | Choice::ToAgent(_) | Choice::ToController(_)
            )
        }) {
            small.take(choice);
        }
        small.came_by = None;
        small
    }
}
