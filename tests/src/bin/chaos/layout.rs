//! From a seed to the units of the fleet: who needs what of whom, and how.

use std::collections::BTreeSet;

use ::tests::fleet::FleetBuilder;
use ::tests::rng::Rng;

/// The first has the controller. All of them have units.
pub(crate) const NODES: [&str; 5] = ["main", "worker1", "worker2", "worker3", "worker4"];

/// So many units of other nodes are needed, each counted once for each node that needs it.
pub(crate) const PROXIES: usize = 50;

const SOURCES_OF_A_NODE: usize = 3;

/// A unit, by its place in [`Layout::units`].
pub(crate) type UnitId = usize;

/// A node, by its place in [`NODES`].
pub(crate) type NodeId = usize;

/// The units of a fleet.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) units: Vec<Unit>,
}

#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) node: NodeId,
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// What it needs of other nodes.
    pub(crate) needs: Vec<Need>,
    pub(crate) role: Role,
}

/// Who has a unit started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The driver, as an operator would.
    Source,
    /// The driver, and its node at boot.
    Enabled,
    /// Whoever needs it: it has `StopWhenUnneeded=yes`.
    Target,
}

#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) tie: Tie,
    pub(crate) of: UnitId,
}

/// How a need is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    Requires,
    BindsTo,
    Wants,
    Upholds,
}

/// What kind of unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Up as soon as it is started.
    Simple,
    /// `Type=notify`, and ready after a while.
    Notify,
    /// `Type=forking`, which leaves a process behind.
    Forking,
    /// `Type=oneshot`, `RemainAfterExit=yes`: no process.
    Oneshot,
    Target,
    Socket,
    Timer,
    Path,
    Mount,
}

impl Tie {
    /// Whether the unit ends when what it needs has ended.
    pub(crate) fn is_strict(self) -> bool {
        match self {
            Self::Requires | Self::BindsTo => true,
            Self::Wants | Self::Upholds => false,
        }
    }
}

impl Shape {
    /// Whether it has a process that can be killed.
    pub(crate) fn has_process(self) -> bool {
        match self {
            Self::Simple | Self::Notify | Self::Forking => true,
            Self::Oneshot
            | Self::Target
            | Self::Socket
            | Self::Timer
            | Self::Path
            | Self::Mount => false,
        }
    }

    fn name(self, base: &str) -> String {
        match self {
            Self::Simple | Self::Notify | Self::Forking | Self::Oneshot => {
                format!("{base}.service")
            }
            Self::Target => format!("{base}.target"),
            Self::Socket => format!("{base}.socket"),
            Self::Timer => format!("{base}.timer"),
            Self::Path => format!("{base}.path"),
            // The name of a mount is its place (systemd.mount(5)).
            Self::Mount => format!("srv-{base}.mount"),
        }
    }

    fn section(self, base: &str) -> String {
        match self {
            Self::Simple => "[Service]\nExecStart=/bin/sleep infinity\n".to_owned(),
            Self::Notify => "[Service]\nType=notify\nNotifyAccess=all\n\
                 ExecStart=/bin/sh -c 'sleep 0.4; systemd-notify --ready; exec sleep infinity'\n"
                .to_owned(),
            Self::Forking => {
                "[Service]\nType=forking\nExecStart=/bin/sh -c 'sleep infinity &'\n".to_owned()
            }
            Self::Oneshot => {
                "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 0.1\n"
                    .to_owned()
            }
            Self::Target => String::new(),
            Self::Socket => {
                format!("[Socket]\nListenStream=/run/chaos-{base}.sock\nService=nothing.service\n")
            }
            Self::Timer => "[Timer]\nOnActiveSec=1w\nUnit=nothing.service\n".to_owned(),
            Self::Path => "[Path]\nPathExists=/nowhere\nUnit=nothing.service\n".to_owned(),
            Self::Mount => format!("[Mount]\nWhat=tmpfs\nWhere=/srv/{base}\nType=tmpfs\n"),
        }
    }
}

impl Unit {
    /// The proxy for it on other nodes.
    pub(crate) fn proxy(&self) -> String {
        let of = self.name.strip_suffix(".service").unwrap_or(&self.name);
        format!("proxy@{}_{of}.service", NODES[self.node])
    }

    /// The hold of it on its own node.
    pub(crate) fn hold(&self) -> String {
        match self.name.strip_suffix(".service") {
            Some(service) => format!("dep@{service}.service"),
            None => format!("dep-unit@{}.service", self.name),
        }
    }
}

impl Layout {
    /// Three layers: what ends a chain, what is in the middle of one, and sources.
    pub(crate) fn of(seed: u64) -> Self {
        const LEAVES: [Shape; 5] = [
            Shape::Simple,
            Shape::Notify,
            Shape::Forking,
            Shape::Oneshot,
            Shape::Simple,
        ];
        // One of each for the first, second, … node.
        const OTHERS: [Shape; 5] = [
            Shape::Target,
            Shape::Socket,
            Shape::Timer,
            Shape::Path,
            Shape::Mount,
        ];
        let mut rng = Rng::new(seed);
        let mut layout = Self { units: Vec::new() };
        for (node, other) in OTHERS.iter().enumerate() {
            for (number, shape) in LEAVES.iter().enumerate() {
                layout.add(node, *shape, &format!("leaf{number}"), Role::Target);
            }
            layout.add(node, *other, "other", Role::Target);
        }
        let mut below = layout.units.len();
        for layer in 0..2 {
            let begin = layout.units.len();
            for node in 0..NODES.len() {
                let id = layout.add(node, Shape::Simple, &format!("middle{layer}"), Role::Target);
                layout.need(id, below, &mut rng);
                layout.need(id, below, &mut rng);
            }
            // The second layer may need what is in the first.
            below = begin + NODES.len();
        }
        let mut sources = Vec::new();
        for node in 0..NODES.len() {
            for number in 0..SOURCES_OF_A_NODE {
                let (shape, role) = match number {
                    0 => (Shape::Simple, Role::Enabled),
                    1 => (Shape::Notify, Role::Source),
                    _ => (Shape::Oneshot, Role::Source),
                };
                let id = layout.add(node, shape, &format!("source{number}"), role);
                layout.need(id, below, &mut rng);
                sources.push(id);
            }
        }
        // Many more tries than it takes.
        for _ in 0..10_000 {
            if layout.proxies().len() >= PROXIES {
                break;
            }
            if let Some(source) = rng.pick(&sources) {
                layout.need(*source, below, &mut rng);
            }
        }
        layout
    }

