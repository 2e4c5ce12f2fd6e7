//! A small fleet that is told what to do by name.

use std::{collections::BTreeMap, time::Duration};

use fleet::{ClaimPolicy, DependsOn, NodeSettings, OnLoss};
use node::LinkStatus;
use proto::{
    model::{JobId, JobResult, NodeStatus, Token},
    name::{NodeName, UnitName},
};

pub(super) use crate::generate::unit;
use crate::{
    check::check_quiet,
    generate::{node, proxy, settings},
    systemd::{Behaviour, Service, Spec, Start, State, Verb},
    world::{Action, MachinePlan, Net, Plan, World},
};

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A world, and before it begins the plan of one.
pub(super) struct Stage {
    plan: Plan,
    world: Option<World>,
}

impl Stage {
    pub(super) fn new(names: &[&str]) -> Self {
        let nodes = names.iter().map(|name| {
            let settings = NodeSettings {
                depends_on: DependsOn::Any,
                labels: Vec::new(),
                claims: ClaimPolicy::default(),
                units: Vec::new(),
            };
            (node(name), settings)
        });
        let machine = |name: &&str, twin| MachinePlan {
            name: node(name),
            files: BTreeMap::new(),
            pinned: true,
            twin,
        };
        let mut machines: Vec<_> = names.iter().map(|name| machine(name, false)).collect();
        machines.extend(names.first().map(|name| machine(name, true)));
        Self {
            plan: Plan {
                seed: 1,
                settings: settings(nodes.collect()),
                machines,
                controller_socket: false,
                latency: (0, 5),
                flush: (0, 2),
            },
            world: None,
        }
    }

    fn spec(&mut self, name: &str, service: &str) -> &mut Spec {
        let (name, service) = (node(name), unit(service));
        let machine = self.plan.machines.iter_mut().find(|m| m.name == name);
        let machine = machine.expect("a machine of the plan");
        machine.files.entry(service).or_default()
    }

    fn service(mut self, name: &str, service: &str, change: impl FnOnce(&mut Service)) -> Self {
        match &mut self.spec(name, service).behaviour {
            Behaviour::Service(service) => change(service),
            Behaviour::Proxy | Behaviour::Hold => panic!("{service} is no service"),
        }
        self
    }

    pub(super) fn target(mut self, name: &str, service: &str) -> Self {
        self.spec(name, service).stop_when_unneeded = true;
        self
    }

    pub(super) fn start(self, name: &str, service: &str, start: Start) -> Self {
        self.service(name, service, |service| service.start = start)
    }

    pub(super) fn start_takes(self, name: &str, service: &str, time: Duration) -> Self {
        self.service(name, service, |service| service.start_takes = time)
    }

    pub(super) fn stop_takes(self, name: &str, service: &str, time: Duration) -> Self {
        self.service(name, service, |service| service.stop_takes = time)
    }

    pub(super) fn runs_for(self, name: &str, service: &str, time: Duration) -> Self {
        self.service(name, service, |service| service.runs = Some((time, true)))
    }

    /// `Restart=always`
    pub(super) fn restarts(self, name: &str, service: &str, after: Duration) -> Self {
        self.service(name, service, |service| service.restart = Some(after))
    }

    pub(super) fn only_runs(self, name: &str, service: &str) -> Self {
        self.service(name, service, |service| service.once = true)
    }

    pub(super) fn bound(mut self, name: &str, service: &str, to: &str, target: &str) -> Self {
        let proxy = proxy(&node(to), &unit(target));
        self.spec(name, service).binds_to.push(proxy);
        self
    }

    pub(super) fn requires(mut self, name: &str, service: &str, to: &str, target: &str) -> Self {
        let proxy = proxy(&node(to), &unit(target));
        self.spec(name, service).requires.push(proxy);
        self
    }

    /// `Wants=` and `PartOf=`, without `After=`.
    pub(super) fn part_of(mut self, name: &str, service: &str, to: &str, target: &str) -> Self {
        let proxy = proxy(&node(to), &unit(target));
        let spec = self.spec(name, service);
        spec.wants.push(proxy.clone());
        spec.part_of.push(proxy.clone());
        spec.unordered.push(proxy);
        self
    }

    /// The same on one node.
    pub(super) fn requires_here(mut self, name: &str, service: &str, other: &str) -> Self {
        let other = unit(other);
        self.spec(name, other.as_str());
        self.spec(name, service).requires.push(other);
        self
    }

    pub(super) fn wants(mut self, name: &str, service: &str, to: &str, target: &str) -> Self {
        let proxy = proxy(&node(to), &unit(target));
        self.spec(name, service).wants.push(proxy);
        self
    }

    /// The same on one node.
    pub(super) fn wants_here(mut self, name: &str, service: &str, other: &str) -> Self {
        self.spec(name, service).wants.push(unit(other));
        self
    }

