//! Doing what a schedule says, on all nodes at the same time, and keeping account of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::tests::fleet::Fleet;
use ::tests::node::{Link, Node};
use anyhow::{Result, bail};

use crate::cause::{Order, Outage};
use crate::history::Micros;
use crate::layout::{Layout, NODES, NodeId, Role, UnitId};
use crate::plan::{Daemon, Deed, Round};

/// A manager that executes itself again closes connections; who asks then asks again.
const ATTEMPTS: usize = 4;

/// A controller that is frozen does not answer, and what comes next must not wait for that.
const CTL: Duration = Duration::from_secs(2);

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// How often each kind of deed was done, and how often it could not be.
    pub(crate) counts: BTreeMap<&'static str, (usize, usize)>,
    /// Every deed with the time at which it was begun, in words.
    pub(crate) log: Vec<(Micros, String)>,
    pub(crate) orders: Vec<Order>,
    pub(crate) outages: Vec<Outage>,
    /// From when to when the processes of a node were killed.
    pub(crate) deaths: Vec<(NodeId, Micros, Micros)>,
    /// What was last asked of each source, and when; nothing where that is not known.
    pub(crate) wishes: BTreeMap<UnitId, (Wish, Micros)>,
    /// When sources were last started from the controller's node.
    pub(crate) by_ctl: BTreeMap<UnitId, Micros>,
    /// Outages that are not over.
    open: BTreeMap<(NodeId, Reason), Micros>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Run,
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Frozen,
    Unplugged,
    Off,
}

/// How often daemons were killed or restarted.
const RESTARTS: [&str; 4] = [
    "kill agent",
    "restart agent",
    "kill controller",
    "restart controller",
];

impl Account {
    /// How often daemons were killed or restarted.
    pub(crate) fn restarts(&self) -> usize {
        RESTARTS
            .iter()
            .filter_map(|name| self.counts.get(name))
            .map(|(done, _)| done)
            .sum()
    }

    /// All deeds that were done.
    pub(crate) fn deeds(&self) -> usize {
        self.counts.values().map(|(done, _)| done).sum()
    }

    fn begin(&mut self, node: NodeId, reason: Reason, at: Micros) {
        self.open.entry((node, reason)).or_insert(at);
    }

    fn end(&mut self, node: NodeId, reason: Reason, at: Micros) {
        if let Some(from) = self.open.remove(&(node, reason)) {
            // Without its cable, the controller hears of no other node either.
            let nodes = match (node, reason) {
                (0, Reason::Unplugged) => 1..NODES.len(),
                _ => node..node + 1,
            };
            self.outages
                .extend(nodes.map(|node| Outage { node, from, to: at }));
        }
    }
}