    /// All pairs of a node and a unit of another node that something on it needs.
    pub(crate) fn proxies(&self) -> BTreeSet<(NodeId, UnitId)> {
        self.units
            .iter()
            .flat_map(|unit| unit.needs.iter().map(|need| (unit.node, need.of)))
            .collect()
    }

    /// The units of a node that need this unit of another one.
    pub(crate) fn needers(&self, node: NodeId, of: UnitId) -> impl Iterator<Item = &Unit> {
        self.units
            .iter()
            .filter(move |unit| unit.node == node && unit.needs.iter().any(|need| need.of == of))
    }

    /// Gives the nodes their units.
    pub(crate) fn write(&self, mut builder: FleetBuilder) -> FleetBuilder {
        for node in NODES {
            builder = builder.unit_text(
                node,
                "nothing.service",
                "[Unit]\nDescription=What sockets, timers and paths would start\n\n\
                 [Service]\nExecStart=/bin/true\n",
            );
        }
        for unit in &self.units {
            builder = builder.unit_text(NODES[unit.node], &unit.name, &self.text(unit));
        }
        for (node, name) in NODES.iter().enumerate() {
            let wants: Vec<_> = self
                .units
                .iter()
                .filter(|unit| unit.node == node && unit.role == Role::Enabled)
                .map(|unit| unit.name.as_str())
                .collect();
            let text = format!("[Unit]\nWants={}\n", wants.join(" "));
            let path = "/etc/systemd/system/multi-user.target.d/sources.conf";
            builder = builder.file(name, path, &text);
        }
        builder
    }

    fn text(&self, unit: &Unit) -> String {
        let mut text = "[Unit]\n".to_owned();
        match unit.role {
            Role::Target => text.push_str("StopWhenUnneeded=yes\n"),
            Role::Source | Role::Enabled => {}
        }
        // How often it is started is what is tried here.
        text.push_str("StartLimitIntervalSec=0\n");
        for need in &unit.needs {
            let proxy = self.units[need.of].proxy();
            let tie = match need.tie {
                Tie::Requires => "Requires",
                Tie::BindsTo => "BindsTo",
                Tie::Wants => "Wants",
                Tie::Upholds => "Upholds",
            };
            text.push_str(&format!("{tie}={proxy}\nAfter={proxy}\n"));
        }
        let base = unit.name.rsplit_once('.').map_or("", |(base, _)| base);
        let base = base.strip_prefix("srv-").unwrap_or(base);
        format!("{text}\n{}", unit.shape.section(base))
    }

    fn add(&mut self, node: NodeId, shape: Shape, base: &str, role: Role) -> UnitId {
        self.units.push(Unit {
            node,
            name: shape.name(base),
            shape,
            needs: Vec::new(),
            role,
        });
        self.units.len() - 1
    }

    /// Lets a unit need one of the first units, if it is of another node and not needed by it yet.
    fn need(&mut self, id: UnitId, below: usize, rng: &mut Rng) {
        const TIES: [Tie; 6] = [
            Tie::Requires,
            Tie::BindsTo,
            Tie::BindsTo,
            Tie::Wants,
            Tie::Upholds,
            Tie::Requires,
        ];
        let candidates: Vec<UnitId> = (0..below)
            .filter(|of| self.units[*of].node != self.units[id].node)
            .filter(|of| !self.units[id].needs.iter().any(|need| need.of == *of))
            .collect();
        if let (Some(of), Some(tie)) = (rng.pick(&candidates), rng.pick(&TIES)) {
            let need = Need { tie: *tie, of: *of };
            self.units[id].needs.push(need);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_gives_fifty_proxies_and_no_circle() {
        for seed in 0..200 {
            let layout = Layout::of(seed);
            assert_eq!(layout.proxies().len(), PROXIES, "seed {seed}");
            for (id, unit) in layout.units.iter().enumerate() {
                for need in &unit.needs {
                    assert!(need.of < id && layout.units[need.of].node != unit.node);
                }
            }
        }
    }

    #[test]
    fn all_kinds_of_ties_and_of_units_are_needed() {
        let layout = Layout::of(1);
        for tie in [Tie::Requires, Tie::BindsTo, Tie::Wants, Tie::Upholds] {
            let mut needs = layout.units.iter().flat_map(|unit| &unit.needs);
            assert!(needs.any(|need| need.tie == tie), "{tie:?}");
        }
    }

    #[test]
    fn proxies_and_holds_are_named_as_they_are_written() {
        let layout = Layout::of(1);
        let of = |name: &str| layout.units.iter().find(|unit| unit.name == name).unwrap();
        assert_eq!(of("leaf0.service").proxy(), "proxy@main_leaf0.service");
        assert_eq!(of("leaf0.service").hold(), "dep@leaf0.service");
        let mount = of("srv-other.mount");
        assert_eq!(mount.proxy(), "proxy@worker4_srv-other.mount.service");
        assert_eq!(mount.hold(), "dep-unit@srv-other.mount.service");
    }
}
