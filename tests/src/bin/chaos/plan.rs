//! From a seed to a schedule: what is done, where, and when. It does not depend on what happens, so
//! a seed gives the same schedule again.

use std::time::Duration;

use ::tests::node::Link;
use ::tests::rng::Rng;

use crate::layout::{Layout, NODES, NodeId, Role, UnitId};

/// One thing that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Start(UnitId),
    /// As [`Deed::Start`], from the controller's node.
    StartByCtl(UnitId),
    Stop(UnitId),
    Restart(UnitId),
    /// SIGKILL to its main process.
    Kill(UnitId),
    KillDaemon(Daemon),
    RestartDaemon(Daemon),
    /// Its configuration is read again (SIGHUP).
    ReloadDaemon(Daemon),
    Freeze(Daemon),
    Thaw(Daemon),
    Link(Link),
    RestartBus,
    DaemonReload,
    DaemonReexec,
    /// All processes of the node die at once.
    PowerOff,
    PowerOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Daemon {
    Controller,
    Agent,
}

impl Daemon {
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Controller => "unitlink-controller.service",
            Self::Agent => "unitlink-agent.service",
        }
    }
}

/// A deed, the node it is done to, and when after the beginning of its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) node: NodeId,
    pub(crate) deed: Deed,
}

/// What goes on between two quiet points.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// In the order of their times.
    pub(crate) steps: Vec<Step>,
    /// Whether a node is out of sight in it for longer than the graces.
    #[cfg(test)]
    is_long: bool,
}

/// What the rounds are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All faults.
    Everything,
    /// Daemons are killed and restarted all the time, and nothing else fails.
    Restarts,
}

/// No fault of a round that is not long may last longer: with the time until agents and controller
/// have found each other again it must be shorter than the graces.
const FAULT_MAX: u64 = 6000;

/// A long round has one fault of this length, in milliseconds; far more than the graces.
pub(crate) const LONG: Duration = Duration::from_secs(32);

/// Makes one round after the other.
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    rng: Rng,
    kind: Kind,
    layout: &'a Layout,
    sources: Vec<UnitId>,
    rounds: usize,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(seed: u64, kind: Kind, layout: &'a Layout) -> Self {
        let of = |role: Role| {
            let units = layout.units.iter().enumerate();
            units
                .filter(move |(_, unit)| unit.role == role)
                .map(|(id, _)| id)
        };
        Self {
            // Not the numbers that the layout was drawn from.
            rng: Rng::new(seed).fork(),
            kind,
            layout,
            sources: of(Role::Source).chain(of(Role::Enabled)).collect(),
            rounds: 0,
        }
    }

    /// The next round.
    pub(crate) fn round(&mut self) -> Round {
        self.rounds += 1;
        let mut round = Draft {
            rng: self.rng.fork(),
            layout: self.layout,
            steps: Vec::new(),
        };
        let is_long = self.kind == Kind::Everything && self.rounds.is_multiple_of(12);
        match self.kind {
            Kind::Everything if is_long => round.long(&self.sources),
            Kind::Everything => round.everything(&self.sources),
            Kind::Restarts => round.restarts(&self.sources),
        }
        // Stable, so that what follows something at the same moment stays behind it.
        round.steps.sort_by_key(|step| step.at);
        Round {
            steps: round.steps,
            #[cfg(test)]
            is_long,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillTarget,
    StopTarget,
    KillDaemon,
    RestartDaemon,
    ReloadDaemon,
    Freeze,
    Link,
    Manager,
    Bus,
    Reboot,
    KillAll,
}

/// In so many of 100 rounds they occur.
const FAULTS: [(Fault, u64); 11] = [
    (Fault::KillTarget, 30),
    (Fault::StopTarget, 30),
    (Fault::KillDaemon, 60),
    (Fault::RestartDaemon, 40),
    (Fault::ReloadDaemon, 15),
    (Fault::Freeze, 30),
    (Fault::Link, 35),
    (Fault::Manager, 30),
    (Fault::Bus, 12),
    (Fault::Reboot, 12),
    (Fault::KillAll, 12),
];

struct Draft<'a> {
    rng: Rng,
    layout: &'a Layout,
    steps: Vec<Step>,
}