/// See the module.
pub(crate) struct Driver<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) layout: &'a Layout,
    account: Mutex<Account>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(fleet: &'a Fleet, layout: &'a Layout) -> Self {
        let driver = Self {
            fleet,
            layout,
            account: Mutex::default(),
        };
        for node in 0..NODES.len() {
            driver.booted(node);
        }
        driver
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        // Every entry is whole, whoever panicked.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a round says: one thread for each node, so that a slow command delays only what is done
    /// to its node.
    pub(crate) fn run(&self, round: &Round) {
        let begun = Instant::now();
        thread::scope(|scope| {
            for node in 0..NODES.len() {
                scope.spawn(move || {
                    for step in round.steps.iter().filter(|step| step.node == node) {
                        thread::sleep(step.at.saturating_sub(begun.elapsed()));
                        self.step(node, step.deed);
                    }
                });
            }
        });
    }

    /// Makes every cable carry, every node run, every daemon go on.
    pub(crate) fn heal(&self) -> Result<()> {
        for (id, name) in NODES.iter().enumerate() {
            let node = self.fleet.node(name);
            node.heal_link()?;
            self.account().end(id, Reason::Unplugged, now());
            if !node.is_running() {
                self.boot(id, node)?;
            }
            for daemon in [Daemon::Controller, Daemon::Agent] {
                // Only one has a controller, and a daemon that was killed is another one now.
                let _ = node.thaw(daemon.unit());
            }
            self.account().end(id, Reason::Frozen, now());
        }
        Ok(())
    }

    /// Stops all sources.
    pub(crate) fn stop_all(&self) {
        for (id, unit) in self.layout.units.iter().enumerate() {
            if unit.role != Role::Target {
                self.step(unit.node, Deed::Stop(id));
            }
        }
    }

    fn step(&self, id: NodeId, deed: Deed) {
        let node = self.fleet.node(NODES[id]);
        let at = now();
        let outcome = self.perform(id, node, deed, at);
        let mut account = self.account();
        let count = account.counts.entry(name(deed)).or_default();
        let said = match outcome {
            Ok(()) => {
                count.0 += 1;
                String::new()
            }
            Err(error) => {
                count.1 += 1;
                let text = format!("{error:#}");
                format!(": {}", text.lines().last().unwrap_or_default())
            }
        };
        let what = self.words(id, deed);
        account.log.push((at, format!("{what}{said}")));
    }

    fn perform(&self, id: NodeId, node: &Node, deed: Deed, at: Micros) -> Result<()> {
        if !node.is_running() && deed != Deed::PowerOn {
            bail!("the node is off");
        }
        match deed {
            Deed::Start(unit) => {
                let name = self.name(unit);
                self.wish(unit, Wish::Run, at, systemctl(node, &["start", name]))
            }
            Deed::StartByCtl(unit) => {
                let on = NODES[self.layout.units[unit].node];
                {
                    // Whether and when it is done is up to a controller that may be killed.
                    let mut account = self.account();
                    account.wishes.remove(&unit);
                    account.by_ctl.insert(unit, at);
                }
                let args = ["ctl", "start", "--no-block", on, self.name(unit)];
                node.run_within(&args, CTL).and_then(|it| it.ok()).map(drop)
            }
            Deed::Stop(unit) => {
                self.order(unit, at);
                let outcome = systemctl(node, &["stop", self.name(unit)]);
                self.wish(unit, Wish::Rest, at, outcome)
            }
            Deed::Restart(unit) => {
                self.order(unit, at);
                // A target that nobody needs is left alone.
                let verb = match self.layout.units[unit].role {
                    Role::Source | Role::Enabled => "restart",
                    Role::Target => "try-restart",
                };
                let outcome = systemctl(node, &[verb, self.name(unit)]);
                self.wish(unit, Wish::Run, at, outcome)
            }
            Deed::Kill(unit) => {
                self.order(unit, at);
                node.kill_service(self.name(unit), "SIGKILL")
            }
            Deed::KillDaemon(daemon) => {
                self.moment(id, daemon, at);
                node.kill_service(daemon.unit(), "SIGKILL")
            }
            Deed::RestartDaemon(daemon) => {
                self.moment(id, daemon, at);
                node.systemctl(&["restart", daemon.unit()]).map(drop)
            }
            Deed::ReloadDaemon(daemon) => node
                .systemctl(&["reload", "--no-block", daemon.unit()])
                .map(drop),
            Deed::Freeze(daemon) => {
                node.freeze(daemon.unit())?;
                if daemon == Daemon::Agent {
                    self.account().begin(id, Reason::Frozen, at);
                }
                Ok(())
            }
            Deed::Thaw(daemon) => {
                let outcome = node.thaw(daemon.unit());
                self.account().end(id, Reason::Frozen, now());
                outcome
            }
            Deed::Link(Link::Up) => {
                node.heal_link()?;
                self.account().end(id, Reason::Unplugged, now());
                Ok(())
            }
            Deed::Link(link) => {
                self.account().begin(id, Reason::Unplugged, at);
                node.set_link(link)
            }
            Deed::RestartBus => node.systemctl(&["restart", "dbus.service"]).map(drop),
            Deed::DaemonReload => node.systemctl(&["daemon-reload"]).map(drop),
            Deed::DaemonReexec => node.systemctl(&["daemon-reexec"]).map(drop),
            Deed::PowerOff => {
                node.kill()?;
                let mut account = self.account();
                account.begin(id, Reason::Off, at);
                account.deaths.push((id, at, now()));
                let units = &self.layout.units;
                account.wishes.retain(|unit, _| units[*unit].node != id);
                Ok(())
            }
            Deed::PowerOn => self.boot(id, node),
        }
    }

    fn boot(&self, id: NodeId, node: &Node) -> Result<()> {
        node.boot()?;
        self.account().end(id, Reason::Off, now());
        self.booted(id);
        Ok(())
    }

    /// Some sources start with their node.
    fn booted(&self, id: NodeId) {
        let at = now();
        for (unit, of) in self.layout.units.iter().enumerate() {
            if of.node == id && of.role == Role::Enabled {
                self.account().wishes.insert(unit, (Wish::Run, at));
            }
        }
    }

    fn wish(&self, unit: UnitId, wish: Wish, at: Micros, outcome: Result<()>) -> Result<()> {
        if self.layout.units[unit].role != Role::Target {
            let mut account = self.account();
            match outcome {
                Ok(()) => drop(account.wishes.insert(unit, (wish, at))),
                Err(_) => drop(account.wishes.remove(&unit)),
            }
        }
        outcome
    }

    fn order(&self, unit: UnitId, at: Micros) {
        self.account().orders.push(Order { unit, at });
    }

    /// An agent that starts again is out of sight for a moment.
    fn moment(&self, node: NodeId, daemon: Daemon, at: Micros) {
        if daemon == Daemon::Agent {
            let outage = Outage {
                node,
                from: at,
                to: at,
            };
            self.account().outages.push(outage);
        }
    }

    fn name(&self, unit: UnitId) -> &str {
        &self.layout.units[unit].name
    }

    fn words(&self, node: NodeId, deed: Deed) -> String {
        let on = NODES[node];
        match deed {
            Deed::Start(unit)
            | Deed::StartByCtl(unit)
            | Deed::Stop(unit)
            | Deed::Restart(unit)
            | Deed::Kill(unit) => {
                let of = &self.layout.units[unit];
                format!("{} {} on {}", name(deed), of.name, NODES[of.node])
            }
            Deed::KillDaemon(_)
            | Deed::RestartDaemon(_)
            | Deed::ReloadDaemon(_)
            | Deed::Freeze(_)
            | Deed::Thaw(_)
            | Deed::Link(_)
            | Deed::RestartBus
            | Deed::DaemonReload
            | Deed::DaemonReexec
            | Deed::PowerOff
            | Deed::PowerOn => format!("{} on {on}", name(deed)),
        }
    }
}