    pub(super) fn upholds(mut self, name: &str, service: &str, to: &str, target: &str) -> Self {
        let proxy = proxy(&node(to), &unit(target));
        self.spec(name, service).upholds.push(proxy);
        self
    }

    /// Units of this node may depend on no other.
    pub(super) fn deny(mut self, name: &str) -> Self {
        if let Some(settings) = self.plan.settings.nodes.get_mut(&node(name)) {
            settings.depends_on = DependsOn::default();
        }
        self
    }

    /// All nodes are up and registered.
    pub(super) fn begin(mut self) -> Self {
        self.world = Some(World::new(self.plan.clone(), true));
        self.run(secs(2));
        self
    }

    /// The policy is another one; the controller is started anew with it.
    pub(super) fn on_loss(mut self, on_loss: OnLoss) -> Self {
        for settings in self.plan.settings.nodes.values_mut() {
            settings.claims.on_loss = on_loss;
        }
        let settings = self.plan.settings.clone();
        self.world().plan.settings = settings.clone();
        self.world().settings = settings;
        self.act(Action::KillController(ms(50)));
        self.run(secs(10));
        self
    }

    fn world(&mut self) -> &mut World {
        self.world.as_mut().expect("the world has begun")
    }

    fn here(&self) -> &World {
        self.world.as_ref().expect("the world has begun")
    }

    pub(super) fn ms(&self, millis: u64) -> Duration {
        ms(millis)
    }

    pub(super) fn at(&self, name: &str) -> usize {
        self.here().index(&node(name)).expect("a machine")
    }

    /// The machine that has the name of the first one too.
    pub(super) fn twin(&self) -> usize {
        self.plan.machines.len() - 1
    }

    pub(super) fn act(&mut self, action: Action) {
        self.world().act(action);
        self.fine();
    }

    pub(super) fn net(&mut self, name: &str, net: Net) {
        let action = Action::Net(self.at(name), net);
        self.act(action);
    }

    pub(super) fn systemctl(&mut self, verb: Verb, name: &str, service: &str) {
        let action = Action::Unit(self.at(name), verb, unit(service));
        self.act(action);
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.world().run_for(time);
        self.fine();
    }

    fn fine(&self) {
        if let Some(violation) = &self.here().violation {
            self.fail(violation);
        }
    }

    pub(super) fn fail(&self, what: &str) -> ! {
        let trace = self.here().trace.as_deref().unwrap_or_default();
        let tail = trace
            .get(trace.len().saturating_sub(80)..)
            .unwrap_or_default();
        panic!("{}\n{what}", tail.join("\n"));
    }

    pub(super) fn is(&self, name: &str, service: &str, state: State) {
        let found = self.here().state(self.at(name), &unit(service));
        if found != state {
            self.fail(&format!("{service} of {name} is {found:?}, not {state:?}"));
        }
    }

    pub(super) fn both_run(&self) {
        self.is("a", "source.service", State::Active);
        self.is("a", "proxy@b_target.service", State::Active);
        self.is("b", "dep@target.service", State::Active);
        self.is("b", "target.service", State::Active);
    }

    /// Whether the agent has its welcome.
    pub(super) fn is_registered(&self, name: &str) -> bool {
        let machine = self.here().machines.get(self.at(name));
        let agent = machine.and_then(|m| m.agent.as_ref());
        agent.is_some_and(|agent| agent.core.link_status() != LinkStatus::Unreachable)
    }

    /// How each job of the world has ended, as often as that was said.
    pub(super) fn job_results(&self) -> Vec<Vec<JobResult>> {
        let jobs = self.here().jobs.values();
        jobs.map(|job| job.results.clone()).collect()
    }

    /// The job that each client was told of.
    pub(super) fn clients_jobs(&self) -> Vec<Option<JobId>> {
        let clients = self.here().clients.values();
        clients.map(|client| client.job).collect()
    }

    /// What the controller has said of nodes.
    pub(super) fn reports(&self) -> Vec<(NodeName, NodeStatus)> {
        self.here().reports.clone()
    }

    /// The run that a unit is in.
    pub(super) fn run_of(&self, name: &str, service: &str) -> Option<Token> {
        let machine = self.here().machines.get(self.at(name))?;
        machine.systemd.units.get(&unit(service))?.invocation
    }

    /// The run and state of every unit of the fleet.
    pub(super) fn runs(&self) -> Vec<(UnitName, State, Option<Token>)> {
        let units = self.here().machines.iter().flat_map(|m| &m.systemd.units);
        units
            .map(|(name, unit)| (name.clone(), unit.state, unit.invocation))
            .collect()
    }

    /// Everybody agrees.
    pub(super) fn is_quiet(&self) {
        let wrong = check_quiet(self.here());
        if !wrong.is_empty() {
            self.fail(&wrong.join("\n"));
        }
    }
}