impl Draft<'_> {
    /// Most rounds have a few kinds of faults only: where everything happens at once, much is hidden.
    fn everything(&mut self, sources: &[UnitId]) {
        let length = self.rng.between(3000, 9000);
        for (fault, chance) in FAULTS {
            if self.rng.percent(chance) {
                for _ in 0..self.rng.between(1, 4) {
                    let at = self.rng.millis(0, length);
                    self.add(fault, at);
                }
            }
        }
        let count = self.rng.between(4, 24);
        self.operators(sources, count, length);
    }

    /// A node is away for longer than all graces.
    fn long(&mut self, sources: &[UnitId]) {
        let node = 1 + self.node_below(NODES.len() - 1);
        match self.rng.below(4) {
            0 => {
                self.push(Duration::ZERO, node, Deed::PowerOff);
                self.push(LONG, node, Deed::PowerOn);
            }
            1 => {
                self.push(Duration::ZERO, node, Deed::Freeze(Daemon::Agent));
                self.push(LONG, node, Deed::Thaw(Daemon::Agent));
            }
            2 => self.cable(Duration::ZERO, node, Link::Cut, LONG),
            _ => self.cable(Duration::ZERO, node, Link::Mute, LONG),
        }
        self.operators(sources, 12, 25_000);
    }

    /// What is killed in the simplest way and as often as possible.
    fn restarts(&mut self, sources: &[UnitId]) {
        let length = 8000;
        for _ in 0..25 {
            let at = self.rng.millis(0, length);
            if self.rng.percent(70) {
                self.kill_daemon(at);
            } else {
                self.restart_daemon(at);
            }
        }
        if self.rng.percent(20) {
            let at = self.rng.millis(0, length);
            self.kill_all(at);
        }
        self.operators(sources, 30, length);
    }

    fn operators(&mut self, sources: &[UnitId], count: u64, length: u64) {
        for _ in 0..count {
            let Some(&source) = self.rng.pick(sources) else {
                return;
            };
            let at = self.rng.millis(0, length);
            let node = self.layout.units[source].node;
            match self.rng.below(100) {
                0..45 => self.push(at, node, Deed::Start(source)),
                45..57 => self.push(at, 0, Deed::StartByCtl(source)),
                57..90 => self.push(at, node, Deed::Stop(source)),
                _ => self.push(at, node, Deed::Restart(source)),
            }
        }
    }

    fn add(&mut self, fault: Fault, at: Duration) {
        match fault {
            Fault::KillTarget => self.kill_target(at),
            Fault::StopTarget => self.stop_target(at),
            Fault::KillDaemon => self.kill_daemon(at),
            Fault::RestartDaemon => self.restart_daemon(at),
            Fault::ReloadDaemon => self.reload_daemon(at),
            Fault::Freeze => self.freeze(at),
            Fault::Link => self.link(at),
            Fault::Manager => self.manager(at),
            Fault::Bus => self.bus(at),
            Fault::Reboot => self.reboot(at),
            Fault::KillAll => self.kill_all(at),
        }
    }

    fn kill_target(&mut self, at: Duration) {
        let running: Vec<UnitId> = self.targets(|layout, id| layout.units[id].shape.has_process());
        if let Some(&id) = self.rng.pick(&running) {
            self.push(at, self.layout.units[id].node, Deed::Kill(id));
        }
    }

    fn stop_target(&mut self, at: Duration) {
        let targets = self.targets(|_, _| true);
        if let Some(&id) = self.rng.pick(&targets) {
            let deed = if self.rng.percent(60) {
                Deed::Stop(id)
            } else {
                Deed::Restart(id)
            };
            self.push(at, self.layout.units[id].node, deed);
        }
    }

    fn kill_daemon(&mut self, at: Duration) {
        let (node, daemon) = self.daemon();
        self.push(at, node, Deed::KillDaemon(daemon));
    }

    fn restart_daemon(&mut self, at: Duration) {
        let (node, daemon) = self.daemon();
        self.push(at, node, Deed::RestartDaemon(daemon));
    }

    fn reload_daemon(&mut self, at: Duration) {
        let (node, daemon) = self.daemon();
        self.push(at, node, Deed::ReloadDaemon(daemon));
    }

    fn freeze(&mut self, at: Duration) {
        let (node, daemon) = self.daemon();
        let length = self.rng.millis(50, FAULT_MAX);
        self.push(at, node, Deed::Freeze(daemon));
        self.push(at + length, node, Deed::Thaw(daemon));
    }

    fn link(&mut self, at: Duration) {
        const LINKS: [Link; 5] = [Link::Cut, Link::Down, Link::Deaf, Link::Mute, Link::Slow];
        let node = self.node_below(NODES.len());
        let length = self.rng.millis(20, FAULT_MAX);
        if let Some(&link) = self.rng.pick(&LINKS) {
            self.cable(at, node, link, length);
        }
    }

    fn cable(&mut self, at: Duration, node: NodeId, link: Link, length: Duration) {
        self.push(at, node, Deed::Link(link));
        self.push(at + length, node, Deed::Link(Link::Up));
    }

    fn manager(&mut self, at: Duration) {
        let node = self.node_below(NODES.len());
        let deed = if self.rng.percent(50) {
            Deed::DaemonReload
        } else {
            Deed::DaemonReexec
        };
        self.push(at, node, deed);
    }

    fn bus(&mut self, at: Duration) {
        let node = self.node_below(NODES.len());
        self.push(at, node, Deed::RestartBus);
    }

    fn reboot(&mut self, at: Duration) {
        let node = self.node_below(NODES.len());
        let length = self.rng.millis(0, 3000);
        self.push(at, node, Deed::PowerOff);
        self.push(at + length, node, Deed::PowerOn);
    }

    fn kill_all(&mut self, at: Duration) {
        self.push(at, 0, Deed::KillDaemon(Daemon::Controller));
        for node in 0..NODES.len() {
            self.push(at, node, Deed::KillDaemon(Daemon::Agent));
        }
    }

    fn daemon(&mut self) -> (NodeId, Daemon) {
        match self.node_below(NODES.len() + 2) {
            node if node < NODES.len() => (node, Daemon::Agent),
            _ => (0, Daemon::Controller),
        }
    }

    fn targets(&self, accept: impl Fn(&Layout, UnitId) -> bool) -> Vec<UnitId> {
        (0..self.layout.units.len())
            .filter(|id| self.layout.units[*id].role == Role::Target)
            .filter(|id| accept(self.layout, *id))
            .collect()
    }

    fn node_below(&mut self, bound: usize) -> NodeId {
        usize::try_from(self.rng.below(bound as u64)).unwrap_or(0)
    }

    fn push(&mut self, at: Duration, node: NodeId, deed: Deed) {
        self.steps.push(Step { at, node, deed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_schedule_again() {
        let layout = Layout::of(7);
        let steps = |_| {
            let mut planner = Planner::new(7, Kind::Everything, &layout);
            (0..30).map(|_| planner.round().steps).collect::<Vec<_>>()
        };
        assert_eq!(steps(1), steps(2));
    }

    #[test]
    fn only_a_long_round_has_a_fault_that_is_longer_than_the_graces() {
        let layout = Layout::of(7);
        let mut planner = Planner::new(7, Kind::Everything, &layout);
        for _ in 0..200 {
            let round = planner.round();
            let last = round.steps.last().map(|step| step.at).unwrap_or_default();
            assert!(round.is_long || last < Duration::from_secs(16), "{last:?}");
        }
    }
}