/// Tells a manager, and asks again where the connection was lost.
fn systemctl(node: &Node, line: &[&str]) -> Result<()> {
    let mut args = vec!["--no-block"];
    args.extend(line);
    let mut outcome = node.systemctl(&args);
    for _ in 1..ATTEMPTS {
        if outcome.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
        outcome = node.systemctl(&args);
    }
    outcome.map(drop)
}

pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| Micros::try_from(it.as_micros()).unwrap_or(0))
}

/// What a deed is called in the summary.
fn name(deed: Deed) -> &'static str {
    match deed {
        Deed::Start(_) => "start",
        Deed::StartByCtl(_) => "start with ctl",
        Deed::Stop(_) => "stop",
        Deed::Restart(_) => "restart",
        Deed::Kill(_) => "kill",
        Deed::KillDaemon(Daemon::Agent) => RESTARTS[0],
        Deed::RestartDaemon(Daemon::Agent) => RESTARTS[1],
        Deed::KillDaemon(Daemon::Controller) => RESTARTS[2],
        Deed::RestartDaemon(Daemon::Controller) => RESTARTS[3],
        Deed::ReloadDaemon(Daemon::Agent) => "reload agent",
        Deed::ReloadDaemon(Daemon::Controller) => "reload controller",
        Deed::Freeze(Daemon::Agent) => "freeze agent",
        Deed::Freeze(Daemon::Controller) => "freeze controller",
        Deed::Thaw(Daemon::Agent) => "thaw agent",
        Deed::Thaw(Daemon::Controller) => "thaw controller",
        Deed::Link(Link::Up) => "heal link",
        Deed::Link(Link::Cut) => "cut link",
        Deed::Link(Link::Down) => "unplug link",
        Deed::Link(Link::Deaf) => "link loses what comes",
        Deed::Link(Link::Mute) => "link loses what goes",
        Deed::Link(Link::Slow) => "link crawls",
        Deed::RestartBus => "restart D-Bus broker",
        Deed::DaemonReload => "daemon-reload",
        Deed::DaemonReexec => "daemon-reexec",
        Deed::PowerOff => "power off node",
        Deed::PowerOn => "boot node",
    }
}
